"""Tests for `inception.py`."""

import functools

from absl.testing import absltest
from absl.testing import parameterized
import jax
import jax.numpy as jnp
from jaxdl import layers
from jaxdl.layers import inception  # The function: it bears its module's name.
import numpy as np

_RELU = layers.activation('relu')
_FEATURES = layers.InceptionFeatures(4, 2, 5, 3, 6, 7)
_X = np.random.default_rng(0).standard_normal((2, 6, 7, 3)).astype(np.float32)


def _drawn(net):
  """Returns params, drawn by numpy, which compiles nothing; and state."""
  rng = np.random.default_rng(1)
  init = lambda key: net.init(key, _X.shape[1:])[1:]
  params, state = jax.eval_shape(init, jax.random.key(0))
  draw = lambda p: rng.standard_normal(p.shape).astype(np.float32) / 5
  return jax.tree.map(draw, params), jax.tree.map(draw, state)


def _count(params):
  return sum(leaf.size for leaf in jax.tree.leaves(params))


class InceptionTest(parameterized.TestCase):
  @parameterized.parameters(3, 5)
  def test_concatenates_in_the_order_of_the_paper(self, wide):
    net = inception(_FEATURES, activation=_RELU, wide_kernel_size=wide)
    params, state = _drawn(net)
    y, _ = jax.jit(net.apply)(params, state, jnp.asarray(_X))
    self.assertEqual(y.shape, (2, 6, 7, 4 + 5 + 6 + 7))

    def conv(params, x):
      kernel_size = params.w.shape[0]
      layer = layers.conv(params.w.shape[-1], kernel_size)
      return jax.nn.relu(layer.apply(params, (), x)[0])

    (narrow, middle, broad, pooled), _ = params
    x = jnp.asarray(_X)
    largest = layers.max_pool(3, 1, 1).apply((), (), x)[0]
    expected = [
      conv(narrow[0], x),
      conv(middle[2], conv(middle[0], x)),
      conv(broad[2], conv(broad[0], x)),
      conv(pooled[1], largest),
    ]
    self.assertEqual(broad[2].w.shape[:2], (wide, wide))
    np.testing.assert_allclose(
      y, jnp.concatenate(expected, axis=-1), rtol=1e-4, atol=1e-5
    )

  # Of GoogLeNet's inception 3a, counted by hand: weights, then biases.
  @parameterized.parameters((5, 163_696), (3, 163_696 - 16 * 32 * 16))
  def test_counts_of_inception_3a(self, wide, expected):
    net = inception(
      layers.InceptionFeatures(64, 96, 128, 16, 32, 32),
      activation=_RELU,
      wide_kernel_size=wide,
    )
    params = jax.eval_shape(
      lambda key: net.init(key, (28, 28, 192))[1], jax.random.key(0)
    )
    self.assertEqual(_count(params), expected)

  def test_norm_stands_before_every_activation(self):
    net = inception(
      _FEATURES, activation=_RELU, norm=layers.batch_norm(), use_bias=False
    )
    params, state = _drawn(net)
    # Each of the 27 channels of a convolution has a scale and a shift.
    plain, _ = _drawn(inception(_FEATURES, activation=_RELU, use_bias=False))
    self.assertEqual(_count(params) - _count(plain), 2 * sum(_FEATURES))

    unscaled = jax.tree.map(
      lambda p: (
        p._replace(scale=jnp.ones_like(p.scale), bias=0 * p.bias)
        if isinstance(p, layers.NormParams)
        else p
      ),
      params,
      is_leaf=lambda p: isinstance(p, layers.NormParams),
    )
    apply = jax.jit(functools.partial(net.apply, train=True))
    y, _ = apply(unscaled, state, jnp.asarray(_X))
    # Half of what is standardized is negative, about.
    positive = jnp.mean(y > 0, axis=(0, 1, 2))
    self.assertBetween(float(positive.min()), 0.2, 0.8)
    self.assertBetween(float(positive.max()), 0.2, 0.8)

  def test_last_activation_has_its_scope(self):
    net = inception(_FEATURES, activation=_RELU)
    params, state = _drawn(net)
    jaxpr = jax.make_jaxpr(net.apply)(params, state, jnp.asarray(_X)).jaxpr
    scopes = [str(eqn.source_info.name_stack) for eqn in jaxpr.eqns]
    self.assertStartsWith(scopes[-1], 'activation/relu')
    self.assertTrue(any('branches/conv5/reduce/' in s for s in scopes))

  def test_error_names_the_branch(self):
    net = inception(_FEATURES, activation=_RELU)
    with self.assertRaisesRegex(
      layers.base.LayerError, r'^branches/conv1/conv: .*\(3,\)'
    ):
      net.init(jax.random.key(0), (3,))


if __name__ == '__main__':
  absltest.main()
