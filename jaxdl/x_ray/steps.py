"""Steps of training of what is examined, in one compiled loop."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
from jax import lax
import jax.numpy as jnp
from jaxdl.tracing import evaluation
from jaxdl.x_ray import examination
import optax

# Maps the number of a step to the arrays that the loss depends on, beside the
# parameters.
Arrays = Callable[[Any], Sequence[jax.Array]]


def train(
  subject: examination.Subject,
  optimizer: optax.GradientTransformation,
  params: Sequence[jax.Array],
  arrays: Arrays,
  num_steps: int | jax.Array,
) -> tuple[tuple[jax.Array, ...], Any]:
  """Trains for some steps; pure, to be compiled.

  Args:
    subject: whose loss descends.
    optimizer: of its parameters in a row.
    params: that are begun with.
    arrays: of each step.
    num_steps: how many; may be traced.

  Returns:
    The parameters, and the optimizer's state.
  """
  graph = subject.traced.graph

  def loss(params, arrays):
    return evaluation.evaluate(graph, [*params, *arrays], {}, {}).outputs[0]

  def step(i, carry):
    params, state = carry
    gradients = jax.grad(loss)(params, arrays(i))
    updates, state = optimizer.update(gradients, state, params)
    return optax.apply_updates(params, tuple(updates)), state

  params = tuple(params)
  return lax.fori_loop(0, num_steps, step, (params, optimizer.init(params)))


def after(
  subject: examination.Subject,
  optimizer: optax.GradientTransformation,
  num_steps: int,
) -> examination.Subject:
  """The same model after some steps on the arguments that were examined.

  Args:
    subject: what `examination.subject` returned.
    optimizer: of its parameters in a row.
    num_steps: how many; keys are the same in each.
  """
  arrays = examination.arrays(subject.adapted, subject.args)

  @jax.jit
  def trained(params, arrays):
    return train(subject, optimizer, params, lambda _: arrays, num_steps)[0]

  params = trained(subject.adapted.params, arrays)
  return subject._replace(adapted=subject.adapted._replace(params=params))


def stacked(
  args: tuple[Any, ...], batches: Iterable[tuple[Any, ...]] | None
) -> list[jax.Array]:
  """The arrays of all batches, each `[batches, ...]`.

  Args:
    args: what was examined, after the model.
    batches: others like it, one a step; None takes `args`.

  Raises:
    ValueError: if there is none, or one is not like `args`.
  """
  given = [args] if batches is None else list(batches)
  if not given:
    raise ValueError('batches is empty; give at least one, or leave it out')
  expected = _shapes(args)
  for i, batch in enumerate(given):
    if not isinstance(batch, tuple) or _shapes(batch) != expected:
      raise ValueError(
        f'batch {i} of batches is not like the one that was examined; give '
        "tuples of what comes after the model in the loss's arguments, in the "
        'same shapes and types'
      )
  leaves = [evaluation.array_leaves(batch) for batch in given]
  return [jnp.stack(arrays) for arrays in zip(*leaves, strict=True)]


def _shapes(args: Any) -> Any:
  is_array = lambda x: hasattr(x, 'dtype')
  leaves, structure = jax.tree.flatten(args)
  shown = [(x.shape, x.dtype) if is_array(x) else x for x in leaves]
  return structure, shown
