"""Gradients too small for the numbers they are written in."""

import math

import jax.numpy as jnp
from jaxdl.x_ray.diagnosis import path
from jaxdl.x_ray.diagnosis import words
from jaxdl.x_ray.diagnosis.suspicion import Suspicion
from jaxdl.x_ray.diagnosis.thresholds import Thresholds
from jaxdl.x_ray.results import Examination
from jaxdl.x_ray.results import Row

_HALVES = frozenset({'float16', 'bfloat16'})
# A zero is the end of an underflow if what it was made of was so small, in
# multiples of the smallest number.
_SMALL = 2.0**10
# For the largest gradient: far from both ends.
_TARGET = 2.0**-4
# The scale of a loss where no gradient is left to tell it.
_GUESS = 2.0**15


def rule(examination: Examination, thresholds: Thresholds) -> list[Suspicion]:
  """Suspects gradients in float16 or bfloat16 that are flushed to zero.

  Args:
    examination: what was measured.
    thresholds: `underflow`.
  """
  behind = math.nan  # The size of the gradient behind a row; of the loss, none.
  for i, row in reversed(list(enumerate(examination.rows))):
    size = float(row.backward.rms)
    if not path.is_taken(row) or not math.isfinite(size):
      continue
    if row.dtype in _HALVES:
      quantum = float(jnp.finfo(row.dtype).smallest_subnormal)
      is_lost = size > 0 or not (behind == 0 or behind >= _SMALL * quantum)
      if is_lost and size < thresholds.underflow * quantum:
        return [_suspicion(examination, i, row, size, behind)]
    behind = size
  return []


def _suspicion(
  examination: Examination, index: int, row: Row, size: float, behind: float
) -> Suspicion:
  quantum = float(jnp.finfo(row.dtype).smallest_subnormal)
  seen = words.number(size)
  if math.isfinite(behind) and not size:
    seen += f', behind it {words.number(behind)}'
  return Suspicion(
    'underflow',
    row.name,
    f'the root mean square of its gradient is {seen}; {row.dtype} has no '
    f'number between 0 and {words.number(quantum)}',
    (
      f'multiply the loss by {_scale(examination):.0f}, and divide the '
      'gradients by it in float32 (Micikevicius et al., 2018)',
      'use bfloat16 in place of float16: it has the range of float32',
      f'compute `{row.name}` in float32',
    ),
    index,
  )


def _scale(examination: Examination) -> float:
  """A power of two that brings the largest gradient near `_TARGET`."""
  sizes = [float(row.backward.max_abs) for row in examination.rows]
  largest = max((x for x in sizes if math.isfinite(x)), default=0.0)
  return 2.0 ** math.floor(math.log2(_TARGET / largest)) if largest else _GUESS
