"""The iteration of a while loop in which its carry ceases to be finite."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
from jaxdl.tracing import evaluation
from jaxdl.tracing import hunting
from jaxdl.tracing import jaxpr
from jaxdl.tracing import judging
from jaxdl.tracing import spots


class Opened(NamedTuple):
  """One iteration of a while loop.

  Attributes:
    hunt: in the body of the loop, with what the iteration was given.
    cause: what is to blame there.
    iteration: its number.
  """

  hunt: hunting.Hunt
  cause: hunting.Cause
  iteration: int


def open_loop(
  operation: jaxpr.Operation, operands: Sequence[Any]
) -> Opened | None:
  """Looks into a while loop that makes NaN or infinity.

  Args:
    operation: the loop.
    operands: what it read, concrete.

  Returns:
    What is to blame in the first iteration that has NaN or infinities where
    the loop began with none; None if it is the loop that is to blame, as a
    whole.
  """
  if any(value is None for value in operands):
    return None  # A random key, which can't be looked at.
  params = operation.params
  condition = jaxpr.graph(params['cond_jaxpr'])
  body = jaxpr.graph(params['body_jaxpr'])
  num_condition, num_body = params['cond_nconsts'], params['body_nconsts']
  condition_consts = operands[:num_condition]
  body_consts = operands[num_condition:][:num_body]
  start = list(operands[num_condition + num_body :])

  def goes_on(state):
    _, _, carry = state
    (wanted,) = _values(condition, [*condition_consts, *carry])
    return wanted & ~jnp.any(_spoiled(start, carry))

  def step(state):
    number, _, carry = state
    return number + 1, carry, _values(body, [*body_consts, *carry])

  number, given, carry = jax.device_get(
    jax.jit(lambda start: lax.while_loop(goes_on, step, (0, start, start)))(
      list(map(jnp.asarray, start))
    )
  )
  spoiled = [i for i, bad in enumerate(_spoiled(start, carry)) if bad]
  if not spoiled:
    return None
  hunt = hunting.Hunt(body, list(map(jnp.asarray, [*body_consts, *given])))
  made_here = frozenset(hunt.spots)
  cause, _ = hunt.cause(spoiled, spots.needed(body, spoiled))
  if cause is None or cause.name not in made_here:
    return None
  return Opened(hunt, cause, int(number) - 1)


def _values(graph, args):
  return evaluation.evaluate(graph, args, {}, {}).outputs


def _spoiled(before, after):
  """For each value, whether it has NaN, or infinities, and had none."""
  return jnp.stack(
    [
      _newly(jnp.isnan, x, y) | _newly(jnp.isinf, x, y)
      if judging.is_inexact(y)
      else jnp.zeros([], bool)
      for x, y in zip(before, after, strict=True)
    ]
  )


def _newly(is_bad, before, after):
  return jnp.any(is_bad(after)) & ~jnp.any(is_bad(before))
