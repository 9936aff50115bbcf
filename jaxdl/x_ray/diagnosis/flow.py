"""Gradients that vanish or explode over depth.

A deep network multiplies the gradient by one Jacobian a layer, so it shrinks or
grows geometrically (Bengio et al., 1994; Glorot & Bengio, 2010). Judged is how
much it loses between the last hidden layer and the first, which no scale of the
loss changes.
"""

import math

from jaxdl.x_ray.diagnosis import gain
from jaxdl.x_ray.diagnosis import path
from jaxdl.x_ray.diagnosis.suspicion import Suspicion
from jaxdl.x_ray.diagnosis.thresholds import Thresholds
from jaxdl.x_ray.results import Examination
import numpy as np

# Share of all that is lost that one layer must lose for it to be no trend.
_ALONE = 0.75


def rule(examination: Examination, thresholds: Thresholds) -> list[Suspicion]:
  """Suspects gradients that vanish or explode.

  Args:
    examination: what was measured.
    thresholds: `decades` and `rate_errors`.
  """
  layers = path.hidden_layers(examination)
  found = _judged(examination, layers, thresholds)
  if [s.verdict for s in found] == ['vanishing']:
    # A gate is learned, and what it forgets keeps no parameter from learning.
    layers = path.without_gated_steps(examination, layers)
    return _judged(examination, layers, thresholds)
  return found


def _judged(
  examination: Examination, layers: list[int], thresholds: Thresholds
) -> list[Suspicion]:
  """Suspects these layers, if their gradient vanishes or explodes."""
  rows = [examination.rows[i] for i in layers]
  if len(rows) < 2:
    return []
  profile = path.log10([path.gradient_norm(row) for row in rows])
  if not np.isfinite(profile).any():
    return _overflowing(examination, layers, thresholds)
  trend = path.trend(rows, profile)
  sign = int(math.copysign(1, trend.decades))
  if abs(trend.decades) < thresholds.decades:
    return []
  changes = sign * _changes(profile)
  no_trend = abs(trend.rate) <= thresholds.rate_errors * trend.error
  jump = int(np.argmax(changes))
  is_jump = changes[jump] >= max(
    _ALONE * abs(trend.decades), thresholds.decades
  )
  if no_trend and not is_jump:
    return []
  start = jump if is_jump else _start(changes)
  index = layers[start + 1]
  verdict = 'vanishing' if sign < 0 else 'exploding'
  first = np.flatnonzero(np.isfinite(profile))[0]
  evidence = (
    f'from `{rows[-1].name}` back to `{rows[first].name}` the gradient '
    f'{"loses" if sign < 0 else "gains"} {abs(trend.decades):.1f} powers of '
    f'ten over {len(rows)} layers'
  )
  if is_jump:
    evidence += f', {changes[jump]:.1f} of them at `{rows[jump + 1].name}`'
  else:
    evidence += f': {trend}'
  span = [examination.rows[i] for i in layers[: start + 2]]
  remedies = gain.remedies(examination, index, span, verdict, trend)
  return [
    Suspicion(verdict, examination.rows[index].name, evidence, remedies, index)
  ]


def _overflowing(
  examination: Examination, layers: list[int], thresholds: Thresholds
) -> list[Suspicion]:
  """Values that grow over depth until they, or the loss, are infinite."""
  rows = [examination.rows[i] for i in layers]
  profile = path.log10([path.value_norm(row) for row in rows])
  trend = path.trend(rows, profile)
  overflows = not math.isfinite(examination.loss)
  if not overflows or -trend.decades < thresholds.decades:
    return []
  if -trend.rate <= thresholds.rate_errors * trend.error:
    return []
  row = rows[0]
  evidence = (
    f'the values grow by a factor of {10**-trend.rate:.3g} a layer until they '
    'are infinite'
  )
  remedies = gain.remedies(
    examination, layers[0], rows, 'exploding', trend._replace(rate=-trend.rate)
  )
  return [Suspicion('exploding', row.name, evidence, remedies, layers[0])]


def _changes(profile: np.ndarray) -> np.ndarray:
  """What the profile changes by, going backward across each layer."""
  with np.errstate(invalid='ignore'):
    change = profile[:-1] - profile[1:]
  return np.where(np.isfinite(change), change, 0.0)


def _start(changes: np.ndarray) -> int:
  """Where, coming from the loss, the stretch begins that changes most.

  The stretch with the largest sum of what exceeds half the mean change.
  """
  excess = changes - changes.mean() / 2
  best, total, start, found = 0.0, 0.0, len(excess) - 1, len(excess) - 1
  for i in reversed(range(len(excess))):
    if total <= 0:
      total, start = 0.0, i
    total += excess[i]
    if total > best:
      best, found = total, start
  return found
