"""Expectations of activations of Gaussian variables, in float64.

For one variable u = sqrt(q) z, and for two of correlation c. Panels of the
quadrature end at every kink, so the integrand is analytic on each; they shrink
geometrically toward 0, so that variances q from 1e-30 to 1e30 are as good as 1;
and what is left is adapted to. Of two variables,

  u1 = sqrt(q) (a x + b y),  u2 = sqrt(q) (a x - b y),
  a^2 = (1 + c) / 2,  b^2 = (1 - c) / 2,

for independent x and y: as c -> 1, all that depends on 1 - c is b, which is
computed from the gap 1 - c, so it never cancels.
"""

from collections.abc import Callable, Sequence
import math
from typing import NamedTuple

from jaxdl.theory import elementwise
from jaxdl.theory import quadrature
import numpy as np

Array = np.ndarray

_REACH = 12.0  # Standard deviations; the density beyond is below 1e-32.
_STANDARD_BREAKS = (-4.5, -2.0, 2.0, 4.5)
_GRADING = 4.0  # Ratio of the widths of panels next to each other.
_GAP_STEPS = 8.0
_SMALL_GAP = 1e-6
_PANEL_TOLERANCE = 3e-14
_TOLERANCE = 1e-9
_NEGLIGIBLE = 1e-20


class Moments(NamedTuple):
  """Expectations over u ~ N(0, q) of an activation f; arrays of one shape.

  Attributes:
    mean: E[f].
    mean_square: E[f^2].
    mean_square_slope: E[f'^2].
    mean_fourth_slope: E[f'^4].
    growth: d E[f^2] / dq = E[f'^2 + f f''], computed as E[f f' u] / q, which is
      right at kinks too.
    error: the largest relative error of those, as estimated; of one that is
      below 1e-20 of that of a line as steep, in units of the latter.
  """

  mean: Array
  mean_square: Array
  mean_square_slope: Array
  mean_fourth_slope: Array
  growth: Array
  error: Array


class PairMoments(NamedTuple):
  """Expectations over two correlated Gaussian variables u1 and u2.

  Attributes:
    product: E[f(u1) f(u2)].
    slope_product: E[f'(u1) f'(u2)].
    half_square_difference: E[(f(u1) - f(u2))^2] / 2.
    error: the largest error, relative to E[f(u1)^2 + f(u2)^2] or that of the
      slopes, as estimated.
  """

  product: float
  slope_product: float
  half_square_difference: float
  error: float


def moments(
  activation: elementwise.Activation | elementwise.Elementwise,
  variance: float | Array,
) -> Moments:
  """Returns the moments of an activation at one variance or many.

  Args:
    activation: a specification, a function, or an `Elementwise`.
    variance: any shape; 0 is allowed.

  Raises:
    ValueError: if the activation or a variance is refused, or an integral does
      not converge.
  """
  found = elementwise.elementwise(activation)
  result = estimated_moments(found, variance)
  bad = ~(result.error <= _TOLERANCE)
  if np.any(bad):
    first = np.asarray(variance)[bad].min()
    raise ValueError(
      f'The moments of activation {found.name} at variance {first:.6g} do not '
      'converge; it grows, oscillates or spikes too fast.'
    )
  return result


def estimated_moments(
  found: elementwise.Elementwise, variance: float | Array
) -> Moments:
  """Returns the moments with their errors, however large those are.

  Args:
    found: the activation.
    variance: any shape.

  Raises:
    ValueError: if a variance is negative or not finite.
  """
  variances = require_variance(variance)
  stds = np.sqrt(variances.ravel())
  safe = np.where(stds > 0, stds, 1e-100)  # At 0, f' is that beside it.

  def integrand(z, owner):
    value, slope = found.value_and_slope(safe[owner] * z)
    square = slope * slope
    parts = (value, value * value, square, square * square, value * slope * z)
    return np.stack(parts) * _density(z)

  with np.errstate(over='ignore', invalid='ignore'):
    parts = quadrature.panels(_breaks_of_each(found, safe), -_REACH, _REACH)
    result = quadrature.integrate(integrand, parts, stds.size)
    beyond = _at_the_ends(integrand, stds.size)
    error = _relative_error(result, beyond, _negligible(found, stds))
  values = [each.reshape(variances.shape) for each in (*result.value, error)]
  values[4] = values[4] / safe.reshape(variances.shape)
  at_zero = found.value(np.zeros(1))[0]
  values[0] = np.where(variances > 0, values[0], at_zero)
  values[1] = np.where(variances > 0, values[1], at_zero**2)
  return Moments(*values)


