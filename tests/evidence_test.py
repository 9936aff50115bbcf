"""Tests for `evidence.py`."""

from absl.testing import absltest
from absl.testing import parameterized
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from jaxdl import evidence
import numpy as np
from scipy import stats


class FitTest(parameterized.TestCase):
  @given(
    seed=st.integers(0, 2**31),
    size=st.integers(3, 20),
    unusable=st.integers(0, 5),
  )
  @settings(deadline=None, max_examples=50)
  def test_agrees_with_scipy(self, seed, size, unusable):
    generator = np.random.default_rng(seed)
    x = np.arange(size + unusable)
    y = generator.normal(size=(2, size + unusable))
    usable = np.stack(
      [generator.permutation(size + unusable) < size for _ in range(2)]
    )
    y[~usable] = np.nan
    slope, error = evidence.fit(x, y, usable)
    for i in range(2):
      expected = stats.linregress(x[usable[i]], y[i, usable[i]])
      np.testing.assert_allclose(slope[i], expected.slope, atol=1e-12)
      np.testing.assert_allclose(error[i], expected.stderr, atol=1e-12)

  @parameterized.parameters(0, 1, 2)
  def test_needs_three_points(self, count):
    usable = np.arange(5) < count
    slope, error = evidence.fit(np.arange(5), np.ones(5), usable)
    self.assertTrue(np.isnan(slope))
    self.assertTrue(np.isnan(error))


class StepsTest(parameterized.TestCase):
  def test_last_steps_are_each_cells_own(self):
    index, inside = evidence.last_steps(np.array([0, 1, 5, 40]), 0.1)
    chosen = [sorted(i[mask]) for i, mask in zip(index, inside, strict=True)]
    self.assertEqual(chosen, [[], [0], [4], [36, 37, 38, 39]])

  def test_median_of_bounds_is_a_bound(self):
    profile = np.array([[[-3.0], [-30.0], [-30.0]]])
    censored = np.array([[[False], [True], [True]]])
    nothing = np.full_like(profile, np.nan)
    signals = evidence.Signals(profile, censored, nothing, nothing)
    result = evidence.summarize(
      signals, np.arange(3)[None], np.ones((1, 3), bool)
    )
    self.assertEqual(result.profile.item(), -30.0)
    self.assertTrue(result.censored.item())
    self.assertTrue(np.isnan(result.dead.item()))

  @parameterized.parameters(
    ('0011111111', 2.0),
    ('0010111111', 4.0),
    ('1111111111', 0.0),
    ('1000000000', np.nan),
    ('0000000001', 9.0),
    ('0111111111101111111111', 1.0),
  )
  def test_since(self, holds, expected):
    holds = np.array([[character == '1' for character in holds]])
    found = evidence.since(holds, np.array([holds.shape[1]]), 0.9)
    np.testing.assert_equal(found.item(), expected)

  def test_since_looks_at_recorded_steps_only(self):
    holds = np.array([[False, True, True, False, False]])
    self.assertEqual(evidence.since(holds, np.array([3]), 0.9).item(), 1)


class NonfiniteTest(absltest.TestCase):
  def test_forward_comes_before_backward_and_lowest_before_highest(self):
    found = np.zeros((4, 3, 2, 5), bool)
    found[0, 0, 1, 2:] = True  # Forward from layer 3 on.
    found[1, 0, 1, :] = True  # And backward everywhere.
    found[1, 1, 0, :4] = True  # Backward up to layer 4.
    result = evidence.first_nonfinite(found, np.ones((3, 2), bool))
    np.testing.assert_equal(result.step, [1, 0, np.nan])
    np.testing.assert_equal(result.layer, [3, 4, np.nan])
    self.assertEqual(list(result.direction), ['forward', 'backward', ''])


class StepsUntilTest(absltest.TestCase):
  def test_counts_along_the_last_axis(self):
    falling = np.concatenate([np.full(20, 2.0), np.zeros(20)])
    values = np.stack([falling, np.full(40, 1.5), np.full(40, np.nan)])
    np.testing.assert_array_equal(
      evidence.steps_until(values, 1.0), [25, np.inf, np.inf]
    )
    np.testing.assert_array_equal(
      evidence.steps_until(-values[:1], -1.0, rising=True, window=1), [21]
    )


if __name__ == '__main__':
  absltest.main()
