"""Tests for `pooling.py`."""

import math

from absl.testing import absltest
from absl.testing import parameterized
import chex
import hypothesis
from hypothesis import strategies
from hypothesis.extra import numpy as hypothesis_numpy
import jax
import jax.numpy as jnp
from jaxdl import layers
from jaxdl.layers import pooling
import numpy as np

_X = np.random.default_rng(0).standard_normal((2, 6, 7, 3)).astype(np.float32)


def _windows(x, window, strides, padding):
  """Yields where each window is, and its elements, NaN for padding."""
  (height, width), (down, right) = window, strides
  padded = np.pad(x, ((0, 0), *padding, (0, 0)), constant_values=np.nan)
  rows = range(0, padded.shape[1] - height + 1, down)
  columns = range(0, padded.shape[2] - width + 1, right)
  for i, row in enumerate(rows):
    for j, column in enumerate(columns):
      yield i, j, padded[:, row : row + height, column : column + width]


def _lp(elements, p, reduction):
  """The p-norm in float64, over the axes of the window."""
  powers = np.abs(elements.astype(np.float64)) ** p
  reduce = {'mean': np.nanmean, 'sum': np.nansum}[reduction]
  return reduce(powers, axis=(1, 2)) ** (1 / p)


def _pooled(values, **kwargs):
  """Pools one window, which holds the values, to a scalar."""
  x = jnp.asarray(values, jnp.float32).reshape(1, 1, -1, 1)
  y, _ = pooling.lp_pool((1, x.size), **kwargs).apply((), (), x)
  return y.reshape(())


class PoolingTest(parameterized.TestCase):
  @parameterized.product(
    row=((pooling.max_pool, np.nanmax), (pooling.avg_pool, np.nanmean)),
    window=(2, (3, 2)),
    strides=(None, 1),
    padding=(0, 1),
  )
  def test_agrees_with_numpy(self, row, window, strides, padding):
    pool, reference = row
    y, _ = pool(window, strides, padding).apply((), (), jnp.asarray(_X))

    size = window if isinstance(window, tuple) else (window, window)
    step = size if strides is None else (strides, strides)
    pads = [(padding, padding)] * 2
    for i, j, elements in _windows(_X, size, step, pads):
      expected = reference(elements, axis=(1, 2))
      np.testing.assert_allclose(y[:, i, j], expected, rtol=1e-5, atol=1e-6)

  def test_valid_is_the_default(self):
    y, _ = pooling.avg_pool(2).apply((), (), jnp.asarray(_X))
    expected = _X[:, :, :6].reshape(2, 3, 2, 3, 2, 3).mean((2, 4))
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-6)

  def test_global(self):
    y, _ = pooling.global_avg_pool().apply((), (), jnp.asarray(_X))
    np.testing.assert_allclose(y, _X.mean((1, 2)), rtol=1e-4, atol=1e-6)


