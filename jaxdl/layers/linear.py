"""Affine layers: dense and convolution; and flatten, which leads to them."""

from collections.abc import Sequence
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxdl.layers import base
from jaxdl.layers import initializers

Padding = str | int | Sequence[tuple[int, int]]


class DenseParams(NamedTuple):
  """Params of a dense layer."""

  w: base.Array  # [in, out]
  b: base.Array | tuple[()]  # [out], or () without a bias


class ConvParams(NamedTuple):
  """Params of a convolution."""

  w: base.Array  # [height, width, in / feature_group_count, out]
  b: base.Array | tuple[()]  # [out], or () without a bias


def dense(
  features: int,
  *,
  weight_init: initializers.Initializer | None = None,
  bias_init: initializers.Initializer | None = None,
  use_bias: bool = True,
) -> base.Layer:
  """An affine map of the last axis, from `[..., in]` to `[..., features]`.

  Args:
    features: size of the output.
    weight_init: of the weights `[in, features]`; lecun by default.
    bias_init: of the bias `[features]`; zeros by default.
    use_bias: whether there is a bias.

  Raises:
    ValueError: if there are no features.
  """
  base.require_positive('features', features)
  weight_init = weight_init or initializers.lecun()
  bias_init = bias_init or initializers.zeros()

  def init(key, in_shape):
    w_key, b_key = jax.random.split(key)
    w = weight_init(w_key, (in_shape[-1], features))
    b = bias_init(b_key, (features,)) if use_bias else ()
    return (*in_shape[:-1], features), DenseParams(w, b), ()

  def apply(params, state, x, *, train=False, key=None):
    del train, key
    with jax.named_scope('dense'):
      y = x @ params.w
      return (y + params.b if use_bias else y), state

  return base.Layer(init, apply)


def conv(
  features: int,
  kernel_size: int | tuple[int, int] = 3,
  *,
  strides: int | tuple[int, int] = 1,
  padding: Padding = 'SAME',
  dilation: int | tuple[int, int] = 1,
  feature_group_count: int = 1,
  weight_init: initializers.Initializer | None = None,
  bias_init: initializers.Initializer | None = None,
  use_bias: bool = True,
) -> base.Layer:
  """A convolution of images, `[batch, height, width, in]`.

  Args:
    features: channels of the output.
    kernel_size: height and width of the kernel.
    strides: step between outputs.
    padding: 'SAME', 'VALID', one number, or `(low, high)` for each axis.
    dilation: step between the elements of the kernel.
    feature_group_count: groups of channels, each convolved apart.
    weight_init: of the kernel, lecun by default.
    bias_init: of the bias `[features]`; zeros by default.
    use_bias: whether there is a bias.

  Raises:
    ValueError: if there are no features, or the groups don't divide them, or
      the input isn't an image.
  """
  base.require_positive('features', features)
  weight_init = weight_init or initializers.lecun()
  bias_init = bias_init or initializers.zeros()

  def convolve(x, w):
    return jax.lax.conv_general_dilated(
      x,
      w,
      pair(strides),
      pads(padding),
      rhs_dilation=pair(dilation),
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
      feature_group_count=feature_group_count,
    )

  def init(key, in_shape):
    channels = require_image('conv', in_shape)[-1]
    _require_groups(feature_group_count, channels, features)
    w_shape = (*pair(kernel_size), channels // feature_group_count, features)
    w_key, b_key = jax.random.split(key)
    w = weight_init(w_key, w_shape)
    b = bias_init(b_key, (features,)) if use_bias else ()
    x = jax.ShapeDtypeStruct((1, *in_shape), w.dtype)
    out_shape = jax.eval_shape(convolve, x, w).shape[1:]
    return out_shape, ConvParams(w, b), ()

  def apply(params, state, x, *, train=False, key=None):
    del train, key
    with jax.named_scope('conv'):
      y = convolve(x, params.w)
      return (y + params.b if use_bias else y), state

  return base.Layer(init, apply)


def flatten() -> base.Layer:
  """Makes one axis of all but the batch: `[batch, ...]` to `[batch, size]`."""

  def init(key, in_shape):
    del key
    return (math.prod(in_shape),), (), ()

  def apply(params, state, x, *, train=False, key=None):
    del params, train, key
    with jax.named_scope('flatten'):
      return jnp.reshape(x, (x.shape[0], -1)), state

  return base.Layer(init, apply)


def pair(size: int | tuple[int, int]) -> tuple[int, int]:
  """Returns height and width, where one number stands for both."""
  return (size, size) if isinstance(size, int) else size


def pads(padding: Padding) -> str | Sequence[tuple[int, int]]:
  """Returns padding as `jax.lax` takes it, where a number means all sides."""
  return [(padding, padding)] * 2 if isinstance(padding, int) else padding


def require_image(name: str, in_shape: base.Shape) -> base.Shape:
  """Returns the shape of an image.

  Raises:
    ValueError: if it isn't `[height, width, channels]`.
  """
  if len(in_shape) != 3:
    raise ValueError(
      f'{name} takes images [height, width, channels], got shape {in_shape}.'
    )
  return in_shape


def _require_groups(groups: int, channels: int, features: int) -> None:
  if channels % groups or features % groups:
    raise ValueError(
      f'feature_group_count {groups} must divide the channels {channels} and '
      f'the features {features}.'
    )
