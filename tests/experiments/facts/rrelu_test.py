"""Tests for `experiments/facts/rrelu.py`."""

from absl.testing import absltest
from experiments.facts import rrelu
from jaxdl import atlas
from jaxdl.atlas import Verdict
import numpy as np
import xarray as xr


def _data(*, distance, off_mean, test, train=(1.0, 1.0)):
  """Data in which all seeds are alike.

  Args:
    distance: of both kinds.
    off_mean: of both kinds.
    test: accuracy of RReLU and of leaky ReLU.
    train: as well.
  """
  seeds = lambda values: np.repeat(values, 6).reshape(2, 6)
  return xr.Dataset(
    {
      'distance': (('kind', 'seed'), seeds(2 * [distance])),
      'off_mean': (('kind', 'seed'), seeds(2 * [off_mean])),
      'train_accuracy': (('activation', 'seed'), seeds(train)),
      'test_accuracy': (('activation', 'seed'), seeds(test)),
    },
    {'activation': list(rrelu._NAMES), 'kind': ['divisor', 'slope']},
  )


def _verdicts(data):
  return [atlas.judge(claim).verdict for claim in rrelu.claims(data)]


class ClaimsTest(absltest.TestCase):
  def test_textbook_confirms_and_its_opposite_refutes(self):
    textbook = _data(distance=0.003, off_mean=0.001, test=[0.8, 0.7])
    self.assertEqual(_verdicts(textbook), 4 * [Verdict.CONFIRMED])
    opposite = _data(distance=0.2, off_mean=0.1, test=[0.6, 0.7])
    self.assertEqual(_verdicts(opposite), 4 * [Verdict.REFUTED])

  def test_a_worse_fit_that_tests_worse_is_named(self):
    data = _data(
      distance=0.003, off_mean=0.001, test=[0.7, 0.75], train=[0.8, 1.0]
    )
    self.assertEqual(_verdicts(data)[2:], [Verdict.CONFIRMED, Verdict.REFUTED])


class MeasureTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.data = rrelu.measure(
      2,
      depth=2,
      width=8,
      num_steps=12,
      num_examples=100,
      learning_rates=(0.1,),
    )

  def test_shapes(self):
    self.assertEqual(
      dict(self.data.sizes),
      {'seed': 2, 'activation': 2, 'kind': 2, 'quantile': 101},
    )

  def test_divisor_is_uniform_and_slope_is_its_inverse(self):
    """The published definition, in closed form: P(1/a < s) = (8 - 1/s) / 5."""
    divisor = self.data.sel(kind='divisor')
    self.assertLess(divisor['distance'].max().item(), 0.01)
    self.assertLess(divisor['off_mean'].max().item(), 0.01)
    slope = self.data.sel(kind='slope')
    s = 1 / 8 + slope['quantiles'] * (1 / 3 - 1 / 8)
    np.testing.assert_allclose(
      (8 - 1 / s) / 5, slope['quantile'].broadcast_like(s), atol=0.01
    )
    mean = np.log(8 / 3) / 5
    np.testing.assert_allclose(slope['off_mean'], 1 - 2 / 11 / mean, atol=0.005)

  def test_draws_both_distributions_and_both_networks(self):
    drawn, accuracy = rrelu.draw(self.data).get_axes()
    self.assertLen(drawn.get_lines(), 3)
    self.assertLen(accuracy.containers, 2)


if __name__ == '__main__':
  absltest.main()
