"""Pooling of images, `[batch, height, width, channels]`."""

from collections.abc import Callable, Iterator
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxdl import choice
from jaxdl.layers import base
from jaxdl.layers import linear
import numpy as np

_Window = int | tuple[int, int]

# Stands for infinity in derivatives; 2^27 of it still have a finite sum.
_LARGE = 2.0**100


class LpPoolParams(NamedTuple):
  """Params of Lp pooling whose exponent is learned."""

  excess: base.Array  # [], of which the softplus is p - 1

  @property
  def p(self) -> base.Array:
    """The exponent, `[]`."""
    return 1 + jax.nn.softplus(self.excess)


def max_pool(
  window: _Window,
  strides: _Window | None = None,
  padding: linear.Padding = 'VALID',
) -> base.Layer:
  """The maximum of each window; strides are the window's size by default.

  Raises:
    ValueError: if a size is less than 1, or some window would see padding
      alone, or, in `init`, no pixel would come out.
  """

  def pool(x):
    return _reduce(x, -jnp.inf, jax.lax.max, window, strides, padding)

  return _windowed('max_pool', pool, window, strides, padding)


def avg_pool(
  window: _Window,
  strides: _Window | None = None,
  padding: linear.Padding = 'VALID',
) -> base.Layer:
  """The mean of each window, over those elements that aren't padding.

  Raises:
    ValueError: if a size is less than 1, or some window would see padding
      alone, or, in `init`, no pixel would come out.
  """

  def pool(x):
    # A sum of halves stops growing at 256 ones.
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    total = _reduce(wide, 0.0, jax.lax.add, window, strides, padding)
    mean = total / _count(wide, window, strides, padding)
    return mean.astype(x.dtype)

  return _windowed('avg_pool', pool, window, strides, padding)


def lp_pool(
  window: _Window,
  strides: _Window | None = None,
  padding: linear.Padding = 'VALID',
  p: base.Scalar = 2.0,
  *,
  reduction: str = 'mean',
  learned: bool = False,
) -> base.Layer:
  """The p-norm of each window, `(mean |x|^p)^(1/p)`.

  It leads from the mean of |x| at p = 1 to its maximum at p = inf. The mean is
  the default because it keeps the scale of the signal: constant images stay as
  they are for every p, while the sum of Sermanet et al., 2012,
  https://arxiv.org/abs/1204.3968, and of PyTorch's LPPool2d multiplies them by
  N^(1/p) for windows of N. Padding counts in neither.

  A learned p is one number, `LpPoolParams`, kept above 1; see Gulcehre et al.,
  2014, https://arxiv.org/abs/1311.1780. Each window is scaled by its maximum,
  so no power over- or underflows; where a window is all zeros, so is the
  gradient. A window that holds infinities gives inf, with the derivatives of
  2^100 in place of each: in the mean, a single one among N elements has
  N^(-1/p), and its finite neighbours, where p is above 1, next to nothing. A
  NaN stays NaN.

  Args:
    window: height and width of the window.
    strides: step between windows; the window's size by default.
    padding: as that of a convolution.
    p: the exponent, at least 1, Python's, NumPy's or JAX's; `math.inf` is the
      maximum. It may be traced, if finite. A learned one starts there.
    reduction: 'mean' or 'sum'.
    learned: whether p is a parameter.

  Raises:
    ValueError: if p is no number or less than 1, or isn't finite and above 1
      though learned, or the reduction is unknown, or the window is as in
      `max_pool`.
  """
  p = _exponent(p, learned)
  counted = choice.choose('reduction', reduction, {'mean': True, 'sum': False})

  def largest(x):
    return _reduce(jnp.abs(x), -jnp.inf, jax.lax.max, window, strides, padding)

  def pool(x, p):
    if isinstance(p, float) and math.isinf(p):
      return largest(x)
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    is_infinite = jnp.isinf(jax.lax.stop_gradient(largest(wide)))
    finite = _finite(wide)
    scale = jax.lax.stop_gradient(largest(finite))
    count = _count(wide, window, strides, padding) if counted else 1
    elements = _offsets(finite, window, strides, padding)
    norm = _scaled_norm(elements, scale, p, count)
    norm += jnp.where(is_infinite, jnp.inf, 0)
    return norm.astype(x.dtype)

  fixed = _windowed('lp_pool', lambda x: pool(x, p), window, strides, padding)
  return _with_learned_exponent(fixed, pool, p) if learned else fixed


def global_avg_pool() -> base.Layer:
  """The mean over space, to `[batch, channels]`.

  See Lin et al., 2014, https://arxiv.org/abs/1312.4400.
  """
  return _pooling(
    'global_avg_pool',
    lambda x: jnp.mean(x, axis=(1, 2)),
    lambda in_shape: in_shape[-1:],
  )


def _reduce(x, start, operation, window, strides, padding):
  height, width = linear.pair(window)
  step = _steps(window, strides)
  pads = linear.pads(padding)
  if not isinstance(pads, str):
    pads = [(0, 0), *pads, (0, 0)]
  return jax.lax.reduce_window(
    x,
    np.asarray(start, x.dtype),
    operation,
    (1, height, width, 1),
    (1, *step, 1),
    pads,
  )


