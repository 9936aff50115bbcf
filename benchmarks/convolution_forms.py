"""Formulations of a 3x3 convolution of stride 1 with 'SAME' padding.

All compute the same: the output, the gradient of the input and the gradient of
the kernel, for as many channels as the images have.
"""

from collections.abc import Callable
import functools
from typing import NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
from jaxdl import layers

Array = jax.Array

_TAPS = tuple((i, j) for i in range(3) for j in range(3))


class Formulation(NamedTuple):
  """A way to compute a convolution; its images have the axes of `layout`."""

  forward: Callable[[Array, Array], Array]  # Of images and kernel.
  input_gradient: Callable[[Array, Array], Array]  # Of cotangent and kernel.
  kernel_gradient: Callable[[Array, Array], Array]  # Of images and cotangent.
  layout: str = 'NHWC'


def jaxdl() -> Formulation:
  """What the library does."""

  def forward(x, kernel):
    conv = layers.conv(kernel.shape[-1], use_bias=False)
    return conv.apply(layers.ConvParams(kernel, ()), (), x)[0]

  return _by_autodiff(forward, 'NHWC')


def by_lax(layout: str) -> Formulation:
  """What `jax.lax` does, in a layout of the images."""

  def forward(x, kernel):
    numbers = (layout, 'HWIO', layout)
    return lax.conv_general_dilated(
      x, kernel, (1, 1), 'SAME', dimension_numbers=numbers
    )

  return _by_autodiff(forward, layout)


def chunks(size: int = 8) -> Formulation:
  """What the library does, the kernel's gradient summed over small batches.

  Their images stay in a core's cache.

  Args:
    size: examples of a small batch; the batch is a multiple of it.
  """
  whole = jaxdl()

  def kernel_gradient(x, cotangent):
    def add(total, pair):
      return total + whole.kernel_gradient(*pair), None

    stacks = [y.reshape(-1, size, *y.shape[1:]) for y in (x, cotangent)]
    zeros = jnp.zeros((3, 3, x.shape[-1], cotangent.shape[-1]), x.dtype)
    return lax.scan(add, zeros, stacks)[0]

  return whole._replace(kernel_gradient=kernel_gradient)


def patches() -> Formulation:
  """One matrix product of all that each pixel's window holds: im2col."""

  def unfolded(x):
    return jnp.concatenate(_shifts(x), axis=-1)

  def forward(x, kernel):
    return unfolded(x) @ kernel.reshape(-1, kernel.shape[-1])

  def kernel_gradient(x, cotangent):
    product = _over_pixels(unfolded(x), cotangent)
    return product.reshape(3, 3, x.shape[-1], -1)

  return _by_products(forward, kernel_gradient)


def rows() -> Formulation:
  """One matrix product a row of the kernel."""

  def unfolded(x):
    shifts = _shifts(x)
    return [jnp.concatenate(shifts[i : i + 3], axis=-1) for i in (0, 3, 6)]

  def forward(x, kernel):
    flat = kernel.reshape(3, -1, kernel.shape[-1])
    products = [row @ flat[i] for i, row in enumerate(unfolded(x))]
    return functools.reduce(jnp.add, products)

  def kernel_gradient(x, cotangent):
    products = [_over_pixels(row, cotangent) for row in unfolded(x)]
    return jnp.stack(products).reshape(3, 3, x.shape[-1], -1)

  return _by_products(forward, kernel_gradient)


def shifts() -> Formulation:
  """One matrix product a tap of the kernel, of shifted and padded images."""

  def forward(x, kernel):
    pairs = zip(_shifts(x), _TAPS, strict=True)
    return functools.reduce(jnp.add, [s @ kernel[tap] for s, tap in pairs])

  def kernel_gradient(x, cotangent):
    products = [_over_pixels(shifted, cotangent) for shifted in _shifts(x)]
    return jnp.stack(products).reshape(3, 3, *products[0].shape)

  return _by_products(forward, kernel_gradient)


def taps() -> Formulation:
  """One matrix product a tap, of only the pixels that it brings together.

  Spares the products with padding, which are 5 in 9 for images of 2x2.
  """

  def forward(x, kernel):
    size, parts = x.shape[1:3], []
    for tap in _TAPS:
      (high, wide), source = _overlap(tap, size)
      padding = [
        (s.start, n - s.stop) for s, n in zip((high, wide), size, strict=True)
      ]
      product = x[:, *source] @ kernel[tap]
      parts.append(jnp.pad(product, [(0, 0), *padding, (0, 0)]))
    return functools.reduce(jnp.add, parts)

  def kernel_gradient(x, cotangent):
    products = []
    for tap in _TAPS:
      target, source = _overlap(tap, x.shape[1:3])
      products.append(_over_pixels(x[:, *source], cotangent[:, *target]))
    return jnp.stack(products).reshape(3, 3, *products[0].shape)

  return _by_products(forward, kernel_gradient)


FORMULATIONS: dict[str, Callable[[], Formulation]] = {
  'jaxdl': jaxdl,
  'lax_nhwc': functools.partial(by_lax, 'NHWC'),
  'lax_nchw': functools.partial(by_lax, 'NCHW'),
  'chunks': chunks,
  'patches': patches,
  'rows': rows,
  'shifts': shifts,
  'taps': taps,
}


def _by_autodiff(
  forward: Callable[[Array, Array], Array], layout: str
) -> Formulation:
  def input_gradient(cotangent, kernel):
    x = jnp.zeros_like(cotangent)  # Its values don't enter.
    return jax.vjp(lambda x: forward(x, kernel), x)[1](cotangent)[0]

  def kernel_gradient(x, cotangent):
    channels = x.shape[layout.index('C')]
    kernel = jnp.zeros((3, 3, channels, channels), x.dtype)
    return jax.vjp(functools.partial(forward, x), kernel)[1](cotangent)[0]

  return Formulation(forward, input_gradient, kernel_gradient, layout)


def _by_products(forward, kernel_gradient) -> Formulation:
  def input_gradient(cotangent, kernel):
    turned = jnp.swapaxes(kernel[::-1, ::-1], 2, 3)
    return forward(cotangent, turned)

  return Formulation(forward, input_gradient, kernel_gradient)


def _shifts(x: Array) -> list[Array]:
  """What each tap of the kernel sees, `[b, h, w, c]` each."""
  height, width = x.shape[1:3]
  padded = jnp.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
  return [padded[:, i : i + height, j : j + width] for i, j in _TAPS]


def _over_pixels(x: Array, cotangent: Array) -> Array:
  """Sums products of channels over all pixels of all images."""
  flat = [y.reshape(-1, y.shape[-1]) for y in (x, cotangent)]
  return flat[0].T @ flat[1]


def _overlap(
  tap: tuple[int, int], size: tuple[int, ...]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
  """The outputs that a tap reaches within the image, and their inputs."""
  target, source = [], []
  for index, extent in zip(tap, size, strict=True):
    offset = index - 1
    target.append(slice(max(0, -offset), extent - max(0, offset)))
    source.append(slice(max(0, offset), extent - max(0, -offset)))
  return tuple(target), tuple(source)
