"""Tests for `x_ray/page.py`, in a browser."""

import json
import math
import pathlib
import re
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import jax.numpy as jnp
from jaxdl.x_ray import answer
from jaxdl.x_ray import examination
from jaxdl.x_ray import finding
from jaxdl.x_ray import lines as lines_lib
from jaxdl.x_ray import page

from tests.report import chromium
from tests.x_ray import made_lines

_MARKUP = '</script><img src=x onerror=console.error("run")>{{data}}&"b"'

# Uses the page as a reader would, and notes what it then shows.
_USE = """
<pre id="notes"></pre>
<script>
const notes = [];
const rows = () => [...document.querySelectorAll('#table tbody tr')]
  .filter(row => !row.hidden);
const heading = text => [...document.querySelectorAll('#table thead button')]
  .find(node => node.textContent === text);
const set = (id, value) => {
  document.getElementById(id).value = value;
  document.getElementById(id).dispatchEvent(new Event('input'));
};
const picture = document.getElementById('picture');
const use = {
  'all': () => {},
  'largest': () => heading('backward rms').click(),
  'smallest': () => heading('backward rms').click(),
  'named': () => heading('module').click(),
  'order': () => document.getElementById('order').click(),
  'flagged': () => document.getElementById('flagged').click(),
  'filtered': () => {
    document.getElementById('flagged').click();
    set('filter', 'RELU[3');
  },
  'stepped': () => {
    set('filter', '');
    for (const key of ['ArrowRight', 'ArrowRight', 'ArrowLeft']) {
      picture.dispatchEvent(new KeyboardEvent('keydown', {key}));
    }
  },
  'pointed': () => {
    const box = picture.getBoundingClientRect();
    picture.firstChild.dispatchEvent(new PointerEvent(
      'pointermove', {clientX: box.right - 12, clientY: box.top + 50}));
  },
  'dark': () => document.getElementById('theme').click(),
};
for (const [name, act] of Object.entries(use)) {
  act();
  notes.push([name, rows().length, rows()[0].cells[0].textContent,
    document.getElementById('count').textContent,
    document.getElementById('point').textContent,
    getComputedStyle(document.body).backgroundColor].join('|'));
}
document.getElementById('notes').textContent = JSON.stringify(notes);
</script>
"""


def _lines():
  lines = made_lines.stack(20)
  for i, line in enumerate(lines):
    lines[i] = line._replace(backward_rms=10.0 ** (i - 50))
  lines[4] = lines[4]._replace(verdict='vanishing', finding=0)
  lines[7] = lines[7]._replace(backward_rms=0.0)
  lines[9] = lines[9]._replace(backward_rms=math.inf, dead=0.5)
  return [
    *lines,
    made_lines.value(_MARKUP, verdict=_MARKUP, source=_MARKUP),
    lines_lib.Line('solver', 'hidden', note=_MARKUP),
  ]


def _render(lines):
  subject = examination.subject(
    lambda params, x: jnp.sum(params['w'] * x),
    {'w': jnp.ones(3)},
    (jnp.ones(3),),
    False,
  )
  found = [finding.Finding(_MARKUP, _MARKUP, _MARKUP, (_MARKUP,))]
  diagnosis = answer.Diagnosis(examination.examine(subject), found)
  return page.render(_MARKUP, diagnosis, lines), page.fragment(
    _MARKUP, diagnosis, lines, 10
  )


class PageTest(parameterized.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    folder = tempfile.TemporaryDirectory()
    cls.addClassCleanup(folder.cleanup)
    cls.folder = pathlib.Path(folder.name)
    cls.html, cls.fragment = _render(_lines())

  def _open(self, document, name, size=(1200, 900)):
    path = self.folder / name
    page.save(document, path)
    return chromium.open_page(path, size=size)

  @parameterized.parameters((390, 844), (1200, 900))
  def test_draws_everything_and_logs_nothing(self, *size):
    document, console = self._open(self.html, 'page.html', size)
    self.assertEqual(console, [])
    count = re.search('<output id="count"[^>]*>([^<]*)', document)[1]
    self.assertEqual(count, '42 of 42 rows shown')
    picture = document[document.index('<svg') : document.index('</svg>')]
    titles = re.findall('class="title"[^>]*>([^<:]*)', picture)
    self.assertEqual(
      titles, ['Forward', 'Backward', 'Activations', 'Parameters']
    )
    # Flagged lines have a span in each panel; zero and infinity have marks.
    self.assertEqual(picture.count('class="span"'), 2 * 4)
    self.assertEqual(picture.count('▼'), 1)
    self.assertEqual(picture.count('×'), 1)
    self.assertNotIn('NaN', picture)
    labels = re.findall('class="label[^>]*>([^<]*)', picture)
    self.assertIn('blocks/dense[2]', labels)

  def test_markup_is_text(self):
    document, console = self._open(self.html, 'markup.html')
    self.assertEqual(console, [])
    shown = document[document.index('<body>') : document.index('id="data"')]
    self.assertNotIn('<img', shown)
    # In the title, the summary, the finding (four times), its row (thrice),
    # and the reason of the hidden.
    self.assertGreaterEqual(shown.count('&lt;/script&gt;&lt;img'), 9)
    self.assertNotIn('<img', self.fragment.split('<img alt=')[0])
    self.assertEqual(self.fragment.count('<img'), 1)

  def test_is_used(self):
    document, console = self._open(
      self.html.replace('</body>', f'{_USE}</body>'), 'used.html'
    )
    self.assertEqual(console, [])
    text = re.search('<pre id="notes">(.*?)</pre>', document)[1]
    notes = {
      name: rest
      for name, *rest in (
        note.split('|') for note in json.loads(text.replace('&gt;', '>'))
      )
    }
    first = {name: rest[1] for name, rest in notes.items()}
    self.assertEqual(first['all'], 'blocks/dense[0]')
    self.assertEqual(first['largest'], 'blocks/relu[4]')
    self.assertEqual(first['smallest'], 'blocks/relu[3]')
    self.assertEqual(first['order'], 'blocks/dense[0]')
    self.assertEqual(notes['flagged'][0], '2')
    self.assertEqual(notes['filtered'][:2], ['1', 'blocks/relu[3]'])
    self.assertEqual(notes['filtered'][2], '1 of 42 rows shown')
    self.assertStartsWith(notes['stepped'][3], 'blocks/dense[0]: ')
    self.assertIn('backward rms 1e-50', notes['stepped'][3])
    self.assertStartsWith(notes['pointed'][3], 'solver: ')
    self.assertNotEqual(notes['all'][4], notes['dark'][4])

  def test_asks_nothing_of_any_server(self):
    # But for the name of a namespace.
    addresses = set(re.findall(r'(?:https?:)?//[\w.]+\w/[\w/]*', self.html))
    self.assertEqual(addresses, {'http://www.w3.org/2000/svg'})

  def test_a_notebook_shows_the_worst_rows(self):
    rows = self.fragment.split('<tbody>')[1].split('</tbody>')[0]
    self.assertIn('rows like these', rows)
    self.assertIn('<td class="left flagged">vanishing</td>', rows)
    self.assertNotIn('<script', self.fragment)

  def test_says_in_one_line_that_a_path_cannot_be_written(self):
    path = self.folder / 'nowhere' / 'page.html'
    with self.assertRaisesRegex(OSError, "can't be written.*folder") as raised:
      page.save('', path)
    self.assertNotIn('\n', str(raised.exception))


if __name__ == '__main__':
  absltest.main()