class LpPoolTest(parameterized.TestCase):
  @parameterized.product(
    p=(1.0, 2.0, 3.5),
    reduction=('mean', 'sum'),
    window=((2, 2), (3, 2)),
    strides=((2, 2), (1, 2)),
    padding=(((0, 0), (0, 0)), ((1, 0), (0, 1))),
  )
  def test_agrees_with_float64(self, p, reduction, window, strides, padding):
    layer = pooling.lp_pool(window, strides, padding, p, reduction=reduction)
    y, _ = jax.jit(layer.apply)((), (), jnp.asarray(_X))
    self.assertEqual(
      y.shape[1:], layer.init(jax.random.key(0), _X.shape[1:])[0]
    )
    for i, j, elements in _windows(_X, window, strides, padding):
      expected = _lp(elements, p, reduction)
      np.testing.assert_allclose(y[:, i, j], expected, rtol=1e-5)

  @parameterized.parameters('mean', 'sum')
  def test_same_means_the_pads_that_jax_takes(self, reduction):
    for window, strides, pads in (
      ((2, 2), (2, 2), ((0, 0), (0, 1))),
      ((3, 3), (2, 2), ((0, 1), (1, 1))),
      ((3, 2), (1, 1), ((1, 1), (0, 1))),
    ):
      same, explicit = (
        pooling.lp_pool(window, strides, padding, 3.0, reduction=reduction)
        for padding in ('SAME', pads)
      )
      chex.assert_trees_all_close(
        jax.jit(same.apply)((), (), jnp.asarray(_X)),
        jax.jit(explicit.apply)((), (), jnp.asarray(_X)),
        rtol=1e-6,
      )

  # Values of the definition, to nine digits.
  @parameterized.parameters(
    (1.0, 2.5, 10.0),
    (2.0, 2.73861279, 5.47722558),
    (3.0, 2.92401774, 4.64158883),
    (4.0, 3.06715567, 4.33761314),
    (8.0, 3.40545636, 4.04979293),
    (12.0, 3.57293828, 4.01048762),
    (math.inf, 4.0, 4.0),
  )
  def test_of_one_to_four(self, p, mean, total):
    values = [1.0, 2.0, -3.0, 4.0]
    np.testing.assert_allclose(_pooled(values, p=p), mean, rtol=1e-6)
    np.testing.assert_allclose(
      _pooled(values, p=p, reduction='sum'), total, rtol=1e-6
    )

  def test_mean_keeps_a_constant_image(self):
    x = jnp.full((1, 4, 4, 2), -3.0)
    for p in (1.0, 2.0, 7.0, math.inf):
      y, _ = jax.jit(pooling.lp_pool(2, p=p).apply)((), (), x)
      np.testing.assert_allclose(y, jnp.full((1, 2, 2, 2), 3.0), rtol=1e-6)

  @hypothesis.given(
    hypothesis_numpy.arrays(
      np.float32,
      6,
      elements=strategies.floats(-1000, 1000, width=32).filter(
        lambda x: x == 0 or abs(x) > 1e-3
      ),
    ),
    strategies.floats(1, 60),
    strategies.floats(1, 4),
  )
  def test_inequalities(self, values, p, factor):
    """The max <= sum form <= N^(1/p) max; the mean form grows with p."""
    largest, slack = np.max(np.abs(values)), 1 + 1e-5
    total = _pooled(values, p=p, reduction='sum')
    self.assertLessEqual(largest, total * slack)
    self.assertLessEqual(total, 6 ** (1 / p) * largest * slack)
    mean, higher = _pooled(values, p=p), _pooled(values, p=p * factor)
    self.assertLessEqual(mean, higher * slack)
    self.assertLessEqual(higher, largest * slack)
    self.assertGreaterEqual(mean * slack, np.mean(np.abs(values)))

  @parameterized.parameters(1e-30, 1.0, 1e30)
  def test_no_power_over_or_underflows(self, scale):
    values = scale * np.array([0.5, 1.0, 0.1])
    np.testing.assert_allclose(
      _pooled(values, p=500.0, reduction='sum'), scale, rtol=1e-5
    )
    value_and_grad = jax.jit(
      jax.value_and_grad(lambda v: _pooled(v, p=3.0, reduction='sum'))
    )
    value, grad = value_and_grad(jnp.asarray(values, jnp.float32))
    unit = values / scale
    norm = np.sum(unit**3) ** (1 / 3)
    np.testing.assert_allclose(value, scale * norm, rtol=1e-5)
    np.testing.assert_allclose(grad, (unit / norm) ** 2, rtol=1e-5)

  @parameterized.product(p=(1.0, 2.0, 30.0), reduction=('mean', 'sum'))
  def test_gradient_agrees_with_differences(self, p, reduction):
    values = np.array([0.8, -1.1, 0.9, 1.0])
    grad_fn = jax.jit(jax.grad(lambda v: _pooled(v, p=p, reduction=reduction)))
    grad = grad_fn(jnp.asarray(values, jnp.float32))
    for i, step in enumerate(1e-6 * np.eye(4)):
      ends = [
        _lp((values + sign * step).reshape(1, 1, 4, 1), p, reduction)
        for sign in (1, -1)
      ]
      difference = (ends[0] - ends[1]).item() / 2e-6
      np.testing.assert_allclose(grad[i], difference, rtol=1e-3, atol=1e-5)

  @parameterized.product(p=(1.0, 1.5, 2.0, math.inf), reduction=('mean', 'sum'))
  def test_zeros_have_a_finite_gradient(self, p, reduction):
    for values in (jnp.zeros(3), jnp.array([0.0, 2.0, 0.0])):
      grad = jax.grad(lambda v: _pooled(v, p=p, reduction=reduction))(values)
      self.assertTrue(jnp.all(jnp.isfinite(grad)))
    zero = _pooled(np.zeros(3), p=p, reduction=reduction)
    np.testing.assert_array_equal(zero, 0)

  def test_nan_stays(self):
    self.assertTrue(jnp.isnan(_pooled([1.0, math.nan])))

  @parameterized.product(p=(1.0, 3.5, math.inf), reduction=('mean', 'sum'))
  def test_of_infinities_is_infinite(self, p, reduction):
    inf = math.inf
    for values in ([1.0, inf, 0.0], [-inf, 2.0, 3.0], [inf, -inf, inf]):
      self.assertEqual(_pooled(values, p=p, reduction=reduction), inf)
    self.assertTrue(jnp.isnan(_pooled([inf, math.nan], p=p)))

  @parameterized.product(p=(1.0, 3.5), reduction=('mean', 'sum'))
  def test_gradient_of_infinities_is_the_one_of_large_numbers(
    self, p, reduction
  ):
    def loss_fn(values, p):
      return _pooled(values, p=p, reduction=reduction)

    inf = math.inf
    values = jnp.array([[1.0, inf, 0.0], [-inf, 2.0, inf], [-inf, -inf, -inf]])
    large = jnp.clip(values, -(2.0**100), 2.0**100)
    traced_fn = jax.jit(jax.vmap(jax.grad(loss_fn), (0, None)))
    alone = {'mean': 3.0 ** (-1 / p), 'sum': 1.0}[reduction]
    for grad_fn in (
      jax.jit(jax.vmap(jax.grad(lambda v: loss_fn(v, p)))),
      lambda values: traced_fn(values, p),
    ):
      grads = grad_fn(values)
      np.testing.assert_allclose(grads, grad_fn(large), rtol=1e-6)
      np.testing.assert_allclose(grads[0, 1], alone, rtol=1e-5)

  def test_infinities_leave_other_windows_alone(self):
    x = jnp.asarray(_X)
    pool = lambda x: pooling.lp_pool(2).apply((), (), x)[0]
    grad_fn = jax.jit(jax.grad(lambda x: pool(x).sum()))
    expected = grad_fn(x)
    actual = grad_fn(x.at[0, 0, 0, 0].set(math.inf))
    is_beside = np.ones(_X.shape, bool)
    is_beside[0, :2, :2, 0] = False
    np.testing.assert_array_equal(actual[is_beside], expected[is_beside])
    np.testing.assert_allclose(
      actual[0, :2, :2, 0], [[0.5, 0], [0, 0]], atol=1e-20
    )

  @parameterized.parameters(np.float32(3), np.int64(3), (np.array(3.0),), 3)
  def test_p_of_numpy_is_the_number(self, p):
    np.testing.assert_array_equal(
      _pooled([1.0, 2.0], p=p), _pooled([1.0, 2.0], p=3.0)
    )

  @parameterized.parameters(np.float32(math.inf), (np.array(math.inf),))
  def test_infinite_p_of_numpy_is_the_maximum(self, p):
    self.assertEqual(_pooled([1.0, -2.0], p=p), 2)

  def test_p_may_be_traced(self):
    pool = jax.jit(lambda p: _pooled(jnp.array([1.0, 2.0]), p=p))
    np.testing.assert_allclose(pool(2.0), math.sqrt(2.5), rtol=1e-6)


