"""Laws that hold for every layer: a new layer takes one row of `_LAYERS`."""

import math

from absl.testing import absltest
from absl.testing import parameterized
import chex
import jax
import jax.numpy as jnp
from jaxdl import layers
import numpy as np

_RELU = layers.activation('relu')
_VECTOR, _IMAGE, _SEQUENCE = (6,), (5, 6, 4), (5, 6)
_LAYERS = {
  'dense': (layers.dense(3), _VECTOR),
  'dense_of_image': (layers.dense(3), _IMAGE),
  'dense_no_bias': (layers.dense(3, use_bias=False), _VECTOR),
  'conv': (layers.conv(8), _IMAGE),
  'conv_no_bias': (layers.conv(8, use_bias=False), _IMAGE),
  'conv_strides': (layers.conv(8, (3, 2), strides=2), _IMAGE),
  'conv_valid': (layers.conv(8, (3, 2), padding='VALID'), _IMAGE),
  'conv_padding': (layers.conv(8, 3, padding=2), _IMAGE),
  'conv_pads': (layers.conv(8, 3, padding=((0, 1), (2, 0))), _IMAGE),
  'conv_groups': (layers.conv(8, feature_group_count=2), _IMAGE),
  'conv_dilation': (layers.conv(8, dilation=2, padding='VALID'), _IMAGE),
  'relu': (_RELU, _IMAGE),
  'rrelu': (layers.activation('rrelu'), _IMAGE),
  'prelu': (layers.activation('prelu'), _IMAGE),
  'prelu_shared': (layers.activation('prelu', channel_shared=True), _IMAGE),
  'batch_norm': (layers.batch_norm(), _IMAGE),
  'batch_norm_plain': (
    layers.batch_norm(use_scale=False, use_bias=False),
    _VECTOR,
  ),
  'layer_norm': (layers.layer_norm(), _VECTOR),
  'local_response_norm': (layers.local_response_norm(3), _IMAGE),
  'dropout': (layers.dropout(0.5), _VECTOR),
  'flatten': (layers.flatten(), _IMAGE),
  'max_pool': (layers.max_pool(2), _IMAGE),
  'max_pool_same': (layers.max_pool(3, 2, 'SAME'), _IMAGE),
  'avg_pool': (layers.avg_pool((2, 3), 1), _IMAGE),
  'avg_pool_pads': (layers.avg_pool(3, 2, 1), _IMAGE),
  'lp_pool': (layers.lp_pool(2, p=3.0), _IMAGE),
  'lp_pool_pads': (
    layers.lp_pool(3, 2, 'SAME', p=1.0, reduction='sum'),
    _IMAGE,
  ),
  'lp_pool_max': (layers.lp_pool((2, 3), p=math.inf), _IMAGE),
  'lp_pool_learned': (layers.lp_pool(2, learned=True), _IMAGE),
  'global_avg_pool': (layers.global_avg_pool(), _IMAGE),
  'mlpconv': (layers.mlpconv((8, 6), activation=_RELU), _IMAGE),
  'mlpconv_norm': (
    layers.mlpconv((8,), norm=layers.layer_norm(), activation=_RELU),
    _IMAGE,
  ),
  'inception': (
    layers.inception(
      layers.InceptionFeatures(2, 1, 3, 1, 2, 1), activation=_RELU
    ),
    _IMAGE,
  ),
  'inception_norm': (
    layers.inception(
      layers.InceptionFeatures(2, 1, 3, 1, 2, 1),
      norm=layers.batch_norm(),
      activation=layers.activation('prelu'),
      wide_kernel_size=3,
      use_bias=False,
    ),
    _IMAGE,
  ),
  'identity': (layers.identity(), _VECTOR),
  'serial': (layers.serial(layers.dense(3), _RELU), _VECTOR),
  'serial_empty': (layers.serial(), _VECTOR),
  'parallel': (layers.parallel(layers.conv(2), layers.conv(3, 1)), _IMAGE),
  'parallel_sum': (
    layers.parallel(layers.dense(3), layers.dense(3), combine=sum),
    _VECTOR,
  ),
  'residual': (layers.residual(layers.dense(6)), _VECTOR),
  'projection': (
    layers.residual(layers.dense(3), layers.dense(3)),
    _VECTOR,
  ),
  'highway': (layers.highway(layers.dense(6)), _VECTOR),
  'highway_of_image': (layers.highway(layers.conv(4)), _IMAGE),
  'repeat': (layers.repeat(layers.dense(6), 3), _VECTOR),
  'repeat_none': (layers.repeat(layers.dense(6), 0), _VECTOR),
  'rnn': (layers.rnn(3), _SEQUENCE),
  'rnn_rrelu': (
    layers.rnn(3, activation=layers.activation('rrelu')),
    _SEQUENCE,
  ),
  'rnn_prelu': (
    layers.rnn(3, activation=layers.activation('prelu')),
    _SEQUENCE,
  ),
  'lstm': (layers.lstm(3), _SEQUENCE),
  'gru': (layers.gru(3), _SEQUENCE),
  'last_step': (layers.last_step(), _SEQUENCE),
  'scope': (layers.scope('name', layers.dense(3)), _VECTOR),
}
_NAMED = [(name, *row) for name, row in _LAYERS.items()]


