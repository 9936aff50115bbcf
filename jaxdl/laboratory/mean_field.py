"""What mean field theory says of networks that are measured at initialization.

Of three inputs: one, and two others whose correlations with it start where all
correlations go, and beside that. So the variance and the first correlation are
at rest from the first layer on, wherever theory has a place to rest.
"""

from collections.abc import Sequence
import functools
import math
from typing import NamedTuple

from jaxdl import choice
from jaxdl import theory
import numpy as np
import xarray as xr

Array = np.ndarray

_SMALL_GAP = 1e-3  # Where correlations go to 1: so near, the map is a line.
_SHARE_OF_GAP = 0.5  # Of 1 - c_star, where they go to c_star.
_LEAST_DEPTH_SCALES = 4
_AT_REST_WITHIN = 1e-9

# Phases by their names, as multiples of the critical weight_std.
PHASES = {'ordered': 0.8, 'critical': 1.0, 'chaotic': 1.25}
# Tried in this order. Bounded activations have a critical weight_std at any;
# the ReLU family without a bias alone; GELU and SiLU with a large one.
_BIAS_STDS = (0.2, 0.0, 1.0)


class Case(NamedTuple):
  """A configuration, its theory, and the inputs that it is measured with.

  Attributes:
    field: of the configuration.
    q: the variance of the first pre-activation: q_star where there is one.
    gaps: 1 - the correlation of the first pre-activations of inputs 0 and 1,
      and of 0 and 2. The first is at rest.
  """

  field: theory.MeanField
  q: float
  gaps: tuple[float, float]

  @property
  def tends_to_one(self) -> bool:
    """Whether the correlation that inputs tend to, or start at, is 1."""
    return self.gaps[0] == 0

  def forgets(self, depth: int) -> bool:
    """Whether layers bring the variance to q_star, well within a depth.

    Elsewhere a network of that depth keeps to what it was given.

    Args:
      depth: in layers.
    """
    field = self.field
    stable = {point.q for point in field.fixed_points if point.stable}
    return (
      self.q in stable
      and field.xi_q is not None
      and _LEAST_DEPTH_SCALES * field.xi_q <= depth
    )


def case(activation: str, weight_std: float, bias_std: float) -> Case:
  """Returns a configuration with its theory.

  Args:
    activation: a specification such as `tanh` or `leaky_relu:0.2`.
    weight_std: weights have the variance weight_std^2 / fan_in.
    bias_std: standard deviation of the biases.

  Raises:
    ValueError: if theory refuses one of them.
  """
  field = theory.mean_field(activation, weight_std, bias_std)
  rest = 0.0 if field.c_star is None else 1 - field.c_star
  gaps = (rest, _SHARE_OF_GAP * rest) if rest > 0 else (0.0, _SMALL_GAP)
  return Case(field, field.q_star or field.q_start, gaps)


_critical = functools.lru_cache(theory.critical_weight_std)


def own_bias_std(activation: str) -> float:
  """Returns a bias_std at which an activation has a critical weight_std.

  The first of 0.2, 0 and 1 that is one; 0.2 if none is.

  Args:
    activation: a specification such as `tanh` or `leaky_relu:0.2`.

  Raises:
    ValueError: if the activation is refused.
  """
  theory.moments(activation, 1.0)  # Refused here, rather than for each bias.
  for bias_std in _BIAS_STDS:
    try:
      _critical(activation, bias_std)
    except ValueError:
      continue
    return bias_std
  return _BIAS_STDS[0]


def weight_std(activation: str, phase: str, bias_std: float) -> float:
  """Returns a weight_std that belongs to a phase.

  Args:
    activation: a specification such as `tanh` or `leaky_relu:0.2`.
    phase: a name of `PHASES`.
    bias_std: standard deviation of the biases.

  Raises:
    ValueError: if there is no such phase, or there is no critical weight_std,
      or there are several.
  """
  multiple = choice.choose('phase', phase, PHASES)
  try:
    return multiple * _critical(activation, bias_std)
  except ValueError as error:
    raise ValueError(
      f'{error} Give weight_std as a number, or another bias_std.'
    ) from None


