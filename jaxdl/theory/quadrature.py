"""Adaptive integration of many integrals at once, in float64.

Panels are bisected until the rules of Gauss (10 points) and Kronrod (21 points)
agree, as QUADPACK does for one integral. See Piessens et al., 1983, "QUADPACK:
a subroutine package for automatic integration".
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Array = np.ndarray

_MAX_BISECTIONS = 64
_EXTRA_PANELS = 1 << 14

_POSITIVE_NODES = (
  0.995657163025808080735527280689003,
  0.973906528517171720077964012084452,
  0.930157491355708226001207180059508,
  0.865063366688984510732096688423493,
  0.780817726586416897063717578345042,
  0.679409568299024406234327365114874,
  0.562757134668604683339000099272694,
  0.433395394129247190799265943165784,
  0.294392862701460198131126603103866,
  0.148874338981631210884826001129720,
)
_KRONROD_WEIGHTS = (
  0.011694638867371874278064396062192,
  0.032558162307964727478818972459390,
  0.054755896574351996031381300244580,
  0.075039674810919952767043140916190,
  0.093125454583697605535065465083366,
  0.109387158802297641899210590325805,
  0.123491976262065851077958109585166,
  0.134709217311473325928054001771707,
  0.142775938577060080797094273138717,
  0.147739104901338491374841515972068,
)
_KRONROD_MIDDLE = 0.149445554002916905664936468389821
_GAUSS_WEIGHTS = (
  0.066671344308688137593568809893332,
  0.149451349150580593145863397657697,
  0.219086362515982043995534934228163,
  0.269266719309996355091226921569469,
  0.295524224714752870173815619188769,
)


def _rule() -> tuple[Array, Array, Array]:
  """Returns nodes, Kronrod's weights, and Gauss's (0 where it has no node)."""
  positive = np.array(_POSITIVE_NODES)
  kronrod = np.array(_KRONROD_WEIGHTS)
  gauss = np.zeros(10)
  gauss[1::2] = _GAUSS_WEIGHTS
  return (
    np.concatenate([-positive, [0.0], positive[::-1]]),
    np.concatenate([kronrod, [_KRONROD_MIDDLE], kronrod[::-1]]),
    np.concatenate([gauss, [0.0], gauss[::-1]]),
  )


_NODES, _KRONROD, _GAUSS = _rule()


class Panels(NamedTuple):
  """Intervals, each a part of the domain of one integral.

  Attributes:
    low: lower ends.
    high: upper ends.
    owner: the index of the integral that each belongs to.
  """

  low: Array  # [panels]
  high: Array  # [panels]
  owner: Array  # [panels], int

  def bisected(self) -> 'Panels':
    """Returns twice as many, each half as wide."""
    middle = 0.5 * (self.low + self.high)
    return Panels(
      np.concatenate([self.low, middle]),
      np.concatenate([middle, self.high]),
      np.concatenate([self.owner, self.owner]),
    )


class Integrals(NamedTuple):
  """Values of integrals, with what is known of their errors.

  Attributes:
    value: of each component of each integral.
    error: an estimate of the absolute error, without rounding.
    magnitude: the integrals of the absolute values.
  """

  value: Array  # [components, integrals]
  error: Array  # [components, integrals]
  magnitude: Array  # [components, integrals]


def panels(breaks: Array, low: float, high: float) -> Panels:
  """Cuts the interval from `low` to `high` at breaks.

  Args:
    breaks: [integrals, breaks], in any order; those outside count for nothing.
    low: the lower end of every integral.
    high: the upper end.
  """
  num_integrals = breaks.shape[0]
  ends = np.full((num_integrals, 1), low), np.full((num_integrals, 1), high)
  edges = np.concatenate([ends[0], breaks, ends[1]], axis=1)
  edges = np.sort(np.clip(edges, low, high), axis=1)
  left, right = edges[:, :-1], edges[:, 1:]
  owner = np.broadcast_to(np.arange(num_integrals)[:, None], left.shape)
  wide = right > left
  return Panels(left[wide], right[wide], owner[wide])


def integrate(
  fn: Callable[[Array, Array], Array],
  parts: Panels,
  num_integrals: int,
  *,
  tolerance: float = 1e-14,
  scale: Array | float = 0.0,
) -> Integrals:
  """Integrates a function of several components over panels, adaptively.

  A panel is done once its error is below `tolerance` times the magnitude of its
  integral, or `scale` if that is more. One that never gets there, for a
  divergent integral or too many oscillations, leaves its error in the result:
  the caller decides.

  Args:
    fn: maps points [panels, nodes] and owners [panels, 1] to [components,
      panels, nodes].
    parts: the domains.
    num_integrals: how many integrals the panels belong to.
    tolerance: relative, of a panel.
    scale: below which a magnitude doesn't count; broadcasts against
      [components, integrals].
  """
  done = None
  limit = 4 * len(parts.low) + _EXTRA_PANELS
  for _ in range(_MAX_BISECTIONS):
    estimates = _estimate(fn, parts)
    sums = Integrals(
      *(_sum_by_owner(e, parts.owner, num_integrals) for e in estimates)
    )
    total = sums if done is None else Integrals(*map(np.add, done, sums))
    allowed = tolerance * np.maximum(total.magnitude, scale)
    bad = np.any(estimates.error > allowed[:, parts.owner], axis=0)
    bad &= parts.high - parts.low > 4 * np.spacing(
      np.maximum(np.abs(parts.low), np.abs(parts.high))
    )
    if not bad.any() or 2 * np.count_nonzero(bad) > limit:
      return total
    kept = Integrals(
      *(
        _sum_by_owner(e[:, ~bad], parts.owner[~bad], num_integrals)
        for e in estimates
      )
    )
    done = kept if done is None else Integrals(*map(np.add, done, kept))
    parts = Panels(*(each[bad] for each in parts)).bisected()
  return total


def _estimate(fn: Callable[[Array, Array], Array], parts: Panels) -> Integrals:
  """Returns [components, panels]: Kronrod's values, errors and magnitudes."""
  half = 0.5 * (parts.high - parts.low)
  middle = 0.5 * (parts.high + parts.low)
  values = fn(middle[:, None] + half[:, None] * _NODES, parts.owner[:, None])
  kronrod = half * (values @ _KRONROD)
  difference = np.abs(kronrod - half * (values @ _GAUSS))
  magnitude = half * (np.abs(values) @ _KRONROD)
  mean = (0.5 / half) * kronrod
  spread = half * (np.abs(values - mean[..., None]) @ _KRONROD)
  ratio = np.minimum(
    1.0, 200 * difference / np.maximum(spread, np.finfo(float).tiny)
  )
  error = np.where(spread > 0, spread * ratio**1.5, difference)
  return Integrals(kronrod, error, magnitude)


