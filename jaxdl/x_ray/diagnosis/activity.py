"""Activation functions at which the signal stops: dead or saturated."""

import math

from jaxdl.x_ray.diagnosis import path
from jaxdl.x_ray.diagnosis import words
from jaxdl.x_ray.diagnosis.suspicion import Suspicion
from jaxdl.x_ray.diagnosis.thresholds import Thresholds
from jaxdl.x_ray.results import Examination
from jaxdl.x_ray.results import Row

_RECTIFYING = frozenset({'relu', 'relu6'})
# By chance each unit of a ReLU is zero on one example in two. A layer of so
# many values is not zero by chance.
_MANY = 24


def dead(examination: Examination, thresholds: Thresholds) -> list[Suspicion]:
  """Suspects layers of ReLU whose units are zero on the whole batch.

  Args:
    examination: what was measured.
    thresholds: `dead`.
  """
  return [
    _dead(examination, i, row)
    for i, row in enumerate(examination.rows)
    if row.activation in _RECTIFYING
    and path.is_taken(row)
    and row.forward.dead >= thresholds.dead
    and math.prod(row.shape) >= _MANY
  ]


def _dead(examination: Examination, index: int, row: Row) -> Suspicion:
  evidence = (
    f'{words.percent(row.forward.dead)} of its units are zero on the whole '
    'batch, and pass no gradient'
  )
  source = '`' + row.name + '`'
  before = _before(examination, index)
  if before is not None:
    source = f'`{before.name}`'
    evidence += (
      f'; what goes in, from {source}, has mean '
      f'{words.number(before.forward.mean)} and standard deviation '
      f'{words.number(before.forward.std)}'
    )
  return Suspicion(
    'dead',
    row.name,
    evidence,
    (
      f'initialize {source} with biases of zero and gain sqrt(2) (He et al., '
      '2015)',
      'if it was alive before training: lower the learning rate, or warm it up',
      f'use leaky_relu, elu or gelu in place of {row.activation}: they pass '
      'some gradient where they are negative',
      f'normalize what goes in, behind {source}',
    ),
    index,
  )


def saturated(
  examination: Examination, thresholds: Thresholds
) -> list[Suspicion]:
  """Suspects layers at the flat ends of their activation function.

  What comes behind the last layer with parameters is the answer of the model,
  which may be sure of itself.

  Args:
    examination: what was measured.
    thresholds: `saturated` and `concentrated`.
  """
  last = max(
    (i for i, row in enumerate(examination.rows) if row.parameters),
    default=len(examination.rows),
  )
  return [
    _saturated(examination, i, row)
    for i, row in enumerate(examination.rows[:last])
    if row.forward.saturated >= thresholds.saturated
  ] + [
    _attending(examination, i, row)
    for i, row in enumerate(examination.rows[:last])
    if row.representation.concentrated >= thresholds.concentrated
  ]


def _attending(examination: Examination, index: int, row: Row) -> Suspicion:
  return Suspicion(
    'saturated',
    row.name,
    f'{words.percent(row.representation.concentrated)} of its queries have 99% '
    f'of their mass on one of {row.shape[-1]} keys, where the slope of a '
    'softmax is next to zero',
    (
      'divide the products of queries and keys by the root of the width of a '
      'head (Vaswani et al., 2017)',
      'initialize the kernels of queries and keys with a smaller gain, 1',
      'normalize queries and keys over their width (Henry et al., 2020)',
    ),
    index,
  )


def _saturated(examination: Examination, index: int, row: Row) -> Suspicion:
  evidence = (
    f'{words.percent(row.forward.saturated)} of its values are within 1% of a '
    f'flat end of {row.activation}, where its slope is next to zero'
  )
  source = 'the layer before it'
  before = _before(examination, index)
  if before is not None:
    source = f'`{before.name}`'
    evidence += (
      f'; what goes in, from {source}, has standard deviation '
      f'{words.number(before.forward.std)}'
    )
  return Suspicion(
    'saturated',
    row.name,
    evidence,
    (
      f'initialize {source} with a smaller gain, 1 (LeCun et al., 1998)',
      'scale the data to mean 0 and variance 1',
      f'normalize what goes in, behind {source}',
      f'use relu or gelu in place of {row.activation}',
    ),
    index,
  )


def _before(examination: Examination, index: int) -> Row | None:
  """The row before another one, if it has the same shape: what goes in."""
  row = examination.rows[index]
  previous = examination.rows[index - 1] if index else None
  if previous is None or previous.shape != row.shape:
    return None
  return previous
