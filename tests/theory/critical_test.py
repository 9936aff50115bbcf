"""Tests for `theory/critical.py`."""

import math

from absl.testing import absltest
from absl.testing import parameterized
import jax
import jax.numpy as jnp
from jaxdl.theory import critical
from jaxdl.theory import mean_fields
import numpy as np
from scipy import optimize


def _rippled(x):
  """Steep at 0, and again where it has ripples, around 4 and -4."""
  ripples = jnp.sin(20 * x) * jnp.exp(-jnp.square(jnp.abs(x) - 4))
  return jnp.tanh(x) + 0.15 * ripples


class CriticalWeightStdTest(parameterized.TestCase):
  @parameterized.parameters(
    (0, 1.0),
    (1e-4, 1.0860262925),
    (1e-3, 1.1891895852),
    (0.01, 1.4242052905),
    (0.05, 1.7609546396),
    (0.1, 1.9860726411),
  )
  def test_of_tanh(self, bias_variance, weight_variance):
    actual = critical.critical_weight_std('tanh', math.sqrt(bias_variance))
    self.assertAlmostEqual(actual**2, weight_variance, delta=6e-11)

  @parameterized.parameters(
    ('relu', 2), ('identity', 1), ('leaky_relu:0.01', 1.99980002),
    ('prelu:0.25', 32 / 17), ('leaky_relu:0.5', 1.6), ('tanh', 1), ('elu', 1),
    (jax.lax.erf, math.pi / 4), (lambda x: 3 * jnp.tanh(x), 1 / 9),
  )  # fmt: skip
  def test_without_bias(self, activation, weight_variance):
    actual = critical.critical_weight_std(activation, 0.0)
    np.testing.assert_allclose(actual**2, weight_variance, rtol=1e-9)

  @parameterized.parameters(1e-9, 1e-3, 0.2, 2.0)
  def test_of_erf_solves_its_closed_form(self, bias_std):
    """w^2 E[erf^2] + b^2 = q with w^2 = pi / 4 sqrt(1 + 4 q)."""

    def excess(log_q):
      q = math.exp(log_q)
      square = 2 / math.pi * math.asin(2 * q / (1 + 2 * q))
      return math.pi / 4 * math.sqrt(1 + 4 * q) * square + bias_std**2 - q

    # Below, the difference is rounding; there w^2 = pi / 4 (1 + 2 q).
    low = -12 if bias_std > 1e-6 else -16
    q = math.exp(optimize.brentq(excess, low, 5, xtol=1e-15))
    expected = math.sqrt(math.pi / 4 * math.sqrt(1 + 4 * q))
    actual = critical.critical_weight_std(jax.lax.erf, bias_std)
    np.testing.assert_allclose(actual, expected, rtol=1e-8)

  @parameterized.parameters('tanh', 'sigmoid', 'elu')
  def test_is_where_the_mean_field_is_critical(self, name):
    weight_std = critical.critical_weight_std(name, 0.3)
    actual = mean_fields.mean_field(name, weight_std, 0.3)
    self.assertEqual(actual.phase, 'critical')
    for factor, phase in ((0.999, 'ordered'), (1.001, 'chaotic')):
      beside = mean_fields.mean_field(name, factor * weight_std, 0.3)
      self.assertEqual(beside.phase, phase)

  @parameterized.parameters(
    ('relu', 0.1, 'chi_1 is below 1 at every .* only as weight_std -> 1.41421'),
    (
      'softplus',
      0.0,
      'tends to 1 only as weight_std -> 1.41421, where that gr',
    ),
    (
      'gelu',
      0.2,
      r'not reached .* weight_std = 1.54701 \(unstable, slope 1.09',
    ),
    (lambda x: x**3, 0.0, 'chi_1 is above 1 at every fixed point'),
    (jnp.ones_like, 0.1, 'chi_1 is below 1 at every fixed point of the varia'),
    ('tanh', -0.1, 'bias_std must be .* not negative; got -0.1'),
  )
  def test_says_why_there_is_none(self, activation, bias_std, message):
    with self.assertRaisesRegex(ValueError, message) as raised:
      critical.critical_weight_std(activation, bias_std)
    self.assertNotIn('\n', str(raised.exception))


class CriticalBiasStdTest(parameterized.TestCase):
  @parameterized.parameters(
    (1.05, 2.01052e-5),
    (1.1, 1.556917e-4),
    (1.2, 0.0011742730),
    (4, 1.6359572439),
  )
  def test_of_tanh(self, weight_variance, bias_variance):
    actual = critical.critical_bias_std('tanh', math.sqrt(weight_variance))
    self.assertLess(abs(actual**2 / bias_variance - 1), 1e-6)

  @parameterized.parameters('tanh', 'elu', 'softsign')
  def test_inverts_the_weight_std(self, name):
    weight_std = critical.critical_weight_std(name, 0.4)
    actual = critical.critical_bias_std(name, weight_std)
    np.testing.assert_allclose(actual, 0.4, rtol=1e-9)

  @parameterized.parameters(('relu', math.sqrt(2)), ('tanh', 1.0))
  def test_is_zero_at_the_end_of_the_line(self, name, weight_std):
    self.assertEqual(critical.critical_bias_std(name, weight_std), 0)

  def test_says_that_there_are_several(self):
    message = r'several critical values of bias_std: [.\d]+, [.\d]+, .* Choose'
    with self.assertRaisesRegex(ValueError, message):
      critical.critical_bias_std(_rippled, math.sqrt(1.5))

  @parameterized.parameters(
    ('tanh', 0.9, 'no critical bias_std at weight_std = 0.9'),
    ('relu', 1.5, 'no critical bias_std at weight_std = 1.5'),
    ('relu', 0.0, 'weight_std must be .* positive; got 0.0'),
  )
  def test_says_that_there_is_none(self, name, weight_std, message):
    with self.assertRaisesRegex(ValueError, message):
      critical.critical_bias_std(name, weight_std)


class CriticalPointsTest(parameterized.TestCase):
  def test_of_gelu_is_unstable_at_small_biases(self):
    (point,) = critical.critical_points('gelu', 0.2)
    self.assertFalse(point.stable)
    (point,) = critical.critical_points('gelu', 1.0)
    self.assertTrue(point.stable)

  def test_of_relu_is_at_no_variance(self):
    (point,) = critical.critical_points('relu', 0.0)
    self.assertIsNone(point.q)
    self.assertEmpty(critical.critical_points('relu', 0.1))

  @parameterized.product(activation=('elu', 'gelu', 'sigmoid'), bias_std=(0, 1))
  def test_are_fixed_points(self, activation, bias_std):
    points = critical.critical_points(activation, bias_std)
    self.assertNotEmpty(points)
    for point in points[1 if bias_std == 0 else 0 :]:
      mean_field = mean_fields.mean_field(
        activation, point.weight_std, point.bias_std, q_start=point.q
      )
      np.testing.assert_allclose(
        mean_field.length_map(point.q), point.q, rtol=1e-9
      )
      np.testing.assert_allclose(mean_field.chi(point.q), 1, rtol=1e-9)


if __name__ == '__main__':
  absltest.main()
