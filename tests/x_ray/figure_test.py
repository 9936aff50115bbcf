"""Tests for `x_ray/figure.py`."""

import math

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies
from jaxdl.x_ray import figure
from jaxdl.x_ray import lines as lines_lib
from matplotlib import image
import numpy as np

from tests.x_ray import made_lines


def _titles(lines):
  axes = figure.draw(lines).axes
  return [x.get_title(loc='left').split(':')[0] for x in axes]


def _dots(axes, marker='o'):
  """Positions of the markers of one kind."""
  return [
    i
    for line in axes.lines
    if line.get_marker() == marker
    for i in np.asarray(line.get_xdata()).tolist()
  ]


class DrawTest(parameterized.TestCase):
  def test_draws_a_panel_for_what_was_measured(self):
    lines = made_lines.stack(3)
    self.assertEqual(_titles(lines), ['Forward', 'Backward', 'Parameters'])
    lines[1] = lines[1]._replace(dead=0.5)
    self.assertIn('Activations', _titles(lines))
    self.assertEqual(
      _titles([made_lines.value('dense')]), ['Forward', 'Backward']
    )

  def test_shows_the_numbers(self):
    rms = [1.0, 1e-10, 1e-30]
    lines = [
      made_lines.value(f'dense{i}', backward_rms=x) for i, x in enumerate(rms)
    ]
    axes = figure.draw(lines).axes[1]
    self.assertEqual(axes.get_yscale(), 'log')
    shown = [x for x in axes.lines if x.get_marker() == 'o']
    np.testing.assert_allclose(shown[0].get_ydata(), rms)
    low, high = axes.get_ylim()
    self.assertBetween(low, 1e-35, 1e-30)
    self.assertBetween(high, 1, 1e4)

  def test_zero_and_what_is_not_finite_are_marked_at_the_ends(self):
    values = [1.0, 0.0, math.inf, math.nan]
    lines = [
      made_lines.value(f'dense{i}', backward_rms=x)
      for i, x in enumerate(values)
    ]
    drawn = figure.draw(lines)
    axes = drawn.axes[1]
    self.assertEqual(_dots(axes), [0])
    self.assertEqual(_dots(axes, 'v'), [1])
    self.assertEqual(_dots(axes, 'x'), [2, 3])
    drawn.canvas.draw()

  def test_flagged_lines_are_coloured_and_named(self):
    lines = made_lines.stack(3)
    lines[2] = lines[2]._replace(verdict='vanishing')
    drawn = figure.draw(lines)
    for axes in drawn.axes:
      self.assertLen(axes.patches, 1)
    legend = [x.get_text() for x in drawn.legends[0].get_texts()]
    self.assertEqual(legend, ['vanishing: blocks/dense[1]'])

  def test_shared_parameters_are_drawn_once(self):
    axes = figure.draw(made_lines.stack(3)).axes[2]
    self.assertEqual(_dots(axes), [0, 0])

  def test_no_markup_is_read_into_names(self):
    lines = [made_lines.value(r'$\undefined$'), made_lines.value('$')]
    figure.draw(lines).canvas.draw()

  def test_a_notebook_shows_a_png(self):
    drawn = figure.draw(made_lines.stack(2))
    self.assertStartsWith(drawn._repr_png_(), b'\x89PNG')

  def test_three_hundred_lines_fit(self):
    lines = made_lines.stack(150)
    drawn = figure.draw(lines)
    path = self.create_tempfile('picture.png').full_path
    drawn.savefig(path, dpi=50)
    self.assertLessEqual(image.imread(path).shape[1], 800)
    labels = drawn.axes[-1].get_xticklabels()
    boxes = [label.get_window_extent() for label in labels]
    for box, after in zip(boxes, boxes[1:], strict=False):
      self.assertFalse(box.overlaps(after))

  def test_refuses_nothing(self):
    with self.assertRaisesRegex(ValueError, 'no module was measured'):
      figure.draw([lines_lib.Line('solver', 'hidden')])

  @hypothesis.given(
    strategies.integers(1, 200),
    strategies.integers(1, 60),
    strategies.sets(strategies.integers(0, 199)),
  )
  def test_labels_are_apart(self, n, most, flagged):
    lines = [
      made_lines.value(f'{i}', verdict='dead' if i in flagged else '')
      for i in range(n)
    ]
    positions = figure.label_positions(lines, most)
    self.assertLessEqual(len(positions), most)
    self.assertGreater(len(positions), 0)
    if any(line.verdict for line in lines):
      self.assertTrue(any(lines[i].verdict for i in positions))


if __name__ == '__main__':
  absltest.main()
