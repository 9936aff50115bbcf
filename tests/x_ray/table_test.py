"""Tests for `x_ray/table.py`."""

import math

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies
from jaxdl.x_ray import lines as lines_lib
from jaxdl.x_ray import table

from tests.x_ray import made_lines


def _cells(text, name):
  row = next(x for x in text.splitlines() if x.split()[:1] == [name])
  return row.split()[1:]


class RenderTest(parameterized.TestCase):
  def test_numbers_stand_below_their_titles(self):
    lines = [
      made_lines.value(
        'dense',
        forward_rms=0.25,
        forward_std=0.5,
        backward_rms=1e-30,
        decades=-27.04,
        parameters=('dense/kernel',),
        parameter_norm=12.3,
        gradient_norm=4.56e-6,
        update_ratio=0.00789,
      ),
      made_lines.value('relu', dead=0.25, saturated=0.5, verdict='dead'),
    ]
    text = table.render(lines, 100, 10)
    head, titles, _, dense, _ = text.splitlines()
    self.assertEqual(
      dense.split(),
      ['dense', '0.250', '0.500', '1e-30', '-27.0', '12.3', '4.56e-6']
      + ['0.00789'],
    )
    self.assertEqual(
      _cells(text, 'relu'),
      ['1.00', '1.00', '25%', '50%', '0.00100', '0.0', '←', 'dead'],
    )
    self.assertEqual(
      titles.split(),
      ['module', 'rms', 'std', 'dead', 'sat', 'rms', 'decades', 'norm']
      + ['grad', 'update'],
    )
    for group in ('forward', 'backward', 'parameters'):
      self.assertIn(group, head)
    end = titles.index('decades') + len('decades')
    self.assertEqual(dense[:end].split()[-1], '-27.0')

  def test_parameters_that_iterations_share_are_said_once(self):
    text = table.render(made_lines.stack(2), 100, 10)
    self.assertEqual(_cells(text, 'blocks/dense[0]')[-2:], ['4.00', '0.500'])
    self.assertEqual(_cells(text, 'blocks/dense[1]')[-2:], ['"', '"'])

  def test_columns_without_content_are_left_out(self):
    titles = table.render(made_lines.stack(2), 100, 10).splitlines()[1]
    for title in ('dead', 'sat', 'update'):
      self.assertNotIn(title, titles)

  def test_what_is_not_finite_is_said(self):
    line = made_lines.value('log', forward_rms=math.inf, backward_rms=math.nan)
    self.assertEqual(
      _cells(table.render([line], 100, 10), 'log')[::2], ['inf', 'nan']
    )

  def test_the_hidden_are_shown_with_the_reason(self):
    hidden = lines_lib.Line('solver', 'hidden', note='in a while loop')
    text = table.render([*made_lines.stack(2), hidden], 100, 10)
    self.assertRegex(text, r'solver +in a while loop$')

  def test_says_what_is_left_out(self):
    lines = made_lines.stack(100)
    lines[51] = lines[51]._replace(verdict='dead')
    lines[71] = lines[71]._replace(forward_rms=0.5)
    lines[73] = lines[73]._replace(forward_rms=0.25)
    text = table.render(lines, 100, 8)
    self.assertIn('rows like these, forward 0.500 to 1.00, backward', text)
    counts = sum(
      int(x.split()[1]) for x in text.splitlines() if x.startswith('…')
    )
    self.assertEqual(counts, 200 - 8)

  @hypothesis.settings(max_examples=50)
  @hypothesis.given(
    strategies.integers(40, 120),
    strategies.sampled_from(['dense', 'encoder/layers/11/attention/query' * 3]),
    strategies.sampled_from(['', 'vanishing', 'non-finite gradient']),
    strategies.floats(allow_nan=True, allow_infinity=True),
  )
  def test_fits_the_width(self, width, name, verdict, x):
    lines = [
      *made_lines.stack(30, forward_rms=x, backward_rms=x, decades=x),
      made_lines.value(name, verdict=verdict, update_ratio=x),
      lines_lib.Line(name, 'hidden', note='in a while loop ' * 9),
    ]
    text = table.render(lines, width, 8)
    for line in text.splitlines():
      self.assertLessEqual(len(line), width, text)

  def test_refuses_less_than_forty_columns(self):
    with self.assertRaisesRegex(ValueError, 'given 39 columns; give 40'):
      table.render(made_lines.stack(2), 39, 10)


if __name__ == '__main__':
  absltest.main()
