"""The state of an optimizer, as it belongs to a model's parameters in a row."""

from collections.abc import Sequence
from typing import Any

import jax
import optax


def of(
  optimizer: optax.GradientTransformation,
  state: Any,
  params: Sequence[jax.Array],
) -> Any:
  """Puts a state of the user's model into the form for its parameters alone.

  A state repeats the tree of the model, in whose order the parameters are; so
  its arrays are the same in both forms, and in the same order.

  Args:
    optimizer: what the state is of.
    state: as `optimizer.init` made it of the user's model, of its parameters,
      or as `flax.nnx.Optimizer` keeps it; None stands for that of a first step.
    params: the model's parameters, in order.

  Raises:
    TypeError: if the state is another optimizer's, or another model's.
  """
  if state is None:
    return optimizer.init(tuple(params))
  expected = jax.eval_shape(optimizer.init, tuple(params))
  found = [x for x in jax.tree.leaves(state) if hasattr(x, 'dtype')]
  leaves, structure = jax.tree.flatten(expected)
  shapes = [[x.shape for x in arrays] for arrays in (found, leaves)]
  if shapes[0] != shapes[1]:
    raise TypeError(
      f'opt_state has {len(found)} arrays of shapes {_shown(shapes[0])}; the '
      f'state of this optimizer and model has {len(leaves)}, of shapes '
      f'{_shown(shapes[1])}; give what optimizer.init made of the model'
    )
  return jax.tree.unflatten(structure, found)


def check(optimizer: Any) -> None:
  """Refuses what is no optimizer of optax.

  Args:
    optimizer: what was given for one; None stands for none.

  Raises:
    TypeError: if it has no `init` and `update`.
  """
  is_optax = hasattr(optimizer, 'init') and hasattr(optimizer, 'update')
  if optimizer is not None and not is_optax:
    raise TypeError(
      f'optimizer is of type {type(optimizer).__name__}; give one of optax, '
      'such as optax.adam(1e-3): an nnx.Optimizer keeps it as tx, and its '
      'opt_state goes beside it'
    )


def _shown(shapes: Sequence[tuple[int, ...]]) -> str:
  return ', '.join(map(str, shapes[:3])) + (', ...' if len(shapes) > 3 else '')
