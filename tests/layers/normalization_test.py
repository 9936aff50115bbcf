"""Tests for `normalization.py`, against formulas in float64."""

import contextlib
import functools

from absl.testing import absltest
from absl.testing import parameterized
import chex
import jax
import jax.numpy as jnp
from jaxdl.layers import normalization
import numpy as np

_EPS = 1e-5


@contextlib.contextmanager
def _float64():
  jax.config.update('jax_enable_x64', True)
  try:
    yield
  finally:
    jax.config.update('jax_enable_x64', False)


def _batch(shape=(16, 5), offset=3.0):
  return offset + 2 * np.random.default_rng(0).standard_normal(shape)


def _params(features, rng_seed=1):
  rng = np.random.default_rng(rng_seed)
  scale, bias = rng.standard_normal((2, features))
  return normalization.NormParams(jnp.asarray(scale), jnp.asarray(bias))


def _standardized(x, axes):
  mean, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
  return (x - mean) / np.sqrt(var + _EPS)


class BatchNormTest(chex.TestCase):
  @chex.variants(with_jit=True, without_jit=True)
  @parameterized.parameters((16, 5), (4, 3, 2, 5))
  def test_training_agrees_with_the_formula(self, *shape):
    x, params = _batch(shape), _params(5)
    layer = normalization.batch_norm(momentum=0.7)
    _, _, state = layer.init(jax.random.key(0), shape[1:])

    apply = self.variant(functools.partial(layer.apply, train=True))
    y, new_state = apply(params, state, jnp.asarray(x, jnp.float32))

    axes, count = tuple(range(len(shape) - 1)), x.size // 5
    expected = _standardized(x, axes) * params.scale + params.bias
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
    var = x.var(axes) * count / (count - 1)
    np.testing.assert_allclose(new_state.mean, 0.3 * x.mean(axes), rtol=1e-5)
    np.testing.assert_allclose(new_state.var, 0.7 + 0.3 * var, rtol=1e-5)

  def test_test_time_takes_the_running_statistics(self):
    x, params = _batch(), _params(5)
    rng = np.random.default_rng(2)
    mean, var = rng.standard_normal(5), rng.uniform(0.5, 2, 5)
    state = normalization.BatchNormState(jnp.asarray(mean), jnp.asarray(var))
    y, new_state = normalization.batch_norm().apply(
      params, state, jnp.asarray(x)
    )
    expected = (x - mean) / np.sqrt(var + _EPS) * params.scale + params.bias
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
    chex.assert_trees_all_equal(new_state, state)

  def test_running_statistics_tend_to_those_of_the_data(self):
    layer, x = normalization.batch_norm(), jnp.asarray(_batch())
    _, params, state = layer.init(jax.random.key(0), (5,))
    for _ in range(200):
      _, state = layer.apply(params, state, x, train=True)
    np.testing.assert_allclose(state.mean, x.mean(0), rtol=1e-5)
    np.testing.assert_allclose(state.var, x.var(0, ddof=1), rtol=1e-5)

  def test_far_from_zero_the_variance_does_not_cancel(self):
    x = _batch(offset=1e4)
    x32 = np.asarray(x, np.float32)
    layer = normalization.batch_norm(use_scale=False, use_bias=False)
    _, params, state = layer.init(jax.random.key(0), (5,))
    y, _ = layer.apply(params, state, jnp.asarray(x32), train=True)
    expected = _standardized(x32.astype(np.float64), (0,))
    np.testing.assert_allclose(y, expected, atol=2e-3)

  @parameterized.parameters((16, 5), (4, 3, 2, 5))
  def test_gradient_agrees_with_differences(self, *shape):
    layer, x, params = normalization.batch_norm(), _batch(shape), _params(5)
    weights = np.random.default_rng(3).standard_normal(shape)
    with _float64():
      _, _, state = layer.init(jax.random.key(0), shape[1:])

      @jax.jit
      def loss_fn(params, x):
        y, _ = layer.apply(params, state, x, train=True)
        return jnp.sum(jnp.sin(y) * weights)

      params = jax.tree.map(lambda p: p.astype(np.float64), params)
      inputs = (params, jnp.asarray(x))
      grads = jax.grad(loss_fn, (0, 1))(*inputs)
      leaves, structure = jax.tree.flatten(inputs)
      rng, step = np.random.default_rng(4), 1e-6
      for _ in range(3):
        direction = jax.tree.unflatten(
          structure, [rng.standard_normal(a.shape) for a in leaves]
        )
        at = lambda t, d=direction: loss_fn(
          *jax.tree.map(lambda a, b: a + t * b, inputs, d)
        )
        difference = (at(step) - at(-step)) / (2 * step)
        products = jax.tree.map(lambda a, b: jnp.sum(a * b), grads, direction)
        np.testing.assert_allclose(
          sum(jax.tree.leaves(products)), difference, rtol=1e-6
        )

  def test_hessian_agrees_with_autodiff_of_the_formula(self):
    x = jnp.asarray(_batch((4, 2)))
    layer = normalization.batch_norm(use_scale=False, use_bias=False)
    _, params, state = layer.init(jax.random.key(0), (2,))

    def formula(x):
      centred = x - x.mean(0)
      return centred / jnp.sqrt(jnp.mean(centred**2, 0) + _EPS)

    ours = lambda x: layer.apply(params, state, x, train=True)[0]
    hessian = lambda fn: jax.hessian(lambda x: jnp.sum(jnp.sin(fn(x))))(x)
    np.testing.assert_allclose(
      hessian(ours), hessian(formula), rtol=1e-3, atol=1e-4
    )

  def test_batch_over_a_mapped_axis_is_one_batch(self):
    x = jnp.asarray(_batch((12, 5)))
    parts = x.reshape(3, 4, 5)
    weights = jnp.cos(jnp.arange(x.size, dtype=jnp.float32)).reshape(x.shape)
    whole, mapped = (
      normalization.batch_norm(),
      normalization.batch_norm(axis_name='batch'),
    )
    _, params, state = whole.init(jax.random.key(0), (5,))

    def loss_whole(x):
      y, new_state = whole.apply(params, state, x, train=True)
      return jnp.sum(y * weights), (y, new_state)

    def loss_mapped(x):
      y, new_state = jax.vmap(
        lambda x: mapped.apply(params, state, x, train=True),
        axis_name='batch',
      )(x.reshape(parts.shape))
      new_state = jax.tree.map(lambda s: s[0], new_state)
      y = y.reshape(weights.shape)
      return jnp.sum(y * weights), (y, new_state)

    chex.assert_trees_all_close(
      jax.grad(loss_mapped, has_aux=True)(x),
      jax.grad(loss_whole, has_aux=True)(x),
      rtol=1e-4,
      atol=1e-5,
    )

  def test_vmap_over_cells_keeps_their_batches_apart(self):
    x = jnp.asarray(np.stack([_batch(), 5 * _batch()]))
    layer = normalization.batch_norm()
    _, params, state = layer.init(jax.random.key(0), (5,))

    def loss_fn(x, eps):
      layer = normalization.batch_norm(eps=eps)
      return jnp.sum(jnp.sin(layer.apply(params, state, x, train=True)[0]))

    grad_fn = jax.grad(loss_fn)
    eps = jnp.array([1e-5, 0.1])
    expected = jnp.stack([grad_fn(*pair) for pair in zip(x, eps, strict=True)])
    np.testing.assert_allclose(
      jax.vmap(grad_fn)(x, eps), expected, rtol=1e-4, atol=1e-6
    )

  def test_a_batch_of_one_stays_finite(self):
    layer = normalization.batch_norm()
    _, params, state = layer.init(jax.random.key(0), (5,))
    y, new_state = layer.apply(params, state, jnp.ones((1, 5)), train=True)
    np.testing.assert_array_equal(y, 0)
    chex.assert_tree_all_finite(new_state)

  def test_half_precision_keeps_statistics_in_single(self):
    layer, x = normalization.batch_norm(), jnp.asarray(_batch(), jnp.bfloat16)
    _, params, state = layer.init(jax.random.key(0), (5,))
    y, new_state = layer.apply(params, state, x, train=True)
    self.assertEqual(y.dtype, jnp.bfloat16)
    self.assertEqual(new_state.mean.dtype, jnp.float32)
    expected = _standardized(np.asarray(x, np.float64), (0,))
    np.testing.assert_allclose(np.asarray(y, np.float64), expected, atol=2e-2)