def _input(shape, dtype=jnp.float32):
  return jax.random.normal(jax.random.key(0), (4, *shape), dtype)


class EveryLayerTest(parameterized.TestCase):
  @parameterized.named_parameters(_NAMED)
  def test_init_states_the_shape_that_apply_returns(self, layer, in_shape):
    out_shape, params, state = layer.init(jax.random.key(1), in_shape)
    key = jax.random.key(2)
    for train in (False, True):
      y, new_state = jax.eval_shape(
        lambda p, s, x, k, train=train: layer.apply(
          p, s, x, train=train, key=k
        ),
        *(params, state, _input(in_shape), key),
      )
      self.assertEqual(y.shape, (4, *out_shape))
      self.assertEqual(y.dtype, jnp.float32)
      chex.assert_trees_all_equal_shapes_and_dtypes(state, new_state)

  @parameterized.named_parameters(_NAMED)
  def test_init_traces_under_vmap(self, layer, in_shape):
    init = lambda key: layer.init(key, in_shape)[1:]
    one = jax.eval_shape(init, jax.random.key(1))
    many = jax.eval_shape(
      jax.vmap(init), jax.random.split(jax.random.key(1), 7)
    )
    expected = jax.tree.map(
      lambda a: jax.ShapeDtypeStruct((7, *a.shape), a.dtype), one
    )
    chex.assert_trees_all_equal_shapes_and_dtypes(many, expected)

  @parameterized.named_parameters(_NAMED)
  def test_half_precision_stays(self, layer, in_shape):
    _, params, state = layer.init(jax.random.key(1), in_shape)
    params = jax.tree.map(lambda p: p.astype(jnp.bfloat16), params)
    y, _ = jax.eval_shape(
      layer.apply, params, state, _input(in_shape, jnp.bfloat16)
    )
    self.assertEqual(y.dtype, jnp.bfloat16)

  @parameterized.named_parameters(_NAMED)
  def test_jit_changes_nothing_and_gradients_are_finite(self, layer, in_shape):
    _, params, state = layer.init(jax.random.key(1), in_shape)

    def apply(params, x):
      return layer.apply(params, state, x, train=True, key=jax.random.key(2))

    def loss_fn(params, x):
      y, new_state = apply(params, x)
      return jnp.sum(jnp.sin(y)), (y, new_state)

    grad_fn = jax.jit(jax.grad(loss_fn, (0, 1), has_aux=True))
    inputs = (params, _input(in_shape))
    grads, jitted = grad_fn(*inputs)
    chex.assert_tree_all_finite(grads)
    chex.assert_trees_all_close(jitted, apply(*inputs), rtol=1e-4, atol=1e-5)


class KeysTest(parameterized.TestCase):
  @parameterized.parameters('dropout', 'rrelu')
  def test_random_layer_demands_a_key_in_training_alone(self, name):
    layer, in_shape = _LAYERS[name]
    nested = layers.repeat(layers.residual(layers.serial(layer)), 2)
    _, params, state = nested.init(jax.random.key(0), in_shape)
    nested.apply(params, state, _input(in_shape))
    with self.assertRaisesRegex(ValueError, f'{name} is random'):
      nested.apply(params, state, _input(in_shape), train=True)

  @parameterized.parameters('serial', 'parallel', 'repeat')
  def test_children_draw_independently(self, combinator):
    drop = layers.dropout(0.5)
    if combinator == 'parallel':
      layer = layers.parallel(drop, drop, combine=lambda ys: ys[0] * ys[1])
    elif combinator == 'repeat':
      layer = layers.repeat(drop, 2)
    else:
      layer = layers.serial(drop, drop)
    x = jnp.ones((1, 10_000))
    _, params, state = layer.init(jax.random.key(0), (10_000,))
    y, _ = layer.apply(params, state, x, train=True, key=jax.random.key(1))
    # One mask used twice would keep half.
    np.testing.assert_allclose(jnp.mean(y != 0), 0.25, atol=0.02)


if __name__ == '__main__':
  absltest.main()
