"""Statistics of a value that flows through a network.

A statistic is taken in two parts, so that a probe costs little inside a scan:
`reduce` runs where the value is (a few vectorized reductions to one number a
unit), `finish` runs once, on the stacked results of all layers.

Squares of float32 numbers underflow below 1e-19 and overflow above 1e19, and
the variance of nearly constant values cancels. Each `reduce` therefore looks at
what it found, and only where that is out of range takes a second pass over the
value, shifted and scaled by a power of two. Gradients of 1e-30 are reported as
1e-30.
"""

from collections.abc import Callable, Sequence
import math
from typing import Any, NamedTuple

import jax
from jax import lax
import jax.numpy as jnp

Array = jax.Array
Shape = tuple[int, ...]


class Forward(NamedTuple):
  """Statistics of an activation, over the batch and all units; shape `[...]`.

  Leading axes, if any, are those of the scans that the value lies in.

  Attributes:
    mean: arithmetic mean.
    std: standard deviation.
    rms: root mean square.
    max_abs: largest magnitude; infinite or NaN if any entry is.
    zero: fraction of entries that are exactly zero.
    dead: fraction of units (last axis) that are zero on the whole batch.
    saturated: fraction of entries within `SATURATION_MARGIN` of a flat end of
      the activation; NaN where it has none.
  """

  mean: Array
  std: Array
  rms: Array
  max_abs: Array
  zero: Array
  dead: Array
  saturated: Array


class Backward(NamedTuple):
  """Statistics of a cotangent dz/dx, over the batch and all units; `[...]`.

  Attributes:
    rms: root mean square; infinite or NaN if any entry is.
    max_abs: largest magnitude; infinite or NaN if any entry is.
    nonfinite: number of entries that are NaN or infinite.
  """

  rms: Array
  max_abs: Array
  nonfinite: Array

  @property
  def underflowed(self) -> Array:
    """Whether entries may have been lost below the smallest normal number.

    True where entries 2^-24 times the largest one would be subnormal, so that
    `rms` is a lower bound. `jaxdl.log_cotangent_profile` gives the true value.
    """
    info = jnp.finfo(self.max_abs.dtype)
    return self.max_abs < float(info.tiny) / float(info.eps)


class Measure(NamedTuple):
  """A statistic in two parts.

  Attributes:
    reduce: maps a value to a pytree of partial results, floating point.
    finish: maps the partial results, with any leading axes, and the shape of
      the value to the statistic.
  """

  reduce: Callable[[Array], Any]
  finish: Callable[[Any, Shape], Any]


# An entry is saturated within this fraction of the activation's range (or of
# one unit, where only one end is flat) from a flat end.
SATURATION_MARGIN = 0.01

# Between these magnitudes, sums of 2^24 squares neither under- nor overflow
# and lose nothing to float32 rounding.
_SQUARES_FROM, _SQUARES_TO = 1e-15, 1e15


class _ForwardParts(NamedTuple):
  """Reductions over rows; `[..., units]`."""

  high: Array
  low: Array
  pivot: Array
  scale: Array  # The same for all units.
  total: Array  # Of (x - pivot) * scale.
  squares: Array  # Of ((x - pivot) * scale)**2.
  zeros: Array
  saturated: Array


class _BackwardParts(NamedTuple):
  """Reductions over all entries; `[...]`."""

  high: Array
  low: Array
  scale: Array
  squares: Array  # Of x * scale.
  nonfinite: Array


def _packed(parts: Sequence[Array]) -> Array:
  """Puts parts in one array: a scan writes one array faster than eight."""
  return jnp.stack(jnp.broadcast_arrays(*parts))


