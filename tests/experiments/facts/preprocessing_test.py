"""Tests for `experiments/facts/preprocessing.py`."""

from absl.testing import absltest
from experiments.facts import preprocessing
from jaxdl import atlas
from jaxdl.atlas import Verdict
import numpy as np
import xarray as xr

_TEXTBOOK = {  # Raw, [0, 1], mean removed.
  'eigenvalue_ratio': (1e6, 1e6, 1e3),
  'brightness_moved': (0.7, 0.7, 1e-8),
  'mean_share': (0.6, 0.6, 0.2),
  'largest_eigenvalue': (1e6, 20.0, 5.0),
  'saturated': (0.9, 0.01, 0.0),
  'test_accuracy': (0.5, 0.7, 0.8),
  'steps_to_target': (np.inf, 100.0, 50.0),
}
_OPPOSITE = {
  'eigenvalue_ratio': (1e6, 2e6, 1e3),
  'brightness_moved': (0.7, 0.01, 0.5),
  'mean_share': (0.6, 0.6, 0.6),
  'largest_eigenvalue': (1e6, 20.0, 20.0),
  'saturated': (0.1, 0.3, 0.0),
  'test_accuracy': (0.5, 0.5, 0.5),
  'steps_to_target': (50.0, 100.0, np.inf),
}


def _verdicts(values):
  data = xr.Dataset(
    {
      name: (('preprocessing', 'seed'), np.outer(row, np.ones(6)))
      for name, row in values.items()
    },
    {'preprocessing': ['raw', '[0, 1]', 'mean removed']},
  )
  return [atlas.judge(claim).verdict for claim in preprocessing.claims(data)]


class ClaimsTest(absltest.TestCase):
  def test_textbook_confirms_and_its_opposite_refutes(self):
    self.assertEqual(_verdicts(_TEXTBOOK), 9 * [Verdict.CONFIRMED])
    self.assertEqual(_verdicts(_OPPOSITE), 9 * [Verdict.REFUTED])


class MeasureTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.data = preprocessing.measure(
      2,
      num_images=60,
      depth=2,
      width=4,
      num_steps=20,
      learning_rates=[0.01],
    )

  def test_scale_is_all_that_unit_range_changes(self):
    raw, unit, removed = self.data['eigenvalue_ratio'].transpose(
      'preprocessing', 'seed'
    )
    np.testing.assert_allclose(raw, unit, rtol=1e-3)
    self.assertLess(removed.max().item(), raw.min().item())

  def test_brightness_goes_with_the_mean(self):
    _, unit, removed = self.data['brightness_moved'].transpose(
      'preprocessing', 'seed'
    )
    self.assertGreater(unit.min().item(), 0.1)
    self.assertLess(removed.max().item(), 1e-6)

  def test_draws_before_and_in_training(self):
    self.assertLen(preprocessing.draw(self.data).get_axes(), 2)


if __name__ == '__main__':
  absltest.main()
