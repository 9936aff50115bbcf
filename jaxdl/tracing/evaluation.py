"""Evaluation of a graph with taps on some of its values."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
from jaxdl.tracing import jaxpr
from jaxdl.tracing.jaxpr import Graph
from jaxdl.tracing.sites import keys_within

# Maps (value, slot, thread) to (value, parts, thread): the value that goes on,
# what was measured of it, and a pytree that is threaded through all taps in
# order.
Tap = Callable[[Any, Any, Any], tuple[Any, Any, Any]]


class Evaluated(NamedTuple):
  """What an evaluation returns.

  Attributes:
    outputs: of the graph, flat.
    parts: what each tap measured, by key; stacked by the scans around it.
    thread: as the last tap returned it.
  """

  outputs: list[Any]
  parts: dict[int, Any]
  thread: Any


def trace(
  fn: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[Graph, Any]:
  """Traces `fn` once, at the shapes of its arguments.

  Args:
    fn: a function from pytrees to a pytree of arrays. Leaves of its arguments
      that are no arrays, such as `train=True`, are taken as they are.
    args: positional arguments.
    kwargs: keyword arguments.

  Returns:
    The graph, whose inputs are `array_leaves((args, kwargs))`, and the tree
    structure of its outputs.
  """
  leaves, tree = jax.tree.flatten((args, dict(kwargs)))

  def flat(*arrays):
    remaining = iter(arrays)
    filled = [next(remaining) if _is_array(leaf) else leaf for leaf in leaves]
    args, kwargs = jax.tree.unflatten(tree, filled)
    return fn(*args, **kwargs)

  arrays = array_leaves((args, kwargs))
  closed, shapes = jax.make_jaxpr(flat, return_shape=True)(*arrays)
  return jaxpr.graph(closed), jax.tree.structure(shapes)


def array_leaves(tree: Any) -> list[jax.Array]:
  """The leaves of a tree that are arrays."""
  leaves = filter(_is_array, jax.tree.leaves(tree))
  return [x if isinstance(x, jax.Array) else jnp.asarray(x) for x in leaves]


def evaluate(
  graph: Graph,
  args: Sequence[Any],
  taps: Mapping[int, Tap],
  slots: Mapping[int, Any],
  thread: Any = (),
) -> Evaluated:
  """Evaluates a graph and applies `taps[key]` where value `key` is made.

  Args:
    graph: what is evaluated.
    args: one value for each input.
    taps: by key of the value, at this level or in any body below.
    slots: what each tap is given as its slot, by key; with one leading axis for
      each scan around the value.
    thread: what the first tap is given as its thread.

  Returns:
    The outputs, what was measured, and the last thread.
  """
  env = dict(graph.constants)
  env.update(zip(graph.inputs, args, strict=True))
  read = lambda atom: env[atom] if isinstance(atom, int) else atom.val
  parts: dict[int, Any] = {}
  for operation in graph.operations:
    values = [read(atom) for atom in operation.inputs]
    if any(keys_within(body) & taps.keys() for body in operation.bodies):
      done = _EVALUATORS[operation.primitive.name](
        operation, values, taps, slots, thread
      )
      results, thread = done.outputs, done.thread
      parts.update(done.parts)
    else:
      results = jaxpr.bind(operation, values)
    for key, result in zip(operation.outputs, results, strict=True):
      if key in taps:
        result, parts[key], thread = taps[key](result, slots[key], thread)
      env[key] = result
  return Evaluated([read(atom) for atom in graph.outputs], parts, thread)


def _evaluate_scan(operation, values, taps, slots, thread) -> Evaluated:
  """A scan, with slots as further `xs` and measured parts as further `ys`."""
  (body,) = operation.bodies
  params = operation.params
  num_consts, num_carry = jaxpr.num_consts_and_carry(operation)
  consts, carry = values[:num_consts], values[num_consts:][:num_carry]
  xs = values[num_consts + num_carry :]

  def step(carry, inputs):
    thread, values = carry
    xs, slots = inputs
    done = evaluate(body, [*consts, *values, *xs], taps, slots, thread)
    carried, ys = done.outputs[:num_carry], done.outputs[num_carry:]
    return (done.thread, carried), (ys, done.parts)

  with jax.named_scope('/'.join(operation.path)):
    (thread, carried), (ys, parts) = lax.scan(
      step,
      (thread, carry),
      (xs, _slots_within([body], slots)),
      length=params['length'],
      reverse=params['reverse'],
      unroll=params['unroll'],
    )
  return Evaluated([*carried, *ys], parts, thread)


def _evaluate_cond(operation, values, taps, slots, thread) -> Evaluated:
  """A cond; what is measured in a branch not taken is NaN."""
  index, *operands = values
  inner = _slots_within(operation.bodies, slots)

  def branch(body):
    return lambda slots, thread, *operands: evaluate(
      body, operands, taps, slots, thread
    )

  branches = [branch(body) for body in operation.bodies]
  shapes: dict[int, Any] = {}
  for fn in branches:
    shapes.update(jax.eval_shape(fn, inner, thread, *operands).parts)
  absent = jax.tree.map(lambda s: jnp.full(s.shape, jnp.nan, s.dtype), shapes)

  def complete(fn):
    def completed(*args):
      done = fn(*args)
      return done._replace(parts=absent | done.parts)

    return completed

  return lax.switch(
    index, list(map(complete, branches)), inner, thread, *operands
  )


def _evaluate_remat(operation, values, taps, slots, thread) -> Evaluated:
  """A rematerialized function, still rematerialized."""
  (body,) = operation.bodies

  def inner(slots, thread, *values):
    return evaluate(body, values, taps, slots, thread)

  return jaxpr.rebind(
    operation, inner, _slots_within([body], slots), thread, *values
  )


_EVALUATORS: dict[str, Callable[..., Evaluated]] = {
  'scan': _evaluate_scan,
  'cond': _evaluate_cond,
  'checkpoint': _evaluate_remat,
  'remat': _evaluate_remat,
  'remat2': _evaluate_remat,
}


def _slots_within(bodies: Sequence[Graph], slots: Mapping[int, Any]):
  keys = set().union(*map(keys_within, bodies))
  return {key: slot for key, slot in slots.items() if key in keys}


def _is_array(leaf: Any) -> bool:
  return hasattr(leaf, 'dtype')
