"""The convolution itself, with derivatives that XLA's CPU backend runs fast.

XLA's CPU backend has a fast convolution that it does not always take.

It brings a convolution to the order of axes that its CPU library needs (images
NHWC, kernels HWIO) only outside loops, while the derivatives of a convolution
come in another order. Within the loops that train a network they would fall
back to plain loops over elements, ten times slower. Here the derivatives are
written in the library's order from the start.

It also falls back where an image is smaller than the kernel, up to a hundred
times slower. There, in training, a convolution is written as one matrix product
for each element of the kernel.
"""

from collections.abc import Sequence
import functools
import itertools
from typing import NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
from jaxdl.layers import base

_CANONICAL = ('NHWC', 'HWIO', 'NHWC')


class Geometry(NamedTuple):
  """What a convolution does beside its kernel; one number for each axis."""

  strides: tuple[int, int]
  padding: tuple[tuple[int, int], ...]
  dilation: tuple[int, int]


def convolve(
  x: base.Array,
  w: base.Array,
  *,
  strides: tuple[int, int],
  padding: str | Sequence[tuple[int, int]],
  dilation: tuple[int, int],
  feature_group_count: int,
  train: bool = False,
) -> base.Array:
  """Convolves images `[batch, height, width, in]` with kernels.

  Args:
    x: the images.
    w: the kernel, `[height, width, in / feature_group_count, out]`.
    strides: step between outputs.
    padding: 'SAME', 'VALID', or `(low, high)` for each axis.
    dilation: step between the elements of the kernel.
    feature_group_count: groups of channels, each convolved apart.
    train: whether small images may be convolved in another way, which no reader
      of the jaxpr takes for a convolution.

  Returns:
    `[batch, height, width, out]`.
  """
  if feature_group_count > 1 or jax.default_backend() != 'cpu':
    return lax.conv_general_dilated(
      x,
      w,
      strides,
      padding,
      rhs_dilation=dilation,
      dimension_numbers=_CANONICAL,
      feature_group_count=feature_group_count,
    )
  if isinstance(padding, str):
    extent = kernel_extents(w.shape[:2], dilation)
    padding = lax.padtype_to_pads(x.shape[1:3], extent, strides, padding)
  pads = tuple((int(low), int(high)) for low, high in padding)
  geometry = Geometry(strides, pads, dilation)
  if train and _is_small(geometry, x.shape, w.shape):
    return _by_elements(geometry, x, w)
  return _convolve(geometry, x, w)


def kernel_extents(
  kernel_size: Sequence[int], dilation: Sequence[int]
) -> tuple[int, ...]:
  """How far a dilated kernel reaches, along each axis."""
  return tuple(
    step * (size - 1) + 1
    for size, step in zip(kernel_size, dilation, strict=True)
  )


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _convolve(geometry: Geometry, x: base.Array, w: base.Array) -> base.Array:
  return lax.conv_general_dilated(
    x,
    w,
    geometry.strides,
    geometry.padding,
    rhs_dilation=geometry.dilation,
    dimension_numbers=_CANONICAL,
  )


def _jvp(geometry, primals, tangents):
  """Each part as the transpose of its own transpose.

  Reverse mode transposes what is written here, and so comes back to `_to_input`
  and `_to_kernel` in the order of axes that they are written in.
  """
  x, w = primals
  dx, dw = tangents
  y = _convolve(geometry, x, w)
  ct = jax.ShapeDtypeStruct(y.shape, y.dtype)
  parts = []
  if not base.is_zero_tangent(dx):
    to_input = functools.partial(_to_input, geometry, x.shape, w)
    parts += jax.linear_transpose(to_input, ct)(dx)
  if not base.is_zero_tangent(dw):
    to_kernel = functools.partial(_to_kernel, geometry, x, w.shape)
    parts += jax.linear_transpose(to_kernel, ct)(dw)
  return y, sum(parts[1:], parts[0]) if parts else jnp.zeros_like(y)


_convolve.defjvp(_jvp, symbolic_zeros=True)