def _sum_by_owner(values: Array, owner: Array, num_integrals: int) -> Array:
  return np.stack(
    [np.bincount(owner, row, minlength=num_integrals) for row in values]
  )


def root(
  fn: Callable[[float], float], low: float, high: float, tolerance: float = 0.0
) -> float:
  """Finds where a continuous function changes its sign, by Chandrupatla.

  It is bisection wherever inverse quadratic interpolation would be unsafe. See
  Chandrupatla, 1997, "A new hybrid quadratic/bisection algorithm for finding
  the zero of a nonlinear function without using derivatives".

  Args:
    fn: of opposite signs at the ends, or zero at one.
    low: one end.
    high: the other end.
    tolerance: relative, of the root, above a few units in the last place.

  Raises:
    ValueError: if the signs are the same.
  """
  a, b = high, low
  value_a, value_b = fn(a), fn(b)
  if value_a * value_b > 0:
    raise ValueError(
      f'The function has the same sign at {low} and at {high}; pass ends '
      'between which it changes its sign.'
    )
  fraction = 0.5
  for _ in range(200):
    best, value = (a, value_a) if abs(value_a) < abs(value_b) else (b, value_b)
    width = abs(b - a)
    small = (tolerance + 4e-16) * abs(best) + 1e-300
    if value == 0 or width <= 2 * small:
      return best
    fraction = min(max(fraction, small / width), 1 - small / width)
    point = a + fraction * (b - a)
    value = fn(point)
    if (value > 0) == (value_a > 0):
      c, value_c = a, value_a
    else:
      c, value_c, b, value_b = b, value_b, a, value_a
    a, value_a = point, value
    fraction = _next_fraction(a, b, c, value_a, value_b, value_c)
  return a


def _next_fraction(
  a: float, b: float, c: float, value_a: float, value_b: float, value_c: float
) -> float:
  """Where between a and b to look next: interpolated if safe, else midway."""
  xi = (a - b) / (c - b)
  phi = (value_a - value_b) / (value_c - value_b)
  if not (phi**2 < xi and (1 - phi) ** 2 < 1 - xi):
    return 0.5
  first = value_a / (value_b - value_a) * value_c / (value_b - value_c)
  second = (
    (c - a)
    / (b - a)
    * value_a
    / (value_c - value_a)
    * value_b
    / (value_c - value_b)
  )
  return first + second
