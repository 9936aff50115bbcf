"""Tests for `page.py`, in a browser."""

import html.parser
import pathlib
import re
import tempfile

from absl.testing import absltest
from jaxdl import diagnosis
from jaxdl.report import page
from jaxdl.report import tables
import numpy as np

from tests import synthetic_record
from tests.report import chromium
from tests.report import hostile

_MARKUP = '</script><img src=x onerror=console.error("run")>{{data}}<b>"bold"'

# Notes the plot's lines and what is said of theory, at the last and first step.
_FIRST_STEP = """
<pre id="notes"></pre>
<script>
const notes = [];
const note = () => notes.push([
  document.getElementById('profile').data
    .map(trace => trace.name + (trace.line.dash === '5px,3px' ? '*' : ''))
    .join(),
  document.getElementById('theory').textContent].join('|'));
note();
document.getElementById('first').click();
note();
document.getElementById('notes').textContent = notes.join('\\n');
</script>
"""

# Uses the page as a reader would, and notes what it then shows.
_USE = """
<pre id="notes"></pre>
<script>
const notes = [];
const rows = () => document.querySelectorAll('#table tbody tr').length;
const find = (selector, text) => [...document.querySelectorAll(selector)]
  .find(node => node.textContent.startsWith(text));
const cells = column => [...document.querySelectorAll('#table tbody tr')]
  .map(row => row.children[column].textContent).join(' ');
const traces = () => document.getElementById('profile').data;
const use = {
  'all': () => {},
  'filtered': () => find('#chips button', 'sigmoid').click(),
  'cleared': () => document.getElementById('clear').click(),
  'sorted': () => find('#table thead button', 'decades, start').click(),
  'first': () => document.getElementById('first').click(),
  'chosen': () => document.querySelectorAll('#table tbody tr')[2].click(),
  'norms': () => {
    const select = document.getElementById('statistic');
    select.value = 'gradient_norm';
    select.dispatchEvent(new Event('change'));
  },
  'dark': () => document.getElementById('theme').click(),
};
for (const [name, act] of Object.entries(use)) {
  act();
  notes.push([name, rows(), traces().length, traces()[0].y[0],
    document.getElementById('heat').data[0].z[0][0],
    getComputedStyle(document.body).backgroundColor,
    cells(4), location.hash].join('|'));
}
document.getElementById('notes').textContent = notes.join('\\n');
</script>
"""


class _Text(html.parser.HTMLParser):
  """Collects elements by tag, with their text."""

  def __init__(self, document: str):
    super().__init__()
    self.tags: list[tuple[str, dict[str, str | None]]] = []
    self.text: list[str] = []
    self.feed(document)

  def handle_starttag(self, tag, attrs):
    self.tags.append((tag, dict(attrs)))

  def handle_data(self, data):
    self.text.append(data)


def _study():
  cells = [
    {'activation': activation, 'norm': norm, 'seed': seed}
    for activation in ('sigmoid', _MARKUP)
    for norm in ('none', 'batch')
    for seed in (0, 1)
  ]
  kinds = ['vanishing'] * 2 + ['healthy'] * 2 + ['dead', 'diverged']
  kinds += ['healthy', 'escaped']
  record = synthetic_record.make(cells, kinds, num_steps=60, depth=10)
  record.attrs['data'] = _MARKUP
  return record


def _render(record):
  judged = diagnosis.diagnose(record)
  return page.render(record, judged, tables.summary(judged))


def _open(path, fragment='', size=(1200, 900)):
  """Opens a page, and leaves of its document what precedes the scripts."""
  document, console = chromium.open_page(path, fragment, size)
  head, body = document.split('<body>')
  return head[:200] + '<body>' + body.split('<script>')[0], console


class PageTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    folder = tempfile.TemporaryDirectory()
    cls.addClassCleanup(folder.cleanup)
    cls.folder = pathlib.Path(folder.name)
    cls.html = _render(_study())
    cls.path = cls.folder / 'report.html'
    cls.path.write_text(cls.html, encoding='utf-8')

  def test_shows_rows_and_plots_and_logs_nothing(self):
    document, console = _open(self.path)
    self.assertEqual(console, [])
    self.assertIn('data-drawn="yes"', document)
    table = document[document.index('id="table"') :].split('<tbody>')[1]
    self.assertLen(re.findall('<tr', table.split('</tbody>')[0]), 4)
    for name in ('profile', 'heat', 'curves'):
      plot = document[document.index(f'id="{name}"') :]
      self.assertIn('class="main-svg"', plot[:5000])
    self.assertIn('4 of 4 configurations shown', document)

  def test_markup_in_labels_shows_as_text(self):
    document, console = _open(self.path)
    self.assertEqual(console, [])
    parsed = _Text(document)
    self.assertNotIn('img', [tag for tag, _ in parsed.tags])
    # In a heading, a chip, the map, a row, the settings.
    shown = [text for text in parsed.text if _MARKUP in text]
    self.assertGreater(len(shown), 5)
    # And in the legend of a plot, which reads markup of its own.
    legend = document[document.index('class="legendtext"') :]
    self.assertIn(_MARKUP, ''.join(_Text(legend).text))

  def test_no_text_makes_an_element(self):
    def rendered(names, text):
      cells = [{'activation': 'relu', 'norm': name} for name in names]
      record = synthetic_record.make(cells, ['healthy'] * len(cells), depth=3)
      record.attrs |= {'data': text, 'command': text, text: text}
      return hostile.elements(_render(record))

    plain = [f'name{i}' for i in range(len(hostile.MARKS))]
    self.assertEqual(
      rendered(hostile.MARKS, hostile.TEXT), rendered(plain, 'text')
    )

  def test_address_filters_and_sorts(self):
    fragment = 'axis.norm=none&verdict=vanishing&show=gradient_norm&theme=dark'
    document, console = _open(self.path, fragment, (390, 844))
    self.assertEqual(console, [])
    self.assertIn('1 of 4 configurations shown', document)
    self.assertIn('data-theme="dark"', document)
    pressed = [
      attributes
      for tag, attributes in _Text(document).tags
      if tag == 'button' and attributes.get('aria-pressed') == 'true'
    ]
    self.assertLen(pressed, 3)  # Two filters, and the map's square.

  def test_use(self):
    path = self.folder / 'used.html'
    used = self.html.replace('</body>', _USE + '</body>')
    path.write_text(used, encoding='utf-8')
    document, console = chromium.open_page(path)
    self.assertEqual(console, [])
    notes = re.search('<pre id="notes">(.*?)</pre>', document, re.S)[1]
    seen = {
      line.split('|')[0]: line.split('|')[1:] for line in notes.splitlines()
    }
    self.assertEqual(seen['all'][:2], ['4', '4'])
    self.assertEqual(seen['filtered'][:2], ['2', '2'])
    self.assertIn('axis.activation=sigmoid', seen['filtered'][-1])
    self.assertEqual(seen['cleared'][:2], ['4', '4'])
    self.assertNotEqual(seen['sorted'][5], seen['cleared'][5])
    self.assertNotEqual(seen['first'][2], seen['cleared'][2])
    self.assertNotEqual(seen['chosen'][3], seen['first'][3])
    self.assertNotEqual(seen['norms'][2], seen['chosen'][2])
    self.assertNotEqual(seen['dark'][4], seen['norms'][4])

  def test_theory_is_drawn_at_the_first_step(self):
    stack = {'model': 'mlp', 'activation': 'tanh', 'shortcut': 'none'}
    stack |= {'init': 'lecun', 'bias_std': 0.0, 'batch_size': 32}
    cells = [{**stack, 'norm': norm} for norm in ('none', 'layer')]
    record = synthetic_record.make(cells, ['healthy'] * 2, num_steps=5)
    record['activation_std'].values[:] = 0.6
    page_html = _render(record)
    self.assertIn('Theory of infinitely wide layers', page_html)
    path = self.folder / 'theory.html'
    used = page_html.replace('</body>', _FIRST_STEP + '</body>')
    path.write_text(used, encoding='utf-8')
    document, console = chromium.open_page(path, 'axis.norm=none')
    self.assertEqual(console, [])
    notes = re.search('<pre id="notes">(.*?)</pre>', document, re.S)[1]
    last, first = (line.split('|') for line in notes.splitlines())
    self.assertEqual(last[0], 'none')
    self.assertIn('At the first step', last[1])
    self.assertEqual(first[0], 'none,theory, infinite width*')
    self.assertRegex(first[1], r'decades a layer, .* in theory, .* as measured')

  def test_asks_nothing_of_a_server(self):
    parsed = _Text(self.html)
    for tag, attributes in parsed.tags:
      self.assertNotIn(tag, ('img', 'iframe', 'object'))
      self.assertNotIn('src', attributes)
      if tag == 'link':
        self.assertEqual(attributes['href'], 'data:,')
    self.assertIn("default-src 'none'", self.html)

  def test_one_cell_is_a_page_too(self):
    record = synthetic_record.make(
      [{'activation': 'tanh'}], ['nan'], num_steps=1, depth=1
    )
    path = self.folder / 'one.html'
    path.write_text(_render(record), encoding='utf-8')
    document, console = _open(path)
    self.assertEqual(console, [])
    self.assertIn('1 of 1 configurations shown', document)
    self.assertIn('data-drawn="yes"', document)


class JsonTest(absltest.TestCase):
  def test_cannot_close_its_element(self):
    text = page.to_json({'a': '</script><!-- & >'})
    self.assertNotRegex(text, '[<>&]')

  def test_has_no_nan(self):
    with self.assertRaises(ValueError):
      page.to_json(np.nan)


if __name__ == '__main__':
  absltest.main()
