"""Tests for `report/mean_field.py`."""

import pathlib

from absl.testing import absltest
from absl.testing import parameterized
from jaxdl.report import figures
from jaxdl.report import mean_field
import numpy as np
import pandas as pd
from scipy import stats
import xarray as xr

_SIZES = {'width': 400, 'depth': 20, 'num_seeds': 20}


def _rows(activation='tanh', phase='ordered', c_star=1.0, **measured):
  """Rows of one configuration: theory's numbers, and those measured."""
  predicted = {'variance': 0.5, 'gradient': 0.8, 'correlation': 0.8}
  rows = []
  for quantity, value in predicted.items():
    found = measured.get(quantity, value)
    rows.append(
      {
        'activation': activation,
        'weight_std': 1.0433,
        'bias_std': 0.2,
        'phase': phase,
        'c_star': c_star,
        'quantity': quantity,
        'growth': quantity != 'variance',
        'predicted': value,
        'measured': found,
        'standard_error': 0.01 * value,
        'relative': found / value - 1,
        'z': 100 * (found / value - 1),
      }
    )
  return rows


def _verdict(*configurations, **sizes):
  rows = [row for rows in configurations for row in rows]
  return ' '.join(mean_field.verdict(pd.DataFrame(rows), **{**_SIZES, **sizes}))


class TableTest(parameterized.TestCase):
  def test_has_both_numbers_and_z_of_each_quantity(self):
    found = mean_field.table(pd.DataFrame(_rows(variance=0.51)))
    self.assertEqual(
      [column[0] for column in found.values()],
      [
        *('tanh', '1.043', '0.2', 'ordered'),
        *('0.500', '0.510', '+2.0', '+2.0'),
        *('0.800', '0.800', '+0.0', '+0.0'),
        *('0.800', '0.800', '+0.0', '+0.0'),
      ],
    )

  def test_growth_of_the_variance_is_marked(self):
    frame = pd.DataFrame(_rows()).assign(growth=True)
    found = mean_field.table(frame)
    self.assertEqual(found['q\ntheory'], ['×0.500'])
    self.assertEqual(found['chi\ntheory'], ['0.800'])

  @parameterized.parameters(
    (0.0, '0.000'),
    (0.00123, '1.2e-03'),
    (9.876, '9.876'),
    (82.31, '82.31'),
    (556.11, '556.1'),
    (12345.6, '12346'),
  )
  def test_numbers_of_any_size_are_short(self, value, expected):
    self.assertEqual(mean_field._number(value), expected)


class VerdictTest(parameterized.TestCase):
  def test_all_agree(self):
    found = _verdict(_rows(gradient=0.804))
    self.assertIn('3 of 3 measured numbers are within 2% of theory', found)
    self.assertIn('the median standard error is 1% of it', found)
    # Of Student's t with 19 degrees of freedom.
    self.assertIn('is 0.29, where 1.06 is expected', found)
    self.assertIn('is +0.5 (tanh 1.043 0.2, gradient)', found)
    self.assertNotIn('Outside', found)
    self.assertNotIn('all the same', found)

  def test_noise_and_finite_width_are_told_apart(self):
    found = _verdict(_rows(variance=0.515, correlation=0.76))
    self.assertIn('1 of 3', found)
    self.assertRegex(found, 'as noise may be; .*0.2, variance .3.0%.')
    self.assertRegex(found, r'not by noise: .* = 0.05, .*correlation -5.0%\.')

  def test_few_seeds_may_be_far_by_chance(self):
    found = _verdict(_rows(gradient=0.72), num_seeds=3)
    self.assertIn('any size is expected', found)
    self.assertRegex(found, 'as noise may be; .*gradient -10.0%')
    self.assertNotIn('not by noise', found)

  @parameterized.parameters(5, 19, 1000)
  def test_bound_of_noise_agrees_with_student(self, freedom):
    expected = stats.t.isf(stats.norm.sf(3.0), freedom)
    actual = mean_field._most_by_noise(freedom)
    np.testing.assert_allclose(actual, expected, rtol=0.02)

  def test_chaos_of_which_correlations_tend_to_one(self):
    found = _verdict(
      _rows('relu', 'chaotic', 1.0), _rows('tanh', 'chaotic', 0.3)
    )
    self.assertIn('Of relu, chaotic says that gradients explode', found)


class FigureTest(parameterized.TestCase):
  def _datasets(self, phases):
    layer, dims = np.arange(1, 6), ('configuration', 'layer')
    variance = np.ones((len(phases), 5))
    gap = np.stack([0 * variance, 0.1 * 0.5 ** (layer - 1) * variance], -1)
    predicted = xr.Dataset(
      {
        'variance': (dims, variance),
        'squared_gradient': (dims, variance * 0.9 ** (5 - layer)),
        'gap': ((*dims, 'input'), gap),
      },
      coords={
        'phase': ('configuration', list(phases)),
        'activation': (
          'configuration',
          ['tanh', 'relu', 'tanh'][: len(phases)],
        ),
        'layer': layer,
      },
    )
    factors = xr.DataArray([0.5, 1.5], dims='seed')
    return predicted * factors, predicted

  def test_a_column_a_phase_with_theory_over_the_mean(self):
    drawn = mean_field.figure(
      *self._datasets(('chaotic', 'ordered', 'ordered'))
    )
    self.assertLen(drawn.axes, 6)
    titles = [axes.get_title() for axes in drawn.axes[:2]]
    self.assertEqual(titles, ['ordered', 'chaotic'])
    self.assertLen(drawn.axes[0].lines, 4)
    for axes in drawn.axes:
      self.assertEqual(axes.get_yscale(), 'log')
      measured, theory = axes.lines[:2]
      np.testing.assert_allclose(measured.get_ydata(), theory.get_ydata())
      self.assertFalse(measured.is_dashed())
      self.assertTrue(theory.is_dashed())
    (legend,) = drawn.legends
    names = [text.get_text() for text in legend.get_texts()]
    self.assertEqual(names, ['tanh', 'relu', 'theory'])

  def test_deviation_starts_at_one(self):
    drawn = mean_field.figure(*self._datasets(('ordered',)))
    _, theory = drawn.axes[2].lines
    np.testing.assert_allclose(theory.get_ydata(), 0.5 ** np.arange(5))

  def test_is_saved(self):
    drawn = mean_field.figure(*self._datasets(('critical',)))
    for suffix in ('png', 'svg'):
      path = self.create_tempfile(f'figure.{suffix}')
      figures.save(drawn, pathlib.Path(path.full_path))
      self.assertGreater(len(path.read_bytes()), 5000)


if __name__ == '__main__':
  absltest.main()
