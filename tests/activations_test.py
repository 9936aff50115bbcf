"""Tests for `activations.py`: a new activation takes one row of `_ROWS`."""

from collections.abc import Callable
import contextlib
from typing import NamedTuple

from absl.testing import absltest
from absl.testing import parameterized
import chex
import jax
import jax.numpy as jnp
from jaxdl import activations
import numpy as np
from scipy import special

_EXTREMES = (-3.2e38, -1e5, -200.0, 200.0, 1e5, 3.2e38)


class Row(NamedTuple):
  reference: Callable  # In float64, with the default hyperparameters.
  at_zero: float  # The derivative at 0, by convention.


def _piecewise(negative):
  return lambda x: np.where(x > 0, x, negative(np.minimum(x, 0)))


_ALPHA, _SCALE = 1.6732632423543772, 1.0507009873554805
_ROWS = {
  'identity': Row(lambda x: x, 1.0),
  'sigmoid': Row(special.expit, 0.25),
  'tanh': Row(np.tanh, 1.0),
  'erf': Row(special.erf, 2 / np.sqrt(np.pi)),
  'relu': Row(_piecewise(lambda x: 0 * x), 0.0),
  'leaky_relu': Row(_piecewise(lambda x: 0.01 * x), 0.01),
  'prelu': Row(_piecewise(lambda x: 0.25 * x), 0.25),
  'rrelu': Row(_piecewise(lambda x: x / 5.5), 1 / 5.5),
  'elu': Row(_piecewise(np.expm1), 1.0),
  'selu': Row(
    lambda x: _SCALE * _piecewise(lambda x: _ALPHA * np.expm1(x))(x),
    _SCALE * _ALPHA,
  ),
  'gelu': Row(lambda x: x * special.ndtr(x), 0.5),
  'silu': Row(lambda x: x * special.expit(x), 0.5),
  'softplus': Row(lambda x: np.logaddexp(x, 0), 0.5),
  'softsign': Row(lambda x: x / (1 + np.abs(x)), 1.0),
}
_NAMES = [(name, name) for name in activations.names()]


@contextlib.contextmanager
def _float64():
  jax.config.update('jax_enable_x64', True)
  try:
    yield
  finally:
    jax.config.update('jax_enable_x64', False)


def _derivative(fn, x):
  """The derivative at each element, in one backward pass."""
  return jax.grad(lambda x: jnp.sum(fn(x)))(x)


class ReferenceTest(chex.TestCase):
  def test_every_activation_has_a_row(self):
    self.assertCountEqual(activations.names(), _ROWS)

  @chex.variants(with_jit=True, without_jit=True)
  @parameterized.named_parameters(_NAMES)
  def test_value(self, name):
    x = np.linspace(-30, 30, 1001, dtype=np.float32)
    actual = self.variant(activations.get(name).fn)(x)
    expected = _ROWS[name].reference(x.astype(np.float64))
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)

  @parameterized.named_parameters(_NAMES)
  def test_value_and_derivative_in_float64(self, name):
    reference, step = _ROWS[name].reference, 1e-6
    x = np.linspace(-8, 8, 100)  # Without the kink at 0.
    with _float64():
      fn = activations.get(name).fn
      value, derivative = fn(jnp.asarray(x)), _derivative(fn, jnp.asarray(x))
    self.assertEqual(value.dtype, np.float64)
    np.testing.assert_allclose(value, reference(x), rtol=1e-12, atol=1e-14)
    difference = (reference(x + step) - reference(x - step)) / (2 * step)
    np.testing.assert_allclose(derivative, difference, rtol=1e-7, atol=1e-8)

  @parameterized.named_parameters(_NAMES)
  def test_second_derivative(self, name):
    x = np.linspace(-4, 4, 20)
    with _float64():
      fn, x = activations.get(name).fn, jnp.asarray(x)
      first = lambda x: _derivative(fn, x)
      second, step = _derivative(first, x), 1e-6
      difference = (first(x + step) - first(x - step)) / (2 * step)
    np.testing.assert_allclose(second, difference, rtol=1e-6, atol=1e-7)

  @parameterized.named_parameters(_NAMES)
  def test_derivative_at_zero(self, name):
    derivative = jax.grad(activations.get(name).fn)(0.0)
    np.testing.assert_allclose(derivative, _ROWS[name].at_zero, rtol=1e-6)

  @parameterized.named_parameters(_NAMES)
  def test_forward_mode_agrees_with_backward_mode(self, name):
    fn, x = activations.get(name).fn, jnp.linspace(-3, 3, 50)
    _, forward = jax.jvp(fn, (x,), (jnp.ones_like(x),))
    np.testing.assert_allclose(forward, _derivative(fn, x), rtol=1e-6)


class ExtremesTest(parameterized.TestCase):
  @parameterized.product(
    name=activations.names(), dtype=(jnp.float32, jnp.bfloat16)
  )
  def test_value_and_derivative_are_finite_and_keep_dtype(self, name, dtype):
    fn, x = activations.get(name).fn, jnp.array(_EXTREMES, dtype)
    value, derivative = fn(x), _derivative(fn, x)
    self.assertEqual((value.dtype, derivative.dtype), (dtype, dtype))
    # selu's scale, above 1, carries the largest numbers out of range.
    finite = (
      np.abs(np.asarray(x, np.float64)) < 2.9e38 if name == 'selu' else ...
    )
    chex.assert_tree_all_finite((value[finite], derivative))
    x = np.asarray(x, np.float64)
    expected = _ROWS[name].reference(x)
    tolerance = 1e-5 if dtype == jnp.float32 else 2e-2
    np.testing.assert_allclose(
      np.asarray(value, np.float64)[finite],
      expected[finite],
      rtol=tolerance,
      atol=1e-6,
    )

  @parameterized.named_parameters(_NAMES)
  def test_value_in_bfloat16(self, name):
    x = jnp.linspace(-6, 6, 200, dtype=jnp.bfloat16)
    expected = _ROWS[name].reference(np.asarray(x, np.float64))
    actual = np.asarray(activations.get(name).fn(x), np.float64)
    np.testing.assert_allclose(actual, expected, rtol=2e-2, atol=1e-2)

  @parameterized.named_parameters(_NAMES)
  def test_nan_stays_nan(self, name):
    self.assertTrue(np.isnan(activations.get(name).fn(jnp.array(np.nan))))


