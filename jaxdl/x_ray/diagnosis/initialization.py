"""Weights that start alike, and representations that become alike.

Units that start with the same weights and get the same gradient stay one unit
for ever. Examples that a deep network has mapped to one direction can't be told
apart by what comes behind (Schoenholz et al., 2017; Dong et al., 2021).
"""

import math

from jaxdl.x_ray.diagnosis import path
from jaxdl.x_ray.diagnosis import words
from jaxdl.x_ray.diagnosis.suspicion import Suspicion
from jaxdl.x_ray.diagnosis.thresholds import Thresholds
from jaxdl.x_ray.results import Examination
from jaxdl.x_ray.results import Parameter
from jaxdl.x_ray.results import Row

# Of numbers that are equal but for the order in which they were summed.
_ROUNDING = 1e-5
_FEATURES = 4  # In fewer dimensions all is nearly collinear by chance.


def symmetric(
  examination: Examination, thresholds: Thresholds
) -> list[Suspicion]:
  """Suspects layers whose units are, and remain, the same.

  Args:
    examination: what was measured.
    thresholds: none is used.
  """
  del thresholds
  found = []
  waits = path.waits_for_a_step(examination)
  for i, parameter in enumerate(examination.parameters):
    at = path.first_use(examination, i)
    is_stuck = parameter.gradient_norm != 0 or not waits
    is_parallel = parameter.parallel <= _ROUNDING
    if is_parallel and is_stuck and not parameter.obstacle:
      evidence = (
        f'all its units have the same weights and the same gradient, '
        f'{words.number(parameter.gradient_norm)} in norm: they stay one unit'
      )
      found.append(_symmetric(parameter, evidence, at))
  for at, used in enumerate(path.kernels(examination)):
    row = examination.rows[at]
    is_same = row.representation.unit_spread <= _ROUNDING
    if used and is_same and row.forward.rms > 0:
      evidence = f'all units of `{row.name}` have the same value'
      parameter = examination.parameters[next(iter(used))]
      found.append(_symmetric(parameter, evidence, at))
  return found


def _symmetric(parameter: Parameter, evidence: str, at: int) -> Suspicion:
  fan_in = math.prod(parameter.shape) / parameter.shape[-1]
  deviation = words.number(math.sqrt(2 / fan_in))
  constant = 'zero' if parameter.norm == 0 else 'a constant'
  return Suspicion(
    'symmetric',
    parameter.name,
    evidence,
    (
      f'initialize `{parameter.name}` at random instead of with {constant}: '
      f'normal with standard deviation sqrt(2 / {fan_in:.0f}) = {deviation} '
      '(He et al., 2015)',
      'give each layer a key of its own, if they share one',
    ),
    at,
  )


def rank_collapse(
  examination: Examination, thresholds: Thresholds
) -> list[Suspicion]:
  """Suspects layers that map all examples, or all positions, to one direction.

  Args:
    examination: what was measured.
    thresholds: `spread` and `spread_lost`.
  """
  layers = path.hidden_layers(examination)
  for field, what in (
    ('spread', 'examples'),
    ('position_spread', 'positions of an example'),
  ):
    spreads = {
      i: float(getattr(examination.rows[i].representation, field))
      for i in layers
      if _features(examination.rows[i]) >= _FEATURES
    }
    spreads = {i: s for i, s in spreads.items() if not math.isnan(s)}
    if len(spreads) < 2:
      continue
    first, last = list(spreads.values())[0], list(spreads.values())[-1]
    limit = min(thresholds.spread, thresholds.spread_lost * first)
    if first < thresholds.spread or last >= limit:
      continue
    at = next(i for i, s in spreads.items() if s < thresholds.spread)
    return [_collapse(examination, layers, at, what, first, last)]
  return []


def _collapse(
  examination: Examination,
  layers: list[int],
  at: int,
  what: str,
  first: float,
  last: float,
) -> Suspicion:
  rows = examination.rows
  evidence = (
    f'two {what} differ in direction (1 - cos²) by {words.number(first)} at '
    f'`{rows[layers[0]].name}` and by {words.number(last)} at '
    f'`{rows[layers[-1]].name}`: all become one direction'
  )
  mixes = any(row.activation == 'softmax' for row in rows)
  shortcut = 'add a shortcut, x + f(x), around each layer'
  if mixes:
    shortcut += (
      ', attention too: without one it averages its positions away (Dong et '
      'al., 2021)'
    )
  return Suspicion(
    'rank_collapse',
    rows[at].name,
    evidence,
    (
      shortcut,
      f'normalize over the batch (BatchNorm) before `{rows[at].name}`: what '
      'all examples share is taken away',
      'initialize biases with zero, and use fewer layers',
    ),
    at,
  )


def _features(row: Row) -> int:
  return math.prod(row.shape[1:])
