"""The length map of a wide random layer, and where it comes to rest.

Its logarithmic slope d ln map / d ln q is nowhere below -1/2: the density of u
broadens with q, and E[f^2] = integral f(u)^2 exp(-u^2 / 2 q) du / sqrt(2 pi q)
falls no faster than the root. So no variance has a cycle of length two, hence
none has any (Sharkovskii), and iterates tend to a fixed point or to infinity
(Coppel, 1955, "The solution of equations by iteration").
"""

import math
from typing import NamedTuple

from jaxdl.theory import elementwise
from jaxdl.theory import gaussian
from jaxdl.theory import quadrature
import numpy as np

Array = np.ndarray

NEAR_ZERO = 1e-30  # Stand-ins for the limits q -> 0 and q -> infinity.
NEAR_INFINITY = 1e30

_LOWEST, _HIGHEST, _PER_DECADE = 1e-12, 1e12, 12
_NOISE = 1e-12  # Of a ratio, by rounding and quadrature.
_ALMOST = 0.05  # How near to its fixed point a map is looked at closer.
_MAX_STEPS = 200


class FixedPoint(NamedTuple):
  """A variance that a layer passes on.

  Attributes:
    q: the variance.
    slope: of the length map there: a deviation from q is multiplied by it.
    stable: whether variances nearby tend to it.
  """

  q: float
  slope: float
  stable: bool


class LengthMap(NamedTuple):
  """q -> weight_std^2 E[f(sqrt(q) z)^2] + bias_std^2, of a wide layer.

  Attributes:
    function: the activation f.
    weight_std: weights have the variance weight_std^2 / fan_in.
    bias_std: of the biases.
  """

  function: elementwise.Elementwise
  weight_std: float
  bias_std: float

  def __call__(self, q: float | Array) -> Array:
    """Returns the variance of the next pre-activation, of the shape of q."""
    moments = gaussian.moments(self.function, q)
    return self.weight_std**2 * moments.mean_square + self.bias_std**2

  def slope(self, q: float) -> float:
    """Returns the derivative at q."""
    growth = gaussian.moments(self.function, q).growth
    return float(self.weight_std**2 * growth)

  def excess(self, q: Array) -> Array:
    """Returns map(q) / q - 1; zero where that is beyond doubt of no sign."""
    moments = gaussian.estimated_moments(self.function, q)
    grown = self.weight_std**2 * moments.mean_square
    with np.errstate(over='ignore', invalid='ignore'):
      excess = (grown + self.bias_std**2) / q - 1
      doubt = _NOISE + 2 * moments.error * grown / q
      unsure = np.isfinite(excess) & ~(np.abs(excess) > doubt)
    excess = np.where(np.isnan(excess), np.inf, excess)
    return np.where(unsure, 0.0, excess)


class Survey(NamedTuple):
  """What the length map does to all q.

  Attributes:
    points: its fixed points, in ascending order; 0 is one where it maps to 0.
    every: whether every q is a fixed point.
    increasing: whether the map is nowhere decreasing.
  """

  points: tuple[FixedPoint, ...]
  every: bool
  increasing: bool


def survey(length_map: LengthMap) -> Survey:
  """Finds the fixed points of a length map up to 1e12, from 1e-12 or below.

  They are bracketed on a logarithmic grid, looked for more closely where the
  map nearly touches the diagonal, and refined.
  """
  start = float(length_map(0.0))
  q = grid(min(1.0, start / 4 or 1.0), 1.0)
  excess = length_map.excess(q)
  moments = gaussian.estimated_moments(length_map.function, q)
  increasing = bool(np.all(moments.growth >= -_NOISE * moments.mean_square / q))
  every = start == 0 and not excess.any()
  if every:
    return Survey((), True, increasing)
  q, excess = _closer(length_map, q, excess)
  roots = [0.0] if start == 0 else []
  roots += [
    _refined(length_map, low, high) for low, high in brackets(q, excess)
  ]
  points = tuple(describe(length_map, root) for root in roots)
  return Survey(points, False, increasing)


def grid(low: float, high: float) -> Array:
  """Returns 12 points a decade from 1e-12 low to 1e12 high."""
  low, high = _LOWEST * low, _HIGHEST * high
  count = int(_PER_DECADE * math.log10(high / low)) + 1
  return np.geomspace(low, high, count)


