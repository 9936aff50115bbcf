"""The critical line: standard deviations at which gradients keep their size.

At a fixed point q of the length map, weight_std^2 = (q - bias_std^2) / E[f^2],
so chi_1 = weight_std^2 E[f'^2] is a function of q alone, and each q where it is
1 is found, without solving for a fixed point on the way. See Schoenholz et
al., 2017, https://arxiv.org/abs/1611.01232; Hayou et al., 2019,
https://arxiv.org/abs/1902.06853.

Not every point of the line can be reached. That of `relu` and of its kin is the
point bias_std = 0: with a bias, chi_1 tends to 1 only as q_star grows without
bound. So it is of `softplus` at any bias. Those of `gelu` (at bias_std below
0.416) and of `silu` (below 0.745) lie at unstable fixed points: as weight_std
grows, chi_1 jumps past 1 when q_star ceases to be. Those are refused in words,
and `critical_points` has them.
"""

from collections.abc import Callable, Sequence
import math
from typing import NamedTuple

from jaxdl.theory import elementwise
from jaxdl.theory import gaussian
from jaxdl.theory import lengths
from jaxdl.theory import quadrature
import numpy as np

Array = np.ndarray

_NOISE = 1e-12  # Of chi_1, by rounding and quadrature.


class CriticalPoint(NamedTuple):
  """Where chi_1 = 1 at a fixed point of the length map.

  Attributes:
    weight_std: of the weights.
    bias_std: of the biases.
    q: the fixed point; None where every variance is one.
    slope: of the length map there.
    stable: whether variances nearby tend to it.
  """

  weight_std: float
  bias_std: float
  q: float | None
  slope: float
  stable: bool


def critical_points(
  activation: elementwise.Activation | elementwise.Elementwise,
  bias_std: float,
) -> tuple[CriticalPoint, ...]:
  """Returns all points of the critical line at a bias, by ascending q.

  Args:
    activation: a specification such as `tanh`, or a function of one array.
    bias_std: standard deviation of the biases.

  Raises:
    ValueError: if the activation or the standard deviation is refused.
  """
  found = elementwise.elementwise(activation)
  _, bias_std = lengths.require_stds(1.0, bias_std)
  variance = bias_std**2
  chi = lambda grown: _chi_at_fixed_point(found, variance, grown)
  grid = lengths.grid(min(variance or 1.0, 1.0), max(variance, 1.0))
  excess = _sure(chi(grid) - 1)
  points = []
  if variance == 0 and float(found.value(0.0)) == 0:
    start = _at_zero(found, bool(excess.any()))
    points += [] if start is None else [start]
  for grown in _roots(lambda grown: float(chi(grown)) - 1, grid, excess):
    q = variance + grown
    square = gaussian.moments(found, q).mean_square
    points.append(_described(found, math.sqrt(grown / square), bias_std, q))
  return tuple(points)


def critical_weight_std(
  activation: elementwise.Activation | elementwise.Elementwise,
  bias_std: float,
  *,
  q_start: float | None = None,
) -> float:
  """Returns the weight_std at which chi_1 = 1 at its own q_star.

  Args:
    activation: a specification such as `tanh`, or a function of one array.
    bias_std: standard deviation of the biases.
    q_start: the variance of the first pre-activation, as of `mean_field`.

  Raises:
    ValueError: if there is none, with the reason, or if there are several.
  """
  found = elementwise.elementwise(activation)
  points = critical_points(found, bias_std)
  reached = _reached(found, points, q_start)
  if not reached:
    raise ValueError(
      f'Activation {found.name} has no critical weight_std at bias_std = '
      f'{bias_std:g}: {_reason(found, points, bias_std)}'
    )
  return _only([point.weight_std for point in reached], found, 'weight_std')


def critical_bias_std(
  activation: elementwise.Activation | elementwise.Elementwise,
  weight_std: float,
  *,
  q_start: float | None = None,
) -> float:
  """Returns the bias_std at which chi_1 = 1 at its own q_star.

  Args:
    activation: a specification such as `tanh`, or a function of one array.
    weight_std: weights have the variance weight_std^2 / fan_in.
    q_start: the variance of the first pre-activation, as of `mean_field`.

  Raises:
    ValueError: if there is none.
  """
  found = elementwise.elementwise(activation)
  weight_std, _ = lengths.require_stds(weight_std, 0.0)
  length_map = lengths.LengthMap(found, weight_std, 0.0)
  chi = lambda q: (
    weight_std**2 * gaussian.estimated_moments(found, q).mean_square_slope
  )
  grid = lengths.grid(1.0, 1.0)
  points = [
    point
    for point in critical_points(found, 0.0)
    if abs(point.weight_std - weight_std) < _NOISE * weight_std
  ]
  for q in _roots(lambda q: float(chi(q)) - 1, grid, _sure(chi(grid) - 1)):
    variance = q - float(length_map(q))
    if variance > 0:
      points.append(_described(found, weight_std, math.sqrt(variance), q))
  reached = _reached(found, points, q_start)
  if not reached:
    raise ValueError(
      f'Activation {found.name} has no critical bias_std at weight_std = '
      f'{weight_std:g}: chi_1 is 1 at no stable fixed point of the variance '
      'that is reached; try another weight_std.'
    )
  return _only([point.bias_std for point in reached], found, 'bias_std')


