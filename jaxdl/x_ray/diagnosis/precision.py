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
_TARGET = (
  2.0**-4
)  # What the largest gradient is brought to: far from both ends.


def rule(examination: Examination, thresholds: Thresholds) -> list[Suspicion]:
  """Suspects gradients in float16 or bfloat16 that are flushed to zero.

  Args:
    examination: what was measured.
    thresholds: `underflow`.
  """
  rows = [
    (i, row)
    for i, row in enumerate(examination.rows)
    if path.is_taken(row) and math.isfinite(row.backward.rms)
  ]
  for (i, row), (_, behind) in reversed(
    list(zip(rows, rows[1:], strict=False))
  ):
    if row.dtype not in _HALVES:
      continue
    quantum = float(jnp.finfo(row.dtype).smallest_subnormal)
    if row.backward.rms >= thresholds.underflow * quantum:
      continue
    if row.backward.rms > 0 or 0 < behind.backward.rms < _SMALL * quantum:
      return [_suspicion(examination, i, row, behind, quantum)]
  return []


def _suspicion(
  examination: Examination, index: int, row: Row, behind: Row, quantum: float
) -> Suspicion:
  largest = max(
    float(r.backward.max_abs)
    for r in examination.rows
    if math.isfinite(r.backward.max_abs)
  )
  scale = 2.0 ** math.floor(math.log2(_TARGET / largest))
  size = float(row.backward.rms)
  seen = (
    f'{words.number(size)}'
    if size
    else f'0, behind it {words.number(float(behind.backward.rms))}'
  )
  return Suspicion(
    'underflow',
    row.name,
    f'the root mean square of its gradient is {seen}; {row.dtype} has no '
    f'number between 0 and {words.number(quantum)}',
    (
      f'multiply the loss by {scale:.0f}, and divide the gradients by it in '
      'float32 (Micikevicius et al., 2018)',
      'use bfloat16 in place of float16: it has the range of float32',
      f'compute `{row.name}` in float32',
    ),
    index,
  )
