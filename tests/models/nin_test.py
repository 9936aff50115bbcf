"""Tests for `nin.py`: published sizes, and the chain of mlpconv layers."""

from absl.testing import absltest
from absl.testing import parameterized
import jax
from jaxdl import layers
from jaxdl.models import nin
import numpy as np

from tests.models import counting

_RELU = layers.activation('relu')
_IMAGENET, _CIFAR = (224, 224, 3), (32, 32, 3)


def _net(**kwargs):
  return nin.nin(**{'num_classes': 10, 'activation': _RELU, **kwargs})


class NinTest(parameterized.TestCase):
  @parameterized.parameters(
    ('cifar', 10, _CIFAR, 966_986, 222_486_528),
    ('cifar', 100, _CIFAR, 984_356, 223_592_448),
    ('imagenet', 1000, _IMAGENET, 7_595_176, 969_460_864),
  )
  def test_sizes(
    self, form, num_classes, in_shape, num_params, num_multiplications
  ):
    net = _net(form=form, num_classes=num_classes)
    params, _ = counting.shapes(net, in_shape)
    self.assertEqual(counting.num_params(params), num_params)
    self.assertEqual(
      counting.num_multiplications(net, in_shape), num_multiplications
    )

  def test_is_a_chain_of_mlpconv_layers(self):
    net = _net()
    params, state = counting.drawn(net, _CIFAR)
    x = jax.random.normal(jax.random.key(1), (1, *_CIFAR))
    y, _ = jax.jit(net.apply)(params, state, x)

    stages = [
      layers.mlpconv((192, 160, 96), 5, activation=_RELU),
      layers.max_pool(3, 2, ((0, 1), (0, 1))),
      layers.mlpconv((192, 192, 192), 5, activation=_RELU),
      layers.avg_pool(3, 2, ((0, 1), (0, 1))),
      layers.mlpconv((192, 192, 10), 3, activation=_RELU),
      layers.global_avg_pool(),
    ]
    convs = iter([unit[0] for unit in params.values()])
    expected = x
    for stage in stages:
      shape = expected.shape[1:]
      template = jax.eval_shape(
        lambda key, s=stage, shape=shape: s.init(key, shape)[1],
        jax.random.key(0),
      )
      stage_params = tuple(next(convs) if p else () for p in template)
      stage_state = ((),) * len(template)
      expected, _ = stage.apply(stage_params, stage_state, expected)
    np.testing.assert_allclose(y, expected, rtol=1e-3, atol=1e-5)

  def test_poolings_and_dropouts(self):
    paths = counting.scopes(
      _net(norm='batch'), _CIFAR, train=True, key=jax.random.key(0)
    )
    plain = ['conv', 'norm', 'activation']
    for unit, expected in (
      ('mlpconv1_conv', plain),
      ('mlpconv1_mlp2', [*plain, 'pool', 'dropout']),
      ('mlpconv2_mlp2', [*plain, 'pool', 'dropout']),
      ('mlpconv3_mlp1', plain),
      ('readout', ['conv', 'activation1', 'pool']),
    ):
      self.assertEqual(counting.within(unit, paths), expected)
    self.assertIn('mlpconv1_mlp2/pool/max_pool', paths)
    self.assertIn('mlpconv2_mlp2/pool/avg_pool', paths)

  def test_sizes_are_rounded_up_after_a_pooling_for_cifar(self):
    sizes = [
      eqn.outvars[0].aval.shape[1:3]
      for _, eqn in counting.equations(_net(), (29, 32, 3))
      if eqn.primitive.name == 'conv_general_dilated'
    ]
    self.assertEqual(sizes[0], (29, 32))
    self.assertEqual(sizes[3], (14, 16))  # As ceil((29 - 3) / 2) + 1.
    self.assertEqual(sizes[6], (7, 8))  # As ceil((14 - 3) / 2) + 1.

  def test_refuses_an_unknown_form(self):
    with self.assertRaisesRegex(ValueError, 'choose one of: cifar, imagenet'):
      _net(form='mnist')

  def test_refuses_images_that_are_too_small(self):
    with self.assertRaisesRegex(
      layers.base.LayerError, '^mlpconv1_conv/conv: conv leaves no pixel'
    ):
      counting.shapes(_net(form='imagenet'), (8, 8, 3))


if __name__ == '__main__':
  absltest.main()
