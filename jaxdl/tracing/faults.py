"""Which operations of a graph make NaN or infinity, and what if they did not.

A graph is evaluated as it is, and beside it, for each operation, whether it
makes an element NaN or infinite out of operands that are not: that is a fault.
Any set of operations can be repaired: the elements at fault are replaced by
ordinary numbers, and whatever follows sees those. Everything may be under
`jax.jit`, with the repairs as arrays, so one program serves many questions.

To judge an operation element by element costs a dozen others. So that is done
for the suspects alone; of every other value there is but its magnitude, which
tells whether it has NaN or infinity, and `judging.by_flags` goes by that.
"""

from collections.abc import Mapping, Sequence
import math
from typing import Any, NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
from jaxdl.tracing import jaxpr
from jaxdl.tracing import judging
from jaxdl.tracing import spots
from jaxdl.tracing.jaxpr import Graph
import numpy as np

Array = jax.Array


class Seen(NamedTuple):
  """An operation with the values that flowed through it.

  Leading axes, if any, are those of the scans around it. What is no number,
  such as a random key, is None.

  Attributes:
    operands: what it read.
    results: what it made, before any repair.
    at_fault: for each result, at which elements it is to blame.
  """

  operands: tuple[Any, ...]
  results: tuple[Any, ...]
  at_fault: tuple[Any, ...]


class Run(NamedTuple):
  """What an evaluation returns.

  Attributes:
    outputs: of the graph.
    magnitudes: of each value, `magnitude`, by key, if asked for; with an axis
      for each scan around it.
    faults: what the operations judged did, bits as in `judging`, by name;
      likewise.
    seen: the operations that were asked for, by name.
  """

  outputs: list[Any]
  magnitudes: dict[int, Array]
  faults: dict[int, Array]
  seen: dict[int, Seen]


def ordinary(shape: tuple[int, ...], dtype: Any) -> Array:
  """Numbers in [1/2, 1), no two neighbours equal: no zero, no zero spread."""
  index = lax.iota(jnp.float32, max(math.prod(shape), 1))
  spread = 0.5 + 0.5 * ((index + 1) * 0.618034 % 1)
  return spread[: math.prod(shape)].reshape(shape).astype(dtype)


def repaired(x: Array, at_fault: Array, repair: Array) -> Array:
  """`x` with ordinary numbers where it is at fault, if `repair`."""
  return jnp.where(repair & at_fault, ordinary(x.shape, x.dtype), x)


class Question(NamedTuple):
  """What an evaluation is asked.

  Attributes:
    repairs: whether to repair an operation, by name: of those that are judged
      element by element; with an axis for each scan around the operation.
    constants: as `judging.nonfinite_constants(graph)` says.
    wanted: the names of the operations whose values are returned.
    measured: whether to measure the magnitudes of all values.
  """

  repairs: Mapping[int, Array]
  constants: frozenset[int] = frozenset()
  wanted: frozenset[int] = frozenset()
  measured: bool = True


def magnitude(x: Any) -> Array:
  """The sum of magnitudes, `[...]` to `[]`: NaN if any element is.

  Infinite if any element is, and none NaN; but also if the sum is too large.
  """
  if not judging.is_inexact(x):
    return jnp.zeros([], jnp.float32)
  if jnp.issubdtype(x.dtype, jnp.complexfloating):
    return magnitude(x.real) + magnitude(x.imag)
  wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
  return lax.reduce_sum(lax.abs(wide), range(x.ndim))


def flags_of(magnitudes: Mapping[int, Any]) -> dict[int, Any]:
  """As `judging.flag` has them, of magnitudes that are concrete."""
  return {
    key: np.where(
      np.isnan(x), judging.NAN, np.where(np.isinf(x), judging.INFINITY, 0)
    )
    for key, x in magnitudes.items()
  }


