"""Tests for `theory/gaussian.py`."""

import math

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies
import jax
import jax.numpy as jnp
from jaxdl import activations
from jaxdl.theory import elementwise
from jaxdl.theory import gaussian
import numpy as np
from scipy import integrate
from scipy import special

# Values and slopes, written anew in NumPy.
_REFERENCES = {
  'identity': (lambda x: x, lambda x: 1.0),
  'sigmoid': (
    special.expit,
    lambda x: special.expit(x) * special.expit(-x),
  ),
  'tanh': (np.tanh, lambda x: np.cosh(x) ** -2),
  'erf': (special.erf, lambda x: 2 / np.sqrt(np.pi) * np.exp(-x * x)),
  'relu': (lambda x: max(x, 0), lambda x: float(x > 0)),
  'leaky_relu': (lambda x: max(x, x / 100), lambda x: 1 if x > 0 else 0.01),
  'prelu': (lambda x: max(x, x / 4), lambda x: 1 if x > 0 else 0.25),
  'rrelu': (lambda x: max(x, x / 5.5), lambda x: 1 if x > 0 else 1 / 5.5),
  'elu': (
    lambda x: x if x > 0 else np.expm1(x),
    lambda x: 1 if x > 0 else np.exp(x),
  ),
  'selu': (
    lambda x: (
      1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * np.expm1(x))
    ),
    lambda x: (
      1.0507009873554805 * (1 if x > 0 else 1.6732632423543772 * np.exp(x))
    ),
  ),
  'gelu': (
    lambda x: x * special.ndtr(x),
    lambda x: special.ndtr(x) + x * np.exp(-x * x / 2) / np.sqrt(2 * np.pi),
  ),
  'silu': (
    lambda x: x * special.expit(x),
    lambda x: special.expit(x) * (1 + x * special.expit(-x)),
  ),
  'softplus': (lambda x: np.logaddexp(x, 0), special.expit),
  'softsign': (
    lambda x: x / (1 + abs(x)),
    lambda x: (1 + abs(x)) ** -2,
  ),
}


def _expectation(fn, q):
  """E[fn(u)] for u ~ N(0, q), by QUADPACK."""
  weigh = lambda z: fn(math.sqrt(q) * z) * math.exp(-z * z / 2)
  halves = [
    integrate.quad(weigh, *ends, epsabs=0, epsrel=1e-12, limit=400)[0]
    for ends in ((-12, 0), (0, 12))
  ]
  return sum(halves) / math.sqrt(2 * math.pi)


def _sin(x):
  return jnp.sin(x)


def _arc_cosine_gap(gap):
  """1 - c after ReLU, from 1 - c: Cho & Saul, 2009, where nothing cancels."""
  angle = 2 * math.asin(math.sqrt(gap / 2))
  if angle < 0.5:  # sin(angle) - angle cos(angle), as a series.
    terms = range(1, 12)
    sines = -sum(
      (-1) ** k * 2 * k * angle ** (2 * k + 1) / math.factorial(2 * k + 1)
      for k in terms
    )
  else:
    sines = math.sin(angle) - angle * math.cos(angle)
  return gap - sines / math.pi


