"""Statistics of a value that flows through a network.

A statistic is taken where the value is, as one array of a few numbers: a scan
writes one array a layer, and a program does not grow by what is done with it.
`finish` takes the stacked arrays of all layers apart.

Squares of float32 numbers underflow below 1e-19 and overflow above 1e19, and
the variance of nearly constant values cancels. So sums are of what is scaled by
a power of two to 1 and, for the variance, less its mean: gradients of 1e-30 are
reported as 1e-30. That takes a few passes over a value in a row, without a
branch, which would stall an accelerator and costs a CPU more than a pass.
"""

from collections.abc import Callable
import math
from typing import Any, NamedTuple

import jax
from jax import lax
import jax.numpy as jnp

Array = jax.Array


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
  """

  rms: Array
  max_abs: Array

  @property
  def nonfinite(self) -> Array:
    """Whether any entry is NaN or infinite."""
    return ~jnp.isfinite(self.max_abs)

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
    reduce: maps a value to a pytree of results, floating point.
    finish: maps these, with any leading axes, to the statistic.
  """

  reduce: Callable[[Array], Any]
  finish: Callable[[Any], Any]


# An entry is saturated within this fraction of the activation's range (or of
# one unit, where only one end is flat) from a flat end.
SATURATION_MARGIN = 0.01


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
    magnitude = _largest_magnitude(rows)
    scale = power_of_two_below_inverse(magnitude)
    unit = rows * scale
    mean = jnp.mean(unit)
    variance = jnp.mean(jnp.square(unit - mean))
    zero, dead = _zeros(rows)
    statistics = Forward(
      mean=mean / scale,
      std=jnp.sqrt(variance) / scale,
      rms=jnp.sqrt(variance + mean * mean) / scale,
      max_abs=_poisoned_by(mean, magnitude),
      zero=zero,
      dead=dead,
      saturated=_saturated(rows, *flat_ends),
    )
    return jnp.stack(statistics)

  return Measure(reduce, lambda packed: Forward(*jnp.moveaxis(packed, -1, 0)))


def backward() -> Measure:
  """Measures `Backward` statistics."""

  def reduce(ct: Array) -> Array:
    ct = _as_real(ct)
    magnitude = _largest_magnitude(ct)
    scale = power_of_two_below_inverse(magnitude)
    mean_square = jnp.mean(jnp.square(ct * scale))
    rms = jnp.sqrt(mean_square) / scale
    max_abs = _poisoned_by(mean_square, magnitude)
    return jnp.stack([rms, max_abs, jnp.ones_like(rms)])

  def finish(packed: Array) -> Backward:
    # Of a branch that was not taken zeros come back, and 0 / 0 is NaN.
    rms, max_abs, taken = jnp.moveaxis(packed, -1, 0)
    return Backward(rms / taken, max_abs / taken)

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


def _rows_and_units(shape: tuple[int, ...]) -> tuple[int, int]:
  units = shape[-1] if len(shape) > 1 else 1
  return math.prod(shape) // max(units, 1), units


def _as_rows(x: Array) -> Array:
  """Views a value as `[rows, units]`; a vector has one unit."""
  return _as_real(x).reshape(_rows_and_units(x.shape))


def _largest_magnitude(x: Array) -> Array:
  """Of two reductions without arithmetic, for which libraries have kernels.

  It may pass over NaN.
  """
  return jnp.maximum(jnp.max(x), -jnp.min(x))


def _zeros(rows: Array) -> Array:
  """Returns the fraction of zeros, and of units without anything else, [2].

  Both at once: they are reductions of few numbers.
  """
  # In integers, which XLA counts in the pass that compares.
  zeros = jnp.sum((rows == 0).astype(jnp.int32), axis=0)
  both = jnp.stack([zeros.astype(rows.dtype) / len(rows), zeros == len(rows)])
  return jnp.mean(both, axis=1)


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


def _saturated(rows: Array, low: Any, high: Any) -> Array:
  """Fraction of entries near a flat end; NaN if there is no flat end."""
  if low is None and high is None:
    return jnp.full([], jnp.nan, rows.dtype)
  span = 1.0 if low is None or high is None else high - low
  near = jnp.zeros(rows.shape, bool)
  if low is not None:
    near |= rows < low + SATURATION_MARGIN * span
  if high is not None:
    near |= rows > high - SATURATION_MARGIN * span
  count = jnp.sum(near.astype(jnp.int32), axis=0)
  return jnp.mean(count.astype(rows.dtype)) / len(rows)
