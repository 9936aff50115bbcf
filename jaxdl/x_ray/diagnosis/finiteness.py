"""NaN and infinities."""

import math

from jaxdl.x_ray.diagnosis import path
from jaxdl.x_ray.diagnosis.suspicion import Suspicion
from jaxdl.x_ray.diagnosis.thresholds import Thresholds
from jaxdl.x_ray.results import Examination

_HUNT = (
  '`jaxdl.xray(loss_fn, model, *batch).first_nonfinite()` names the operation '
  'that made it, its line and what went in'
)


def rule(examination: Examination, thresholds: Thresholds) -> list[Suspicion]:
  """Suspects what makes a loss or its gradients NaN or infinite.

  An infinity that does no harm, such as in the mask of a softmax, is none.

  Args:
    examination: what was measured.
    thresholds: none is used.
  """
  del thresholds
  if _is_finite(examination):
    return []
  for parameter in examination.parameters:
    if not math.isfinite(parameter.norm):
      return [
        _suspicion(
          parameter.name,
          'the parameter itself is not finite',
          'restore the last checkpoint that is finite',
          -1,
        )
      ]
  for i, row in enumerate(examination.rows):
    if path.is_taken(row) and not math.isfinite(row.forward.max_abs):
      before = examination.rows[i - 1] if i else None
      from_ = (
        f'; the row before it, `{before.name}`, reaches '
        f'{before.forward.max_abs:.3g}'
        if before is not None
        else ''
      )
      return [
        _suspicion(
          row.name,
          f'going forward, the first NaN or infinity is in its output{from_}',
          'guard what divides, takes a logarithm, a root or an exponential '
          f'there ({row.source or row.name})',
          i,
        )
      ]
  if not math.isfinite(examination.loss):
    return [
      _suspicion(
        '(loss)',
        f'every row is finite, and the loss is {examination.loss}',
        'compute the loss from logits: `optax.softmax_cross_entropy`, '
        '`jax.nn.log_softmax`',
        len(examination.rows),
      )
    ]
  return [_backward(examination)]


def _backward(examination: Examination) -> Suspicion:
  for i, row in reversed(list(enumerate(examination.rows))):
    if row.backward.nonfinite:
      return _suspicion(
        row.name,
        'the loss is finite; going backward, the first NaN or infinity is in '
        f'the gradient of its output, of shape {list(row.shape)}',
        'look behind it for a root at 0, a norm of zeros, or a `jnp.where` '
        'whose other branch is not finite; make its argument safe before it is '
        'used',
        i,
      )
  name, count = next(
    (p.name, p.gradient_nonfinite)
    for p in examination.parameters
    if p.gradient_nonfinite > 0
  )
  return _suspicion(
    name,
    f'{count:.0f} entries of its gradient alone are not finite',
    'look at the operation that uses it: a root or a norm at 0',
    len(examination.rows),
  )


def _suspicion(where: str, evidence: str, remedy: str, at: int) -> Suspicion:
  return Suspicion('nonfinite', where, evidence, (_HUNT, remedy), at)


def _is_finite(examination: Examination) -> bool:
  return math.isfinite(examination.loss) and not any(
    p.gradient_nonfinite > 0 for p in examination.parameters
  )
