"""Tests for `theory/correlations.py`."""

import math

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies
import jax
from jaxdl.theory import correlations
from jaxdl.theory import elementwise
from jaxdl.theory import lengths
import numpy as np
from scipy import optimize

_CORRELATIONS = (-1.0, -0.5, 0.0, 0.5, 0.9, 1 - 1e-6)


def _length_map(activation, weight_std, bias_std):
  found = elementwise.elementwise(activation)
  return lengths.LengthMap(found, weight_std, bias_std)


class MapTest(parameterized.TestCase):
  def test_of_relu(self):
    """Cho & Saul, 2009: sqrt(1 - c^2) + c (pi - arccos c), over pi."""
    length_map = _length_map('relu', math.sqrt(2), 0.0)
    for c in _CORRELATIONS:
      angle = math.acos(c)
      expected = (math.sin(angle) + c * (math.pi - angle)) / math.pi
      actual = 1 - correlations.gap_map(length_map, 1 - c, 1.0)
      self.assertAlmostEqual(actual, expected, delta=1e-12)
      slope = correlations.slope(length_map, 1 - c, 1.0)
      self.assertAlmostEqual(slope, 1 - angle / math.pi, delta=1e-10)

  def test_of_relu_again_and_again(self):
    length_map = _length_map('relu', math.sqrt(2), 0.0)
    gap, actual = 1.0, []
    for _ in range(10):
      gap = correlations.gap_map(length_map, gap, 1.0)
      actual.append(1 - gap)
    expected = (
      0.3183099, 0.4937311, 0.6048257, 0.6809535, 0.7359464,
      0.7772287, 0.8091481, 0.8344163, 0.8548092, 0.8715355,
    )  # fmt: skip
    np.testing.assert_allclose(actual, expected, rtol=0, atol=6e-8)

  @parameterized.parameters((0.25, 0.0), (0.3, 0.7))
  def test_of_leaky_relu(self, leak, bias_std):
    """max(x, a x) = (1 + a) / 2 x + (1 - a) / 2 |x|."""
    length_map = _length_map(f'leaky_relu:{leak}', 1.2, bias_std)
    q = 1.7
    even, odd = (1 - leak) ** 2 / 4, (1 + leak) ** 2 / 4
    after = float(length_map(q))
    for c in _CORRELATIONS:
      angle = math.acos(c)
      magnitudes = 2 / math.pi * (math.sin(angle) + c * math.asin(c))
      product = q * (odd * c + even * magnitudes)
      expected = (1.44 * product + bias_std**2) / after
      actual = 1 - correlations.gap_map(length_map, 1 - c, q)
      self.assertAlmostEqual(actual, expected, delta=1e-11)
      slopes = odd + even * 2 / math.pi * math.asin(c)
      slope = correlations.slope(length_map, 1 - c, q)
      self.assertAlmostEqual(slope, 1.44 * slopes * q / after, delta=1e-10)

  @hypothesis.settings(max_examples=6)
  @hypothesis.given(
    strategies.sampled_from(['tanh', 'elu', 'silu', 'softsign']),
    strategies.lists(strategies.floats(0, 1), min_size=3, max_size=3),
  )
  def test_is_convex_and_increasing_and_keeps_one(self, name, gaps):
    length_map = _length_map(name, 1.7, 0.3)
    q = float(length_map(1.0))
    low, high = min(gaps), max(gaps)
    middle = 0.5 * (low + high)
    after = [
      correlations.gap_map(length_map, gap, q) for gap in (low, middle, high)
    ]
    self.assertEqual(correlations.gap_map(length_map, 0.0, q), 0)
    self.assertLessEqual(after[0], after[1] * (1 + 1e-11))
    # Convex in c, so concave in the gap.
    self.assertGreaterEqual(after[1] * (1 + 1e-11), 0.5 * (after[0] + after[2]))

  @parameterized.parameters('tanh', 'gelu', 'selu', jax.nn.hard_tanh)
  def test_tends_to_its_slope_at_one(self, activation):
    """gap'(gap) / gap -> slope; of a kink as the root, of others as the gap."""
    length_map = _length_map(activation, 1.4, 0.2)
    slope = correlations.slope(length_map, 0.0, 1.0)
    for gap in (1e-6, 1e-9, 1e-12):
      ratio = correlations.gap_map(length_map, gap, 1.0) / gap
      q = 1.0 / float(length_map(1.0))
      self.assertLess(abs(ratio - slope), 3 * math.sqrt(gap) * q)


class FixedPointTest(parameterized.TestCase):
  def test_is_one_where_it_attracts(self):
    rest = correlations.fixed_point(_length_map('relu', 1.0, 0.5), 0.5)
    self.assertEqual(rest.c, 1.0)
    self.assertAlmostEqual(rest.slope, 0.5, places=12)

  def test_is_zero_of_an_odd_function_without_bias(self):
    rest = correlations.fixed_point(_length_map('tanh', 2.0, 0.0), 1.0)
    self.assertEqual(rest.c, 0.0)

  @parameterized.parameters((1.8, 0.3, 0.5), (4.0, 1.0, 3.0), (1.2, 1e-3, 0.2))
  def test_of_erf_solves_its_closed_form(self, weight_std, bias_std, q):
    length_map = _length_map(jax.lax.erf, weight_std, bias_std)
    after = float(length_map(q))
    angle = lambda c: 2 / math.pi * math.asin(2 * q * c / (1 + 2 * q))
    closed = lambda c: (weight_std**2 * angle(c) + bias_std**2) / after - c
    self.assertGreater(correlations.slope(length_map, 0.0, q), 1)
    expected = optimize.brentq(closed, 0, 1 - 1e-3, xtol=1e-15)
    rest = correlations.fixed_point(length_map, q)
    self.assertAlmostEqual(rest.c, expected, delta=1e-10)

  @parameterized.parameters(('identity', 1.3, 0.0), ('tanh', 0.9, 0.0))
  def test_is_none_where_all_are_kept(self, name, weight_std, bias_std):
    q = lengths.NEAR_ZERO
    rest = correlations.fixed_point(_length_map(name, weight_std, bias_std), q)
    self.assertIsNone(rest.c)
    self.assertEqual(rest.slope, 1)


if __name__ == '__main__':
  absltest.main()