def brackets(q: Array, excess: Array) -> list[tuple[float, float]]:
  """Returns neighbours in q between which the excess changes its sign.

  Zeros count for nothing: the signs on their two sides do.
  """
  sure = excess != 0
  q, signs = q[sure], np.sign(excess[sure])
  changes = np.flatnonzero(signs[1:] != signs[:-1])
  return [(float(q[i]), float(q[i + 1])) for i in changes.tolist()]


def _closer(
  length_map: LengthMap, q: Array, excess: Array
) -> tuple[Array, Array]:
  """Adds points where the map nearly touches the diagonal."""
  size = np.abs(excess)
  dips = np.flatnonzero(
    (size[1:-1] < size[:-2])
    & (size[1:-1] < size[2:])
    & (size[1:-1] < _ALMOST)
    & (np.sign(excess[:-2]) == np.sign(excess[2:]))
  )
  for dip in dips.tolist():
    low, high = q[dip], q[dip + 2]
    for _ in range(3):
      fine = np.geomspace(low, high, 33)
      values = length_map.excess(fine)
      best = int(np.clip(np.argmin(np.abs(values)), 1, 31))
      low, high = fine[best - 1], fine[best + 1]
      q, excess = np.append(q, fine), np.append(excess, values)
  q, first = np.unique(q, return_index=True)
  return q, excess[first]


def _refined(length_map: LengthMap, low: float, high: float) -> float:
  log_root = quadrature.root(
    lambda log_q: float(length_map(math.exp(log_q))) / math.exp(log_q) - 1,
    math.log(low),
    math.log(high),
  )
  return math.exp(log_root)


def describe(length_map: LengthMap, q: float) -> FixedPoint:
  """Returns a fixed point of a length map with what happens around it.

  At q = 0, where a slope of 1 says nothing, the variances above it do.

  Args:
    length_map: the map.
    q: a fixed point.
  """
  slope = length_map.slope(q if q > 0 else NEAR_ZERO)
  if q > 0 or abs(slope - 1) > 1e-9:
    return FixedPoint(q, slope, slope < 1)
  above = length_map.excess(np.geomspace(1e-12, 1e-2, 11))
  signs = above[above != 0]
  return FixedPoint(q, slope, bool(signs.size == 0 or signs[0] < 0))


def limit(length_map: LengthMap, found: Survey, q_start: float) -> float:
  """Returns where the iterates of the length map go from a variance.

  Args:
    length_map: the map.
    found: its survey.
    q_start: where they start, above 0.

  Returns:
    The limit, infinite if they grow beyond bounds. It is `q_start` where that
    is changed by no more than rounding errors.
  """
  q = q_start if found.increasing else _after_leaps(length_map, q_start)
  excess = float(length_map.excess(np.array([q]))[0])
  points = [point.q for point in found.points]
  if excess > 0:
    return min((each for each in points if each > q), default=math.inf)
  if excess < 0:
    return max(each for each in points if each < q)
  nearest = min(points, key=lambda each: abs(each - q), default=math.inf)
  return nearest if abs(nearest - q) < 1e-6 * q else q


def _after_leaps(length_map: LengthMap, q: float) -> float:
  """Steps until what is left of the way leaps over no fixed point.

  A leap to the other side of a fixed point at least halves the distance in
  ln q, so those that are left are soon within rounding.
  """
  for _ in range(_MAX_STEPS):
    following = float(length_map(q))
    if following > _HIGHEST or abs(following - q) <= 1e-14 * q:
      break
    q = following
  return q


def require_start(q_start: float | None, length_map: LengthMap) -> float:
  """Returns the variance of the first pre-activation.

  Args:
    q_start: as given; None stands for inputs of mean square 1.
    length_map: of the layers.

  Raises:
    ValueError: if it isn't a positive number.
  """
  if q_start is None:
    return length_map.weight_std**2 + length_map.bias_std**2
  return _require_number('q_start', q_start, 'positive')


def require_stds(weight_std: float, bias_std: float) -> tuple[float, float]:
  """Returns standard deviations as floats.

  Raises:
    ValueError: if they are none, or that of the weights is 0.
  """
  return (
    _require_number('weight_std', weight_std, 'positive'),
    _require_number('bias_std', bias_std, 'not negative'),
  )


def _require_number(name: str, value: float, kind: str) -> float:
  number = elementwise.concrete(name, value)
  if number.ndim:
    raise ValueError(
      f'{name} must be one number; got an array of shape {number.shape}. Call '
      'once for each.'
    )
  least = np.nextafter(0, 1) if kind == 'positive' else 0
  if not least <= number < np.inf:
    raise ValueError(
      f'{name} must be a finite number that is {kind}; got {float(number)}.'
    )
  return float(number)