def _to_input(geometry, in_shape, w, ct):
  """The cotangent of the images: `ct`, spread by the strides, over `w`."""
  padding = []
  sizes = zip(
    in_shape[1:3],
    ct.shape[1:3],
    kernel_extents(w.shape[:2], geometry.dilation),
    geometry.strides,
    geometry.padding,
    strict=True,
  )
  for size, out, extent, stride, (low, _) in sizes:
    before = extent - 1 - low
    spread = (out - 1) * stride + 1
    padding.append((before, size + extent - 1 - spread - before))
  return lax.conv_general_dilated(
    ct,
    lax.rev(w, (0, 1)).transpose(0, 1, 3, 2),
    (1, 1),
    padding,
    lhs_dilation=geometry.strides,
    rhs_dilation=geometry.dilation,
    dimension_numbers=_CANONICAL,
  )


def _to_kernel(geometry, x, w_shape, ct):
  """The cotangent of the kernel: the images under `ct`, summed over batch."""
  padding = []
  sizes = zip(
    x.shape[1:3],
    ct.shape[1:3],
    kernel_extents(w_shape[:2], geometry.dilation),
    geometry.strides,
    geometry.padding,
    strict=True,
  )
  for size, out, extent, stride, (low, _) in sizes:
    spread = (out - 1) * stride + 1
    padding.append((low, extent - 1 + spread - size - low))
  gradient = lax.conv_general_dilated(
    x.transpose(3, 1, 2, 0),  # Channels as the batch, the batch as channels.
    ct.transpose(1, 2, 0, 3),
    geometry.dilation,
    padding,
    rhs_dilation=geometry.strides,
    dimension_numbers=_CANONICAL,
  )
  return gradient.transpose(1, 2, 0, 3)


def _out_sizes(geometry, in_shape, w_shape) -> list[int]:
  """Height and width of the output."""
  extents = kernel_extents(w_shape[:2], geometry.dilation)
  sizes = zip(
    in_shape[1:3], geometry.padding, extents, geometry.strides, strict=True
  )
  return [
    (size + low + high - extent) // stride + 1
    for size, (low, high), extent, stride in sizes
  ]


def _is_small(geometry, in_shape, w_shape) -> bool:
  """Whether XLA's library is left, or no faster than matrix products."""
  extents = kernel_extents(w_shape[:2], geometry.dilation)
  outs = _out_sizes(geometry, in_shape, w_shape)
  return max(in_shape[1:3]) <= 4 or any(
    min(size, out) < extent
    for size, out, extent in zip(in_shape[1:3], outs, extents, strict=True)
  )


def _by_elements(geometry, x, w):
  """Adds up, for each element of the kernel, the products it has a part in."""
  outs = _out_sizes(geometry, x.shape, w.shape)
  y = jnp.zeros((len(x), *outs, w.shape[-1]), x.dtype)
  for element in itertools.product(*map(range, w.shape[:2])):
    sizes = zip(
      x.shape[1:3],
      outs,
      geometry.strides,
      element,
      geometry.dilation,
      geometry.padding,
      strict=True,
    )
    reached = [
      _reach(size, out, stride, index * step - low)
      for size, out, stride, index, step, (low, _) in sizes
    ]
    height, width = reached
    if height is not None and width is not None:
      (rows, rows_beside), (columns, columns_beside) = height, width
      product = x[:, rows, columns] @ w[element]
      y += jnp.pad(product, [(0, 0), rows_beside, columns_beside, (0, 0)])
  return y


def _reach(size, out, stride, offset) -> tuple[slice, tuple[int, int]] | None:
  """The pixels `r * stride + offset` that exist, for outputs r.

  Args:
    size: number of pixels.
    out: number of outputs.
    stride: of the convolution.
    offset: of the pixel under output 0.

  Returns:
    The pixels, and how many outputs before and after reach none; or None.
  """
  first = max(0, -(offset // stride))
  last = min(out - 1, (size - 1 - offset) // stride)
  if last < first:
    return None
  pixels = slice(first * stride + offset, last * stride + offset + 1, stride)
  return pixels, (first, out - 1 - last)
