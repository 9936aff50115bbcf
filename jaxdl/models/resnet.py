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

A block's last activation is `activation`: what its output went through, or,
with preactivation, what its last convolution takes. The scopes are the same
whatever the shortcut; `norm*` is absent without one.
"""

from collections.abc import Callable
import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxdl import choice
from jaxdl import layers
from jaxdl.layers import base
from jaxdl.layers import initializers
from jaxdl.layers import linear
from jaxdl.models import stack
from jaxdl.models import units

SHORTCUTS = ('none', 'identity', 'projection')


class _Style(NamedTuple):
  """What all blocks of a network have in common."""

  activation: base.Layer
  norm: str
  shortcut: str
  preactivation: bool
  residual_scale: base.Scalar
  weight_init: initializers.Initializer
  bias_init: initializers.Initializer | None


class _Convolution(NamedTuple):
  """One convolution of a block."""

  features: int
  kernel_size: int
  strides: int


_Convolutions = tuple[_Convolution, ...]


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
      block that changes the shape does so before its shortcut too; the other
      blocks, the first included, leave their shortcut as it is.
    stride_in_1x1: whether a bottleneck's stride is in its first convolution, as
      first published, rather than in its 3x3.
    stem_width: channels of the stem and the first stage.
    weight_init: of the convolutions and the readout; he by default.
    bias_init: of the same layers; zeros by default.
    residual_scale: of the branch beside a shortcut; it may be traced.

  Raises:
    ValueError: if a size is less than 1, or the depth or a name is unknown.
  """
  block, counts = _imagenet_blocks(depth)
  is_bottleneck = block is _bottleneck
  if stride_in_1x1 and not is_bottleneck:
    raise ValueError(
      f'stride_in_1x1 is for bottlenecks, depth 50, 101 or 152; depth is '
      f'{depth}: leave it out.'
    )
  if is_bottleneck:
    block = functools.partial(_bottleneck, stride_in_1x1=stride_in_1x1)
  base.require_positive('stem_width', stem_width)
  style = _style(
    activation,
    norm,
    shortcut,
    preactivation,
    residual_scale,
    weight_init,
    bias_init,
  )
  stem = {
    'conv': _conv(style, _Convolution(stem_width, 7, 2)),
    **stack.normalization(norm),
    'activation': activation,
    'pool': layers.max_pool(3, strides=2, padding=1),
  }
  return units.chain(
    {
      'stem': stack.named_serial(stem),
      **_stages(style, block, stem_width, counts),
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

  Raises:
    ValueError: if a size is less than 1, or the depth is not 6 n + 2, or a name
      is unknown.
  """
  if depth < 8 or depth % 6 != 2:
    raise ValueError(
      f'The depth of a ResNet for CIFAR is 6 n + 2 (8, 14, 20, 26, 32, ...), '
      f'got {depth}.'
    )
  base.require_positive('stem_width', stem_width)
  style = _style(
    activation,
    norm,
    shortcut,
    preactivation,
    residual_scale,
    weight_init,
    bias_init,
  )
  conv = _conv(style, _Convolution(stem_width, 3, 1))
  if preactivation:
    stem = stack.named_serial({'conv': conv})
  else:
    stem = stack.block('conv', conv, norm, activation)
  return units.chain(
    {
      'stem': stem,
      **_stages(style, _basic, stem_width, (depth // 6,) * 3),
      'readout': _readout(style, num_classes),
    }
  )


def _style(
  activation,
  norm,
  shortcut,
  preactivation,
  residual_scale,
  weight_init,
  bias_init,
) -> _Style:
  choice.choose('shortcut', shortcut, dict.fromkeys(SHORTCUTS))
  return _Style(
    activation,
    norm,
    shortcut,
    preactivation,
    residual_scale,
    weight_init or initializers.he(),
    bias_init,
  )


def _basic(width: int, strides: int) -> _Convolutions:
  return _Convolution(width, 3, strides), _Convolution(width, 3, 1)


def _bottleneck(
  width: int, strides: int, *, stride_in_1x1: bool = False
) -> _Convolutions:
  first, second = (strides, 1) if stride_in_1x1 else (1, strides)
  return (
    _Convolution(width, 1, first),
    _Convolution(width, 3, second),
    _Convolution(4 * width, 1, 1),
  )


def _imagenet_blocks(
  depth: int,
) -> tuple[Callable[..., _Convolutions], tuple[int, ...]]:
  """The kind of block, and how many there are in each stage."""
  table: dict[int, tuple[Callable[..., _Convolutions], tuple[int, ...]]] = {
    18: (_basic, (2, 2, 2, 2)),
    34: (_basic, (3, 4, 6, 3)),
    50: (_bottleneck, (3, 4, 6, 3)),
    101: (_bottleneck, (3, 4, 23, 3)),
    152: (_bottleneck, (3, 8, 36, 3)),
  }
  if depth not in table:
    raise ValueError(
      f'The depth of a ResNet for ImageNet is one of '
      f'{", ".join(map(str, table))}, got {depth}.'
    )
  return table[depth]


def _stages(
  style: _Style,
  block: Callable[..., _Convolutions],
  width: int,
  counts: tuple[int, ...],
) -> dict[str, base.Layer]:
  """The units between stem and readout; `width` channels enter."""
  stages, in_features = {}, width
  for index, count in enumerate(counts):
    stage_width, strides = width * 2**index, min(index, 1) + 1
    first, further = block(stage_width, strides), block(stage_width, 1)
    features = further[-1].features
    if (features, strides) != (in_features, 1):
      stages[f'stage{index + 1}_first'] = _block(style, first, in_features)
      count -= 1
    if count:
      repeated = layers.repeat(_block(style, further, features), count)
      stages[f'stage{index + 1}'] = repeated
    in_features = features
  return stages


def _readout(style: _Style, num_classes: int) -> base.Layer:
  """Average, then dense; its output is what is measured, the logits."""
  base.require_positive('num_classes', num_classes)
  last = {}
  if style.preactivation:
    last = {**stack.normalization(style.norm), 'activation1': style.activation}
  dense = layers.dense(
    num_classes, weight_init=style.weight_init, bias_init=style.bias_init
  )
  return stack.named_serial(
    {**last, 'pool': layers.global_avg_pool(), 'dense': dense}
  )


def _block(
  style: _Style, convolutions: _Convolutions, in_features: int
) -> base.Layer:
  shortcut = _shortcut(style, convolutions, in_features)
  if style.preactivation:
    return _preactivation_block(style, convolutions, shortcut)
  branch: dict[str, base.Layer] = {}
  for i, convolution in enumerate(convolutions, 1):
    branch[f'conv{i}'] = _conv(style, convolution)
    branch |= stack.normalization(style.norm, f'norm{i}')
    if i < len(convolutions):
      branch[f'activation{i}'] = style.activation
  return _compose(
    _with_shortcut(style, branch, shortcut),
    layers.scope('activation', style.activation),
  )


def _preactivation_block(
  style: _Style, convolutions: _Convolutions, shortcut: base.Layer | None
) -> base.Layer:
  first, *others = convolutions
  before = {
    **stack.normalization(style.norm, 'norm1'),
    'activation1': style.activation,
  }
  branch: dict[str, base.Layer] = {'conv1': _conv(style, first)}
  for i, convolution in enumerate(others, 2):
    name = f'activation{i}' if i < len(convolutions) else 'activation'
    branch |= stack.normalization(style.norm, f'norm{i}')
    branch[name] = style.activation
    branch[f'conv{i}'] = _conv(style, convolution)
  if shortcut is None:
    return _with_shortcut(style, {**before, **branch}, None)
  return _compose(
    stack.named_serial(before), _with_shortcut(style, branch, shortcut)
  )


def _conv(style: _Style, convolution: _Convolution) -> base.Layer:
  return layers.conv(
    convolution.features,
    convolution.kernel_size,
    strides=convolution.strides,
    padding=convolution.kernel_size // 2,
    weight_init=style.weight_init,
    bias_init=style.bias_init,
    use_bias=style.norm == 'none',
  )


def _with_shortcut(
  style: _Style, branch: dict[str, base.Layer], shortcut: base.Layer | None
) -> base.Layer:
  layer = stack.named_serial(branch)
  if style.shortcut == 'none':
    return layer
  return layers.residual(layer, shortcut, scale=style.residual_scale)


def _shortcut(
  style: _Style, convolutions: _Convolutions, in_features: int
) -> base.Layer | None:
  """The shortcut past a block that changes the shape; else None."""
  features = convolutions[-1].features
  strides = math.prod(convolution.strides for convolution in convolutions)
  if (features, strides) == (in_features, 1):
    return None
  if style.shortcut != 'projection':
    return _subsample(features, strides)
  projection = {'conv': _conv(style, _Convolution(features, 1, strides))}
  if not style.preactivation:
    projection |= stack.normalization(style.norm)
  return stack.named_serial(projection)


def _subsample(features: int, strides: int) -> base.Layer:
  """Option A: each `strides`-th pixel, then channels of zeros to `features`."""

  def subsample(x):
    x = x[:, ::strides, ::strides]
    added = features - x.shape[-1]
    return jnp.pad(x, [(0, 0), (0, 0), (0, 0), (0, added)])

  def init(key, in_shape):
    del key
    linear.require_image('subsample', in_shape)
    x = jax.ShapeDtypeStruct((1, *in_shape), jnp.float32)
    return jax.eval_shape(subsample, x).shape[1:], (), ()

  def apply(params, state, x, *, train=False, key=None):
    del params, train, key
    with jax.named_scope('subsample'):
      return subsample(x), state

  return base.Layer(init, apply)


def _compose(*parts: base.Layer) -> base.Layer:
  """`layers.serial` of layers that keep the scopes they have."""

  def init(key, in_shape):
    shape, params, state = in_shape, [], []
    for index, part in enumerate(parts):
      shape, part_params, part_state = part.init(
        jax.random.fold_in(key, index), shape
      )
      params.append(part_params)
      state.append(part_state)
    return shape, tuple(params), tuple(state)

  def apply(params, state, x, *, train=False, key=None):
    new_state = []
    children = zip(parts, params, state, strict=True)
    for index, (part, part_params, part_state) in enumerate(children):
      child_key = None if key is None else jax.random.fold_in(key, index)
      x, part_state = part.apply(
        part_params, part_state, x, train=train, key=child_key
      )
      new_state.append(part_state)
    return x, tuple(new_state)

  return base.Layer(init, apply)