class MomentsTest(parameterized.TestCase):
  def test_knows_all_activations(self):
    self.assertEqual(tuple(_REFERENCES), activations.names())

  @parameterized.product(name=tuple(_REFERENCES), q=(0.1, 10.0))
  def test_agree_with_quadpack(self, name, q):
    fn, slope = _REFERENCES[name]
    moments = gaussian.moments(name, q)
    expected = (
      _expectation(fn, q)
      if name not in ('identity', 'tanh', 'erf', 'softsign')
      else 0,
      _expectation(lambda u: fn(u) ** 2, q),
      _expectation(lambda u: slope(u) ** 2, q),
      _expectation(lambda u: slope(u) ** 4, q),
      _expectation(lambda u: fn(u) * slope(u) * u, q) / q,
    )
    np.testing.assert_allclose(moments[:5], expected, rtol=1e-10, atol=1e-14)
    self.assertLess(moments.error, 1e-10)

  @parameterized.parameters(
    ('identity', 0, 1, 1),
    ('relu', 0.39894228, 0.5, 0.5),
    ('leaky_relu:0.01', 0.39495286, 0.50005, 0.50005),
    ('leaky_relu:0.1', 0.35904805, 0.505, 0.505),
    ('prelu:0.25', 0.29920671, 0.53125, 0.53125),
    ('rrelu', 0.32640732, 0.51652893, 0.51652893),
    ('elu', 0.16052057, 0.64494542, 0.66810200),
    ('gelu', 0.28209479, 0.42522148, 0.45585087),
    (jax.lax.erf, 0, 0.46455905, 0.56941003),
  )
  def test_at_variance_one(self, activation, mean, square, slope):
    moments = gaussian.moments(activation, 1.0)
    np.testing.assert_allclose(
      moments[:3], [mean, square, slope], rtol=0, atol=6e-9
    )

  @parameterized.parameters(1e-30, 1e-12, 0.3, 1.0, 1e12, 1e30)
  def test_of_relu_at_any_variance(self, q):
    moments = gaussian.moments('relu', q)
    np.testing.assert_allclose(
      moments[:5],
      [math.sqrt(q / (2 * math.pi)), q / 2, 0.5, 0.5, 0.5],
      rtol=1e-13,
    )

  @parameterized.parameters(1e-8, 1e-3, 1.0, 1e3, 1e8)
  def test_of_erf_at_any_variance(self, q):
    """Williams, 1997, "Computing with infinite networks"."""
    moments = gaussian.moments(jax.lax.erf, q)
    expected = [
      2 / math.pi * math.asin(2 * q / (1 + 2 * q)),
      4 / math.pi / math.sqrt(1 + 4 * q),
    ]
    np.testing.assert_allclose(moments[1:3], expected, rtol=1e-10)

  @parameterized.parameters(0.01, 0.5, 1.0, 40.0, 1e10)
  def test_of_a_hard_tanh(self, q):
    a = 1 / math.sqrt(q)
    inside = math.erf(a / math.sqrt(2))
    density = math.exp(-a * a / 2) / math.sqrt(2 * math.pi)
    moments = gaussian.moments(jax.nn.hard_tanh, q)
    # erf cancels with the density where a is small: q (...) = a / 3 + ....
    square = 1 - inside + q * (inside - 2 * a * density)
    np.testing.assert_allclose(moments.mean_square_slope, inside, rtol=1e-12)
    np.testing.assert_allclose(
      moments.mean_square, square, rtol=1e-12 + 1e-16 * q
    )

  @parameterized.parameters(0.001, 0.3, 5.0)
  def test_of_a_kink_off_zero(self, q):
    """E[max(u - k, 0)^2] in closed form, for k = 0.3."""
    t = 0.3 / math.sqrt(q)
    above = special.ndtr(-t)
    density = math.exp(-t * t / 2) / math.sqrt(2 * math.pi)
    moments = gaussian.moments(lambda x: jnp.maximum(x - 0.3, 0), q)
    np.testing.assert_allclose(moments.mean_square_slope, above, rtol=1e-11)
    np.testing.assert_allclose(
      moments.mean_square, q * ((1 + t * t) * above - t * density), rtol=1e-9
    )

  def test_of_two_kinks_nearer_than_they_are_looked_for(self):
    low, high = 0.3, 0.3001
    moments = gaussian.moments(lambda x: jnp.clip(x, low, high), 1.0)
    expected = special.ndtr(high) - special.ndtr(low)
    np.testing.assert_allclose(moments.mean_square_slope, expected, rtol=1e-9)

  def test_at_variance_zero(self):
    moments = gaussian.moments('softplus', [0.0, 1e-20])
    np.testing.assert_allclose(moments.mean, math.log(2), rtol=1e-9)
    np.testing.assert_allclose(moments.mean_square, math.log(2) ** 2, rtol=1e-9)
    np.testing.assert_allclose(moments.mean_square_slope, 0.25, rtol=1e-9)

  @hypothesis.settings(max_examples=12)
  @hypothesis.given(
    strategies.sampled_from(['leaky_relu:0.3', 'relu', 'prelu', jnp.abs]),
    strategies.floats(-20, 20),
  )
  def test_of_homogeneous_activations_scale(self, activation, exponent):
    q = 10.0**exponent
    here, one = gaussian.moments(activation, [q, 1.0]).mean_square
    np.testing.assert_allclose(here, q * one, rtol=1e-13)

  @hypothesis.settings(max_examples=12)
  @hypothesis.given(
    strategies.sampled_from(['tanh', 'gelu', 'selu', 'softsign', _sin]),
    strategies.floats(-3, 3),
  )
  def test_inequalities(self, activation, exponent):
    """Of Poincare; and the length map falls no faster than the root."""
    q = 10.0**exponent
    moments = gaussian.moments(activation, q)
    variance = moments.mean_square - moments.mean**2
    self.assertLessEqual(variance, q * moments.mean_square_slope * (1 + 1e-12))
    self.assertGreaterEqual(
      moments.growth * q, -0.5 * moments.mean_square * (1 + 1e-12)
    )

  @parameterized.parameters(
    ('relu', -1.0, 'not negative; got -1.0'),
    ('relu', math.nan, 'A variance must be a finite number'),
    (jnp.exp, 900.0, 'exp at variance 900 do not converge; it grows'),
    (lambda x: jnp.sqrt(jnp.abs(x)), 1.0, 'do not converge'),
  )
  def test_refuses(self, activation, q, message):
    with self.assertRaisesRegex(ValueError, message):
      gaussian.moments(activation, q)

  def test_refuses_a_traced_variance(self):
    with self.assertRaisesRegex(ValueError, 'A variance is traced'):
      jax.jit(lambda q: gaussian.moments('tanh', q).mean)(1.0)


