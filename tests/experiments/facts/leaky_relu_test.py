"""Tests for `experiments/facts/leaky_relu.py`."""

from absl.testing import absltest
from absl.testing import parameterized
from experiments.facts import leaky_relu
from jaxdl import atlas
from jaxdl.atlas import Verdict
import numpy as np
import xarray as xr

_DIMS = ('followed', 'clip', 'large_rate', 'seed')
_SHAPE = (4, 2, 3, 6)


def _data(*, inactive, survived, by_slope, by_seed):
  """Data in which all rates and clips are alike.

  Args:
    inactive: share of units with ReLU, and with a slope.
    survived: test accuracy with ReLU, and with a slope.
    by_slope: range of test accuracy over slopes.
    by_seed: range of test accuracy over seeds.
  """
  spread = lambda relu, leaky: np.broadcast_to(
    np.array([relu, *3 * [leaky]])[:, None, None, None], _SHAPE
  )
  accuracy = 0.7 + np.add.outer(
    np.linspace(0, by_slope, 4), np.linspace(0, by_seed, 6)
  )
  return xr.Dataset(
    {
      'finite': (_DIMS, np.ones(_SHAPE, bool)),
      'inactive': (_DIMS, spread(*inactive)),
      'survived': (_DIMS, spread(*survived)),
      'test_accuracy': (('slope', 'seed'), accuracy),
    },
    {
      'followed': [0.0, 0.01, 0.1, 0.3],
      'clip': ['none', 'norm:1.0'],
      'large_rate': [0.1, 0.3, 1.0],
      'slope': [0.01, 0.1, 0.2, 0.3],
    },
  )


def _verdicts(data):
  return [atlas.judge(claim).verdict for claim in leaky_relu.claims(data)]


class ClaimsTest(absltest.TestCase):
  def test_textbook_confirms_and_its_opposite_refutes(self):
    textbook = _data(
      inactive=(0.4, 0.1), survived=(0.3, 0.7), by_slope=0.1, by_seed=0.01
    )
    self.assertEqual(_verdicts(textbook), 4 * [Verdict.CONFIRMED])
    opposite = _data(
      inactive=(0.1, 0.4), survived=(0.7, 0.7), by_slope=0.001, by_seed=0.05
    )
    self.assertEqual(_verdicts(opposite), 4 * [Verdict.REFUTED])


class KillingRateTest(parameterized.TestCase):
  @parameterized.parameters(
    ([0.0, 0.3, 0.9], [True, True, True], 0.3),
    ([0.0, 0.1, 0.2], [True, True, True], 1.0),
    ([0.0, 0.1, 1.0], [True, True, False], 0.3),
    ([1.0, 1.0, 1.0], [False, False, False], 0.1),
  )
  def test_kills_a_quarter_or_is_the_largest_stable(self, dead, finite, rate):
    over_rates = lambda x: (
      ('followed', 'large_rate', 'seed'),
      np.array(x)[None, :, None] * np.ones((1, 3, 6), np.asarray(x).dtype),
    )
    data = xr.Dataset(
      {'inactive': over_rates(dead), 'finite': over_rates(finite)},
      {'followed': [0.0], 'large_rate': [0.1, 0.3, 1.0]},
    )
    self.assertEqual(leaky_relu.killing_rate(data), rate)

  def test_one_seed_that_diverges_does_not_move_it(self):
    dims = ('followed', 'large_rate', 'seed')
    finite = np.ones((1, 2, 6), bool)
    finite[0, :, 0] = False
    data = xr.Dataset(
      {
        'inactive': (dims, np.where(finite, 0.3, 1.0)),
        'finite': (dims, finite),
      },
      {'followed': [0.0], 'large_rate': [0.1, 0.3]},
    )
    self.assertEqual(leaky_relu.killing_rate(data), 0.1)


class BestOverWorstTest(absltest.TestCase):
  def test_what_is_best_of_its_own_seeds_alone_gains_nothing(self):
    """Slope 0 leads in even seeds, slope 1 in odd ones."""
    accuracy = np.tile([[5.0, 0.0, 3.0], [0.0, 5.0, 3.0]], (3, 1))
    np.testing.assert_array_equal(
      leaky_relu.best_over_worst(accuracy), np.full(6, -5.0)
    )

  def test_is_the_difference_where_seeds_agree(self):
    accuracy = np.array([7.0, 3.0, 4.0]) + np.arange(6)[:, None]
    np.testing.assert_array_equal(leaky_relu.best_over_worst(accuracy), 6 * [4])


class MeasureTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.data = leaky_relu.measure(
      2,
      depth=2,
      width=8,
      num_steps=12,
      num_watched_steps=12,
      num_examples=100,
      slopes=(0.01, 0.5),
      learning_rates=(0.1,),
      large_rates=(0.1, 10.0),
    )

  def test_shapes(self):
    self.assertEqual(
      dict(self.data['inactive'].sizes),
      {'clip': 2, 'followed': 4, 'large_rate': 2, 'seed': 2},
    )
    self.assertEqual(
      dict(self.data['test_accuracy'].sizes), {'slope': 2, 'seed': 2}
    )

  def test_what_diverged_is_inactive_and_guesses(self):
    diverged = self.data.where(~self.data['finite'])
    self.assertTrue((~self.data['finite']).any())
    for name, value in (('inactive', 1.0), ('survived', 0.1)):
      found = diverged[name].values
      np.testing.assert_allclose(found[~np.isnan(found)], value, rtol=1e-6)

  def test_draws_each_slope_at_both_clips(self):
    counts = [len(a.get_lines()) for a in leaky_relu.draw(self.data).get_axes()]
    self.assertEqual(counts, [4, 4, 4, 4, 1])


if __name__ == '__main__':
  absltest.main()
