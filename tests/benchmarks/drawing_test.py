"""Tests for `drawing.py`."""

import pathlib
import re
import tempfile

from absl.testing import absltest
from benchmarks import drawing
from benchmarks import running
import chex
from jaxdl.report import figures
import numpy as np

from tests.benchmarks import recorded


def _words(figure):
  """Reads the words of a figure from its SVG."""
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / 'figure.svg'
    figures.save(figure, path)
    svg = path.read_text(encoding='utf-8')
  return ' '.join(re.findall(r'<text[^>]*>([^<]*)</text>', svg))


class OverviewTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.figure = drawing.overview(recorded.record())
    self.speeds, self.costs = self.figure.axes

  def test_title_counts_the_goals_that_are_met(self):
    self.assertIn('1 of 2 goals met', _words(self.figure))
    text = _words(drawing.overview(recorded.record(quick=True)))
    self.assertIn('not to be trusted', text)

  def test_speeds_are_apart_from_costs(self):
    """Since of these more is better, of those less."""
    (label,) = self.speeds.get_yticklabels()
    self.assertEqual(label.get_text(), 'the study against a loop')
    self.assertLen(self.costs.get_yticks(), 2)
    for axes in self.figure.axes:
      self.assertEqual(axes.get_xscale(), 'log')

  def test_point_is_the_median_and_bar_the_rounds(self):
    goal, bar, point = (
      line.get_xdata()
      for line in self.speeds.lines
      if line.get_transform() == self.speeds.transData
    )
    chex.assert_trees_all_close(np.array(goal), np.array([3, 3]))
    chex.assert_trees_all_close(np.array(bar), np.array([1.5, 2.0]))
    chex.assert_trees_all_close(np.array(point), np.array([2.0]))

  def test_band_is_on_the_better_side_of_the_goal(self):
    (band,) = self.speeds.patches
    self.assertEqual(band.get_x(), 3.0)
    (band,) = self.costs.patches
    self.assertAlmostEqual(band.get_x() + band.get_width(), 1.07)

  def test_values_are_told(self):
    words = _words(self.figure)
    self.assertIn('2.00x (goal 3x)', words)
    self.assertIn('1.050x (goal 1.07x)', words)


class HeadlineTest(absltest.TestCase):
  def test_bars_are_medians_and_title_says_who_is_faster(self):
    figure = drawing.headline(recorded.record())
    (axes,) = figure.axes
    widths = [bar.get_width() for bar in axes.patches]
    self.assertEqual(widths, [210.0, 400.0])
    words = _words(figure)
    self.assertIn('The study of 112 networks', words)
    self.assertIn('2.00x as fast as a loop', words)


class SaveTest(absltest.TestCase):
  def test_writes_what_the_record_has(self):
    headline, _, counts = recorded.record().results
    for results, names in (
      ((headline,), ['headline', 'overview']),
      ((counts,), []),
    ):
      with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder)
        saved = drawing.save(running.Record(False, results), path)
        self.assertCountEqual(saved, [f'{name}.svg' for name in names])
        found = sorted(file.name for file in path.iterdir())
        self.assertEqual(
          found, [f'{n}.{suffix}' for n in names for suffix in ('png', 'svg')]
        )


if __name__ == '__main__':
  absltest.main()
