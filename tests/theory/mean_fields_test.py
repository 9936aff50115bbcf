"""Tests for `theory/mean_fields.py`."""

import math

from absl.testing import absltest
from absl.testing import parameterized
import jax
import jax.numpy as jnp
from jaxdl import activations
from jaxdl import theory
from jaxdl.theory import mean_fields
import numpy as np
from scipy import integrate


def _second_derivative_term(q):
  """E[f'' f] of tanh for u ~ N(0, q), by QUADPACK: f'' = -2 f (1 - f^2)."""

  def weigh(z):
    f = math.tanh(math.sqrt(q) * z)
    return -2 * f * f * (1 - f * f) * math.exp(-z * z / 2)

  value, _ = integrate.quad(weigh, -12, 12, epsabs=1e-14, limit=400)
  return value / math.sqrt(2 * math.pi)


class MeanFieldTest(parameterized.TestCase):
  def test_is_reached_by_the_package(self):
    self.assertIs(theory.mean_field, mean_fields.mean_field)

  @parameterized.parameters(
    (1.0, 0.05, 0.19359252, 0.75903165, 1, 0.759032, 1.7476, 3.6270, 3.6270),
    (1.5, 0.05, 0.41803720, 0.93863627, 1, 0.938636, 1.6828, 15.791, 15.791),
    (1.7, 0.05, 0.53307563, 0.98674081, 1, 0.986741, 1.5583, 74.918, 74.918),
    (
      2.5, 0.05, 1.06395838, 1.13351570, 0.446804, 0.918717, 1.1799, 11.796,
      7.979,
    ),
    (1.69, 0.09, 0.60704679, 0.93980743, 1, 0.939807, 1.3377, 16.108, 16.108),
  )  # fmt: skip
  def test_of_tanh(self, weight_variance, bias_variance, *expected):
    actual = mean_fields.mean_field(
      'tanh', math.sqrt(weight_variance), math.sqrt(bias_variance)
    )
    q_star, chi_1, c_star, chi_star, xi_q, xi_c, xi_gradient = expected
    self.assertAlmostEqual(actual.q_star, q_star, delta=5.1e-9)
    self.assertAlmostEqual(actual.chi_1, chi_1, delta=5.1e-9)
    self.assertAlmostEqual(actual.c_star, c_star, delta=5.1e-7)
    self.assertAlmostEqual(actual.chi_star, chi_star, delta=5.1e-7)
    self.assertAlmostEqual(actual.xi_q, xi_q, delta=5.1e-5)
    self.assertAlmostEqual(actual.xi_c, xi_c, delta=5.1e-4)
    self.assertAlmostEqual(actual.xi_gradient, xi_gradient, delta=5.1e-4)
    self.assertEqual(actual.phase, 'ordered' if chi_1 < 1 else 'chaotic')
    self.assertEqual(actual.note, '')
    # Schoenholz et al., 2017: the slope is chi_1 + w^2 E[f'' f].
    term = weight_variance * _second_derivative_term(actual.q_star)
    slope = math.exp(-1 / actual.xi_q)
    self.assertAlmostEqual(slope, actual.chi_1 + term, delta=1e-11)

  @parameterized.product(leak=(0.0, 0.01, 0.25), bias_std=(0.1, 1.0))
  def test_of_the_relu_family(self, leak, bias_std):
    """Everything in closed form: the length map is a line."""
    weight_std = 1.1
    chi = weight_std**2 * (1 + leak**2) / 2
    actual = mean_fields.mean_field(f'leaky_relu:{leak}', weight_std, bias_std)
    scale = -1 / math.log(chi)
    np.testing.assert_allclose(
      actual[5:13],
      [bias_std**2 / (1 - chi)] * 2 + [1, chi, chi, scale, scale, scale],
      rtol=1e-10,
    )
    (point,) = actual.fixed_points
    np.testing.assert_allclose(point, (actual.q_star, chi, True), rtol=1e-10)

  @parameterized.parameters(1.0, 1.3, 3.0)
  def test_of_erf_is_a_fixed_point_of_its_closed_form(self, weight_std):
    actual = mean_fields.mean_field(jax.lax.erf, weight_std, 0.2)
    angle = 2 / math.pi * math.asin(2 * actual.q_star / (1 + 2 * actual.q_star))
    q = weight_std**2 * angle + 0.04
    np.testing.assert_allclose(actual.q_star, q, rtol=1e-10)
    chi = weight_std**2 * 4 / math.pi / math.sqrt(1 + 4 * q)
    np.testing.assert_allclose(actual.chi_1, chi, rtol=1e-10)

  @parameterized.product(name=activations.names())
  def test_of_every_activation(self, name):
    """It is at rest where it says, or says why there is no rest."""
    actual = mean_fields.mean_field(name, 1.2, 0.4)
    if actual.q_star is None:
      self.assertIn('The variance grows without bound', actual.note)
    else:
      q = actual.q_star
      np.testing.assert_allclose(actual.length_map(q), q, rtol=1e-11)
      self.assertGreater(actual.xi_q, 0)
    if actual.c_star is not None and actual.c_star < 1:
      np.testing.assert_allclose(
        actual.correlation_map(actual.c_star), actual.c_star, rtol=1e-10
      )
      np.testing.assert_allclose(
        actual.correlation_slope(actual.c_star), actual.chi_star, rtol=1e-10
      )
    self.assertIn(actual.phase, ('ordered', 'chaotic'))
    self.assertEqual(actual.phase == 'chaotic', actual.chi_1 > 1)

  @parameterized.product(scale=(0.3, 2.0), bias_std=(0.1, 0.9))
  def test_scale_of_the_activation_is_a_weight_std(self, scale, bias_std):
    """With f(x) = s tanh(x), w is as s w with tanh."""
    one = mean_fields.mean_field('tanh', 1.5 * scale, bias_std)
    other = mean_fields.mean_field(
      lambda x: scale * jnp.tanh(x), 1.5, bias_std, q_start=one.q_start
    )
    np.testing.assert_allclose(other[5:13], one[5:13], rtol=1e-9)

  @parameterized.parameters(
    ('identity', 1, 0, 1, 'Every variance is .* Every correlation is kept'),
    ('relu', math.sqrt(2), 0, 2, 'Every variance is a fixed point; q_star is'),
    ('relu', math.sqrt(2), 1e-9, 2, 'less than rounding errors: which way is'),
    ('relu', 1.5, 0.1, None, 'The variance grows without bound from q_start'),
    ('relu', 1, 0, 0, 'The variance tends to 0.'),
    ('tanh', 0.5, 0, 0, 'The variance tends to 0. Every correlation is kept'),
    ('gelu', 1.5, 0.2, None, 'depends on q_start = 2.29; stable .*: 0.12159'),
    (jnp.square, 0.5, 0.5, 1 / 3, '^$', 0.9),
    (
      jnp.square,
      0.5,
      0.5,
      None,
      '; stable fixed points: 0.333333. chi_1 has',
      1.1,
    ),
  )
  def test_says_what_is_out_of_the_ordinary(
    self, activation, weight_std, bias_std, q_star, note, q_start=None
  ):
    actual = mean_fields.mean_field(
      activation, weight_std, bias_std, q_start=q_start
    )
    if q_star is None:
      self.assertIsNone(actual.q_star)
    else:
      self.assertAlmostEqual(actual.q_star, q_star, places=9)
    self.assertRegex(actual.note, note)

  def test_of_what_has_no_limit_is_none(self):
    actual = mean_fields.mean_field(jnp.exp, 1.5, 0.1)
    self.assertIn('chi_1 has no finite limit', actual.note)
    self.assertEqual(set(actual[5:14]), {None})
    with self.assertRaisesRegex(ValueError, 'chi_1 has no .* Pass the varian'):
      actual.correlation_map(0.5)
    self.assertBetween(actual.correlation_map(0.5, q=1.0), 0, 1)

  def test_units_double_where_variances_do(self):
    """ReLU at sqrt(2) w: q grows by w^2 a layer, and gradients do."""
    actual = mean_fields.mean_field('relu', 2.0, 0.0)
    expected = 1 / math.log(2)
    for scale in (actual.xi_q, actual.xi_gradient):
      self.assertAlmostEqual(scale, expected, places=10)
    self.assertEqual(actual.xi_c, math.inf)


