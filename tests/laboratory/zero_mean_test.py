"""Tests for `laboratory/zero_mean.py`."""

from absl.testing import absltest
from jaxdl.data import sources
from jaxdl.laboratory import best_rate
from jaxdl.laboratory import trained
from jaxdl.laboratory import zero_mean
import numpy as np

_DEPTH = 3


def _dataset():
  rng = np.random.default_rng(0)
  images = rng.normal(size=(400, 2, 2, 1)).astype(np.float32)
  labels = np.arange(400, dtype=np.int32) % 2
  return sources.Dataset(images, labels, images, labels, 2, 'noise')


class ShiftsTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.record = trained.train(
      {
        'activation': ['tanh', 'sigmoid'],
        'learning_rate': [0.0],
        'seed': [0, 1],
        'depth': [_DEPTH],
        'width': [16],
        'batch_size': [400],
      },
      _dataset(),
      1,
      evaluate=zero_mean.on_test_split_and_shifts,
    )
    over = best_rate.over_axes(cls.record, ['activation'])
    cls.shifts = zero_mean.shifts_by_layer(over, _DEPTH)
    cls.whole = over.isel(step=0, layer=slice(0, _DEPTH))

  def test_pooled_shift_is_that_of_the_layer(self):
    """The batch is all there is, so that both speak of the same inputs."""
    of_layer = abs(self.whole['activation_mean']) / self.whole['activation_rms']
    pooled = self.shifts['pooled_shift'].transpose(*of_layer.dims)
    np.testing.assert_allclose(pooled, of_layer, rtol=1e-4, atol=1e-5)

  def test_means_of_opposite_sign_do_not_cancel(self):
    unit, pooled = self.shifts['unit_shift'], self.shifts['pooled_shift']
    self.assertTrue((unit >= pooled - 1e-6).all())
    self.assertLessEqual(unit.max().item(), 1 + 1e-6)
    late = self.shifts.sel(activation='tanh', layer=_DEPTH)
    self.assertTrue((late['unit_shift'] > 2 * late['pooled_shift']).all())

  def test_first_layer_of_an_odd_function_has_zero_mean_units(self):
    """The inputs are symmetric about zero; 400 draws are off by 1/20."""
    first = self.shifts['unit_shift'].sel(layer=1)
    self.assertLess(first.sel(activation='tanh').max().item(), 0.1)
    self.assertGreater(first.sel(activation='sigmoid').min().item(), 0.7)


class MomentsTest(absltest.TestCase):
  def test_opposite_units_cancel_only_when_pooled(self):
    mean, mean_square = np.array([3.0, -3.0]), np.array([25.0, 25.0])
    unit, pooled = zero_mean._shifts(mean, mean_square)
    self.assertAlmostEqual(float(unit), 0.6, places=6)
    self.assertEqual(float(pooled), 0)


if __name__ == '__main__':
  absltest.main()