def _at_the_ends(
  integrand: Callable[[Array, Array], Array], num_integrals: int
) -> Array:
  """Returns [components, integrals]: about what lies out of reach."""
  owner = np.arange(num_integrals)[:, None]
  ends = np.broadcast_to([-_REACH, _REACH], (num_integrals, 2))
  return np.abs(integrand(ends, owner)).sum(axis=-1)


def _negligible(found: elementwise.Elementwise, stds: Array) -> Array:
  """Returns [components, integrals]: magnitudes that may be of any error.

  They are those of a line as steep as the activation, times 1e-20. They count
  for one that is flat but far from 0, so that its moments are tiny.
  """
  slope = np.broadcast_to(found.steepness, stds.shape)
  value = slope * stds
  parts = (value, value**2, slope**2, slope**4, slope * value)
  return np.maximum(_NEGLIGIBLE * np.stack(parts), 1e-300)


def _relative_error(
  result: quadrature.Integrals, beyond: Array, negligible: Array
) -> Array:
  """Returns the largest of the components; infinite where one isn't finite."""
  error = (result.error + beyond) / np.maximum(result.magnitude, negligible)
  error = np.where(np.isfinite(result.value), error, np.inf)
  return np.max(np.where(np.isnan(error), np.inf, error), axis=0)


def pair_moments(
  activation: elementwise.Activation | elementwise.Elementwise,
  variance: float,
  gap: float,
) -> PairMoments:
  """Returns the moments over two variables of correlation 1 - gap.

  Args:
    activation: a specification, a function, or an `Elementwise`.
    variance: of each variable, above 0.
    gap: 1 - c, from 0 to 2.

  Raises:
    ValueError: if the activation, the variance or the gap is refused, or an
      integral does not converge.
  """
  found = elementwise.elementwise(activation)
  q = float(require_variance(variance))
  gap = float(elementwise.concrete('gap', gap))
  if not (0 <= gap <= 2 and q > 0):
    raise ValueError(
      f'Two variables of variance {q:.6g} and correlation {1 - gap:.6g}: the '
      'variance must be positive, and the correlation between -1 and 1.'
    )
  small = gap < _SMALL_GAP
  scale = _pair_scale(moments(found, q), q, gap)
  result = _pair_moments(found, q, gap, scale if not small else scale[:2])
  if not result.error <= _TOLERANCE:
    raise ValueError(
      f'The moments of activation {found.name} at variance {q:.6g} and '
      f'correlation {1 - gap:.6g} do not converge; it grows, oscillates or '
      'spikes too fast.'
    )
  if small:
    difference = _integrated_difference(found, q, gap, scale[:2])
    result = result._replace(half_square_difference=difference)
  return result


def _integrated_difference(
  found: elementwise.Elementwise, q: float, gap: float, scale: Array
) -> float:
  """E[(f(u1) - f(u2))^2] / 2 = q * integral of E[f' f'] from gap 0 to `gap`.

  By Price's theorem. Nothing cancels; and in the root of the gap the integrand
  is smooth up to the scale of the activation, and from there by magnitudes.
  """
  end = math.sqrt(gap)
  edges = [0.0]
  width = found.scale / math.sqrt(q)
  while width < end:
    edges.append(width)
    width *= _GRADING
  ends = np.array([*edges, end])
  nodes, weights = np.polynomial.legendre.leggauss(4)
  half = 0.5 * np.diff(ends)[:, None]
  roots = (ends[:-1, None] + half + half * nodes).ravel()
  products = [
    _pair_moments(found, q, root**2, scale).slope_product for root in roots
  ]
  return 2 * q * float(np.sum((half * weights).ravel() * roots * products))