def forward(
  flat_ends: tuple[Array | float | None, Array | float | None] = (None, None),
) -> Measure:
  """Measures `Forward` statistics.

  Args:
    flat_ends: the lower and the upper horizontal asymptote of the activation,
      None where it has none; may be traced.

  Returns:
    The measure. Units lie on the last axis of a value; all other axes are rows.
  """

  def reduce(x: Array) -> Array:
    rows = _as_rows(x)
    dtype = rows.dtype
    high, low = jnp.max(rows, axis=0), jnp.min(rows, axis=0)
    total, squares = jnp.sum(rows, axis=0), jnp.sum(rows * rows, axis=0)
    # In integers, which XLA counts in the pass that compares.
    zeros = jnp.sum((rows == 0).astype(jnp.int32), axis=0).astype(dtype)
    magnitude = jnp.max(jnp.maximum(high, -low))

    def shifted_and_scaled(rows):
      pivot = rows[0]
      scale = power_of_two_below_inverse(magnitude)
      unit = (rows - pivot) * scale
      sums = jnp.sum(unit, axis=0), jnp.sum(unit * unit, axis=0)
      return _packed((pivot, scale, *sums))

    def as_they_are(rows):
      del rows
      return _packed(
        (jnp.zeros([], dtype), jnp.ones([], dtype), total, squares)
      )

    sum_of_squares = jnp.sum(squares)
    cancels = jnp.sum(total * total) > 0.999 * len(rows) * sum_of_squares
    safe = _squares_are_safe(magnitude, sum_of_squares) & ~cancels
    pivot, scale, total, squares = lax.cond(
      safe, as_they_are, shifted_and_scaled, rows
    )
    saturated = _count_saturated(rows, *flat_ends)
    return _packed(
      _ForwardParts(high, low, pivot, scale, total, squares, zeros, saturated)
    )

  return Measure(reduce, _finish_forward)


def _finish_forward(packed: Array, shape: Shape) -> Forward:
  """Puts the units together, in units of the largest magnitude."""
  parts = _ForwardParts(*jnp.moveaxis(packed, -2, 0))
  scale = parts.scale[..., 0]
  num_rows, _ = _rows_and_units(shape)
  shifted_mean = parts.total / num_rows / parts.scale
  unit_mean = parts.pivot + shifted_mean
  mean = jnp.mean(unit_mean, axis=-1)
  # The rest in units of the largest magnitude, whose square is 1.
  max_abs = jnp.max(jnp.maximum(parts.high, -parts.low), axis=-1)
  unit = jnp.where(max_abs > 0, max_abs, 1)
  scaled_mean = parts.total / num_rows
  within = jnp.mean(parts.squares / num_rows - scaled_mean**2, axis=-1)
  within = jnp.maximum(within, 0) / (scale * unit) ** 2
  between = jnp.mean(
    ((unit_mean - mean[..., None]) / unit[..., None]) ** 2, axis=-1
  )
  variance = within + between
  return Forward(
    mean=mean,
    std=unit * jnp.sqrt(variance),
    rms=unit * jnp.sqrt(variance + (mean / unit) ** 2),
    max_abs=_poisoned_by(jnp.sum(parts.squares, axis=-1), max_abs),
    zero=jnp.mean(parts.zeros, axis=-1) / num_rows,
    dead=jnp.mean(parts.zeros == num_rows, axis=-1, dtype=mean.dtype),
    saturated=jnp.mean(parts.saturated, axis=-1) / num_rows,
  )


def backward() -> Measure:
  """Measures `Backward` statistics."""

  def reduce(ct: Array) -> Array:
    rows = _as_rows(ct)
    high, low = jnp.max(rows), jnp.min(rows)
    squares = jnp.sum(rows * rows)
    magnitude = jnp.maximum(high, -low)

    def scaled(rows):
      scale = power_of_two_below_inverse(magnitude)
      unit = rows * scale
      count = jnp.sum((~jnp.isfinite(rows)).astype(jnp.int32))
      return _packed((scale, jnp.sum(unit * unit), count.astype(rows.dtype)))

    def as_they_are(rows):
      return _packed((jnp.ones_like(squares), squares, jnp.zeros_like(squares)))

    safe = _squares_are_safe(magnitude, squares)
    sums = lax.cond(safe, as_they_are, scaled, rows)
    return _packed(_BackwardParts(high, low, *sums))

  def finish(packed: Array, shape: Shape) -> Backward:
    parts = _BackwardParts(*jnp.moveaxis(packed, -1, 0))
    max_abs = jnp.maximum(parts.high, -parts.low)
    rms = jnp.sqrt(parts.squares / math.prod(shape)) / parts.scale
    return Backward(
      rms=rms,
      max_abs=_poisoned_by(parts.squares, max_abs),
      nonfinite=parts.nonfinite,
    )

  return Measure(reduce, finish)