class RefusalTest(parameterized.TestCase):
  @parameterized.parameters(
    (-1.0, 0.1, None, 'weight_std must be .* positive; got -1.0'),
    (1.0, -0.1, None, 'bias_std must be .* not negative; got -0.1'),
    (1.0, 0.1, 0.0, 'q_start must be .* positive; got 0.0'),
  )
  def test_of_standard_deviations(self, weight_std, bias_std, q_start, message):
    with self.assertRaisesRegex(ValueError, message):
      mean_fields.mean_field('tanh', weight_std, bias_std, q_start=q_start)

  def test_of_traced_values_is_one_line(self):
    chi_1 = lambda weight_std: (
      mean_fields.mean_field('tanh', weight_std, 0.2).chi_1
    )
    for transform in (jax.jit, jax.grad):
      with self.assertRaisesRegex(
        ValueError, 'weight_std is traced; pass a nu'
      ):
        transform(chi_1)(1.5)

  def test_is_a_constant_of_a_traced_program(self):
    """Of the program's dtype, with no trace of float64."""
    fn = lambda x: x * mean_fields.mean_field('tanh', 1.5, 0.2).chi_1
    y, slope = jax.jit(jax.value_and_grad(fn))(2.0)
    self.assertEqual((y.dtype, slope.dtype), (jnp.float32, jnp.float32))
    np.testing.assert_allclose(slope, 1.1009414, rtol=1e-6)
    self.assertFalse(jax.config.jax_enable_x64)


if __name__ == '__main__':
  absltest.main()
