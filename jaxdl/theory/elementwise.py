"""Any activation as float64 functions of NumPy arrays, with its kinks.

Some, such as softplus(x) - log(2), cancel near 0, and their values are rounding
errors there, while their slopes are precise. Their values near 0 are integrals
of the slope, by Simpson's rule.
"""

from collections.abc import Callable
import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxdl import activations
from jaxdl import choice
from jaxdl.double_precision import double_precision
import numpy as np

Array = np.ndarray
Activation = str | Callable[[jax.Array], jax.Array]

_CHUNK = 1 << 12  # Entries at a time: of one shape, compiled once.
_BISECTIONS = 80
_SLOPE_JUMP = 1e-7  # Relative to the largest slope nearer to 0.
_KINKS_WITHIN = 1e5  # Beyond, rounding looks like jumps.
_VALUE_JUMP = 1e-9
_MAX_KINKS = 64
_MIDDLE = 32.0
_ROUNDING = 1e-13
_VARIATION = 0.02  # Of the slope, by which a scale is told.


class Elementwise(NamedTuple):
  """An activation, evaluated in double precision.

  Attributes:
    name: as it was specified, or the name of the user's function.
    fn: the function of JAX.
    numbers: its hyperparameters, each with its name.
    kinks: where its slope jumps, in ascending order.
    scale: the least distance from 0 at which its slope is another than beside 0
      on that side; infinite if it nowhere is, as of relu.
    steepness: the largest absolute slope between -32 and 32.
    integrated_within: the distance from 0 within which values are integrals of
      the slope; 0 for an activation that is precise everywhere.
  """

  name: str
  fn: Callable[..., jax.Array]
  numbers: tuple[tuple[str, float], ...] = ()
  kinks: tuple[float, ...] = ()
  scale: float = math.inf
  steepness: float = 1.0
  integrated_within: float = 0.0

  def value(self, x: Any) -> Array:
    """Returns the activation of an array, in float64."""
    return self.value_and_slope(x)[0]

  def slope(self, x: Any) -> Array:
    """Returns the derivative at each entry of an array, in float64.

    It is what differentiation by JAX yields; one-sided at a kink.
    """
    return self.value_and_slope(x)[1]

  def value_and_slope(self, x: Any) -> tuple[Array, Array]:
    """Returns both, for the cost of one."""
    x = concrete('x', x)
    values, slopes = self._direct(x)
    near = np.abs(x) < self.integrated_within
    if near.any():
      values[near] = self.integral(x[near])
    return values, slopes

  def integral(self, x: Array) -> Array:
    """Returns the integral of the slope from 0 to each x: f(x) - f(0)."""
    _, at_zero = self._direct(np.copysign(1e-100, x))
    _, halfway = self._direct(0.5 * x)
    _, at_x = self._direct(x)
    return x * ((at_zero + 4 * halfway + at_x) / 6)

  def _direct(self, x: Array) -> tuple[Array, Array]:
    """Returns what JAX computes."""
    flat = x.ravel()
    values, slopes = np.empty_like(flat), np.empty_like(flat)
    with double_precision():
      for start in range(0, flat.size, _CHUNK):
        part = slice(start, min(start + _CHUNK, flat.size))
        chunk = np.zeros(_CHUNK)
        chunk[: part.stop - start] = flat[part]
        both = _value_and_slope(self.fn, dict(self.numbers), chunk)
        value, slope = map(np.asarray, both)
        values[part] = value[: part.stop - start]
        slopes[part] = slope[: part.stop - start]
    return values.reshape(x.shape), slopes.reshape(x.shape)


def elementwise(activation: 'Activation | Elementwise') -> Elementwise:
  """Looks an activation up, checks it, and finds its kinks.

  `prelu` has its initial slope. `rrelu` is that of test mode, whose slope is
  the inverse of the mean divisor.

  Args:
    activation: a specification such as `tanh` or `leaky_relu:0.2`, any function
      of one array, or what this function returned before.

  Raises:
    ValueError: if there is no activation of that name, or it cannot be
      evaluated, changes shape or dtype, mixes entries, is NaN or infinite, or
      jumps.
  """
  if isinstance(activation, Elementwise):
    return activation
  return _examined(_find(activation))


