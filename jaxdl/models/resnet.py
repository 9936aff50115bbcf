"""Residual networks for ImageNet and for CIFAR, and their plain counterparts.

See He et al., 2016, https://arxiv.org/abs/1512.03385, and, for blocks that
normalize and activate first, He et al., 2016, https://arxiv.org/abs/1603.05027.
Units: a block that changes the shape is one, and all equal blocks after it are
one more, repeated. Scopes, where `->` marks the scan over blocks:

  stem/conv, stem/norm, stem/activation, stem/pool
  stage2_first/conv1, .../norm1, .../activation1, .../conv2, .../norm2,
  stage2_first/shortcut/conv, .../shortcut/norm, stage2_first/activation
  stage2 -> layer/conv1, ..., layer/norm2, layer/activation
  readout/pool, readout/dense

`jaxdl.models.residual` has the blocks. `norm*` is absent without one.
"""

from collections.abc import Callable
import functools

from jaxdl import layers
from jaxdl.layers import base
from jaxdl.layers import initializers
from jaxdl.models import residual
from jaxdl.models import stack
from jaxdl.models import units

SHORTCUTS = residual.SHORTCUTS


def resnet(
  *,
  depth: int,
  num_classes: int,
  activation: base.Layer,
  norm: str = 'batch',
  shortcut: str = 'projection',
  preactivation: bool = False,
  stride_in_1x1: bool = False,
  stem_width: int = 64,
  weight_init: initializers.Initializer | None = None,
  bias_init: initializers.Initializer | None = None,
  residual_scale: base.Scalar = 1.0,
  shortcut_scale: base.Scalar = 1.0,
) -> base.Layer:
  """The ResNet for ImageNet, from `[height, width, channels]` to logits.

  A convolution of 7x7 and a pooling, four stages of blocks whose channels
  double as the resolution halves, and a readout from the average over space.

  Args:
    depth: 18 and 34 have blocks of two 3x3 convolutions; 50, 101 and 152 have
      bottlenecks of 1x1, 3x3 and 1x1.
    num_classes: number of logits.
    activation: layer of the activation, such as `layers.activation('relu')`.
    norm: one of `stack.NORMS`; without one, convolutions have a bias.
    shortcut: 'projection' is option B, a 1x1 convolution where the shape
      changes; 'identity' is option A, which subsamples and adds channels of
      zeros there; 'none' is the plain network of the same layers.
    preactivation: normalize and activate before each convolution of a block. A
      block that changes the shape does so before its shortcut too; the others,
      the network's first block among them, leave their shortcut as it is.
    stride_in_1x1: whether a bottleneck's stride is in its first convolution, as
      first published, rather than in its 3x3.
    stem_width: channels of the stem and the first stage.
    weight_init: of the convolutions and the readout; he by default.
    bias_init: of the same layers; zeros by default.
    residual_scale: of the branch beside a shortcut; it may be traced.
    shortcut_scale: of the shortcut; it may be traced.

  Raises:
    ValueError: if a size is less than 1, or the depth or a name is unknown.
  """
  convolutions, counts = _imagenet_blocks(depth, stride_in_1x1)
  base.require_positive('stem_width', stem_width)
  style = residual.Style(
    activation=activation,
    norm=norm,
    shortcut=shortcut,
    preactivation=preactivation,
    residual_scale=residual_scale,
    shortcut_scale=shortcut_scale,
    weight_init=weight_init or initializers.he(),
    bias_init=bias_init,
  )
  stem = {
    'conv': residual.conv(style, residual.Convolution(stem_width, 7, 2)),
    **stack.normalization(norm),
    'activation': activation,
    'pool': layers.max_pool(3, strides=2, padding=1),
  }
  return units.chain(
    {
      'stem': layers.named(stem),
      **residual.stages(style, convolutions, stem_width, counts),
      'readout': _readout(style, num_classes),
    }
  )


def resnet_cifar(
  *,
  depth: int,
  num_classes: int,
  activation: base.Layer,
  norm: str = 'batch',
  shortcut: str = 'identity',
  preactivation: bool = False,
  stem_width: int = 16,
  weight_init: initializers.Initializer | None = None,
  bias_init: initializers.Initializer | None = None,
  residual_scale: base.Scalar = 1.0,
  shortcut_scale: base.Scalar = 1.0,
) -> base.Layer:
  """The ResNet for CIFAR, from `[height, width, channels]` to logits.

  A convolution of 3x3, three stages of n blocks of two 3x3 convolutions each,
  whose channels double as the resolution halves, and a readout from the average
  over space. With preactivation the stem is the convolution alone.

  Args:
    depth: 6 n + 2.
    num_classes: number of logits.
    activation: layer of the activation, such as `layers.activation('relu')`.
    norm: one of `stack.NORMS`; without one, convolutions have a bias.
    shortcut: as in `resnet`.
    preactivation: as in `resnet`.
    stem_width: channels of the stem and the first stage.
    weight_init: of the convolutions and the readout; he by default.
    bias_init: of the same layers; zeros by default.
    residual_scale: of the branch beside a shortcut; it may be traced.
    shortcut_scale: of the shortcut; it may be traced.

  Raises:
    ValueError: if a size is less than 1, or the depth is not 6 n + 2, or a name
      is unknown.
  """
  if depth < 8 or depth % 6 != 2:
    raise ValueError(
      'The depth of a ResNet for CIFAR is 6 n + 2 (8, 14, 20, 26, 32, ...), '
      f'got {depth}.'
    )
  base.require_positive('stem_width', stem_width)
  style = residual.Style(
    activation=activation,
    norm=norm,
    shortcut=shortcut,
    preactivation=preactivation,
    residual_scale=residual_scale,
    shortcut_scale=shortcut_scale,
    weight_init=weight_init or initializers.he(),
    bias_init=bias_init,
  )
  conv = residual.conv(style, residual.Convolution(stem_width, 3, 1))
  if preactivation:
    stem = layers.named({'conv': conv})
  else:
    stem = stack.block('conv', conv, norm, activation)
  return units.chain(
    {
      'stem': stem,
      **residual.stages(style, residual.basic, stem_width, (depth // 6,) * 3),
      'readout': _readout(style, num_classes),
    }
  )


def _imagenet_blocks(
  depth: int, stride_in_1x1: bool
) -> tuple[Callable[[int, int], residual.Convolutions], tuple[int, ...]]:
  """The convolutions of a block, and how many blocks each stage has."""
  basic = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
  bottlenecks = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
  if depth not in basic | bottlenecks:
    raise ValueError(
      'The depth of a ResNet for ImageNet is one of '
      f'{", ".join(map(str, basic | bottlenecks))}, got {depth}.'
    )
  if depth in bottlenecks:
    return (
      functools.partial(residual.bottleneck, stride_in_1x1=stride_in_1x1),
      bottlenecks[depth],
    )
  if stride_in_1x1:
    raise ValueError(
      'stride_in_1x1 is for bottlenecks, depth 50, 101 or 152; depth is '
      f'{depth}: leave it out.'
    )
  return residual.basic, basic[depth]


def _readout(style: residual.Style, num_classes: int) -> base.Layer:
  """Average, then dense; what is measured is its output, the logits."""
  base.require_positive('num_classes', num_classes)
  first: dict[str, base.Layer] = {}
  if style.preactivation:
    first = {**stack.normalization(style.norm), 'activation1': style.activation}
  dense = layers.dense(
    num_classes, weight_init=style.weight_init, bias_init=style.bias_init
  )
  return layers.named(
    {**first, 'pool': layers.global_avg_pool(), 'dense': dense}
  )
