"""Tests for `report/atlas.py`, and for its page and its Markdown."""

import pathlib

from absl.testing import absltest
from absl.testing import parameterized
from jaxdl import atlas
from jaxdl.atlas import facts
from jaxdl.report import atlas as atlas_report
from jaxdl.report import atlas_markdown
from jaxdl.report import atlas_page
from matplotlib import figure as figure_lib
import numpy as np
import rich.console

from tests.report import chromium
from tests.report import hostile


def _result():
  """A fact of three claims, with one that is told apart by its conditions."""
  judgements = [
    atlas.judge(atlas.Claim(*claim))
    for claim in (
      ('<b>it</b> grows', 'gain, points', atlas.at_least(2), {'': _samples(3)}),
      ('it ends', 'steps', atlas.at_most(9), {'': np.full(6, np.inf)}),
      (
        'both do',
        'size',
        atlas.at_least(0),
        {'one': _samples(-9), 'other': _samples(0.125)},
      ),
    )
  ]
  figure = figure_lib.Figure(figsize=(2, 1))
  figure.subplots().plot([0, 1])
  verdict, on = atlas.of_fact(judgements)
  return atlas_report.Result(
    'growth',
    facts.Statement('Things grow', 'They do.', 'Me, 2026.', 'At least 2.'),
    (r'\frac{a}{b}',),
    judgements,
    verdict,
    on,
    figure,
    '6 <seeds>',
    1.5,
    './run.sh atlas --only=growth',
  )


def _rendered():
  return atlas_markdown.render([_result()])


def _samples(start):
  return start + np.arange(6.0) / 10


class NumberTest(parameterized.TestCase):
  @parameterized.parameters(
    (0.17499542, '0.175'),
    (-0.17499542, '−0.175'),
    (-0.0, '0'),
    (12.0, '12'),
    (1234.5678, '1.23e+03'),
    (1e-10, '1e−10'),
    (np.inf, '∞'),
    (-np.inf, '−∞'),
  )
  def test_three_digits_and_the_sign(self, value, text):
    self.assertEqual(atlas_report.number(value), text)


class TableTest(absltest.TestCase):
  def test_row_for_each_claim(self):
    console = rich.console.Console(width=200)
    with console.capture() as capture:
      console.print(atlas_report.table([_result()]))
    text = capture.get()
    self.assertRegex(text, r'Things grow +depends: of 3 claims 1')
    self.assertRegex(
      text, r'<b>it</b> grows +gain, points +3.25 \[3, 3.5\] +≥ 2 +confirmed'
    )
    self.assertRegex(text, r'it ends +steps +∞ +≤ 9 +refuted')
    self.assertRegex(
      text,
      r'both do +size +−8.75 to 0.375 \[−9, 0.625\], of 2 conditions +≥ 0 '
      r'+depends: holds',
    )

  def test_frame_has_a_row_for_each_condition(self):
    frame = atlas_report.frame([_result()])
    self.assertEqual(frame['condition'].tolist(), ['', '', 'one', 'other'])
    self.assertEqual(
      frame['verdict'].tolist(),
      ['confirmed', 'refuted', 'refuted', 'confirmed'],
    )
    self.assertEqual(frame['low'].tolist(), [3.0, np.inf, -9.0, 0.125])


class PageTest(absltest.TestCase):
  def test_is_whole_and_logs_nothing(self):
    path = pathlib.Path(self.create_tempdir().full_path) / 'atlas.html'
    page = atlas_page.render([_result()])
    path.write_text(page, encoding='utf-8')
    document, logged = chromium.open_page(path)
    self.assertEmpty(logged)
    self.assertIn('&lt;b&gt;it&lt;/b&gt; grows', document)
    self.assertIn('Measured with 6 &lt;seeds&gt;.', document)
    self.assertIn('id="growth"', document)
    self.assertIn('href="#growth"', document)
    self.assertIn('1 of 3', document)
    self.assertEqual(document.count('<img src="data:image/svg+xml;base64,'), 2)
    self.assertNotIn('http', document.replace('http://www.w3.org', ''))

  def test_no_text_makes_an_element(self):
    result = _result()
    changes = {
      'statement': facts.Statement(*[hostile.TEXT] * 4),
      'measured_with': hostile.TEXT,
      'on': hostile.TEXT,
      'command': hostile.TEXT,
    }
    page = atlas_page.render([result._replace(**changes)])
    self.assertEqual(
      hostile.elements(page), hostile.elements(atlas_page.render([result]))
    )

  def test_reader_hears_what_a_formula_says(self):
    self.assertIn(
      r'alt="\frac{a}{b}"', atlas_page.formula_image(r'\frac{a}{b}')
    )


class MarkdownTest(absltest.TestCase):
  def test_tables_hold_every_condition_and_no_mark_of_the_text(self):
    text = atlas_markdown.render([_result()])
    self.assertIn('| 1 | [Things grow](#growth) | **depends** | ', text)
    self.assertIn('| &lt;b&gt;it&lt;/b&gt; grows: gain, points |  | 3.25', text)
    self.assertIn('|  | other | 0.375', text)
    self.assertIn('![Figure of Things grow](growth/growth.svg)', text)
    rows = [line for line in text.splitlines() if line.startswith('| ')]
    self.assertLen(rows, 7)

  def test_no_text_makes_an_element_or_a_row(self):
    # Of what a stored measurement says of itself, and may be anybody's.
    result = _result()._replace(measured_with=hostile.TEXT, on=hostile.TEXT)
    text = atlas_markdown.render([result])
    self.assertNotIn('<script', text)
    self.assertLen(text.splitlines(), len(_rendered().splitlines()))


if __name__ == '__main__':
  absltest.main()
