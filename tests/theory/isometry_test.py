"""Tests for `theory/isometry.py`."""

import math

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies
from jaxdl.theory import isometry
import numpy as np
from scipy import integrate

_DEPTHS = strategies.integers(1, 64)


class VarianceTest(parameterized.TestCase):
  @parameterized.parameters(
    (1.0, 1.0, False, 1),  # Linear.
    (1.0, 1.0, True, 0),
    (0.5, 0.5, True, 1),  # ReLU.
    (0.5, 0.5, False, 2),
  )
  def test_of_each_layer(self, mu_1, mu_2, orthogonal, expected):
    """Pennington et al., 2018, https://arxiv.org/abs/1802.09979."""
    for depth in (1, 8, 100):
      actual = isometry.squared_singular_value_variance(
        mu_1, mu_2, depth, orthogonal=orthogonal
      )
      self.assertAlmostEqual(actual, depth * expected, places=10)

  @parameterized.parameters(
    (0.0, 0.0, 1, 'mu_1 > 0'),
    (0.5, 0.2, 1, 'mu_2 >= mu_1'),
    (math.nan, 0.5, 1, 'mu_1 > 0'),
    (0.5, math.inf, 1, 'mu_1 > 0'),
    (0.5, 0.5, 0, 'depth must be at least 1, got 0'),
  )
  def test_refuses_what_is_none(self, mu_1, mu_2, depth, message):
    with self.assertRaisesRegex(ValueError, message):
      isometry.squared_singular_value_variance(
        mu_1, mu_2, depth, orthogonal=True
      )


class LargestTest(parameterized.TestCase):
  @hypothesis.given(_DEPTHS)
  def test_closed_forms(self, depth):
    """Those of Pennington et al., 2018, https://arxiv.org/abs/1802.09979."""
    z = (1 - depth + math.sqrt(depth**2 + 1)) / (2 * depth)
    relu = (1 + z) / z * (1 + 2 * z) ** depth
    relu_orthogonal = depth**depth / max(depth - 1, 1) ** (depth - 1)
    linear = (depth + 1) ** (depth + 1) / depth**depth
    for orthogonal, fraction, expected in (
      (False, 1.0, linear),
      (True, 1.0, 1.0),
      (False, 0.5, relu),
      # Of one layer, half of the values are 2 and half are 0.
      (True, 0.5, relu_orthogonal if depth > 1 else 2.0),
    ):
      actual = isometry.largest_squared_singular_value(
        depth, orthogonal=orthogonal, open_fraction=fraction
      )
      np.testing.assert_allclose(actual, expected, rtol=1e-12)

  @hypothesis.given(_DEPTHS, strategies.floats(0.01, 1), strategies.booleans())
  def test_is_beyond_what_the_variance_needs(self, depth, fraction, orthogonal):
    """Of values in [0, b] with mean 1 the variance is at most b - 1."""
    variance = isometry.squared_singular_value_variance(
      fraction, fraction, depth, orthogonal=orthogonal
    )
    largest = isometry.largest_squared_singular_value(
      depth, orthogonal=orthogonal, open_fraction=fraction
    )
    self.assertGreaterEqual(largest * (1 + 1e-9), 1 + variance)

  @parameterized.parameters(0.0, 1.1, math.nan)
  def test_refuses_a_fraction_that_is_none(self, fraction):
    with self.assertRaisesRegex(ValueError, r'open_fraction .* in \(0, 1\]'):
      isometry.largest_squared_singular_value(
        2, orthogonal=True, open_fraction=fraction
      )


class FussCatalanTest(parameterized.TestCase):
  @parameterized.parameters(
    (1, (1, 1, 2, 5, 14, 42)),
    (2, (1, 1, 3, 12, 55, 273)),
    (3, (1, 1, 4, 22, 140, 969)),
  )
  def test_moments_count_trees(self, depth, expected):
    """The Fuss-Catalan numbers, as in OEIS A000108, A001764 and A002293."""
    actual = [isometry.fuss_catalan_moment(k, depth) for k in range(6)]
    self.assertEqual(actual, list(map(float, expected)))

  @hypothesis.given(_DEPTHS)
  def test_second_moment_has_the_variance(self, depth):
    variance = isometry.squared_singular_value_variance(
      1.0, 1.0, depth, orthogonal=False
    )
    second = isometry.fuss_catalan_moment(2, depth)
    self.assertAlmostEqual(second - 1, variance)

  @parameterized.product(depth=(1, 2, 5, 12), order=(0, 1, 2, 3))
  def test_density_has_the_moments(self, depth, order):
    edge = isometry.largest_squared_singular_value(depth, orthogonal=False)

    def integrand(t):
      x = edge * t ** (depth + 1)  # Near 0 the density is x^(-d / (d + 1)).
      slope = (depth + 1) * edge * t**depth
      return x**order * isometry.fuss_catalan_density(x, depth) * slope

    actual, error = integrate.quad(integrand, 0, 1, epsabs=0, epsrel=1e-9)
    expected = isometry.fuss_catalan_moment(order, depth)
    self.assertLess(error, 1e-7 * expected)
    np.testing.assert_allclose(actual, expected, rtol=1e-7)

  def test_one_layer_is_the_law_of_marchenko_and_pastur(self):
    x = np.array([1e-20, 1e-3, 0.5, 1, 2, 3.9, 3.999])
    expected = np.sqrt((4 - x) / x) / (2 * np.pi)
    actual = isometry.fuss_catalan_density(x, 1)
    np.testing.assert_allclose(actual, expected, rtol=1e-8)

  def test_two_layers_have_the_density_in_roots(self):
    """As Penson and Zyczkowski, 2011, write it."""
    x = np.array([1e-6, 0.01, 0.7, 3, 6.7])
    root = 27 + 3 * np.sqrt(81 - 12 * x)
    expected = (2 ** (1 / 3) * np.sqrt(3) / (12 * np.pi)) * (
      2 ** (1 / 3) * root ** (2 / 3) - 6 * x ** (1 / 3)
    )
    expected /= x ** (2 / 3) * root ** (1 / 3)
    actual = isometry.fuss_catalan_density(x, 2)
    np.testing.assert_allclose(actual, expected, rtol=1e-9)

  def test_ends_with_the_spectrum_at_any_depth(self):
    for depth in (1, 10, 300):
      edge = isometry.largest_squared_singular_value(depth, orthogonal=False)
      x = np.array([-1, 0, 0.999 * edge, edge, 2 * edge])
      density = isometry.fuss_catalan_density(x, depth)
      np.testing.assert_array_equal(density[[0, 1, 3, 4]], [0, np.inf, 0, 0])
      self.assertGreater(density[2], 0)

  def test_refuses_orders_and_depths_that_are_none(self):
    with self.assertRaisesRegex(ValueError, 'order must be at least 0, got -1'):
      isometry.fuss_catalan_moment(-1, 2)
    with self.assertRaisesRegex(ValueError, 'depth must be at least 1, got 0'):
      isometry.fuss_catalan_density(np.ones(1), 0)


if __name__ == '__main__':
  absltest.main()
