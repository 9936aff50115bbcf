"""The length map of a wide random layer, and where it comes to rest."""

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
_MAX_STEPS = 2000


class FixedPoint(NamedTuple):
  """A variance that a layer passes on.

  Attributes:
    q: the variance.
    slope: of the length map there: a deviation from q is multiplied by it.
    stable: whether deviations shrink.
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

  def at_zero(self) -> float:
    """Returns what the map makes of q = 0."""
    return float(self(0.0))


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
  """Finds all fixed points of a length map between 1e-12 and 1e12.

  They are bracketed on a logarithmic grid, looked for more closely where the
  map nearly touches the diagonal, and refined.
  """
  start = length_map.at_zero()
  lowest = min(_LOWEST, start / 4) if start > 0 else _LOWEST
  count = int(_PER_DECADE * math.log10(_HIGHEST / lowest)) + 1
  q = np.geomspace(lowest, _HIGHEST, count)
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


def brackets(q: Array, excess: Array) -> list[tuple[float, float]]:
  """Returns neighbours in q between which the excess changes its sign.

  Zeros count for nothing: the signs on their two sides do.
  """
  sure = excess != 0
  q, signs = q[sure], np.sign(excess[sure])
  changes = np.flatnonzero(signs[1:] != signs[:-1])
  return [(float(q[i]), float(q[i + 1])) for i in changes]


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
  for dip in dips:
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
    return FixedPoint(q, slope, abs(slope) < 1)
  above = length_map.excess(np.geomspace(1e-12, 1e-2, 11))
  signs = above[above != 0]
  return FixedPoint(q, slope, bool(signs.size == 0 or signs[0] < 0))


def limit(length_map: LengthMap, found: Survey, q_start: float) -> float | None:
  """Returns where the iterates of the length map go from a variance.

  Args:
    length_map: the map.
    found: its survey.
    q_start: where they start, above 0.

  Returns:
    The limit, infinite if they grow beyond bounds; None if there is none,
    because they cycle or wander.
  """
  if found.every:
    return q_start
  if not found.increasing:
    return _limit_by_steps(length_map, found, q_start)
  excess = float(length_map.excess(np.array([q_start]))[0])
  if excess == 0:
    nearest = min(
      (point.q for point in found.points),
      key=lambda q: abs(q - q_start),
      default=q_start,
    )
    return nearest if abs(nearest - q_start) < 1e-6 * q_start else q_start
  if excess > 0:
    above = [point.q for point in found.points if point.q > q_start]
    return min(above, default=math.inf)
  return max(point.q for point in found.points if point.q < q_start)


def _limit_by_steps(
  length_map: LengthMap, found: Survey, q_start: float
) -> float | None:
  q = q_start
  for _ in range(_MAX_STEPS):
    following = float(length_map(q))
    if following > _HIGHEST:
      return math.inf
    if abs(following - q) <= 1e-12 * q or following < _LOWEST * q_start:
      break
    q = following
  stable = [point.q for point in found.points if point.stable]
  nearest = min(stable, key=lambda each: abs(each - q), default=math.inf)
  return nearest if abs(nearest - q) <= 1e-3 * max(nearest, 1e-9) else None


def require_stds(weight_std: float, bias_std: float) -> None:
  """Checks standard deviations.

  Raises:
    ValueError: if they are none, or that of the weights is 0.
  """
  for name, std, least in (
    ('weight_std', weight_std, 'positive'),
    ('bias_std', bias_std, 'not negative'),
  ):
    if not math.isfinite(std) or std < 0 or (std == 0 and least == 'positive'):
      raise ValueError(
        f'{name} must be a finite number that is {least}; got {std}.'
      )
