"""Tests for `laboratory/convergence.py`."""

from absl.testing import absltest
from jaxdl import atlas
from jaxdl.laboratory import convergence
import numpy as np
import xarray as xr

_INF = np.inf


def _over_steps(*rows):
  return xr.DataArray(np.array(rows, float), dims=('seed', 'step'))


class StepsUntilTest(absltest.TestCase):
  def test_counts_until_the_mean_of_ten_reaches_the_level(self):
    falling = np.concatenate([np.full(20, 2.0), np.zeros(20)])
    never = np.full(40, 1.5)
    once = np.where(np.arange(40) == 5, -1.0, 2.0)  # One batch is no end.
    steps = convergence.steps_until(_over_steps(falling, never, once), 1.0)
    np.testing.assert_array_equal(steps, [25, _INF, _INF])
    self.assertEqual(steps.dims, ('seed',))

  def test_rising_is_falling_upside_down(self):
    values = _over_steps(np.linspace(0, 1, 30), np.zeros(30))
    np.testing.assert_array_equal(
      convergence.steps_until(values, 0.5, rising=True),
      convergence.steps_until(-values, -0.5),
    )

  def test_what_diverges_reaches_nothing(self):
    values = _over_steps(np.full(12, np.nan), np.full(12, -_INF))
    steps = convergence.steps_until(values, 1.0)
    np.testing.assert_array_equal(steps, [_INF, _INF])

  def test_refuses_few_steps(self):
    with self.assertRaisesRegex(ValueError, '9 steps have no mean of 10'):
      convergence.steps_until(_over_steps(np.zeros(9)), 1.0)


class TimesAsManyTest(absltest.TestCase):
  def test_divides_also_what_was_never_reached(self):
    values = lambda *x: xr.DataArray(list(x), dims='seed')
    np.testing.assert_array_equal(
      convergence.times_as_many(
        values(30.0, _INF, 30.0), values(10.0, 10.0, _INF)
      ),
      [3, _INF, 0],
    )

  def test_where_neither_gets_there_nothing_is_decided(self):
    never = xr.DataArray(np.full(6, _INF), dims='seed')
    once = never.where(never['seed'] > 0, 30.0)
    ratio = convergence.times_as_many(never, never)
    self.assertTrue(np.isnan(ratio).all())
    ratio = convergence.times_as_many(once * 2, once)
    for rule in (atlas.at_least(1.5), atlas.at_most(0.8)):
      claim = atlas.Claim('', '', rule, {'': ratio.values})
      self.assertIs(atlas.judge(claim).verdict, atlas.Verdict.DEPENDS)


class FewestStepsTest(absltest.TestCase):
  def test_chooses_by_the_median_for_each_configuration(self):
    steps = xr.DataArray(
      [
        [[50.0, 40, 60], [_INF, _INF, _INF]],
        [[70.0, 80, 10], [30, 20, _INF]],
      ],
      {'learning_rate': [0.1, 1.0]},
      ('learning_rate', 'depth', 'seed'),
    )
    best = convergence.fewest_steps(steps)
    np.testing.assert_array_equal(best, [[50, 40, 60], [30, 20, _INF]])
    np.testing.assert_array_equal(best['learning_rate'], [0.1, 1.0])


if __name__ == '__main__':
  absltest.main()