@functools.lru_cache(maxsize=64)
def _examined(found: Elementwise) -> Elementwise:
  """Checks an activation, and finds its kinks."""
  _check_call(found)
  points = _survey_points()
  values, slopes = found.value_and_slope(points)
  _check_finite(found.name, points, values, slopes)
  _check_entries(found, points, values)
  _check_continuous(found, points, values)
  kinks = _kinks(found, points, slopes)
  middle = np.isfinite(slopes) & (np.abs(points) <= _MIDDLE)
  points, slopes = points[middle], slopes[middle]
  scale = _scale(points, slopes)
  return found._replace(
    kinks=kinks,
    scale=scale,
    steepness=float(np.max(np.abs(slopes))),
    integrated_within=_integrated_within(found, kinks, scale),
  )


def concrete(name: str, value: Any) -> Array:
  """Returns numbers of the caller in float64.

  Raises:
    ValueError: if they are traced, or no numbers.
  """
  if isinstance(value, jax.core.Tracer):
    raise ValueError(
      f'{name} is traced; pass a number, or an array of NumPy, from outside of '
      'jax.jit, jax.vmap and jax.grad: the theory is computed beforehand.'
    )
  try:
    return np.asarray(value, np.float64)
  except (TypeError, ValueError) as error:
    raise ValueError(f'{name} must be a number; got {value!r}.') from error


@functools.partial(jax.jit, static_argnums=0)
def _value_and_slope(fn, numbers, x):
  value, pull = jax.vjp(lambda x: fn(x, **numbers), x)
  return value, pull(jnp.ones_like(value))[0]


def _find(activation: Activation) -> Elementwise:
  if isinstance(activation, str):
    described = activations.get(choice.split_name(activation))
    parsed = choice.parse('activation', activation, described.hyperparameters)
    numbers = tuple(parsed.numbers.items())
    return Elementwise(activation, described.fn, numbers)
  if callable(activation):
    name = getattr(activation, '__name__', type(activation).__name__)
    fn = activation if _is_hashable(activation) else lambda x: activation(x)
    return Elementwise(name, fn)
  raise ValueError(
    f'An activation is a name such as "tanh", or a function of one array; got '
    f'{activation!r}.'
  )


def _is_hashable(fn: Callable[..., Any]) -> bool:
  try:
    hash(fn)
  except TypeError:
    return False
  return True


def _check_call(found: Elementwise) -> None:
  """Calls the activation, and looks at what comes out.

  Raises:
    ValueError: if it fails, or changes shape or dtype.
  """
  call = functools.partial(_value_and_slope, found.fn, dict(found.numbers))
  x = np.zeros(_CHUNK)
  with double_precision():
    try:
      out, _ = jax.eval_shape(call, x)
      if (out.shape, out.dtype) == (x.shape, x.dtype):
        jax.tree.map(np.asarray, call(x))
        return
    except Exception as error:
      lines = str(error).splitlines() or ['']
      raise ValueError(
        f'Activation {found.name} cannot be applied and differentiated by JAX: '
        f'{type(error).__name__}: {lines[0]} Pass a function of one array made '
        'of jax.numpy, without traced values in it.'
      ) from error
  raise ValueError(
    f'Activation {found.name} turns {x.dtype}{list(x.shape)} into '
    f'{out.dtype}{list(out.shape)}; it has to keep shape and dtype.'
  )


def _survey_points() -> Array:
  """Points from -1e8 to 1e8: dense below 32, logarithmic beyond and at 0."""
  near = np.geomspace(1e-8, 1 / 64, 125)
  middle = np.arange(1, 32 * 64 + 1) / 64
  far = np.geomspace(32, 1e8, 326)[1:]
  positive = np.concatenate([near[:-1], middle, far])
  return np.concatenate([-positive[::-1], [0.0], positive])


def _check_finite(
  name: str, points: Array, values: Array, slopes: Array
) -> None:
  """Refuses NaN wherever it is, and infinities at moderate inputs.

  Raises:
    ValueError: if there are any.
  """
  moderate = np.abs(points) <= 16
  for what, array in (('value', values), ('slope', slopes)):
    bad = np.isnan(array) | (~np.isfinite(array) & moderate)
    if what == 'slope':
      bad &= points != 0  # A set of measure zero, such as of sqrt(abs(x)).
    if bad.any():
      first = points[bad][np.argmin(np.abs(points[bad]))]
      raise ValueError(
        f'Activation {name}: its {what} at x = {first:.6g} is '
        f'{array[points == first][0]}; it has to be finite.'
      )


def _check_entries(found: Elementwise, points: Array, values: Array) -> None:
  """Refuses a function, such as softmax, whose entries depend on each other.

  Raises:
    ValueError: if it is one.
  """
  reverse = found.value(points[::-1])[::-1]
  alone = found.value(np.full(5, 0.75))
  again = values[points == 0.75]
  same = np.allclose(reverse, values, 1e-9, 1e-12, equal_nan=True)
  if not same or not np.allclose(alone, again, 1e-9, 1e-12):
    raise ValueError(
      f'Activation {found.name} is not elementwise: what it returns for an '
      'entry depends on the others.'
    )