def evaluate(graph: Graph, args: Sequence[Any], question: Question) -> Run:
  """Evaluates a graph and finds the operations that are at fault.

  Args:
    graph: what is evaluated.
    args: one value for each input.
    question: what is repaired, and what is returned.

  Returns:
    The outputs, and what each operation did.
  """
  env: dict[int, Any] = dict(graph.constants)
  env.update(zip(graph.inputs, args, strict=True))
  read = lambda atom: env[atom] if isinstance(atom, int) else atom.val
  magnitudes: dict[int, Array] = {}
  if question.measured:
    magnitudes.update((key, magnitude(value)) for key, value in env.items())
  faults: dict[int, Array] = {}
  seen: dict[int, Seen] = {}
  for operation in graph.operations:
    values = [read(atom) for atom in operation.inputs]
    if spots.inner_graphs(operation):
      run = _inside(operation, values, question)
      results = run.outputs
      magnitudes.update(run.magnitudes)
      faults.update(run.faults)
      seen.update(run.seen)
    else:
      results = jaxpr.bind(operation, values)
      if operation.outputs and spots.name(operation) in question.repairs:
        results, faults[spots.name(operation)], values_seen = _judged(
          operation, values, results, question
        )
        if spots.name(operation) in question.wanted:
          seen[spots.name(operation)] = values_seen
    env.update(zip(operation.outputs, results, strict=True))
    if question.measured:
      for key, result in zip(operation.outputs, results, strict=True):
        magnitudes[key] = _magnitude_of(operation, magnitudes, result)
  return Run([read(atom) for atom in graph.outputs], magnitudes, faults, seen)


def _magnitude_of(operation, magnitudes, result) -> Array:
  """Of a result; that of the operand where its elements are all moved."""
  if operation.primitive.name in judging.REARRANGES:
    (atom,) = operation.inputs[:1]
    if isinstance(atom, int):
      return magnitudes[atom]
  return magnitude(result)


def _inside(operation, values, question) -> Run:
  match operation.primitive.name:
    case 'scan':
      return _scan(operation, values, question)
    case 'cond':
      return _cond(operation, values, question)
    case _:  # Rematerialized, or with a derivative of its own.
      (body,) = spots.inner_graphs(operation)
      return evaluate(body, values, question)


def _scan(operation, values, question) -> Run:
  (body,) = operation.bodies
  params = operation.params
  num_consts, num_carry = jaxpr.num_consts_and_carry(operation)
  consts, carry = values[:num_consts], values[num_consts:][:num_carry]
  inner = {
    key: question.repairs[key]
    for key in spots.names_within(body) & question.repairs.keys()
  }

  def step(carry, inputs):
    xs, inner = inputs
    asked = question._replace(repairs=inner)
    run = evaluate(body, [*consts, *carry, *xs], asked)
    carry, ys = run.outputs[:num_carry], run.outputs[num_carry:]
    return carry, run._replace(outputs=ys)

  carry, run = lax.scan(
    step,
    carry,
    (values[num_consts + num_carry :], inner),
    length=params['length'],
    reverse=params['reverse'],
  )
  return run._replace(outputs=[*carry, *run.outputs])


def _cond(operation, values, question) -> Run:
  """A cond; operations in a branch not taken did nothing."""
  index, *operands = values

  def branch(body):
    return lambda *operands: evaluate(body, operands, question)

  branches = [branch(body) for body in operation.bodies]
  absent = Run([], {}, {}, {})
  for fn in branches:
    absent = _joined(absent, jax.eval_shape(fn, *operands))
  absent = absent._replace(outputs=[])
  absent = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), absent)

  def complete(fn):
    return lambda *operands: _joined(absent, fn(*operands))

  return lax.switch(index, list(map(complete, branches)), *operands)


def _joined(first: Run, last: Run) -> Run:
  return Run(
    last.outputs,
    first.magnitudes | last.magnitudes,
    first.faults | last.faults,
    first.seen | last.seen,
  )


def _judged(operation, values, results, question):
  """Results as repaired, what the operation did, and what was seen of it."""
  bits, at_fault = judging.judge(operation, values, results, question.constants)
  seen = Seen(_numbers(values), _numbers(results), at_fault)
  repair = question.repairs[spots.name(operation)]
  results = [
    repaired(x, where, repair) if judging.is_inexact(x) else x
    for x, where in zip(results, at_fault, strict=True)
  ]
  return results, bits, seen


def _numbers(values) -> tuple[Any, ...]:
  is_key = lambda x: jnp.issubdtype(jnp.result_type(x), jax.dtypes.extended)
  return tuple(None if is_key(x) else jnp.asarray(x) for x in values)