class HyperparametersTest(parameterized.TestCase):
  @parameterized.named_parameters(
    row for row in _NAMES if activations.get(row[1]).hyperparameters
  )
  def test_traced_agree_with_numbers_and_keep_dtype(self, name):
    described = activations.get(name)
    first = next(iter(described.hyperparameters))
    values, x = (0.1, 0.3), jnp.linspace(-2, 2, 9, dtype=jnp.bfloat16)

    actual = jax.vmap(lambda value: described.fn(x, **{first: value}))(
      jnp.array(values)
    )

    self.assertEqual(actual.dtype, jnp.bfloat16)
    expected = jnp.stack([described.fn(x, **{first: v}) for v in values])
    chex.assert_trees_all_close(actual, expected, rtol=1e-2)

  @parameterized.parameters('leaky_relu', 'prelu', 'elu')
  def test_derivative_by_the_hyperparameter_agrees_with_difference(self, name):
    described, x = activations.get(name), jnp.linspace(-2, 2, 9)
    (parameter,) = described.hyperparameters
    total = lambda value: jnp.sum(described.fn(x, **{parameter: value}))
    actual = jax.grad(total)(0.5)
    np.testing.assert_allclose(actual, total(1.0) - total(0.0), rtol=1e-5)

  @parameterized.parameters(
    ('leaky_relu', ('slope',)),
    ('elu', ('alpha',)),
    ('rrelu', ('lower', 'upper')),
    ('relu', ()),
  )
  def test_order(self, name, expected):
    self.assertEqual(tuple(activations.get(name).hyperparameters), expected)

  def test_unknown_hyperparameter(self):
    with self.assertRaisesRegex(ValueError, "elu has no .* 'slope'.*: alpha"):
      activations.get('elu').complete(slope=0.1)


class FlatEndsTest(parameterized.TestCase):
  @parameterized.named_parameters(_NAMES)
  def test_are_the_limits(self, name):
    described = activations.get(name)
    for end, far in zip(described.flat_ends(), (-1e5, 1e5), strict=True):
      if end is not None:
        np.testing.assert_allclose(described.fn(jnp.array(far)), end, atol=2e-5)

  def test_none_are_missing(self):
    flat = {
      n
      for n in _ROWS
      if any(end is not None for end in activations.get(n).flat_ends())
    }
    self.assertEqual(
      flat, {'sigmoid', 'tanh', 'erf', 'softsign', 'elu', 'selu', 'softplus'}
    )

  def test_follow_a_traced_hyperparameter(self):
    low = jax.vmap(lambda a: activations.get('elu').flat_ends(alpha=a)[0])
    np.testing.assert_array_equal(low(jnp.array([1.0, 2.0])), [-1.0, -2.0])


class RreluTest(chex.TestCase):
  @chex.variants(with_jit=True, without_jit=True)
  def test_divisor_is_uniform(self):
    x = -jnp.ones((301, 333))  # An odd number of elements.
    key = jax.random.key(0)
    y = self.variant(lambda x, key: activations.rrelu(x, key=key))(x, key)
    divisor = np.sort(np.ravel(-1 / np.asarray(y, np.float64)))
    uniform = np.linspace(3, 8, divisor.size)
    # The Kolmogorov-Smirnov distance is below 2 / sqrt(n), with p = 7e-4.
    self.assertLess(np.max(np.abs(divisor - uniform)) / 5, 2 / 301)

  def test_neighbours_and_halves_are_uncorrelated(self):
    x = -jnp.ones(100_000)
    draws = np.asarray(1 / activations.rrelu(x, key=jax.random.key(1)))
    for shift in (1, 2, draws.size // 2):
      correlation = np.corrcoef(draws, np.roll(draws, shift))[0, 1]
      self.assertLess(abs(correlation), 4 / np.sqrt(draws.size))

  def test_positive_pass_and_test_time_takes_the_mean_divisor(self):
    x = jnp.array([-5.5, 2.0])
    np.testing.assert_allclose(activations.rrelu(x), [-1, 2], rtol=1e-6)
    self.assertEqual(activations.rrelu(x, key=jax.random.key(0))[1], 2)

  def test_derivative_is_the_slope_drawn(self):
    x, key = jnp.linspace(-1, -0.1, 10), jax.random.key(0)
    fn = lambda x: activations.rrelu(x, key=key)
    np.testing.assert_allclose(_derivative(fn, x), fn(x) / x, rtol=1e-6)


class LookUpTest(absltest.TestCase):
  def test_unknown_name_lists_the_names_and_a_close_one(self):
    with self.assertRaisesRegex(ValueError, "sigmoid, tanh.*mean 'relu'"):
      activations.get('relus')

  def test_describes_a_function_of_others(self):
    def bent(x, bend=2.0):
      return bend * x

    described = activations.describe(bent)
    self.assertEqual(described.name, 'bent')
    self.assertEqual(described.hyperparameters, {'bend': 2.0})
    self.assertEqual(described.flat_ends(bend=3.0), (None, None))
    self.assertFalse(described.stochastic)


if __name__ == '__main__':
  absltest.main()
