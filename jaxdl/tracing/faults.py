"""Which operations of a graph make NaN or infinity, and what if they did not.

A graph is evaluated as it is, and beside it, for each operation, whether it
makes an element NaN or infinite out of operands that are not: that is a fault.
Any set of operations can be repaired: the elements at fault are replaced by
ordinary numbers, and whatever follows sees those. Everything may be under
`jax.jit`, with the repairs as arrays, so one program serves many questions.

To judge an operation element by element costs a dozen others. So that is done
for the suspects alone; of every other value there is but its magnitude, which
tells whether it has NaN or infinity, and `by_flags` judges by that.
"""

from collections.abc import Iterable, Mapping, Sequence
import functools
import math
import operator
from typing import Any, NamedTuple

import jax
from jax import lax
from jax.extend import core
import jax.numpy as jnp
from jaxdl.tracing import jaxpr
from jaxdl.tracing.jaxpr import Graph
from jaxdl.tracing.jaxpr import Operation
import numpy as np

Array = jax.Array

# What an operation did, as bits: made infinity out of finite operands, made NaN
# out of operands without NaN, passed on a literal that is NaN or infinite.
INFINITY, NAN, CONSTANT = 1, 2, 4

# A literal minus infinity, such as a mask, is moved by these. They make
# nothing, and so are not looked at unless they move a literal.
_MOVES = frozenset(
  """broadcast_in_dim reshape squeeze expand_dims transpose rev slice copy
  dynamic_slice dynamic_update_slice gather scatter concatenate pad select_n
  stop_gradient optimization_barrier copy_p sort select_and_gather_add
  reduce_max reduce_min reduce_window_max reduce_window_min cummax cummin
  argmax argmin neg real imag split empty empty2 iota top_k
  pvary""".split()
)
_COPIES = frozenset(
  """broadcast_in_dim reshape squeeze expand_dims transpose copy
  convert_element_type""".split()
)
_REARRANGES = frozenset(
  """broadcast_in_dim reshape squeeze expand_dims transpose rev copy copy_p neg
  stop_gradient""".split()
)
ELEMENTWISE = frozenset(
  """add add_any sub mul div rem pow integer_pow exp exp2 log log1p expm1 sqrt
  rsqrt cbrt tanh logistic sin cos tan asin acos atan sinh cosh asinh acosh
  atanh atan2 erf erfc erf_inv lgamma digamma polygamma igamma igammac
  regularized_incomplete_beta bessel_i0e bessel_i1e square sign abs neg max min
  nextafter clamp convert_element_type real imag complex conj round floor ceil
  reduce_precision select_n""".split()
)
# Sums of products: where an operand is zero it adds nothing.
_SUMS = frozenset(
  """dot_general conv_general_dilated reduce_sum cumsum reduce_window_sum
  scatter-add scatter_add ragged_dot""".split()
)


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
    faults: bits of `INFINITY`, `NAN`, `CONSTANT` of the operations judged, by
      `name`; likewise.
    seen: the operations that were asked for, by `name`.
  """

  outputs: list[Any]
  magnitudes: dict[int, Array]
  faults: dict[int, Array]
  seen: dict[int, Seen]


def name(operation: Operation) -> int:
  """What an operation is known by: the key of its first result."""
  return operation.outputs[0]


def inner_graphs(operation: Operation) -> tuple[Graph, ...]:
  """The graphs that an operation calls and that can be looked into."""
  called = () if operation.called is None else (operation.called,)
  return operation.bodies + called


def names_within(graph: Graph) -> set[int]:
  """The names of all operations of a graph and of the bodies below it."""
  names: set[int] = set()
  for operation in graph.operations:
    if operation.outputs:
      names.add(name(operation))
    for body in inner_graphs(operation):
      names |= names_within(body)
  return names


def nonfinite(x: Any) -> Array:
  """Where `x` is NaN or infinite, elementwise; `[...]` to `[...]`."""
  return ~jnp.isfinite(x)


def is_inexact(x: Any) -> bool:
  """Whether `x` has a dtype with NaN and infinity."""
  return hasattr(x, 'dtype') and jnp.issubdtype(x.dtype, jnp.inexact)


def ordinary(shape: tuple[int, ...], dtype: Any) -> Array:
  """Numbers in [1/2, 1), no two neighbours equal: no zero, no zero spread."""
  index = lax.iota(jnp.float32, max(math.prod(shape), 1))
  spread = 0.5 + 0.5 * ((index + 1) * 0.618034 % 1)
  return spread[: math.prod(shape)].reshape(shape).astype(dtype)


def repaired(x: Array, at_fault: Array, repair: Array) -> Array:
  """`x` with ordinary numbers where it is at fault, if `repair`."""
  return jnp.where(repair & at_fault, ordinary(x.shape, x.dtype), x)


def nonfinite_constants(graph: Graph) -> frozenset[int]:
  """The keys of constants with NaN or infinity, here or in a body below.

  A literal that is broadcast or converted is a constant too.
  """
  keys = {
    key
    for key, value in graph.constants.items()
    if is_inexact(value) and not np.isfinite(np.asarray(value)).all()
  }
  for operation in graph.operations:
    for body in inner_graphs(operation):
      keys |= nonfinite_constants(body)
    if operation.primitive.name in _COPIES and _reads_constant(operation, keys):
      keys |= set(operation.outputs)
  return frozenset(keys)


class Question(NamedTuple):
  """What an evaluation is asked.

  Attributes:
    repairs: whether to repair an operation, by `name`: of those that are judged
      element by element; with an axis for each scan around the operation.
    constants: as `nonfinite_constants(graph)` says.
    wanted: the names of the operations whose values are returned.
    measured: whether to measure the magnitudes of all values.
  """

  repairs: Mapping[int, Array]
  constants: frozenset[int] = frozenset()
  wanted: frozenset[int] = frozenset()
  measured: bool = True


def flag(x: Any) -> Array:
  """`NAN` if any element is, else `INFINITY`, else 0; `[...]` to `[]`."""
  if not is_inexact(x):
    return jnp.zeros([], jnp.int32)
  bits = nonfinite(x).astype(jnp.int32) + (x != x).astype(jnp.int32)
  return jnp.max(bits, initial=0)


def magnitude(x: Any) -> Array:
  """The sum of magnitudes, `[...]` to `[]`: NaN if any element is.

  Infinite if any element is, and none NaN; but also if the sum is too large.
  """
  if not is_inexact(x):
    return jnp.zeros([], jnp.float32)
  if jnp.issubdtype(x.dtype, jnp.complexfloating):
    return magnitude(x.real) + magnitude(x.imag)
  wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
  return lax.reduce_sum(lax.abs(wide), range(x.ndim))


def flags_of(magnitudes: Mapping[int, Any]) -> dict[int, Any]:
  """As `flag` has them, of magnitudes that are concrete."""
  return {
    key: np.where(np.isnan(x), NAN, np.where(np.isinf(x), INFINITY, 0))
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
    if inner_graphs(operation):
      run = _inside(operation, values, question)
      results = run.outputs
      magnitudes.update(run.magnitudes)
      faults.update(run.faults)
      seen.update(run.seen)
    else:
      results = jaxpr.bind(operation, values)
      if operation.outputs and name(operation) in question.repairs:
        results, faults[name(operation)], values_seen = _judged(
          operation, values, results, question
        )
        if name(operation) in question.wanted:
          seen[name(operation)] = values_seen
    env.update(zip(operation.outputs, results, strict=True))
    if question.measured:
      for key, result in zip(operation.outputs, results, strict=True):
        magnitudes[key] = _magnitude_of(operation, magnitudes, result)
  return Run([read(atom) for atom in graph.outputs], magnitudes, faults, seen)


def _magnitude_of(operation, magnitudes, result) -> Array:
  """Of a result; that of the operand where its elements are all moved."""
  if operation.primitive.name in _REARRANGES:
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
      (body,) = inner_graphs(operation)
      return evaluate(body, values, question)


def _scan(operation, values, question) -> Run:
  (body,) = operation.bodies
  params = operation.params
  num_consts, num_carry = jaxpr.num_consts_and_carry(operation)
  consts, carry = values[:num_consts], values[num_consts:][:num_carry]
  inner = {
    key: question.repairs[key]
    for key in names_within(body) & question.repairs.keys()
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
  bits, at_fault = _judge(operation, values, results, question.constants)
  seen = Seen(_numbers(values), _numbers(results), at_fault)
  repair = question.repairs[name(operation)]
  results = [
    repaired(x, where, repair) if is_inexact(x) else x
    for x, where in zip(results, at_fault, strict=True)
  ]
  return results, bits, seen


def _judge(operation, values, results, constants):
  """What an operation did: bits, and where each result is at fault."""
  literal = _reads_constant(operation, constants)
  moves = operation.primitive.name in _MOVES
  moves |= name(operation) in constants
  literal &= name(operation) not in constants
  inexact = [value for value in values if is_inexact(value)]
  counterfactual = results if moves else _without(operation, values, results)
  bits = jnp.zeros([], jnp.int32)
  at_fault: list[Any] = []
  for result, clean in zip(results, counterfactual, strict=True):
    if not is_inexact(result):
      at_fault.append(np.zeros(jnp.shape(result), bool))
      continue
    made_nan = jnp.zeros(result.shape, bool)
    made_infinity = made_nan
    if not moves:
      made_nan, made_infinity = _made(operation, inexact, result, clean)
    passed_on = nonfinite(result) & literal & ~made_nan & ~made_infinity
    for bit, where in zip(
      (NAN, INFINITY, CONSTANT),
      (made_nan, made_infinity, passed_on),
      strict=True,
    ):
      bits |= jnp.any(where).astype(jnp.int32) * bit
    at_fault.append(made_nan | made_infinity | passed_on)
  return bits, tuple(at_fault)


def _made(operation, operands, result, clean) -> tuple[Array, Array]:
  """Where a result is NaN or infinite and the operands to it are not."""
  over = (
    (lambda x: x) if _is_elementwise(operation, operands, result) else jnp.any
  )
  had_nan = _either(over(jnp.isnan(x)) for x in operands)
  had_any = _either(over(nonfinite(x)) for x in operands)
  still = nonfinite(clean) if clean is not result else False
  made_nan = jnp.isnan(result) & (~had_nan | still)
  made_infinity = jnp.isinf(result) & (~had_any | still)
  return made_nan, made_infinity


def _without(operation, values, results):
  """The results of a sum if it had zeros where it has NaN or infinity."""
  if operation.primitive.name not in _SUMS:
    return results
  clean = [
    jnp.where(nonfinite(x), jnp.zeros_like(x), x) if is_inexact(x) else x
    for x in values
  ]
  dirty = _either(jnp.any(nonfinite(x)) for x in values if is_inexact(x))
  return lax.cond(
    dirty, lambda: jaxpr.bind(operation, clean), lambda: list(results)
  )


def broadcasts(shape: tuple[int, ...], result: tuple[int, ...]) -> bool:
  """Whether an operand of an elementwise operation lies as its result does."""
  return shape == () or (
    len(shape) == len(result)
    and all(n in (1, m) for n, m in zip(shape, result, strict=True))
  )


def _is_elementwise(operation, operands, result) -> bool:
  return operation.primitive.name in ELEMENTWISE and all(
    broadcasts(jnp.shape(x), result.shape) for x in operands
  )


def _either(conditions: Iterable[Any]) -> Any:
  return functools.reduce(operator.or_, conditions, jnp.zeros([], bool))


def _reads_constant(operation: Operation, constants) -> bool:
  """Whether a literal or a constant that it reads has NaN or infinity."""
  return any(
    atom in constants if isinstance(atom, int) else _is_nonfinite_number(atom)
    for atom in operation.inputs
  )


def _is_nonfinite_number(literal: core.Literal) -> bool:
  value = np.asarray(literal.val)
  return is_inexact(value) and not bool(np.isfinite(value).all())


def may_fault(operation: Operation) -> bool:
  """Whether it computes: it does not just move numbers, or call others."""
  return not (operation.primitive.name in _MOVES or inner_graphs(operation))


def by_flags(
  operation: Operation, flags: Mapping[int, Any], constants: frozenset[int]
) -> Any:
  """What an operation did, as far as flags of whole values tell; bits.

  Args:
    operation: without graphs inside.
    flags: of all values, concrete, with axes for the scans around them.
    constants: as `nonfinite_constants(graph)` says.
  """
  if name(operation) in constants:
    return np.int32(0)
  keys = [atom for atom in operation.inputs if isinstance(atom, int)]
  before = functools.reduce(
    np.maximum, (flags[key] for key in keys), np.int32(0)
  )
  after = functools.reduce(np.maximum, (flags[k] for k in operation.outputs))
  if _reads_constant(operation, constants):
    return np.where(after > 0, after | CONSTANT, 0)
  if operation.primitive.name in _MOVES:
    return np.zeros_like(after)
  return np.where(after > before, after, 0)


def _numbers(values) -> tuple[Any, ...]:
  is_key = lambda x: jnp.issubdtype(jnp.result_type(x), jax.dtypes.extended)
  return tuple(None if is_key(x) else jnp.asarray(x) for x in values)