def inputs(one: Case) -> Array:
  """Returns three inputs that the first layer takes to a case's moments.

  Of first pre-activations h = W x + b: the variance is
  weight_std^2 |x|^2 / 2 + bias_std^2, and likewise the covariance.

  Args:
    one: the case.

  Returns:
    `[3, 2]`, in float64.

  Raises:
    ValueError: if biases alone have more variance, or more correlation.
  """
  weights = one.q - one.field.bias_std**2  # What the weights give of q.
  shares = np.array([one.q * gap / weights for gap in one.gaps])
  if not (weights > 0 and np.all(shares <= 2)):
    raise ValueError(
      f'No inputs of {one.field.activation} have the variance {one.q:g} and '
      f'the correlations that are asked for at bias_std = '
      f'{one.field.bias_std:g}: biases alone have more; choose a smaller one.'
    )
  cosines = np.array([1.0, *(1 - shares)])
  sines = np.array([0.0, *np.sqrt(shares * (2 - shares))])
  size = math.sqrt(2 * weights) / one.field.weight_std
  return size * np.stack([cosines, sines], axis=1)


def predict(cases: Sequence[Case], depth: int) -> xr.Dataset:
  """Predicts the profiles of networks of infinite width.

  Args:
    cases: at least one.
    depth: layers before the readout.

  Returns:
    Over `configuration` and `layer` (1 to depth): `variance`,
    `squared_gradient` in units of that of the last layer, and, over `input`
    too, `gap`, as `initialization.measure` has them. Of each configuration,
    `phase`, `q_star`, `c_star`, `chi_1` and `xi_c` of theory (NaN if None),
    `forgets` and `tends_to_one`.

  Raises:
    ValueError: if an integral does not converge.
  """
  profiles = [_profile(one, depth) for one in cases]
  variance, gradient, gap = (
    np.stack([profile[i] for profile in profiles]) for i in range(3)
  )
  dims = ('configuration', 'layer')
  numbers = {
    name: ('configuration', [_number(getattr(c.field, name)) for c in cases])
    for name in ('weight_std', 'bias_std', 'q_star', 'c_star', 'chi_1', 'xi_c')
  }
  flags = {
    'forgets': [one.forgets(depth) for one in cases],
    'tends_to_one': [one.tends_to_one for one in cases],
    'activation': [one.field.activation for one in cases],
    'phase': [one.field.phase or 'unknown' for one in cases],
  }
  return xr.Dataset(
    {
      'variance': (dims, variance),
      'squared_gradient': (dims, gradient),
      'gap': ((*dims, 'input'), gap),
    },
    coords={
      **numbers,
      **{name: ('configuration', values) for name, values in flags.items()},
      'layer': np.arange(1, depth + 1),
      'input': [1, 2],
    },
  )


def _profile(one: Case, depth: int) -> tuple[Array, Array, Array]:
  """Returns variance `[layer]`, squared gradient `[layer]`, gap `[layer, 2]`.

  A squared gradient goes back from h_{l + 1} to h_l by the slope at h_l.
  """
  variance, gap = [one.q], [one.gaps]
  while len(variance) < depth:
    q = variance[-1]
    variance.append(float(one.field.length_map(q)))
    rest, start = gap[-1]
    if rest and abs(variance[-1] - q) > _AT_REST_WITHIN * q:
      rest = one.field.gap_map(rest, q)
    gap.append((rest, one.field.gap_map(start, q)))
  chi = one.field.chi(np.array(variance[:-1]))
  gradient = np.append(np.cumprod(chi[::-1])[::-1], 1.0)
  return np.array(variance), gradient, np.array(gap)


def _number(value: float | None) -> float:
  return math.nan if value is None else value