class LayerNormTest(chex.TestCase):
  @chex.variants(with_jit=True, without_jit=True)
  @parameterized.parameters((16, 5), (4, 3, 2, 5))
  def test_agrees_with_the_formula(self, *shape):
    x, params = _batch(shape), _params(5)
    y, _ = self.variant(normalization.layer_norm().apply)(
      params, (), jnp.asarray(x)
    )
    expected = _standardized(x, (-1,)) * params.scale + params.bias
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


class LocalResponseNormTest(parameterized.TestCase):
  @parameterized.parameters(
    ((2, 3, 4, 9), {}),
    ((4, 3), {}),  # Fewer channels than the window.
    ((4, 6), dict(size=1, alpha=0.5)),
    ((4, 6), dict(size=3, alpha=2.0, beta=0.5, k=1.0)),
  )
  def test_agrees_with_a_loop(self, shape, kwargs):
    x = 10 * np.random.default_rng(0).standard_normal(shape)
    layer = normalization.local_response_norm(**kwargs)
    y, _ = layer.apply((), (), jnp.asarray(x, jnp.float32))

    full = {**dict(size=5, alpha=1e-4, beta=0.75, k=2.0), **kwargs}
    half, channels = full['size'] // 2, shape[-1]
    for i in range(channels):
      nearest = range(max(0, i - half), min(channels - 1, i + half) + 1)
      total = sum(x[..., j] ** 2 for j in nearest)
      scale = (full['k'] + full['alpha'] * total) ** full['beta']
      np.testing.assert_allclose(y[..., i], x[..., i] / scale, rtol=1e-5)

  def test_gradient_agrees_with_differences(self):
    with _float64():
      x = _batch((3, 7))
      layer = normalization.local_response_norm(alpha=0.3)
      weights = np.random.default_rng(1).standard_normal((3, 7))
      loss_fn = lambda x: jnp.sum(weights * layer.apply((), (), x)[0])
      grad = jax.grad(loss_fn)(jnp.asarray(x))
      tangent = np.random.default_rng(2).standard_normal((3, 7))
      ends = [loss_fn(x + sign * 1e-6 * tangent) for sign in (1, -1)]
      difference = (ends[0] - ends[1]) / 2e-6
      np.testing.assert_allclose(np.sum(grad * tangent), difference, rtol=1e-6)

  def test_zeros_have_a_finite_gradient(self):
    layer = normalization.local_response_norm()
    loss_fn = lambda x: layer.apply((), (), x)[0].sum()
    grad = jax.grad(loss_fn)(jnp.zeros((2, 6)))
    np.testing.assert_allclose(grad, np.full((2, 6), 2**-0.75), rtol=1e-6)

  @parameterized.parameters(
    (dict(size=4), 'size must be odd and at least 1, got 4'),
    (dict(size=0), 'size must be odd and at least 1, got 0'),
    (dict(k=0.0), 'k must be positive'),
  )
  def test_refuses_what_makes_no_sense(self, kwargs, message):
    with self.assertRaisesRegex(ValueError, message):
      normalization.local_response_norm(**kwargs)


if __name__ == '__main__':
  absltest.main()
