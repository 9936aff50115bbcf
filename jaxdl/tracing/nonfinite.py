"""Which operation made the first NaN or infinity, and out of what.

`first_nonfinite(loss)(params, *batch)` asks for the operation that is to blame
for a loss, or for gradients, that are not finite. It reads the jaxpr of the
loss and of its gradients, evaluates that, and puts the question of `hunting`:
which operation, alone at fault, spoils the result? An infinity that does no
harm, such as in the mask of a softmax, is no answer to that.
"""

from collections.abc import Callable, Sequence
import inspect
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxdl.tracing import derivatives
from jaxdl.tracing import description
from jaxdl.tracing import evaluation
from jaxdl.tracing import hunting
from jaxdl.tracing import spots
from jaxdl.tracing.culprit import Culprit


class NonFinite(NamedTuple):
  """What is to blame for a loss and for gradients that are not finite.

  Attributes:
    forward: for the loss; None if it is finite.
    backward: for the gradients; None if they are finite, or would be if nothing
      were at fault in the forward pass of a loss that isn't finite. It may lie
      in the forward pass, where a loss that is finite does not depend on it.
  """

  forward: Culprit | None
  backward: Culprit | None

  def __str__(self) -> str:
    found = [
      f'{what}: {culprit}'
      for what, culprit in (
        ('Loss', self.forward),
        ('Gradients', self.backward),
      )
      if culprit is not None
    ]
    return '\n'.join(found) or 'The loss and its gradients are finite.'


def first_nonfinite(
  loss_fn: Callable[..., Any],
  argnums: int | tuple[int, ...] = 0,
  has_aux: bool = False,
) -> Callable[..., NonFinite]:
  """Finds the operation that made a loss, or its gradients, NaN or infinite.

  The rule. Nothing is to blame as long as the loss and the gradients are
  finite, whatever is infinite in between. Otherwise an operation is at fault at
  an element that it makes infinite out of finite operands, or NaN out of
  operands without NaN (infinity minus infinity, zero times infinity); so is an
  argument that holds NaN or infinity. Of those at fault, the first, in the
  order of execution, is to blame that spoils the result by itself: with the
  faults of all others repaired, that is, replaced by ordinary numbers, the
  result still is not finite. Literals and constants that are infinite, such as
  the -inf of a mask, are not at fault. In a row of which everything is masked
  the subtraction is to blame that makes NaN of them; and if an infinity reaches
  the loss as it is, the operation that reads the constant.

  A loss that is finite is evaluated once, compiled; to find a culprit, the
  function and its gradients are compiled again with a check of each value.
  Looks into scans, the branch taken of a cond, rematerialized functions, while
  loops and functions with derivatives of their own. Values are those of the
  function as it is differentiated. To be called with concrete values.

  Args:
    loss_fn: a function to a real scalar, or to `(scalar, aux)` if `has_aux`.
    argnums: the arguments that are differentiated, as in `jax.grad`.
    has_aux: whether `loss_fn` returns auxiliary data, which is not looked at.

  Returns:
    A function of the arguments of `loss_fn`, which returns what is to blame.

  Raises:
    TypeError: if the loss is no real scalar, or an argument that is to be
      differentiated is neither real nor complex.
    ValueError: if there is no argument of that number.
    RuntimeError: if the loss is not the same when it is evaluated again.
  """
  differentiate = _value_and_gradients(loss_fn, argnums, has_aux)

  def are_finite(structure, arrays):
    tree, leaves = structure
    remaining = iter(arrays)
    filled = [next(remaining) if x is None else x[1] for x in leaves]
    args, kwargs = jax.tree.unflatten(tree, filled)
    results = jax.tree.leaves(differentiate(*args, **kwargs))
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(x)) for x in results]))

  compiled = jax.jit(are_finite, static_argnums=0)

  def find(*args, **kwargs) -> NonFinite:
    _require_arguments(argnums, len(args))
    arrays = evaluation.array_leaves((args, kwargs))
    if compiled(_structure((args, kwargs)), arrays):
      return NonFinite(None, None)
    graph, _ = evaluation.trace(differentiate, args, kwargs)
    names = _argument_names(loss_fn, args, kwargs)
    loss, _ = evaluation.trace(loss_fn, args, kwargs)
    scopes = derivatives.scopes(spots.find(loss).values())
    return _find(hunting.Hunt(graph, arrays), names, scopes)

  return find