class LearnedExponentTest(parameterized.TestCase):
  @parameterized.parameters(1.001, 2.0, 40.0, 1e4)
  def test_starts_at_the_given_p(self, p):
    layer = pooling.lp_pool(2, p=p, learned=True)
    _, params, _ = layer.init(jax.random.key(0), _X.shape[1:])
    np.testing.assert_allclose(params.p, p, rtol=1e-6)
    chex.assert_trees_all_close(
      layer.apply(params, (), jnp.asarray(_X)),
      pooling.lp_pool(2, p=p).apply((), (), jnp.asarray(_X)),
      rtol=1e-5,
    )

  @parameterized.parameters('mean', 'sum')
  def test_gradient_agrees_with_differences(self, reduction):
    layer = pooling.lp_pool((1, 3), learned=True, reduction=reduction)
    values = np.array([0.0, 1.0, -2.0]).reshape(1, 1, 3, 1)

    def loss_fn(excess):
      params = pooling.LpPoolParams(excess)
      return layer.apply(params, (), jnp.asarray(values))[0].sum()

    def reference(excess):
      return _lp(values, 1 + np.log1p(np.exp(excess)), reduction).item()

    grad = jax.grad(loss_fn)(jnp.asarray(0.3))
    difference = (reference(0.3 + 1e-6) - reference(0.3 - 1e-6)) / 2e-6
    np.testing.assert_allclose(grad, difference, rtol=1e-4)

  def test_descent_finds_the_exponent_that_made_the_data(self):
    x = jnp.abs(jnp.asarray(_X)) + 0.1
    layer = pooling.lp_pool(3, p=2.0, learned=True)
    target, _ = pooling.lp_pool(3, p=5.0).apply((), (), x)
    _, params, _ = layer.init(jax.random.key(0), x.shape[1:])

    def loss_fn(params):
      return jnp.mean(jnp.square(layer.apply(params, (), x)[0] - target))

    @jax.jit
    def descend(params):
      grad_fn = jax.grad(loss_fn)
      step = lambda _, p: jax.tree.map(lambda w, g: w - 20 * g, p, grad_fn(p))
      return jax.lax.fori_loop(0, 300, step, params)

    np.testing.assert_allclose(descend(params).p, 5, rtol=0.01)

  @parameterized.parameters(-1000.0, 1000.0)
  def test_is_finite_wherever_descent_may_lead(self, excess):
    layer = pooling.lp_pool(2, learned=True)
    loss_fn = lambda params, x: layer.apply(params, (), x)[0].sum()
    params = pooling.LpPoolParams(jnp.asarray(excess))
    x = jnp.asarray(_X).at[:, :2, :2].set(0)
    grads = jax.jit(jax.grad(loss_fn, (0, 1)))(params, x)
    chex.assert_tree_all_finite(grads)
    self.assertGreaterEqual(params.p, 1)

  def test_infinities_have_derivatives(self):
    layer = pooling.lp_pool(2, learned=True)
    loss_fn = lambda params, x: layer.apply(params, (), x)[0].sum()
    _, params, _ = layer.init(jax.random.key(0), (2, 2, 1))
    x = jnp.ones((1, 2, 2, 1)).at[0, 0, 0].set(math.inf)
    value, grads = jax.value_and_grad(loss_fn, (0, 1))(params, x)
    self.assertEqual(value, math.inf)
    chex.assert_tree_all_finite(grads)
    self.assertGreater(grads[0].excess, 0)  # The mean of one large grows.


