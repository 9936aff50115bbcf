"""Residual blocks, and the stages that they form.

See He et al., 2016, https://arxiv.org/abs/1512.03385, and, for blocks that
normalize and activate first, He et al., 2016, https://arxiv.org/abs/1603.05027.
The scopes of a block are `conv1`, `norm1`, `activation1`, `conv2`, ... and the
same whatever its shortcut, whose own are `shortcut/conv` and `shortcut/norm`.
Its last activation is `activation`: what its output went through, or, with
preactivation, what its last convolution takes.
"""

from collections.abc import Callable
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

SHORTCUTS = ('none', 'identity', 'projection')


class Style(NamedTuple):
  """What all blocks of a network have in common.

  Attributes:
    activation: the layer of the activation.
    norm: one of `stack.NORMS`; without one, convolutions have a bias.
    shortcut: one of `SHORTCUTS`.
    preactivation: whether to normalize and activate before each convolution.
    residual_scale: of the branch beside a shortcut; it may be traced.
    shortcut_scale: of the shortcut; it may be traced.
    weight_init: of the convolutions.
    bias_init: of their biases; zeros if None.
  """

  activation: base.Layer
  norm: str
  shortcut: str
  preactivation: bool
  residual_scale: base.Scalar
  shortcut_scale: base.Scalar
  weight_init: initializers.Initializer
  bias_init: initializers.Initializer | None


class Convolution(NamedTuple):
  """One convolution of a block."""

  features: int
  kernel_size: int
  strides: int


Convolutions = tuple[Convolution, ...]


def basic(width: int, strides: int) -> Convolutions:
  """Two convolutions of 3x3."""
  return Convolution(width, 3, strides), Convolution(width, 3, 1)


def bottleneck(
  width: int, strides: int, *, stride_in_1x1: bool = False
) -> Convolutions:
  """1x1 to `width` channels, 3x3, and 1x1 to four times as many."""
  first, second = (strides, 1) if stride_in_1x1 else (1, strides)
  return (
    Convolution(width, 1, first),
    Convolution(width, 3, second),
    Convolution(4 * width, 1, 1),
  )


def stages(
  style: Style,
  convolutions: Callable[[int, int], Convolutions],
  width: int,
  counts: tuple[int, ...],
) -> dict[str, base.Layer]:
  """The units of all stages; from one to the next, channels double.

  Args:
    style: of all blocks.
    convolutions: of a block, from its width and its strides.
    width: of the first stage, and the channels that enter it.
    counts: how many blocks there are in each stage.

  Returns:
    For stage i, `stage{i}_first` if its first block changes the shape, then
    `stage{i}`, the blocks that are equal, repeated.

  Raises:
    ValueError: if the normalization or the shortcut is unknown.
  """
  choice.choose('shortcut', style.shortcut, dict.fromkeys(SHORTCUTS))
  found, in_features = {}, width
  for index, count in enumerate(counts):
    stage_width, strides = width * 2**index, 2 if index else 1
    first = convolutions(stage_width, strides)
    further = convolutions(stage_width, 1)
    features = further[-1].features
    if (features, strides) != (in_features, 1):
      found[f'stage{index + 1}_first'] = block(style, first, in_features)
      count -= 1
    if count:
      repeated = layers.repeat(block(style, further, features), count)
      found[f'stage{index + 1}'] = repeated
    in_features = features
  return found


def block(
  style: Style, convolutions: Convolutions, in_features: int
) -> base.Layer:
  """A residual block.

  Args:
    style: of all blocks of the network.
    convolutions: of the branch, in order.
    in_features: channels that enter; where they, or the resolution, change, the
      shortcut of style.shortcut is a layer, else it is the identity.

  Raises:
    ValueError: if the normalization is unknown.
  """
  shortcut = _shortcut(style, convolutions, in_features)
  if style.preactivation:
    return _preactivation_block(style, convolutions, shortcut)
  branch: dict[str, base.Layer] = {}
  for i, convolution in enumerate(convolutions, 1):
    branch[f'conv{i}'] = conv(style, convolution)
    branch |= stack.normalization(style.norm, f'norm{i}')
    if i < len(convolutions):
      branch[f'activation{i}'] = style.activation
  return layers.serial(
    _with_shortcut(style, branch, shortcut),
    style.activation,
    names=(None, 'activation'),
  )


def _preactivation_block(
  style: Style, convolutions: Convolutions, shortcut: base.Layer | None
) -> base.Layer:
  first, *others = convolutions
  before = {
    **stack.normalization(style.norm, 'norm1'),
    'activation1': style.activation,
  }
  branch: dict[str, base.Layer] = {'conv1': conv(style, first)}
  for i, convolution in enumerate(others, 2):
    name = f'activation{i}' if i < len(convolutions) else 'activation'
    branch |= stack.normalization(style.norm, f'norm{i}')
    branch[name] = style.activation
    branch[f'conv{i}'] = conv(style, convolution)
  if shortcut is None:
    return _with_shortcut(style, {**before, **branch}, None)
  return layers.serial(
    layers.named(before),
    _with_shortcut(style, branch, shortcut),
    names=(None, None),
  )


def conv(style: Style, convolution: Convolution) -> base.Layer:
  """A convolution padded by half its kernel, with a bias if without a norm."""
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
  style: Style, branch: dict[str, base.Layer], shortcut: base.Layer | None
) -> base.Layer:
  layer = layers.named(branch)
  if style.shortcut == 'none':
    return layer
  return layers.residual(
    layer,
    shortcut,
    scale=style.residual_scale,
    shortcut_scale=style.shortcut_scale,
  )


def _shortcut(
  style: Style, convolutions: Convolutions, in_features: int
) -> base.Layer | None:
  """The shortcut past a block that changes the shape; else None."""
  features = convolutions[-1].features
  strides = math.prod(convolution.strides for convolution in convolutions)
  if (features, strides) == (in_features, 1):
    return None
  if style.shortcut != 'projection':
    return subsample(features, strides)
  projection = {'conv': conv(style, Convolution(features, 1, strides))}
  if not style.preactivation:
    projection |= stack.normalization(style.norm)
  return layers.named(projection)


def subsample(features: int, strides: int) -> base.Layer:
  """Option A: each `strides`-th pixel, then channels of zeros to `features`.

  Args:
    features: channels of the output, no less than the input's.
    strides: step between the pixels that are kept.

  Raises:
    ValueError: in `init`, if there are fewer features than channels, or the
      input isn't an image.
  """

  def thin(x):
    x = x[:, ::strides, ::strides]
    added = features - x.shape[-1]
    return jnp.pad(x, [(0, 0), (0, 0), (0, 0), (0, added)])

  def init(key, in_shape):
    del key
    channels = linear.require_image('subsample', in_shape)[-1]
    if features < channels:
      raise ValueError(
        f'subsample has {features} features; they are no less than the '
        f'{channels} of its input.'
      )
    x = jax.ShapeDtypeStruct((1, *in_shape), jnp.float32)
    return jax.eval_shape(thin, x).shape[1:], (), ()

  def apply(params, state, x, *, train=False, key=None):
    del params, train, key
    with jax.named_scope('subsample'):
      return thin(x), state

  return base.Layer(init, apply)
