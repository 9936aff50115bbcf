"""Tests for `sequential.py`, and what all that is built of it has."""

import functools

from absl.testing import absltest
from absl.testing import parameterized
import jax
import jax.numpy as jnp
from jaxdl import layers
from jaxdl.layers import initializers
from jaxdl.models import alexnet
from jaxdl.models import googlenet
from jaxdl.models import nin
from jaxdl.models import sequential
from jaxdl.models import vgg
import numpy as np

from tests.models import counting

_RELU = layers.activation('relu')
_IMAGENET, _CIFAR = (224, 224, 3), (32, 32, 3)
_MODELS = {
  'alexnet': (alexnet.alexnet, _IMAGENET),
  'alexnet_original': (functools.partial(alexnet.alexnet, groups=2), _IMAGENET),
  'vgg': (functools.partial(vgg.vgg, depth=11), _IMAGENET),
  'vgg_cifar': (
    functools.partial(vgg.vgg, depth=13, form='cifar', dropout_rate=0.1),
    _CIFAR,
  ),
  'nin': (nin.nin, _CIFAR),
  'nin_imagenet': (functools.partial(nin.nin, form='imagenet'), _IMAGENET),
  'googlenet': (googlenet.googlenet, _IMAGENET),
}
_NAMED = [(name, *row) for name, row in _MODELS.items()]


def _convs(params):
  is_conv = lambda node: isinstance(node, layers.ConvParams)
  return list(filter(is_conv, jax.tree.leaves(params, is_leaf=is_conv)))


class EveryModelTest(parameterized.TestCase):
  @parameterized.named_parameters(_NAMED)
  def test_units_have_an_activation_and_the_readout_has_none(
    self, model, in_shape
  ):
    net = model(num_classes=10, activation=_RELU, norm='layer')
    params, _ = counting.shapes(net, in_shape)
    paths = counting.scopes(net, in_shape)
    for unit in params:
      self.assertEqual(f'{unit}/activation' in paths, unit != 'readout', unit)
    self.assertEqual(list(params)[-1], 'readout')
    # Scopes appear in the order of the units.
    tops = [path for path in paths if '/' not in path]
    self.assertEqual([p for p in tops if p in params], list(params))

  @parameterized.named_parameters(_NAMED)
  def test_norm_is_that_of_every_convolution_before_the_readout(
    self, model, in_shape
  ):
    make = functools.partial(model, num_classes=10, activation=_RELU)
    plain, _ = counting.shapes(make(norm='none'), in_shape)
    normed, state = counting.shapes(make(norm='batch'), in_shape)
    convs = _convs({k: v for k, v in plain.items() if k != 'readout'})
    running = [
      s.mean.shape[0]
      for s in jax.tree.leaves(
        state, is_leaf=lambda s: isinstance(s, layers.BatchNormState)
      )
    ]
    self.assertCountEqual(running, [conv.w.shape[-1] for conv in convs])
    unscaled, _ = counting.shapes(make(norm='batch_plain'), in_shape)
    self.assertEqual(
      counting.num_params(normed) - counting.num_params(unscaled),
      2 * sum(running),
    )

  @parameterized.named_parameters(_NAMED)
  def test_dropout(self, model, in_shape):
    """It needs a key in training, unless the rate is 0."""
    make = functools.partial(model, num_classes=10, activation=_RELU)
    with self.assertRaisesRegex(ValueError, 'dropout is random in training'):
      counting.equations(make(), in_shape, train=True)
    counting.equations(make(), in_shape)
    paths = counting.scopes(make(dropout_rate=0.0), in_shape, train=True)
    self.assertFalse([p for p in paths if 'dropout' in p])

  @parameterized.named_parameters(_NAMED)
  def test_initializers_reach_every_layer(self, model, in_shape):
    shapes = []

    def refuse(key, shape, dtype=None):
      del key
      shapes.append(shape)
      return jnp.zeros(shape, dtype or float)

    net = model(
      num_classes=10, activation=_RELU, weight_init=refuse, bias_init=refuse
    )
    params, _ = counting.shapes(net, in_shape)
    leaves = [leaf.shape for leaf in jax.tree.leaves(params)]
    self.assertCountEqual(shapes, leaves)

  @parameterized.named_parameters(_NAMED)
  def test_refuses(self, model, in_shape):
    del in_shape
    with self.assertRaisesRegex(ValueError, "Unknown norm 'bacth'.*batch"):
      model(num_classes=10, activation=_RELU, norm='bacth')
    with self.assertRaisesRegex(ValueError, 'num_classes must be at least 1'):
      model(num_classes=0, activation=_RELU)
    with self.assertRaisesRegex(ValueError, 'probability to drop'):
      model(num_classes=10, activation=_RELU, dropout_rate=1.5)

  def test_a_scale_of_the_weights_may_be_traced(self):
    def init(std):
      net = nin.nin(
        num_classes=10,
        activation=_RELU,
        weight_init=initializers.normal_fan_in(std),
      )
      return net.init(jax.random.key(0), _CIFAR)[1]

    params = jax.eval_shape(jax.vmap(init), jnp.array([1.0, 2.0]))
    self.assertEqual(counting.num_params(params), 2 * 966_986)


class StyleTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.style = sequential.Style(
      _RELU, 'batch', None, initializers.constant(0.5), use_bias=False
    )

  def test_conv(self):
    unit = self.style.conv(
      4, 3, strides=2, groups=2, then={'pool': layers.max_pool(2)}
    )
    out_shape, params, state = unit.init(jax.random.key(0), (8, 9, 2))
    self.assertEqual(out_shape, (2, 2, 4))
    self.assertEqual(params[0].w.shape, (3, 3, 1, 4))
    self.assertEqual(params[0].b, ())
    self.assertIsInstance(state[1], layers.BatchNormState)

  def test_dense(self):
    drop = sequential.dropout(0.25)
    unit = self.style.dense(3, first={'flatten': layers.flatten()}, then=drop)
    out_shape, params, state = unit.init(jax.random.key(0), (2, 2, 5))
    self.assertEqual(out_shape, (3,))
    x = jax.random.normal(jax.random.key(1), (4, 2, 2, 5))
    y, _ = unit.apply(params, state, x)
    dense = params[1]
    np.testing.assert_array_equal(dense.b, 0.5)
    expected = np.maximum(np.reshape(x, (4, -1)) @ dense.w + dense.b, 0)
    np.testing.assert_allclose(y, expected, rtol=1e-5)

  def test_no_dropout_is_no_layer(self):
    self.assertEqual(sequential.dropout(0), {})
    self.assertEqual(list(sequential.dropout(0.1)), ['dropout'])


if __name__ == '__main__':
  absltest.main()
