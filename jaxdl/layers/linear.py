"""Affine layers: dense and convolution; and flatten, which leads to them."""

from collections.abc import Sequence
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxdl.layers import base
from jaxdl.layers import convolution
from jaxdl.layers import initializers
from jaxdl.layers import product

Padding = str | int | Sequence[tuple[int, int]]

_PADDINGS = ('SAME', 'VALID')


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
      y = product.matmul(x, params.w)
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
    ValueError: if a size is less than 1, or the groups don't divide the
      features, or the input isn't an image, or no pixel would come out.
  """
  base.require_positive('features', features)
  require_window(kernel_size, strides, padding)
  require_positive_pair('dilation', dilation)
  base.require_positive('feature_group_count', feature_group_count)
  weight_init = weight_init or initializers.lecun()
  bias_init = bias_init or initializers.zeros()

  def convolve(x, w, train=False):
    return convolution.convolve(
      x,
      w,
      strides=pair(strides),
      padding=pads(padding),
      dilation=pair(dilation),
      feature_group_count=feature_group_count,
      train=train,
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
    extent = convolution.kernel_extents(w_shape[:2], pair(dilation))
    require_pixels('conv', out_shape, in_shape, extent, padding)
    return out_shape, ConvParams(w, b), ()

  def apply(params, state, x, *, train=False, key=None):
    del key
    with jax.named_scope('conv'):
      dtype = jnp.result_type(x, params.w)
      y = convolve(x.astype(dtype), params.w.astype(dtype), train)
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
  """Returns padding as `jax.lax` takes it, where a number means all sides.

  Raises:
    ValueError: if an axis has one number.
  """
  if isinstance(padding, int):
    return [(padding, padding)] * 2
  if not isinstance(padding, str) and any(isinstance(p, int) for p in padding):
    raise ValueError(
      f'padding is {padding!r}; give SAME, VALID, one number for all sides, or '
      '(low, high) for each axis, as in ((1, 1), (2, 2)).'
    )
  return padding


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


def require_positive_pair(name: str, size: int | tuple[int, int]) -> None:
  """Demands a size of at least 1 along height and width.

  Raises:
    ValueError: if it is less.
  """
  if min(pair(size)) < 1:
    raise ValueError(f'{name} must be at least 1, got {size}.')


def require_window(
  window: int | tuple[int, int],
  strides: int | tuple[int, int],
  padding: Padding,
) -> None:
  """Demands sizes that a window over images can have.

  Raises:
    ValueError: if a size is less than 1, or the padding has an unknown name.
  """
  require_positive_pair('window', window)
  require_positive_pair('strides', strides)
  if isinstance(padding, str) and padding not in _PADDINGS:
    raise ValueError(
      f'Unknown padding {padding!r}; choose one of: {", ".join(_PADDINGS)}, a '
      'number of pixels, or (low, high) for height and for width.'
    )


def require_pixels(
  name: str,
  out_shape: base.Shape,
  in_shape: base.Shape,
  window: Sequence[int],
  padding: Padding,
) -> None:
  """Demands that a window over an image leaves at least one pixel.

  Args:
    name: of the layer, for the message.
    out_shape: of the layer.
    in_shape: of the layer.
    window: height and width that it spans, dilation included.
    padding: of the layer.

  Raises:
    ValueError: if the output has no pixel.
  """
  if min(out_shape[:2]) < 1:
    height, width = window
    raise ValueError(
      f'{name} leaves no pixel: a window of {height}x{width} with padding '
      f'{padding!r} does not fit the image {in_shape}; give larger images, a '
      'smaller window or more padding.'
    )


def _require_groups(groups: int, channels: int, features: int) -> None:
  if channels % groups or features % groups:
    raise ValueError(
      f'feature_group_count {groups} must divide the channels {channels} and '
      f'the features {features}.'
    )
