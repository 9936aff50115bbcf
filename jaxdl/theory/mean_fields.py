"""Mean field theory of signals in wide random networks.

In a network of wide layers h' = W f(h) + b, with weights of variance
weight_std^2 / fan_in and biases of variance bias_std^2, the entries of a
pre-activation h are Gaussian, and all that a layer does to inputs is a map of
their variances and correlations. See Poole et al., 2016,
https://arxiv.org/abs/1606.05340; Schoenholz et al., 2017,
https://arxiv.org/abs/1611.01232; Hayou et al., 2019,
https://arxiv.org/abs/1902.06853.
"""

import math
from typing import NamedTuple

from jaxdl.theory import correlations
from jaxdl.theory import elementwise
from jaxdl.theory import gaussian
from jaxdl.theory import lengths
import numpy as np

Array = np.ndarray

_CRITICAL_WITHIN = 1e-9


class MeanField(NamedTuple):
  """What a deep random network does to variances, correlations and gradients.

  Everything is of infinite width. Numbers that are taken "at q_star" are taken
  at `q_reference`: it is q_star, or a stand-in for the limit that q tends to
  where that is 0 (1e-30) or infinite (1e30); for the relu family, nothing
  depends on q, and for others it is the limit.

  Attributes:
    activation: its specification, or the name of the function.
    weight_std: weights have the variance weight_std^2 / fan_in.
    bias_std: standard deviation of the biases.
    q_start: the variance of the first pre-activation.
    fixed_points: all variances that a layer passes on, ascending.
    q_star: the one that is reached from `q_start`; None where there is none.
    q_reference: the variance that the numbers below belong to; None where q
      has no limit, and so are all of the others.
    c_star: the correlation that two inputs tend to, from any between -1 and 1;
      None where every correlation is kept.
    chi_1: weight_std^2 E[f'^2]: the mean of what a layer multiplies a squared
      gradient by, and the slope of the correlation map at 1 where q_star > 0.
    chi_star: the slope of the correlation map at c_star.
    xi_q: layers in which a deviation from q_star falls by e; where q diverges,
      in which q grows by e.
    xi_c: layers in which a deviation from c_star falls by e, -1 / ln chi_star.
    xi_gradient: layers in which a squared gradient changes by e,
      1 / |ln chi_1|.
    phase: `ordered`, `critical` or `chaotic`: chi_1 below, at, or above 1.
    note: what is out of the ordinary, in words; empty if nothing is.
    function: the activation, for `jaxdl.theory.gaussian`.
  """

  activation: str
  weight_std: float
  bias_std: float
  q_start: float
  fixed_points: tuple[lengths.FixedPoint, ...]
  q_star: float | None
  q_reference: float | None
  c_star: float | None
  chi_1: float | None
  chi_star: float | None
  xi_q: float | None
  xi_c: float | None
  xi_gradient: float | None
  phase: str | None
  note: str
  function: elementwise.Elementwise

  def length_map(self, q: float | Array) -> Array:
    """Returns the variance after a layer, for q before it, of any shape.

    Raises:
      ValueError: if q is negative or the integral does not converge.
    """
    return self._length_map()(q)

  def chi(self, q: float | Array) -> Array:
    """Returns weight_std^2 E[f'(sqrt(q) z)^2], of the shape of q.

    Raises:
      ValueError: if q is negative or the integral does not converge.
    """
    moments = gaussian.moments(self.function, q)
    return self.weight_std**2 * moments.mean_square_slope

  def correlation_map(self, c: float, q: float | None = None) -> float:
    """Returns the correlation after a layer of two inputs of variance q.

    Args:
      c: their correlation before it.
      q: the variance of both before it; `q_reference` by default.

    Raises:
      ValueError: if c isn't between -1 and 1, or q isn't positive.
    """
    return 1 - self.gap_map(1 - c, q)

  def gap_map(self, gap: float, q: float | None = None) -> float:
    """Returns 1 - correlation after a layer, for 1 - correlation before it.

    It is right relative to itself, however small the gap.

    Args:
      gap: 1 - c, from 0 to 2.
      q: the variance of both inputs; `q_reference` by default.

    Raises:
      ValueError: if the gap isn't between 0 and 2, or q isn't positive.
    """
    return correlations.gap_map(self._length_map(), gap, self._variance(q))

  def correlation_slope(self, c: float, q: float | None = None) -> float:
    """Returns the derivative of `correlation_map` by c.

    Args:
      c: the correlation.
      q: the variance of both inputs; `q_reference` by default.

    Raises:
      ValueError: if c isn't between -1 and 1, or q isn't positive.
    """
    return correlations.slope(self._length_map(), 1 - c, self._variance(q))

  def _length_map(self) -> lengths.LengthMap:
    return lengths.LengthMap(self.function, self.weight_std, self.bias_std)

  def _variance(self, q: float | None) -> float:
    if q is not None:
      return q
    if self.q_reference is None:
      raise ValueError(f'{self.note} Pass the variance q.')
    return self.q_reference