class PairMomentsTest(parameterized.TestCase):
  @hypothesis.settings(max_examples=15)
  @hypothesis.given(strategies.floats(-12, 0.3), strategies.floats(-6, 6))
  def test_of_relu(self, gap_exponent, q_exponent):
    gap, q = 10.0**gap_exponent, 10.0**q_exponent
    pair = gaussian.pair_moments('relu', q, gap)
    after = _arc_cosine_gap(gap)
    np.testing.assert_allclose(
      pair.half_square_difference, q / 2 * after, rtol=1e-10
    )
    np.testing.assert_allclose(
      pair.product, q / 2 * (1 - after), rtol=0, atol=1e-12 * q
    )
    slope = 1 - 2 * math.asin(math.sqrt(gap / 2)) / math.pi
    np.testing.assert_allclose(
      pair.slope_product, slope / 2, rtol=0, atol=1e-12
    )

  @hypothesis.settings(max_examples=15)
  @hypothesis.given(strategies.floats(-12, 0.3), strategies.floats(-4, 3))
  def test_of_erf(self, gap_exponent, q_exponent):
    """Williams, 1997: asin(2 q c / (1 + 2 q)) 2 / pi."""
    gap, q = 10.0**gap_exponent, 10.0**q_exponent
    pair = gaussian.pair_moments(jax.lax.erf, q, gap)
    a = 2 * q / (1 + 2 * q)
    b = a * (1 - gap)
    cosines = math.sqrt((1 - a) * (1 + a)), math.sqrt((1 - b) * (1 + b))
    np.testing.assert_allclose(
      pair.product, 2 / math.pi * math.asin(b), rtol=1e-10, atol=1e-12 * a
    )
    np.testing.assert_allclose(
      pair.slope_product,
      4 / math.pi / math.sqrt((1 + 2 * q) ** 2 - (2 * q * (1 - gap)) ** 2),
      rtol=1e-10,
    )
    # asin a - asin b is an angle of this sine, and cosine.
    if gap <= 1:
      sine = a * a * gap * (2 - gap) / (a * cosines[1] + b * cosines[0])
      angle = math.atan2(sine, cosines[0] * cosines[1] + a * b)
      np.testing.assert_allclose(
        pair.half_square_difference, 2 / math.pi * angle, rtol=1e-10
      )

  @hypothesis.settings(max_examples=15)
  @hypothesis.given(strategies.floats(-12, 0.3), strategies.floats(-4, 1))
  def test_of_a_sine(self, gap_exponent, q_exponent):
    """From the characteristic function of a Gaussian."""
    gap, q = 10.0**gap_exponent, 10.0**q_exponent
    pair = gaussian.pair_moments(_sin, q, gap)
    c = 1 - gap
    expected = (
      math.exp(-q) * math.sinh(q * c),
      math.exp(-q) * math.cosh(q * c),
      2 * math.exp(-q) * math.cosh(q - q * gap / 2) * math.sinh(q * gap / 2),
    )
    np.testing.assert_allclose(
      pair[:2], expected[:2], rtol=1e-10, atol=1e-12 * q
    )
    np.testing.assert_allclose(
      pair.half_square_difference, expected[2], rtol=1e-10
    )

  @parameterized.product(gap=(1e-8, 1e-3, 0.5, 1.3), q=(0.05, 3.0))
  def test_of_a_step_that_is_steep(self, gap, q):
    """Of erf(100 u): as of erf, at a variance 10^4 times that."""
    steep = gaussian.pair_moments(lambda x: jax.lax.erf(100 * x), q, gap)
    expected = gaussian.pair_moments(jax.lax.erf, 1e4 * q, gap)
    np.testing.assert_allclose(
      steep[:3],
      np.array(expected[:3]) * [1, 1e4, 1],
      rtol=1e-10,
    )

  @parameterized.product(gap=(1e-7, 1e-5, 0.1, 1.0), q=(0.3, 4.0))
  def test_of_a_hard_tanh_by_plane_quadrature(self, gap, q):
    """P(|u1| < 1 and |u2| < 1), by integration over one of the other's."""
    std, c = math.sqrt(q), 1 - gap
    rest = std * math.sqrt(gap * (2 - gap))
    both = lambda u: (
      special.ndtr((1 - c * u) / rest) - special.ndtr((-1 - c * u) / rest)
    )
    weigh = lambda u: both(u) * math.exp(-u * u / (2 * q))
    points = [1 - 8 * rest, -1 + 8 * rest, 1 - rest, rest - 1]
    expected, _ = integrate.quad(
      weigh,
      -1,
      1,
      points=[p for p in points if abs(p) < 1],
      epsrel=1e-13,
      epsabs=0,
      limit=400,
    )
    pair = gaussian.pair_moments(jax.nn.hard_tanh, q, gap)
    np.testing.assert_allclose(
      pair.slope_product, expected / math.sqrt(2 * math.pi * q), rtol=1e-10
    )

  @parameterized.parameters('tanh', 'gelu', 'selu')
  def test_ends_are_moments_of_one_variable(self, name):
    found = elementwise.elementwise(name)
    moments = gaussian.moments(found, 1.7)
    same = gaussian.pair_moments(found, 1.7, 0.0)
    np.testing.assert_allclose(same.product, moments.mean_square, rtol=1e-12)
    np.testing.assert_allclose(
      same.slope_product, moments.mean_square_slope, rtol=1e-12
    )
    self.assertEqual(same.half_square_difference, 0)
    apart = gaussian.pair_moments(found, 1.7, 1.0)
    np.testing.assert_allclose(
      apart.product, moments.mean**2, rtol=1e-11, atol=1e-14
    )

  @parameterized.parameters(
    ('tanh', 0.0, 0.5, 'the variance must be positive'),
    ('tanh', 1.0, 2.5, 'correlation -1.5: .* between -1 and 1'),
    ('tanh', 1.0, -0.1, 'correlation 1.1'),
    ('tanh', 1.0, math.nan, 'correlation nan'),
    (jnp.exp, 400.0, 0.5, 'exp at variance 400 do not converge'),
  )
  def test_refuses(self, activation, q, gap, message):
    with self.assertRaisesRegex(ValueError, message):
      gaussian.pair_moments(activation, q, gap)


if __name__ == '__main__':
  absltest.main()
