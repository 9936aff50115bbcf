"""Tests for `panels.py`."""

from absl.testing import absltest
from absl.testing import parameterized
from jaxdl.report import panels
import numpy as np

_NAMES = [f'treatment {i}' for i in range(9)]


def _panel(names=_NAMES, points=4, **options):
  x = np.arange(1.0, points + 1)
  values = np.arange(3.0)[:, None] + x
  series = {name: panels.over_seeds(x, values) for name in names}
  return panels.Panel('A title', 'the x', 'the y', series, **options)


class OverSeedsTest(absltest.TestCase):
  def test_median_and_range_of_what_is_finite(self):
    values = np.array([[1.0, np.nan, np.nan], [2, 5, np.inf], [9, 7, np.nan]])
    series = panels.over_seeds(np.arange(3), values)
    np.testing.assert_array_equal(series.middle, [2, 6, np.nan])
    np.testing.assert_array_equal(series.low, [1, 5, np.nan])
    np.testing.assert_array_equal(series.high, [9, 7, np.nan])


class DrawTest(parameterized.TestCase):
  @parameterized.parameters((1, 1), (3, 3), (4, 4), (6, 6))
  def test_as_many_axes_as_panels(self, count, expected):
    figure = panels.draw([_panel()] * count, _NAMES)
    self.assertLen(figure.axes, expected)

  def test_lines_titles_and_scales(self):
    figure = panels.draw([_panel(log_x=True), _panel(log_y=True)], _NAMES)
    first, second = figure.axes
    self.assertEqual(first.get_title(), 'A title')
    self.assertEqual(
      (first.get_xlabel(), first.get_ylabel()), ('the x', 'the y')
    )
    self.assertEqual(
      (first.get_xscale(), first.get_yscale()), ('log', 'linear')
    )
    self.assertEqual(
      (second.get_xscale(), second.get_yscale()), ('linear', 'log')
    )
    np.testing.assert_array_equal(first.lines[0].get_ydata(), [2, 3, 4, 5])

  def test_every_treatment_has_a_style_of_its_own_and_is_named(self):
    figure = panels.draw([_panel()], _NAMES)
    styles = {
      (line.get_color(), line.get_linestyle()) for line in figure.axes[0].lines
    }
    self.assertLen(styles, len(_NAMES))
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    self.assertEqual(texts, _NAMES)

  def test_a_treatment_keeps_its_style_where_others_are_missing(self):
    figure = panels.draw([_panel(), _panel(_NAMES[3:4])], _NAMES)
    self.assertEqual(
      figure.axes[0].lines[3].get_color(), figure.axes[1].lines[0].get_color()
    )

  def test_points_are_marked_with_their_range(self):
    figure = panels.draw([_panel(['a'], marked=True)], ['a'])
    (ranges,) = figure.axes[0].collections
    segments = ranges.get_segments()
    np.testing.assert_allclose(segments[0], [[1, 1], [1, 3]])

  def test_no_logarithm_of_zero(self):
    x = np.arange(3.0)
    zero = panels.Series(x, x, x, x)
    panel = panels.Panel('t', 'x', 'y', {'a': zero}, log_y=True, marked=True)
    figure = panels.draw([panel], ['a'])
    line = figure.axes[0].lines[0].get_ydata()
    np.testing.assert_array_equal(line, [np.nan, 1, 2])

  def test_ticks_have_names(self):
    figure = panels.draw([_panel(['a'], 2, ticks=('one', 'two'))], ['a'])
    ticks = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    self.assertEqual(ticks, ['one', 'two'])


if __name__ == '__main__':
  absltest.main()