def mean_field(
  activation: elementwise.Activation | elementwise.Elementwise,
  weight_std: float,
  bias_std: float,
  *,
  q_start: float | None = None,
) -> MeanField:
  """Returns the mean field theory of a deep network.

  Args:
    activation: a specification such as `tanh` or `leaky_relu:0.2`, a function
      of one array, or an `Elementwise`. `prelu` has its initial slope, and
      `rrelu` the slope of test mode.
    weight_std: weights have the variance weight_std^2 / fan_in.
    bias_std: standard deviation of the biases.
    q_start: the variance of the first pre-activation; by default
      weight_std^2 + bias_std^2, of inputs of mean square 1.

  Raises:
    ValueError: if the activation is refused, or a standard deviation is
      negative or not finite (that of the weights must be positive).
  """
  found = elementwise.elementwise(activation)
  weight_std, bias_std = lengths.require_stds(weight_std, bias_std)
  length_map = lengths.LengthMap(found, weight_std, bias_std)
  q_start = lengths.require_start(q_start, length_map)
  surveyed = lengths.survey(length_map)
  limit = lengths.limit(length_map, surveyed, q_start)
  bare = MeanField(
    activation=found.name,
    weight_std=weight_std,
    bias_std=bias_std,
    q_start=q_start,
    fixed_points=surveyed.points,
    q_star=None if limit == math.inf else limit,
    q_reference=None,
    c_star=None,
    chi_1=None,
    chi_star=None,
    xi_q=None,
    xi_c=None,
    xi_gradient=None,
    phase=None,
    note=_note(surveyed, q_start, limit),
    function=found,
  )
  if limit == math.inf and not _tends(found):
    return bare._replace(note=f'{bare.note} {_NO_CHI}')
  return _completed(bare, length_map, limit)


def _completed(
  bare: MeanField, length_map: lengths.LengthMap, limit: float
) -> MeanField:
  """Adds what depends on the limit of the variance."""
  q = min(max(limit, lengths.NEAR_ZERO), lengths.NEAR_INFINITY)
  chi_1 = float(bare.chi(q))
  rest = correlations.fixed_point(length_map, q)
  note = bare.note if rest.c is not None else f'{bare.note} {_EVERY_C}'
  return bare._replace(
    q_reference=q,
    c_star=rest.c,
    chi_1=chi_1,
    chi_star=rest.slope,
    xi_q=_depth_scale(length_map.slope(q)),
    xi_c=_depth_scale(rest.slope),
    xi_gradient=_depth_scale(chi_1),
    phase=_phase(chi_1),
    note=note.strip(),
  )


_EVERY_Q = 'Every variance is a fixed point; q_star is q_start.'
_EVERY_C = 'Every correlation is kept there, so there is no c_star.'
_DIVERGES = 'The variance grows without bound from q_start: there is no q_star.'
_VANISHES = 'The variance tends to 0.'
_RESTS = (
  'A layer changes the variance q_start by less than rounding errors: which '
  'way is unknown, and q_star is q_start.'
)
_NO_CHI = 'chi_1 has no finite limit.'


def _note(surveyed: lengths.Survey, q_start: float, limit: float) -> str:
  """Says what is out of the ordinary about a limit of the variance."""
  notes = []
  if surveyed.every:
    notes.append(_EVERY_Q)
  elif limit == math.inf:
    notes.append(_DIVERGES)
  elif limit == 0:
    notes.append(_VANISHES)
  elif limit not in (point.q for point in surveyed.points):
    notes.append(_RESTS)
  stable = [point.q for point in surveyed.points if point.stable]
  if len(stable) > 1 or (stable and limit == math.inf):
    listed = ', '.join(f'{q:.6g}' for q in stable)
    notes.append(
      f'Which limit the variance has depends on q_start = {q_start:.6g}; '
      f'stable fixed points: {listed}.'
    )
  return ' '.join(notes)


def _tends(found: elementwise.Elementwise) -> bool:
  """Whether E[f'^2] has a limit as q -> infinity."""
  estimates = gaussian.estimated_moments(found, np.array([1e24, 1e30]))
  near, far = estimates.mean_square_slope
  return bool(
    np.all(estimates.error < 1e-6) and abs(far - near) <= 1e-6 * abs(near)
  )


def _depth_scale(factor: float) -> float:
  """Returns 1 / |ln |factor||: infinite at 1, and 0 at 0."""
  if factor == 0:
    return 0.0
  if abs(abs(factor) - 1) <= 1e-12:
    return math.inf
  return 1 / abs(math.log(abs(factor)))


def _phase(chi_1: float) -> str:
  """Returns `ordered`, `critical` or `chaotic`: chi_1 below, at, above 1."""
  if abs(chi_1 - 1) <= _CRITICAL_WITHIN:
    return 'critical'
  return 'ordered' if chi_1 < 1 else 'chaotic'
