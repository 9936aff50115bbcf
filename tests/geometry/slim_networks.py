"""The networks of TF-Slim whose receptive fields were published.

As in tensorflow/models, research/slim/nets: `alexnet_v2` has no padding at its
first convolution and its pools; the residual network strides in the last unit
of each block, and pads its strided convolutions alike on both sides.
"""

from jaxdl import layers
from jaxdl.models import units

_VGG = {
  'vgg_a': (1, 1, 2, 2, 2),
  'vgg_16': (2, 2, 3, 3, 3),
}
_VGG_FEATURES = (64, 128, 256, 512, 512)
_RESNET_50 = ((64, 3, 2), (128, 4, 2), (256, 6, 2), (512, 3, 1))


def build(name):
  """Returns the network called `name`, up to its last pooling or block."""
  if name in _VGG:
    return _vgg(_VGG[name])
  return {'alexnet_v2': _alexnet, 'resnet_v1_50': _resnet}[name]()


def _alexnet():
  return units.chain(
    {
      'conv1': layers.conv(64, 11, strides=4, padding='VALID'),
      'pool1': layers.max_pool(3, 2),
      'conv2': layers.conv(192, 5),
      'pool2': layers.max_pool(3, 2),
      'conv3': layers.conv(384, 3),
      'conv4': layers.conv(384, 3),
      'conv5': layers.conv(256, 3),
      'pool5': layers.max_pool(3, 2),
    }
  )


def _vgg(counts):
  chain = {}
  groups = zip(counts, _VGG_FEATURES, strict=True)
  for group, (count, features) in enumerate(groups, start=1):
    for index in range(1, count + 1):
      chain[f'conv{group}/conv{group}_{index}'] = layers.conv(features, 3)
    chain[f'pool{group}'] = layers.max_pool(2)
  return units.chain(chain)


def _resnet():
  chain = {
    'conv1': layers.conv(64, 7, strides=2, padding=3),
    'pool1': layers.max_pool(3, 2, 'SAME'),
  }
  width = 64
  for number, (features, count, strides) in enumerate(_RESNET_50, start=1):
    block = []
    for index in range(count):
      unit_strides = strides if index == count - 1 else 1
      block.append(_bottleneck(width, features, unit_strides))
      width = 4 * features
    chain[f'block{number}'] = layers.serial(*block)
  return units.chain(chain)


def _bottleneck(width, features, strides):
  branch = layers.serial(
    layers.conv(features, 1),
    layers.activation('relu'),
    layers.conv(features, 3, strides=strides, padding=1),
    layers.batch_norm(),
    layers.activation('relu'),
    layers.conv(4 * features, 1),
  )
  if width != 4 * features:
    shortcut = layers.conv(4 * features, 1, strides=strides)
  else:
    shortcut = layers.max_pool(1, strides) if strides > 1 else None
  return layers.residual(branch, shortcut)