class ErrorsTest(parameterized.TestCase):
  @parameterized.parameters('2', None, True, 2j, (np.ones(1),))
  def test_refuses_an_exponent_that_is_no_number(self, p):
    with self.assertRaisesRegex(ValueError, 'p must be a number of at least 1'):
      pooling.lp_pool(2, p=p)

  @parameterized.parameters(
    0.5, -2.0, math.nan, np.float32(0.5), np.int64(0), (np.array(0.5),)
  )
  def test_refuses_an_exponent_below_one(self, p):
    with self.assertRaisesRegex(ValueError, 'p must be at least 1'):
      pooling.lp_pool(2, p=p)

  @parameterized.parameters(1.0, math.inf, np.int64(1), np.float64(math.inf))
  def test_refuses_to_learn_from_an_end(self, p):
    with self.assertRaisesRegex(ValueError, 'learned p starts above 1'):
      pooling.lp_pool(2, p=p, learned=True)

  def test_refuses_an_unknown_reduction(self):
    with self.assertRaisesRegex(ValueError, 'Unknown reduction .*mean, sum'):
      pooling.lp_pool(2, reduction='median')

  @parameterized.product(
    pool=(layers.max_pool, layers.avg_pool, layers.lp_pool)
  )
  def test_refuses_what_no_window_can_be(self, pool):
    for args, message in (
      ((0,), 'window must be at least 1, got 0'),
      ((2, (1, 0)), r'strides must be at least 1, got \(1, 0\)'),
      ((2, 2, 'FULL'), "Unknown padding 'FULL'; choose one of: SAME, VALID"),
      ((2, 2, 2), 'padding 2 must be less than the window 2'),
    ):
      with self.assertRaisesRegex(ValueError, message):
        pool(*args)

  @parameterized.product(
    pool=(layers.max_pool, layers.avg_pool, layers.lp_pool)
  )
  def test_refuses_an_image_that_is_too_small(self, pool):
    layer = layers.serial(pool((2, 5), 2), names=('pool',))
    with self.assertRaisesRegex(
      layers.base.LayerError,
      r"^pool: .* 2x5 with padding 'VALID' does not fit .* \(4, 4, 3\)",
    ):
      layer.init(jax.random.key(0), (4, 4, 3))

  def test_refuses_vectors(self):
    for pool in (layers.lp_pool(2), layers.global_avg_pool()):
      with self.assertRaisesRegex(ValueError, r'takes images .* \(3,\)'):
        pool.init(jax.random.key(0), (3,))


class HalfPrecisionTest(absltest.TestCase):
  def test_mean_of_many_ones_is_one(self):
    x = jnp.ones((1, 31, 31, 1), jnp.bfloat16)
    y, _ = layers.avg_pool(31).apply((), (), x)
    self.assertEqual(y.dtype, jnp.bfloat16)
    self.assertEqual(float(y[0, 0, 0, 0]), 1)


if __name__ == '__main__':
  absltest.main()
