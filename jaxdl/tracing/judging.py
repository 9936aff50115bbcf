"""Which elements of a result an operation is to blame for.

An operation is at fault at an element that it makes infinite out of finite
operands, or NaN out of operands without NaN. Of an elementwise operation that
is asked of each element; of a sum, what it would be with zeros in place of what
is not finite; of all others, of whole operands.
"""

from collections.abc import Iterable, Mapping, Sequence
import functools
import operator
from typing import Any

import jax
from jax import lax
from jax.extend import core
import jax.numpy as jnp
from jaxdl.tracing import jaxpr
from jaxdl.tracing import spots
from jaxdl.tracing.jaxpr import Graph
from jaxdl.tracing.jaxpr import Operation
import numpy as np

Array = jax.Array

# What an operation did, as bits: made infinity out of finite operands, made NaN
# out of operands without NaN, passed on a constant that is NaN or infinite.
INFINITY, NAN, CONSTANT = 1, 2, 4

# These move elements and make none, so they can't be at fault; but one of them
# may bring a constant minus infinity, such as a mask, among other numbers,
_MOVES = frozenset(
  """broadcast_in_dim reshape squeeze expand_dims transpose rev slice copy
  dynamic_slice dynamic_update_slice gather scatter concatenate pad select_n
  stop_gradient optimization_barrier copy_p sort select_and_gather_add
  reduce_max reduce_min reduce_window_max reduce_window_min cummax cummin
  argmax argmin neg real imag split empty empty2 iota top_k
  pvary""".split()
)
# these leave it a constant,
_COPIES = frozenset(
  """broadcast_in_dim reshape squeeze expand_dims transpose copy
  convert_element_type""".split()
)
# and what these return is as finite as what they are given.
REARRANGES = frozenset(
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


def nonfinite(x: Any) -> Array:
  """Where `x` is NaN or infinite, elementwise; `[...]` to `[...]`."""
  return ~jnp.isfinite(x)


def is_inexact(x: Any) -> bool:
  """Whether `x` has a dtype with NaN and infinity."""
  return hasattr(x, 'dtype') and jnp.issubdtype(x.dtype, jnp.inexact)


def flag(x: Any) -> Array:
  """`NAN` if any element is, else `INFINITY`, else 0; `[...]` to `[]`."""
  if not is_inexact(x):
    return jnp.zeros([], jnp.int32)
  bits = nonfinite(x).astype(jnp.int32) + (x != x).astype(jnp.int32)
  return jnp.max(bits, initial=0)


def nonfinite_constants(
  graph: Graph, given: frozenset[int] = frozenset()
) -> frozenset[int]:
  """The keys of constants with NaN or infinity, here or in a body below.

  A literal that is broadcast or converted is a constant too.

  Args:
    graph: with its constants concrete.
    given: positions of the inputs that are such constants.
  """
  keys = {graph.inputs[i] for i in given} | {
    key
    for key, value in graph.constants.items()
    if is_inexact(value) and not np.isfinite(np.asarray(value)).all()
  }
  for operation in graph.operations:
    for body in spots.inner_graphs(operation):
      keys |= nonfinite_constants(body, _handed_on(operation, body, keys))
    if operation.primitive.name in _COPIES and _reads_constant(operation, keys):
      keys |= set(operation.outputs)
  return frozenset(keys)


def may_fault(operation: Operation) -> bool:
  """Whether it computes: it does not just move numbers, or call others."""
  return not (_moves(operation) or spots.inner_graphs(operation))


def _moves(operation: Operation) -> bool:
  """Whether it makes no number: a lookup fills in NaN where it finds none."""
  fills = operation.params.get('mode') == lax.GatherScatterMode.FILL_OR_DROP
  is_lookup = operation.primitive.name == 'gather'
  return operation.primitive.name in _MOVES and not (is_lookup and fills)


def by_flags(
  operation: Operation, flags: Mapping[int, Any], constants: frozenset[int]
) -> Any:
  """What an operation did, as far as flags of whole values tell; bits.

  Args:
    operation: without graphs inside.
    flags: of all values, concrete, with axes for the scans around them.
    constants: as `nonfinite_constants(graph)` says.
  """
  if spots.name(operation) in constants:
    return np.int32(0)
  keys = [atom for atom in operation.inputs if isinstance(atom, int)]
  before = functools.reduce(
    np.maximum, (flags[key] for key in keys), np.int32(0)
  )
  after = functools.reduce(np.maximum, (flags[k] for k in operation.outputs))
  if _reads_constant(operation, constants):
    return np.where(after > 0, after | CONSTANT, 0)
  if _moves(operation):
    return np.zeros_like(after)
  return np.where(after > before, after, 0)


def judge(
  operation: Operation,
  values: Sequence[Any],
  results: Sequence[Any],
  constants: frozenset[int],
) -> tuple[Array, tuple[Any, ...]]:
  """What an operation did: bits, and where each result is at fault."""
  is_constant = spots.name(operation) in constants
  moves = _moves(operation) or is_constant
  reads_constant = _reads_constant(operation, constants) and not is_constant
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
    passed_on = nonfinite(result) & ~made_nan & ~made_infinity & reads_constant
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
    _is_nonfinite_constant(atom, constants) for atom in operation.inputs
  )


def _handed_on(operation, body, constants) -> frozenset[int]:
  """Positions of the inputs of a body that are constants of that kind."""
  changing = range(0)
  if operation.primitive.name == 'scan':
    num_consts, num_carry = jaxpr.num_consts_and_carry(operation)
    changing = range(num_consts, num_consts + num_carry)
  # The first operand of a cond is the number of its branch.
  operands = operation.inputs[-len(body.inputs) :] if body.inputs else ()
  return frozenset(
    i
    for i, atom in enumerate(operands)
    if i not in changing and _is_nonfinite_constant(atom, constants)
  )


def _is_nonfinite_constant(atom: int | core.Literal, constants) -> bool:
  if isinstance(atom, int):
    return atom in constants
  value = np.asarray(atom.val)
  return is_inexact(value) and not bool(np.isfinite(value).all())
