"""The correlation map of a wide random layer, and where it comes to rest.

It is a power series in c whose coefficients are not negative and add up to 1
(Daniely et al., 2016, https://arxiv.org/abs/1602.05897). So it is convex on
[0, 1], and unless it is the identity, all correlations but -1 and 1 tend to
one: to 1 if its slope there is at most 1, else to its only fixed point in
[0, 1).
"""

import math
from typing import NamedTuple

from jaxdl.theory import gaussian
from jaxdl.theory import lengths
from jaxdl.theory import quadrature

_IDENTITY_WITHIN = 1e-10
_AT_REST_WITHIN = 1e-12
_SMALLEST_GAP = 1e-14


class Rest(NamedTuple):
  """A correlation at rest.

  Attributes:
    c: the correlation; None if every correlation is at rest.
    slope: of the correlation map there.
  """

  c: float | None
  slope: float


def gap_map(length_map: lengths.LengthMap, gap: float, q: float) -> float:
  """Returns 1 - correlation after a layer, for inputs of variance q.

  Args:
    length_map: of the layer.
    gap: 1 - correlation before it.
    q: the variance of both inputs.

  Raises:
    ValueError: if the gap isn't between 0 and 2, or q isn't positive.
  """
  pair = gaussian.pair_moments(length_map.function, q, gap)
  difference = length_map.weight_std**2 * pair.half_square_difference
  return float(difference / length_map(q))


def slope(length_map: lengths.LengthMap, gap: float, q: float) -> float:
  """Returns the slope of the correlation map, for inputs of variance q.

  Args:
    length_map: of the layer.
    gap: 1 - correlation before it.
    q: the variance of both inputs.

  Raises:
    ValueError: if the gap isn't between 0 and 2, or q isn't positive.
  """
  if gap == 0:
    moments = gaussian.moments(length_map.function, q)
    product = float(moments.mean_square_slope)
  else:
    product = gaussian.pair_moments(length_map.function, q, gap).slope_product
  return float(length_map.weight_std**2 * product * (q / length_map(q)))


def fixed_point(length_map: lengths.LengthMap, q: float) -> Rest:
  """Returns the correlation that all tend to, at a fixed variance.

  Args:
    length_map: of the layer.
    q: the variance.

  Raises:
    ValueError: if an integral does not converge.
  """
  at_one = slope(length_map, 0.0, q)
  if abs(at_one - 1) < _IDENTITY_WITHIN and _is_identity(length_map, q):
    return Rest(None, 1.0)
  if at_one <= 1 + _AT_REST_WITHIN:
    return Rest(1.0, at_one)
  excess = lambda gap: gap_map(length_map, gap, q) / gap - 1
  if excess(1.0) >= -_AT_REST_WITHIN:
    return Rest(0.0, slope(length_map, 1.0, q))
  high = 1.0
  low = 0.1
  while low > _SMALLEST_GAP and excess(low) <= 0:
    low, high = 0.1 * low, low
  if low <= _SMALLEST_GAP:
    return Rest(1.0, at_one)
  log_gap = quadrature.root(
    lambda log: excess(math.exp(log)), math.log(low), math.log(high), 1e-13
  )
  gap = math.exp(log_gap)
  return Rest(1 - gap, slope(length_map, gap, q))


def _is_identity(length_map: lengths.LengthMap, q: float) -> bool:
  """Whether all correlations are kept: by convexity, if 0 and 1/2 are."""
  return all(
    abs(gap_map(length_map, gap, q) - gap) < _IDENTITY_WITHIN
    for gap in (1.0, 0.5)
  )
