"""Tests for `vgg.py`: published sizes, and a network written by hand."""

from absl.testing import absltest
from absl.testing import parameterized
import jax
import jax.numpy as jnp
from jaxdl import layers
from jaxdl.models import vgg
import numpy as np

from tests.models import counting

_IMAGENET, _CIFAR = (224, 224, 3), (32, 32, 3)


def _net(depth, **kwargs):
  defaults = dict(num_classes=1000, activation=layers.activation('relu'))
  return vgg.vgg(depth=depth, **{**defaults, **kwargs})


def _cifar(depth, **kwargs):
  return _net(depth, form='cifar', **{'num_classes': 10, **kwargs})


class VggTest(parameterized.TestCase):
  # As torchvision states.
  @parameterized.parameters(
    (11, 'none', 132_863_336, 7_609_090_048),
    (11, 'batch', 132_868_840, 7_609_090_048),
    (13, 'none', 133_047_848, 11_308_466_176),
    (16, 'none', 138_357_544, 15_470_264_320),
    (16, 'batch', 138_365_992, 15_470_264_320),
  )
  def test_sizes_for_imagenet(
    self, depth, norm, num_params, num_multiplications
  ):
    net = _net(depth, norm=norm)
    params, _ = counting.shapes(net, _IMAGENET)
    self.assertEqual(counting.num_params(params), num_params)
    self.assertEqual(
      counting.num_multiplications(net, _IMAGENET), num_multiplications
    )

  @parameterized.parameters(
    (11, 9_225_610, 152_769_536),
    (13, 9_410_122, 228_267_008),
    (16, 14_719_818, 313_201_664),
    (19, 20_029_514, 398_136_320),
  )
  def test_sizes_for_cifar(self, depth, num_params, num_multiplications):
    net = _cifar(depth)
    params, _ = counting.shapes(net, _CIFAR)
    self.assertEqual(counting.num_params(params), num_params)
    self.assertEqual(
      counting.num_multiplications(net, _CIFAR), num_multiplications
    )

  @parameterized.parameters((11, 132_866_088), (16, 138_361_768))
  def test_bias_under_a_norm_is_optional(self, depth, num_params):
    net = _net(depth, norm='batch', use_bias=False)
    params, _ = counting.shapes(net, _IMAGENET)
    self.assertEqual(counting.num_params(params), num_params)

  def test_units_of_each_stage_end_with_a_pooling(self):
    net = _net(16, norm='batch')
    scopes = counting.scopes(net, _IMAGENET)
    params, _ = counting.shapes(net, _IMAGENET)
    stages = {1: 2, 2: 2, 3: 3, 4: 3, 5: 3}
    convs = [f'conv{s}_{i + 1}' for s in stages for i in range(stages[s])]
    self.assertEqual(list(params), [*convs, 'dense1', 'dense2', 'readout'])
    for unit in convs:
      pool = ['pool'] if stages[int(unit[4])] == int(unit[6]) else []
      self.assertEqual(
        counting.within(unit, scopes), ['conv', 'norm', 'activation', *pool]
      )

  def test_agrees_with_a_network_written_by_hand(self):
    net = _cifar(11, width=2)
    params, state = counting.drawn(net, _CIFAR)
    x = jax.random.normal(jax.random.key(1), (2, *_CIFAR))
    y, _ = jax.jit(net.apply)(params, state, x)

    h = x
    for unit, layer in list(params.items())[:-1]:
      conv = layer[0]
      h = jax.lax.conv_general_dilated(
        h, conv.w, (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
      )
      h = jnp.maximum(h + conv.b, 0)
      if unit not in ('conv3_1', 'conv4_1', 'conv5_1'):
        batch, height, width, channels = h.shape
        h = h.reshape(batch, height // 2, 2, width // 2, 2, channels)
        h = h.max(axis=(2, 4))
    self.assertEqual(h.shape, (2, 1, 1, 16))
    readout = params['readout'][1]
    expected = h[:, 0, 0] @ readout.w + readout.b
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)

  @parameterized.parameters(
    (dict(depth=12), 'no depth 12; possible: 11, 13, 16, 19'),
    (
      dict(form='mnist'),
      "Unknown form 'mnist'; choose one of: imagenet, cifar",
    ),
    (dict(width=0), 'width must be at least 1'),
    (dict(dropout_rate=1.0), r'in \[0, 1\); got 1.0'),
  )
  def test_refuses(self, kwargs, message):
    with self.assertRaisesRegex(ValueError, message):
      _net(**{'depth': 11, **kwargs})

  def test_refuses_images_that_are_too_small(self):
    with self.assertRaisesRegex(
      layers.base.LayerError,
      r'^conv5_2/pool: max_pool leaves no pixel: .* 2x2 .* \(1, 1, 512\)',
    ):
      counting.shapes(_net(depth=11), (16, 16, 3))


if __name__ == '__main__':
  absltest.main()
