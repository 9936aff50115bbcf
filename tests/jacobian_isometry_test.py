"""Measured singular values of deep networks against `theory/isometry.py`.

Widths are finite and weights random, so tolerances are standard errors over
seeds. Where the mean at finite width is known exactly, it's the reference;
elsewhere the leading term of the difference, of order 1 / width, is removed by
measuring at two widths.
"""

import functools

from absl.testing import absltest
from absl.testing import parameterized
import jax
import jax.numpy as jnp
from jaxdl import jacobian
from jaxdl import layers
from jaxdl.layers import initializers
from jaxdl.theory import isometry
import numpy as np

_WEIGHTS = {
  True: initializers.orthogonal,
  False: initializers.normal_fan_in,
}


def _squares(
  activation,
  weight_std,
  *,
  orthogonal,
  width,
  depth,
  num_seeds,
  bias_std=0.0,
  input_rms=1.0,
):
  """Squared singular values of the Jacobians of networks.

  Returns:
    In ascending order for each seed, `[num_seeds, width]`.
  """
  dense = layers.dense(
    width,
    weight_init=_WEIGHTS[orthogonal](weight_std),
    bias_init=initializers.normal(bias_std),
  )
  net = layers.repeat(
    layers.serial(dense, layers.activation(activation)), depth
  )

  def one(key):
    x_key, net_key = jax.random.split(key)
    x = jax.random.normal(x_key, (width,))
    x = input_rms * x / jnp.sqrt(jnp.mean(jnp.square(x)))
    _, params, state = net.init(net_key, (width,))
    fn = lambda x: net.apply(params, state, x[None])[0][0]
    return jacobian.singular_values(fn, x).values

  keys = jax.random.split(jax.random.key(depth), num_seeds)
  values = np.asarray(jax.jit(jax.vmap(one))(keys), np.float64)
  return np.square(values[:, ::-1])


def _assert_mean(test, samples, expected):
  """The mean of independent samples, within four of its standard errors."""
  error = np.std(samples, ddof=1) / np.sqrt(len(samples))
  test.assertGreater(error, 0)
  test.assertLess(abs(np.mean(samples) - expected), 4 * error)


def _assert_limit(test, statistic, narrow, wide, expected, order=1.0):
  """The limit of a statistic at infinite width, as above.

  What it lacks at finite width is taken to be of order width^-order.

  Args:
    test: the test case.
    statistic: of the squared singular values of each seed.
    narrow: squared singular values at a width, `[num_seeds, width]`.
    wide: those at twice the width.
    expected: at infinite width.
    order: as above.
  """
  means, variances = [], []
  for squares in (narrow, wide):
    samples = statistic(squares)
    means.append(np.mean(samples))
    variances.append(np.var(samples, ddof=1) / len(samples))
  ratio = 2**order
  limit = (ratio * means[1] - means[0]) / (ratio - 1)
  error = np.sqrt(ratio**2 * variances[1] + variances[0]) / (ratio - 1)
  test.assertLess(error, 0.1 * expected)
  test.assertLess(abs(limit - expected), 4 * error)


def _mean(squares):
  return squares.mean(axis=1)


def _relative_variance(squares):
  return squares.var(axis=1) / np.square(squares.mean(axis=1))


def _relative_largest(squares):
  return squares[:, -1] / squares.mean(axis=1)


def _second_moment(depth, width, is_relu):
  """The mean of the trace of (J J^T)^2 / width, exactly, at finite width.

  Of S = J J^T a layer makes W S W^T, and at ReLU removes half of the rows and
  columns at random and doubles the rest. The expectation over W and the rows is
  linear in P = tr(S^2) / width and Q = (tr S / width)^2.
  """
  p = q = 1.0
  for _ in range(depth):
    if is_relu:
      p, q = p * (1 + 3 / width) + 2 * q, q * (1 + 1 / width) + 4 * p / width**2
    else:
      p, q = p * (1 + 1 / width) + q, q + 2 * p / width**2
  return p


