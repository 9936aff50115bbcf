"""Parameters that get no gradient."""

import math

from jaxdl.x_ray.diagnosis import path
from jaxdl.x_ray.diagnosis import words
from jaxdl.x_ray.diagnosis.suspicion import Suspicion
from jaxdl.x_ray.diagnosis.thresholds import Thresholds
from jaxdl.x_ray.inspection import connection
from jaxdl.x_ray.results import Examination


def rule(examination: Examination, thresholds: Thresholds) -> list[Suspicion]:
  """Suspects parameters whose gradient is exactly zero.

  Args:
    examination: what was measured.
    thresholds: none is used.
  """
  del thresholds
  waits = path.waits_for_a_step(examination)
  obstacles: dict[str, list[int]] = {}
  for i, parameter in enumerate(examination.parameters):
    is_excused = waits or _is_untaken(examination, i)
    is_zero = parameter.gradient_norm == 0 and math.prod(parameter.shape) > 0
    if is_zero and (parameter.obstacle or not is_excused):
      obstacles.setdefault(parameter.obstacle, []).append(i)
  return [
    _cut_off(examination, obstacle, cut_off)
    if obstacle
    else _zero(examination, cut_off)
    for obstacle, cut_off in obstacles.items()
  ]


def _cut_off(
  examination: Examination, obstacle: str, cut_off: list[int]
) -> Suspicion:
  names = [examination.parameters[i].name for i in cut_off]
  listed = words.listed(names)
  meant = 'if that is meant: keep it out of what the optimizer is given'
  if obstacle == connection.UNUSED:
    evidence = f'the loss does not depend on {listed}'
    remedy = (
      f'use {listed} where the loss is computed, or remove it from the model'
    )
  else:
    evidence = f'the gradient of {listed} is zero: it stops at {obstacle}'
    remedy = (
      f'remove {obstacle} between `{names[0]}` and the loss, or put something '
      'with a derivative in its place: a softmax, a straight-through estimator'
    )
  at = path.first_use(examination, cut_off[0])
  return Suspicion(
    'disconnected', names[0], evidence, (remedy, meant), at, stands_alone=True
  )


def _zero(examination: Examination, cut_off: list[int]) -> Suspicion:
  names = [examination.parameters[i].name for i in cut_off]
  at = path.first_use(examination, cut_off[0])
  blocked = [row.name for row in examination.rows if row.backward.rms == 0]
  evidence = (
    f'the gradient of {words.listed(names)} is exactly zero on this batch, '
    'though the loss depends on it'
  )
  if blocked:
    evidence += f'; none reaches `{blocked[-1]}`'
  return Suspicion(
    'disconnected',
    names[0],
    evidence,
    (
      'look at what is masked, or multiplied with zero, between '
      f'`{blocked[-1] if blocked else names[0]}` and the loss',
      'try another batch: a mask or a router may have left it out of this one',
    ),
    at,
  )


def _is_untaken(examination: Examination, index: int) -> bool:
  """Whether it is used only in branches of a cond that were not taken."""
  rows = [row for row in examination.rows if index in row.parameters]
  return bool(rows) and not any(map(path.is_taken, rows))