def _require_arguments(argnums: int | tuple[int, ...], count: int) -> None:
  for number in (argnums,) if isinstance(argnums, int) else argnums:
    if not -count <= number < count:
      raise ValueError(
        f'argnums has {number}; the loss was given {count} positional '
        f'arguments, so it must be between {-count} and {count - 1}.'
      )


def _structure(tree: Any) -> tuple[Any, ...]:
  """Hashable: the tree, and those leaves that are no arrays."""
  leaves, structure = jax.tree.flatten(tree)
  return structure, tuple(
    None if hasattr(x, 'dtype') else (type(x), x) for x in leaves
  )


def _value_and_gradients(loss_fn, argnums, has_aux):
  """As `jax.value_and_grad`, without the auxiliary data."""

  def loss(*args, **kwargs):
    result = loss_fn(*args, **kwargs)
    value = result[0] if has_aux else result
    shapes = [
      (jnp.shape(x), jnp.result_type(x)) for x in jax.tree.leaves(value)
    ]
    is_scalar = [shape for shape, _ in shapes] == [()]
    if not is_scalar or not jnp.issubdtype(shapes[0][1], jnp.floating):
      found = ', '.join(f'{dtype}{list(shape)}' for shape, dtype in shapes)
      raise TypeError(
        f'The loss must be one real scalar; got {found or value}. Return the '
        'mean or the sum, and with has_aux=True a pair (loss, aux).'
      )
    return value

  return jax.value_and_grad(loss, argnums)


def _find(
  hunt: hunting.Hunt, names: Sequence[str], scopes: frozenset[str]
) -> NonFinite:
  gradients = range(1, len(hunt.graph.outputs))
  for_loss = spots.needed(hunt.graph, [0])
  for_gradients = spots.needed(hunt.graph, gradients)
  in_forward_pass = for_loss | derivatives.recomputed(
    hunt.spots.values(),
    [hunt.spots[name] for name in for_loss & hunt.spots.keys()],
  )
  forward, repaired = hunt.cause([0], for_loss)
  if forward is not None:
    repaired = hunt.all_at_fault(in_forward_pass, repaired)
  backward, _ = hunt.cause(gradients, for_gradients, repaired)
  if forward is None and backward is None:
    raise RuntimeError(
      'The loss or a gradient is not finite, but both are when they are '
      'evaluated again with a check of each value; is the loss random, or on '
      'the verge of overflow?'
    )
  context = description.Context(in_forward_pass, tuple(names), scopes)
  causes = [cause for cause in (forward, backward) if cause is not None]
  views = [description.view(hunt, cause, context) for cause in causes]
  # One program shows the values of both.
  wanted = frozenset[int]().union(*(view.shown for view in views))
  found = iter([description.describe(view, wanted) for view in views])
  return NonFinite(*(c and next(found) for c in (forward, backward)))


def _argument_names(
  loss_fn: Callable[..., Any], args: tuple[Any, ...], kwargs: Any
) -> list[str]:
  """The names of the arrays among the arguments: `params/dense/kernel`."""
  paths, _ = jax.tree_util.tree_flatten_with_path((args, kwargs))
  positional = _positional_names(loss_fn, len(args))
  names = []
  for path, leaf in paths:
    if hasattr(leaf, 'dtype'):
      rest = path[1:]
      name = jax.tree_util.keystr(rest, simple=True, separator='/')
      if path[0].idx == 0:
        below = jax.tree_util.keystr(rest[1:], simple=True, separator='/')
        name = positional[rest[0].idx] + (f'/{below}' if below else '')
      names.append(name)
  return names


def _positional_names(loss_fn: Callable[..., Any], count: int) -> list[str]:
  """As the function calls them; `batch/0`, `batch/1` for those of `*batch`."""
  names: list[str] = []
  for parameter in inspect.signature(loss_fn).parameters.values():
    if parameter.kind is parameter.VAR_POSITIONAL:
      rest = range(count - len(names))
      names += [f'{parameter.name}/{i}' for i in rest]
    elif parameter.kind is not parameter.KEYWORD_ONLY:
      names.append(parameter.name)
  return names