def _bisect(
  fn: Callable[[Array], Array], low: Array, high: Array
) -> tuple[Array, Array]:
  """Halves intervals, and keeps the halves over which `fn` changes more."""
  at_low, at_high = fn(low), fn(high)
  for _ in range(_BISECTIONS):
    middle = 0.5 * (low + high)
    at_middle = fn(middle)
    left = np.abs(at_middle - at_low) > np.abs(at_high - at_middle)
    low, at_low = (
      np.where(left, low, middle),
      np.where(left, at_low, at_middle),
    )
    high, at_high = (
      np.where(left, middle, high),
      np.where(left, at_middle, at_high),
    )
  return low, high


def _check_continuous(found: Elementwise, points: Array, values: Array) -> None:
  """Refuses a function that jumps.

  Raises:
    ValueError: if the activation does.
  """
  usable = np.isfinite(values[1:]) & np.isfinite(values[:-1])
  low, high = points[:-1][usable], points[1:][usable]
  low, high = _bisect(found.value, low, high)
  below, above = found.value(low), found.value(high)
  size = np.maximum(np.abs(below), np.abs(above))
  steepness = np.abs(found.slope(low)) + np.abs(found.slope(high))
  jumps = np.abs(above - below) > (
    _VALUE_JUMP * np.maximum(size, 1e-3) + 2 * steepness * (high - low)
  )
  if jumps.any():
    first = _snapped(low[jumps][np.argmin(np.abs(low[jumps]))])
    raise ValueError(
      f'Activation {found.name} jumps at x = {first:.6g}, where its slope is '
      'infinite; pass a continuous function, computed in the dtype of x.'
    )


def _kinks(
  found: Elementwise, points: Array, slopes: Array
) -> tuple[float, ...]:
  """Finds where the slope jumps, at most the few that are nearest to 0."""
  inner = np.isfinite(slopes) & (np.abs(points) <= _KINKS_WITHIN)
  points, slopes = points[inner], slopes[inner]
  size = _largest_within(points, slopes)
  size = np.maximum(size[1:], size[:-1])
  changes = np.abs(np.diff(slopes)) > _SLOPE_JUMP * size
  if not changes.any():
    return ()
  low, high = _bisect(found.slope, points[:-1][changes], points[1:][changes])
  jumps = np.abs(found.slope(high) - found.slope(low)) > (
    _SLOPE_JUMP * size[changes]
  )
  places = np.sort(_snapped(low[jumps]))
  apart = np.diff(places, prepend=-np.inf) > 1e-12 * np.abs(places)
  places = places[apart]
  nearest = np.argsort(np.abs(places), kind='stable')[:_MAX_KINKS]
  return tuple(float(place) for place in np.sort(places[nearest]))


def _largest_within(points: Array, slopes: Array) -> Array:
  """Returns for each x the largest |slope| between -|x| and |x|."""
  order = np.argsort(np.abs(points), kind='stable')
  largest = np.empty_like(slopes)
  largest[order] = np.maximum.accumulate(np.abs(slopes[order]))
  return largest


def _snapped(x: Array) -> Array:
  """Replaces by 0 what bisection left beside it."""
  return np.where(np.abs(x) < 1e-20, 0.0, x)


def _scale(points: Array, slopes: Array) -> float:
  """Returns the least |x| at which the slope differs from that beside 0."""
  least = np.inf
  for side in (points > 0, points < 0):
    x, slope = np.abs(points[side]), slopes[side]
    at_zero = slope[np.argmin(x)]
    moved = np.abs(slope - at_zero) > _VARIATION * np.max(np.abs(slope))
    if moved.any():
      least = min(least, float(np.min(x[moved])))
  return least


def _integrated_within(
  found: Elementwise, kinks: tuple[float, ...], scale: float
) -> float:
  """Returns where values are better integrated; 0 if nowhere.

  They are where an activation through 0 is smooth at both sides of it, but what
  JAX computes differs from the integral by rounding errors of larger numbers.
  """
  reach = 0.01 * min(1.0, scale, *(abs(kink) for kink in kinks if kink))
  x = np.outer([-reach, reach], np.geomspace(1, 1e-6, 25))
  integral = found.integral(x)
  error = np.abs(found.value(x) - integral)
  is_precise = np.all(error <= _ROUNDING * np.abs(integral))
  is_rough = np.any(error > _ROUNDING)
  return 0.0 if is_precise or is_rough else reach