def _pair_moments(
  found: elementwise.Elementwise, q: float, gap: float, scale: Array
) -> PairMoments:
  """The moments by quadrature, over x of quadratures over y.

  Over y > 0: the other half is the same, with u1 and u2 exchanged. The
  difference, if asked for, is that of the values: its rounding errors are about
  1e-16 / sqrt(gap) of it, so adaptation would chase them at small gaps.

  Args:
    found: the activation.
    q: the variance.
    gap: 1 - c.
    scale: what errors of the integrals are measured by, [2, 1], or [3, 1] with
      the difference.
  """
  with_difference = len(scale) == 3
  std = math.sqrt(q)
  a, b = math.sqrt(1 - 0.5 * gap), math.sqrt(0.5 * gap)
  marks = np.array(_breaks(found.kinks, found.scale, std, ()))

  def outer(x, owner):
    del owner
    flat = x.ravel()

    def inner(y, owner):
      along, across = std * a * flat[owner], std * b * y
      first, slope_1 = found.value_and_slope(along + across)
      other, slope_2 = found.value_and_slope(along - across)
      products = [first * other, slope_1 * slope_2]
      if with_difference:
        products.append(0.5 * np.square(first - other))
      return np.stack(products) * (2 * _density(y))

    parts = quadrature.panels(_inner_breaks(marks, flat, a, b), 0.0, _REACH)
    result = quadrature.integrate(
      inner, parts, flat.size, scale=scale, tolerance=_PANEL_TOLERANCE
    )
    return result.value.reshape(-1, *x.shape) * _density(x)

  breaks = _outer_breaks(found.kinks, marks, std, a, b)[None]
  with np.errstate(over='ignore', invalid='ignore'):
    result = quadrature.integrate(
      outer,
      quadrature.panels(breaks, -_REACH, _REACH),
      1,
      scale=scale,
      tolerance=_PANEL_TOLERANCE,
    )
  value = result.value[:, 0]
  error = result.error[:2, 0] / np.maximum(scale[:2, 0], 1e-300)
  error = np.where(np.isfinite(value[:2]), error, np.inf)
  difference = float(value[2]) if with_difference else math.nan
  return PairMoments(
    float(value[0]), float(value[1]), difference, float(np.max(error))
  )


def _pair_scale(sizes: Moments, q: float, gap: float) -> Array:
  """Returns [3, 1]: what errors of the three integrals are measured by."""
  slope = float(sizes.mean_square_slope)
  difference = 1e-2 * min(1.0, 0.5 * gap) * q * slope
  return np.array([[float(sizes.mean_square)], [slope], [difference]])


def _inner_breaks(marks: Array, x: Array, a: float, b: float) -> Array:
  """Where panels in y end for each x: on the lines u1 = mark and u2 = mark."""
  standard = np.broadcast_to(_STANDARD_BREAKS, (x.size, 4))
  if b == 0:
    return standard
  with np.errstate(over='ignore'):
    lines = np.abs(marks - a * x[:, None]) / b
  return np.concatenate([lines, standard], axis=1)


def _outer_breaks(
  kinks: Sequence[float], marks: Array, std: float, a: float, b: float
) -> Array:
  """Where the integral over y, as a function of x, changes fast.

  At the crossings of the lines on which the integrand isn't smooth, and at
  distances of b, 8 b, ... from them.
  """
  if a == 0:
    return np.array([*_STANDARD_BREAKS, 0.0])
  sums = np.add.outer(kinks, kinks).ravel() / std
  crossings = np.unique(sums) / (2 * a)
  crossings = crossings[np.abs(crossings) < _REACH]
  grades = [0.0]
  width = b / a
  while 0 < width < 1 and len(grades) < 60:
    grades += [width, -width]
    width *= _GAP_STEPS
  graded = np.add.outer(crossings, grades).ravel()
  return np.concatenate([_STANDARD_BREAKS, graded, marks / a])


def _density(z: Array) -> Array:
  return np.exp(-0.5 * z * z) * (2 * math.pi) ** -0.5


def _breaks(
  kinks: Sequence[float],
  scale: float,
  std: float,
  standard: Sequence[float] = _STANDARD_BREAKS,
) -> list[float]:
  """Where panels in z = u / std end: at kinks, 0, and graded around it."""
  breaks = [0.0, *standard, *(kink / std for kink in kinks)]
  width = scale / std
  while width < _REACH:
    breaks += [width, -width]
    width *= _GRADING
  return breaks


def _breaks_of_each(found: elementwise.Elementwise, stds: Array) -> Array:
  """Returns [integrals, breaks]; those of few are filled up with zeros."""
  rows = [_breaks(found.kinks, found.scale, std) for std in stds]
  breaks = np.zeros((len(rows), max(map(len, rows), default=0)))
  for row, values in zip(breaks, rows, strict=True):
    row[: len(values)] = values
  return breaks


def require_variance(variance: float | Array) -> Array:
  """Returns variances in float64.

  Raises:
    ValueError: if one is negative or not finite.
  """
  variances = elementwise.concrete('A variance', variance)
  bad = ~(np.isfinite(variances) & (variances >= 0))
  if bad.any():
    raise ValueError(
      'A variance must be a finite number that is not negative; got '
      f'{variances[bad][0]}.'
    )
  return variances
