"""Steps of an optimizer that are too long."""

import math

from jaxdl.x_ray.diagnosis import words
from jaxdl.x_ray.diagnosis.suspicion import Suspicion
from jaxdl.x_ray.diagnosis.thresholds import Thresholds
from jaxdl.x_ray.results import Examination


def rule(examination: Examination, thresholds: Thresholds) -> list[Suspicion]:
  """Suspects a learning rate that is too large.

  In training that goes well an update changes about a thousandth of a
  parameter. All parameters are taken together: single ones start at zero.

  Args:
    examination: what was measured.
    thresholds: `update_ratio`.
  """
  measured = [
    p
    for p in examination.parameters
    if math.isfinite(p.update_ratio) and p.norm > 0
  ]
  if not measured:
    return []
  length = math.hypot(*(p.update_ratio * p.norm for p in measured))
  ratio = length / math.hypot(*(p.norm for p in measured))
  if ratio < thresholds.update_ratio:
    return []
  worst = max(measured, key=lambda p: p.update_ratio)
  evidence = (
    f'one update is {words.number(ratio)} times as long as all parameters '
    f'together; of `{worst.name}`, {words.number(worst.update_ratio)} times'
  )
  divisor = 10 ** math.ceil(math.log10(ratio / 1e-2))
  return [
    Suspicion(
      'diverging_update',
      worst.name,
      evidence,
      (
        f'divide the learning rate by {divisor}, for an update of a hundredth '
        'of the parameters at most',
        'warm the learning rate up over the first hundreds of steps',
        'clip the gradient: `optax.clip_by_global_norm(1.0)`',
      ),
      len(examination.rows),
    )
  ]