class NormalWeightsTest(parameterized.TestCase):
  @parameterized.parameters(('identity', 1.0), ('relu', np.sqrt(2)))
  def test_moments_are_exact_at_finite_width(self, activation, weight_std):
    squares = _squares(
      activation,
      weight_std,
      orthogonal=False,
      width=48,
      depth=4,
      num_seeds=300,
    )
    is_relu = activation == 'relu'
    _assert_mean(self, squares.mean(axis=1), 1)
    second = _second_moment(4, 48, is_relu)
    _assert_mean(self, np.square(squares).mean(axis=1), second)

    mu = 0.5 if is_relu else 1.0
    limit = 1 + isometry.squared_singular_value_variance(
      mu, mu, 4, orthogonal=False
    )
    self.assertAlmostEqual(_second_moment(4, 10**9, is_relu), limit, places=6)

  def test_linear_spectrum_is_that_of_fuss_and_catalan(self):
    """Kolmogorov's distance, within what it is of independent numbers.

    That bound of Massart, 1990, fails once in 10,000 times there; eigenvalues
    repel each other, so their distance is smaller.
    """
    depth = 3
    squares = _squares(
      'identity',
      1.0,
      orthogonal=False,
      width=200,
      depth=depth,
      num_seeds=8,
    )
    edge = isometry.largest_squared_singular_value(depth, orthogonal=False)
    t = (np.arange(20_000) + 0.5) / 20_000
    x = edge * t ** (depth + 1)
    slope = (depth + 1) * edge * t**depth
    mass = isometry.fuss_catalan_density(x, depth) * slope / len(t)
    cumulative = np.cumsum(mass)
    self.assertAlmostEqual(cumulative[-1], 1, places=5)

    ordered = np.sort(squares.ravel())
    expected = np.interp(ordered, x, cumulative)
    actual = (np.arange(ordered.size) + 0.5) / ordered.size
    bound = np.sqrt(np.log(2 / 1e-4) / (2 * ordered.size))
    self.assertLess(np.abs(actual - expected).max(), bound)

  @parameterized.parameters(1, 3)
  def test_linear_spectrum_ends_where_it_should(self, depth):
    """The largest value has the law of Tracy and Widom around the end.

    Where the density is a sqrt(edge - x) / pi, its mean and deviation are
    -1.2065 and 1.2680 in units of (a width)^(-2/3) (Johnstone, 2001).
    """
    width, num_seeds = 200, 32
    squares = _squares(
      'identity',
      1.0,
      orthogonal=False,
      width=width,
      depth=depth,
      num_seeds=num_seeds,
    )
    edge = isometry.largest_squared_singular_value(depth, orthogonal=False)
    near = edge * (1 - 1e-5)
    density = isometry.fuss_catalan_density(np.array(near), depth)
    a = np.pi * density / np.sqrt(edge - near)
    scaled = (squares[:, -1] - edge) * (a * width) ** (2 / 3)
    self.assertLess(abs(scaled.mean() + 1.2065), 4 * 1.268 / num_seeds**0.5)


class OrthogonalWeightsTest(parameterized.TestCase):
  @parameterized.parameters(0.5, 1.0, 1.5)
  def test_linear_network_is_isometric(self, gain):
    squares = _squares(
      'identity', gain, orthogonal=True, width=30, depth=20, num_seeds=2
    )
    np.testing.assert_allclose(squares, gain**40, rtol=1e-4)

  def test_relu_is_never_isometric(self):
    """Depth 4: the variance is the depth, the largest value 256 / 27."""
    measure = functools.partial(
      _squares, 'relu', np.sqrt(2), orthogonal=True, depth=4, num_seeds=100
    )
    narrow, wide = measure(width=40), measure(width=80)
    variance = isometry.squared_singular_value_variance(
      0.5, 0.5, 4, orthogonal=True
    )
    _assert_limit(self, _mean, narrow, wide, 1)
    _assert_limit(self, _relative_variance, narrow, wide, variance)
    edge = isometry.largest_squared_singular_value(
      4, orthogonal=True, open_fraction=0.5
    )
    _assert_limit(self, _relative_largest, narrow, wide, edge, order=2 / 3)


# On the critical line of tanh: weight variance, bias variance, fixed point q*,
# and mu_2 / mu_1^2 - 1. By Gaussian quadrature; the pairs are those of
# Schoenholz et al., 2017, https://arxiv.org/abs/1611.01232, and of Xiao et al.,
# 2018, https://arxiv.org/abs/1806.05393.
_CRITICAL_TANH = (
  (1.7609546396, 0.05, 0.57004788, 0.3422561),
  (1.05, 2.01052e-5, 0.02592095, 0.0042689),
)


class TanhTest(parameterized.TestCase):
  @parameterized.parameters(*_CRITICAL_TANH)
  def test_orthogonal_weights_reach_dynamical_isometry(
    self, weight_variance, bias_variance, q_star, excess
  ):
    """Normal weights of the same variance don't."""
    depth = 6
    for orthogonal in (True, False):
      measure = functools.partial(
        _squares,
        'tanh',
        np.sqrt(weight_variance),
        orthogonal=orthogonal,
        depth=depth,
        num_seeds=100,
        bias_std=np.sqrt(bias_variance),
        input_rms=np.sqrt((q_star - bias_variance) / weight_variance),
      )
      narrow, wide = measure(width=32), measure(width=64)
      expected = isometry.squared_singular_value_variance(
        1.0, 1.0 + excess, depth, orthogonal=orthogonal
      )
      _assert_limit(self, _mean, narrow, wide, 1)
      _assert_limit(self, _relative_variance, narrow, wide, expected)

  @parameterized.parameters(
    (1.0, 0.05, 0.19359252, 0.75903165),
    (2.5, 0.05, 1.06395838, 1.13351570),
  )
  def test_mean_square_is_a_power_of_chi(
    self, weight_variance, bias_variance, q_star, chi
  ):
    """Ordered and chaotic, after Poole et al., 2016; chi by quadrature."""
    depth = 10
    measure = functools.partial(
      _squares,
      'tanh',
      np.sqrt(weight_variance),
      orthogonal=False,
      depth=depth,
      num_seeds=200,
      bias_std=np.sqrt(bias_variance),
      input_rms=np.sqrt((q_star - bias_variance) / weight_variance),
    )
    narrow, wide = measure(width=48), measure(width=96)
    _assert_limit(self, _mean, narrow, wide, chi**depth)


if __name__ == '__main__':
  absltest.main()