def norm(x: Array, axis: int | tuple[int, ...] | None = None) -> Array:
  """Euclidean norm over `axis`, right over the whole range of the dtype.

  Reads the array twice: for its largest magnitude, then for the squares of its
  entries in units of that.

  Args:
    x: an array, real or complex.
    axis: axes that are reduced; None reduces all.

  Returns:
    The norm, in float32 at least.
  """
  x = _as_real(x)
  magnitude = jnp.max(jnp.abs(x), axis=axis, keepdims=True, initial=0)
  scale = power_of_two_below_inverse(magnitude)
  unit = x * scale
  size = jnp.sqrt(jnp.sum(unit * unit, axis=axis))
  return size / scale.reshape(size.shape)


def _as_real(x: Array) -> Array:
  """A complex number counts by its magnitude; halves are widened."""
  if jnp.issubdtype(x.dtype, jnp.complexfloating):
    x = jnp.abs(x)
  return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def _rows_and_units(shape: Shape) -> tuple[int, int]:
  units = shape[-1] if len(shape) > 1 else 1
  return math.prod(shape) // max(units, 1), units


def _as_rows(x: Array) -> Array:
  """Views a value as `[rows, units]`; a vector has one unit."""
  return _as_real(x).reshape(_rows_and_units(x.shape))


def _squares_are_safe(magnitude: Array, squares: Array) -> Array:
  in_range = (magnitude > _SQUARES_FROM) & (magnitude < _SQUARES_TO)
  return ((magnitude == 0) | in_range) & jnp.isfinite(squares)


def power_of_two_below_inverse(magnitude: Array) -> Array:
  """A power of two that brings `magnitude` near 1; 1 if it can't.

  Between the smallest normal number and a quarter of the largest the product
  lies in [1/2, 1); subnormal numbers stay smaller, the largest stay below 4.
  It is read from the bits: `jnp.frexp` and `jnp.ldexp` are a hundred
  operations, of which a compiler makes as many kernels.
  """
  info = jnp.finfo(magnitude.dtype)
  bits = lax.bitcast_convert_type(magnitude, f'int{info.bits}')
  exponent = bits >> info.nmant  # Biased: 0 is subnormal.
  inverse = 2 * info.maxexp - 3 - exponent
  scale = lax.bitcast_convert_type(
    jnp.maximum(inverse, 1) << info.nmant, magnitude.dtype
  )
  usable = jnp.isfinite(magnitude) & (magnitude > 0)
  return jnp.where(usable, scale, 1)


def _poisoned_by(total: Array, x: Array) -> Array:
  """Makes `x` NaN where `total` is: a fast maximum may pass over NaN."""
  return jnp.where(jnp.isnan(total), total, x)


def _count_saturated(rows: Array, low: Any, high: Any) -> Array:
  """Entries near a flat end, for each unit; NaN if there is no flat end."""
  if low is None and high is None:
    return jnp.full(rows.shape[1], jnp.nan, rows.dtype)
  span = 1.0 if low is None or high is None else high - low
  near = jnp.zeros(rows.shape, bool)
  if low is not None:
    near |= rows < low + SATURATION_MARGIN * span
  if high is not None:
    near |= rows > high - SATURATION_MARGIN * span
  return jnp.sum(near.astype(jnp.int32), axis=0).astype(rows.dtype)
