"""Tests for `experiments/facts/tanh.py`."""

from absl.testing import absltest
from experiments.facts import tanh
from jaxdl import atlas
from jaxdl.atlas import Verdict
import numpy as np
import xarray as xr

_DIMS = ('activation', 'weight_std', 'seed', 'layer')


def _data(*, value, derivative, far, shift, pooled, saturated):
  """Data in which all seeds are alike; shifts of sigmoid and of tanh."""
  seeds = lambda *shape: np.ones((*shape, 6))
  by_function = lambda x: np.tile(np.reshape(x, (2, 1, 1, 1)), (1, 2, 6, 2))
  return xr.Dataset(
    {
      'value_error': ('seed', value * seeds()),
      'derivative_error': ('seed', derivative * seeds()),
      'far_derivative': (('side', 'seed'), far * seeds(2)),
      'unit_shift': (_DIMS, by_function(shift)),
      'pooled_shift': (_DIMS, by_function(pooled)),
      'saturated': (_DIMS, np.full((2, 2, 6, 2), saturated)),
    },
    {
      'side': ['left', 'right'],
      'activation': ['sigmoid', 'tanh'],
      'weight_std': [1.0, 10.0],
      'layer': [1, 2],
    },
  )


def _verdicts(data):
  return [atlas.judge(claim).verdict for claim in tanh.claims(data)]


class ClaimsTest(absltest.TestCase):
  def test_textbook_confirms_and_its_opposite_refutes(self):
    textbook = _data(
      value=1e-16,
      derivative=1e-15,
      far=1e-4,
      shift=[0.9, 0.1],
      pooled=[0.9, 0.05],
      saturated=0.8,
    )
    self.assertEqual(_verdicts(textbook), 7 * [Verdict.CONFIRMED])
    opposite = _data(
      value=1e-3,
      derivative=1e-3,
      far=0.5,
      shift=[0.1, 0.5],
      pooled=[0.1, 0.5],
      saturated=0.1,
    )
    self.assertEqual(_verdicts(opposite), 7 * [Verdict.REFUTED])

  def test_units_that_cancel_are_centred_together_alone(self):
    data = _data(
      value=1e-16,
      derivative=1e-15,
      far=1e-4,
      shift=[0.9, 0.5],
      pooled=[0.9, 0.05],
      saturated=0.8,
    )
    self.assertEqual(_verdicts(data)[2:4], [Verdict.REFUTED, Verdict.CONFIRMED])


class MeasureTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.data = tanh.measure(2, depth=2, width=16)

  def test_shapes(self):
    self.assertEqual(
      dict(self.data['unit_shift'].sizes),
      {'activation': 2, 'weight_std': 2, 'seed': 2, 'layer': 2},
    )

  def test_identity_holds_to_rounding(self):
    self.assertLess(self.data['value_error'].max().item(), 1e-15)
    self.assertLess(self.data['derivative_error'].max().item(), 1e-14)

  def test_only_large_weights_saturate(self):
    of_tanh = self.data['saturated'].sel(activation='tanh')
    self.assertLess(of_tanh.sel(weight_std=1).max().item(), 0.3)
    self.assertGreater(of_tanh.sel(weight_std=10).min().item(), 0.5)

  def test_draws_both_functions(self):
    axes = tanh.draw(self.data).get_axes()
    self.assertLen(axes, 3)
    for each in axes:
      self.assertLen(each.get_lines(), 2)


if __name__ == '__main__':
  absltest.main()