def _steps(window, strides):
  return linear.pair(window if strides is None else strides)


def _count(x, window, strides, padding):
  """How many elements of each window aren't padding."""
  if padding == 'VALID':
    return math.prod(linear.pair(window))
  ones = jnp.ones((1, *x.shape[1:]), x.dtype)
  return _reduce(ones, 0.0, jax.lax.add, window, strides, padding)


def _offsets(x, window, strides, padding) -> Iterator[base.Array]:
  """Yields each element of all windows, zero for padding; shaped as the output.

  Slices, because the windows themselves would be as large as all of them.
  """
  size, step = linear.pair(window), _steps(window, strides)
  pads = _explicit_pads(x.shape[1:3], size, step, padding)
  x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
  height, width = (
    (length - extent) // stride + 1
    for length, extent, stride in zip(x.shape[1:3], size, step, strict=True)
  )
  for i, j in np.ndindex(*size):
    rows = slice(i, i + (height - 1) * step[0] + 1, step[0])
    columns = slice(j, j + (width - 1) * step[1] + 1, step[1])
    yield x[:, rows, columns]


def _explicit_pads(shape, size, step, padding):
  """Returns the pixels before and after each axis, also for 'SAME'."""
  pads = linear.pads(padding)
  if isinstance(pads, str):
    return jax.lax.padtype_to_pads(shape, size, step, pads)
  return pads


@jax.custom_jvp
def _finite(x):
  """`x`, with large numbers in place of infinities; its derivative is 1."""
  return jnp.where(jnp.isinf(x), jnp.copysign(_LARGE, x), x)


@_finite.defjvp
def _finite_jvp(primals, tangents):
  (x,), (dx,) = primals, tangents
  return _finite(x), dx


def _scaled_norm(elements, scale, p, count):
  """`(sum |element|^p / count)^(1/p)`, of elements divided by `scale` first."""
  divisor = jnp.where(scale > 0, scale, 1)
  total = jnp.zeros_like(scale)
  for element in elements:
    ratio = jnp.abs(element) / divisor
    # A NaN is not positive, but has to stay.
    positive = jnp.where(ratio == 0, 1, ratio)
    total += jnp.where(ratio == 0, 0, positive**p)
  # Of a window that isn't all zeros, the total is at least 1.
  mean = jnp.where(scale == 0, 1, total / count)
  return scale * mean ** (1 / p)


def _exponent(p, learned):
  """Returns the exponent, Python's own unless it is traced."""
  if not base.is_number(p):
    raise ValueError(
      f'p must be a number of at least 1, or math.inf; got {p!r}.'
    )
  known = base.known(p)
  if known is None:
    return p
  if not known >= 1:
    raise ValueError(f'p must be at least 1, or math.inf; got {p}.')
  if learned and not 1 < known < math.inf:
    raise ValueError(f'A learned p starts above 1 and finite, got {p}.')
  return known


def _with_learned_exponent(fixed, pool, p):
  """Makes the exponent of Lp pooling a parameter that starts at `p`."""

  def init(key, in_shape):
    out_shape, _, state = fixed.init(key, in_shape)
    start = jnp.asarray(p - 1, float)
    # The inverse of softplus, without overflow.
    excess = start + jnp.log(-jnp.expm1(-start))
    return out_shape, LpPoolParams(excess), state

  def apply(params, state, x, *, train=False, key=None):
    del train, key
    with jax.named_scope('lp_pool'):
      wide = jnp.promote_types(x.dtype, jnp.float32)
      return pool(x, params.p.astype(wide)), state

  return base.Layer(init, apply)


def _windowed(name, pool, window, strides, padding):
  """A pooling of windows, whose sizes are checked."""
  linear.require_window(window, _steps(window, strides), padding)
  pads = linear.pads(padding)
  if not isinstance(pads, str):
    for size, around in zip(linear.pair(window), pads, strict=True):
      if max(around) >= size:
        raise ValueError(
          f'{name}: padding {padding!r} must be less than the window {window}, '
          'or some windows would see padding alone.'
        )

  def out_shape(in_shape):
    x = jax.ShapeDtypeStruct((1, *in_shape), jnp.float32)
    shape = jax.eval_shape(
      lambda x: _reduce(x, 0.0, jax.lax.add, window, strides, padding), x
    ).shape[1:]
    linear.require_pixels(name, shape, in_shape, linear.pair(window), padding)
    return shape

  return _pooling(name, pool, out_shape)


def _pooling(
  name: str,
  pool: Callable[[base.Array], base.Array],
  out_shape: Callable[[base.Shape], base.Shape],
) -> base.Layer:
  def init(key, in_shape):
    del key
    return out_shape(linear.require_image(name, in_shape)), (), ()

  def apply(params, state, x, *, train=False, key=None):
    del params, train, key
    with jax.named_scope(name):
      return pool(x), state

  return base.Layer(init, apply)