def _only(
  values: list[float], found: elementwise.Elementwise, name: str
) -> float:
  """Returns the only one of the values.

  Raises:
    ValueError: if there are several.
  """
  if len(values) > 1:
    listed = ', '.join(f'{value:.6g}' for value in values)
    raise ValueError(
      f'Activation {found.name} has several critical values of {name}: '
      f'{listed}. Choose one of these.'
    )
  return values[0]


def _chi_at_fixed_point(
  found: elementwise.Elementwise, variance: float, grown: float | Array
) -> Array:
  """Returns chi_1 at the fixed point q = variance + grown.

  Args:
    found: the activation.
    variance: of the biases.
    grown: what the weights add, weight_std^2 E[f^2]; of any shape.

  Returns:
    chi_1, of the shape of `grown`; NaN where it is unknown.
  """
  moments = gaussian.estimated_moments(found, variance + grown)
  with np.errstate(over='ignore', invalid='ignore', divide='ignore'):
    chi = grown / moments.mean_square * moments.mean_square_slope
  return np.where(moments.error < 1e-6, chi, np.nan)


def _sure(excess: Array) -> Array:
  """Returns the excess, 0 where its sign is in doubt."""
  return np.where(np.abs(excess) > _NOISE, excess, 0.0)


def _roots(
  fn: Callable[[float], float], grid: Array, excess: Array
) -> list[float]:
  return [
    math.exp(
      quadrature.root(
        lambda log_q: fn(math.exp(log_q)), math.log(low), math.log(high)
      )
    )
    for low, high in lengths.brackets(grid, excess)
  ]


def _at_zero(
  found: elementwise.Elementwise, depends_on_q: bool
) -> CriticalPoint | None:
  """The point at q = 0 of an activation through the origin, without bias."""
  near, nearest = gaussian.moments(
    found, np.array([1e6, 1.0]) * lengths.NEAR_ZERO
  ).mean_square_slope
  if not (nearest > 0 and abs(near - nearest) < 1e-6 * nearest):
    return None  # It tends to 0, or to no limit.
  weight_std = 1 / math.sqrt(float(nearest))
  if not depends_on_q:
    return CriticalPoint(weight_std, 0.0, None, 1.0, True)
  length_map = lengths.LengthMap(found, weight_std, 0.0)
  point = lengths.describe(length_map, 0.0)
  return CriticalPoint(weight_std, 0.0, 0.0, point.slope, point.stable)


def _described(
  found: elementwise.Elementwise, weight_std: float, bias_std: float, q: float
) -> CriticalPoint:
  length_map = lengths.LengthMap(found, weight_std, bias_std)
  point = lengths.describe(length_map, q)
  return CriticalPoint(weight_std, bias_std, q, point.slope, point.stable)


def _reached(
  found: elementwise.Elementwise,
  points: Sequence[CriticalPoint],
  q_start: float | None,
) -> list[CriticalPoint]:
  """Returns those points whose q is where variances go from `q_start`."""
  reached = []
  for point in points:
    if point.q is None:
      reached.append(point)
    elif point.stable:
      length_map = lengths.LengthMap(found, point.weight_std, point.bias_std)
      start = lengths.require_start(q_start, length_map)
      limit = lengths.limit(length_map, lengths.survey(length_map), start)
      if abs(limit - point.q) <= 1e-6 * max(point.q, 1e-6):
        reached.append(point)
  return reached


def _reason(
  found: elementwise.Elementwise,
  points: tuple[CriticalPoint, ...],
  bias_std: float,
) -> str:
  """Says why none of the points will do."""
  if not points:
    variance = bias_std**2
    ends = _chi_at_fixed_point(found, variance, np.array([1.0, 1e30]))
    if ends[0] > 1:
      return 'chi_1 is above 1 at every fixed point of the variance.'
    below = 'chi_1 is below 1 at every fixed point of the variance'
    if not ends[1] > 1 - 1e-6:
      return f'{below}.'
    slopes = gaussian.estimated_moments(
      found, lengths.NEAR_INFINITY
    ).mean_square_slope
    return (
      f'{below}, and tends to 1 only as weight_std -> '
      f'{1 / math.sqrt(float(slopes)):.6g}, where that grows without bound.'
    )
  listed = '; '.join(
    f'q = {point.q:.6g} at weight_std = {point.weight_std:.6g}'
    f' ({"stable" if point.stable else "unstable"}, slope {point.slope:.6g})'
    for point in points
  )
  return (
    'chi_1 is 1 only at fixed points of the variance that are not reached from '
    f'q_start, as chi_1 jumps past 1 there: {listed}.'
  )
