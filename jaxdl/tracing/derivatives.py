"""Of which operation another one is the derivative.

The jaxpr of a backward pass says in which scope and on which line an operation
was written, but not that `0.5 / y` is the derivative of a square root. Each
operation of the forward pass on that line is therefore differentiated, and its
derivative compared.
"""

from collections.abc import Iterable
import itertools
import re
from typing import Any

import jax
from jax.extend import core
import jax.numpy as jnp
from jaxdl.tracing import jaxpr
from jaxdl.tracing import judging
from jaxdl.tracing import spots
import numpy as np

_WRAPPED = re.compile(r'(?:jvp|transpose|vmap)\((.*)\)(?:#\d+)?')
# Scopes that jax opens around what it computes again.
_RECOMPUTED = ('rematted_computation', 'checkpoint')
# Whose derivative may be infinite, or overflow, where they are finite.
_STEEP = frozenset(
  """sqrt rsqrt cbrt log log1p div rem pow integer_pow square exp exp2 expm1
  asin acos atan2 atanh acosh asinh tan sinh cosh mul erf_inv lgamma digamma
  reduce_prod cumprod dot_general conv_general_dilated abs logistic
  tanh""".split()
)


def scope(
  paths: Iterable[jaxpr.Path], known: frozenset[str] = frozenset()
) -> str:
  """The scopes as the forward pass was written: `encoder/blocks`.

  Args:
    paths: of each level of the graph, outermost first, with what jax writes
      around them: `transpose(jvp(encoder))`.
    known: the scopes of the function before it was differentiated. Where
      derivatives lie between the operations of a scope, it seems to be entered
      twice, `block#2`; these tell whether it is.
  """
  written = '/'.join(name for path in paths for name in _written(path))
  if written in known:
    return written
  plain = _without_numbers(written)
  alike = [name for name in known if _without_numbers(name) == plain]
  if len(alike) > 1:
    return written
  return alike[0] if alike else plain


def scopes(found: Iterable[spots.Spot]) -> frozenset[str]:
  """Those of the operations of a function that was not differentiated."""
  paths = (spot.paths for spot in found)
  return frozenset('/'.join(itertools.chain(*levels)) for levels in paths)


def _without_numbers(name: str) -> str:
  return re.sub(r'#\d+', '', name)


def _written(path: jaxpr.Path) -> tuple[str, ...]:
  names = tuple(map(_unwrapped, path))
  start = 0
  for i in range(1, len(path)):  # What is computed again has its scopes twice.
    if names[i] == names[0] and path[i] != path[0] and names[i] != path[i]:
      start = i
  return tuple(name for name in names[start:] if name not in _RECOMPUTED)


def _unwrapped(name: str) -> str:
  while match := _WRAPPED.fullmatch(name):
    name = match[1]
  return name


def differentiated(
  spot: spots.Spot, forward: Iterable[spots.Spot]
) -> spots.Spot | None:
  """The operation of the forward pass of which this one is a derivative.

  Args:
    spot: an operation of the backward pass.
    forward: the operations of the forward pass.

  Returns:
    Of those in the same scope and on the same line, the one whose derivative
    is most like it; None if none is.
  """
  here = _place(spot)
  best, best_likeness = None, 0
  for other in forward:
    if other.operation.primitive.name in _STEEP and _place(other) == here:
      likeness = _likeness(spot.operation, other)
      if likeness > best_likeness:
        best, best_likeness = other, likeness
  return best


def recomputed(
  every: Iterable[spots.Spot], forward: Iterable[spots.Spot]
) -> frozenset[int]:
  """The operations of a backward pass that do those of the forward pass again.

  Args:
    every: the operations of both.
    forward: those of the forward pass.

  Returns:
    The names of those, in rematerialized functions, that are written as one of
    the forward pass is.
  """
  known = {_signature(spot) for spot in forward}
  return frozenset(
    spot.name
    for spot in every
    if any(name in path for path in spot.paths for name in _RECOMPUTED)
    and _signature(spot) in known
  )


def _signature(spot: spots.Spot) -> tuple[Any, ...]:
  operation = spot.operation
  literals = tuple(
    str(atom.val) for atom in operation.inputs if not isinstance(atom, int)
  )
  shapes = tuple(str(spot.graph.avals[key]) for key in operation.outputs)
  return _place(spot), operation.primitive.name, literals, shapes


def _place(spot: spots.Spot) -> tuple[str, str]:
  return _without_numbers(scope(spot.paths)), spot.operation.source


def _likeness(operation: jaxpr.Operation, forward: spots.Spot) -> int:
  """How much of `operation` occurs in the derivative of another; 0 if none."""
  derivative = _derivative(forward)
  own = forward.operation
  roles: dict[Any, Any] = dict(
    zip(derivative.inputs[: len(own.inputs)], own.inputs, strict=True)
  )
  likeness = 0
  for part in derivative.operations:
    is_itself = part.primitive is own.primitive and part.params == own.params
    if is_itself and part.inputs == derivative.inputs[:-1]:
      roles.update(zip(part.outputs, own.outputs, strict=True))
    elif part.primitive is operation.primitive:
      shared = sum(
        _is_same(_role(atom, roles), actual)
        for atom, actual in zip(part.inputs, operation.inputs, strict=True)
      )
      likeness = max(likeness, 1 + shared)
  return likeness


def _derivative(forward: spots.Spot) -> jaxpr.Graph:
  """The graph of `(*operands, cotangent)` to the cotangents of operands."""
  operation, avals = forward.operation, forward.graph.avals
  operands = [
    jax.ShapeDtypeStruct(avals[atom].shape, avals[atom].dtype)
    if isinstance(atom, int)
    else jax.ShapeDtypeStruct(np.shape(atom.val), jnp.result_type(atom.val))
    for atom in operation.inputs
  ]
  (result,) = (avals[key] for key in operation.outputs)
  inexact = [i for i, x in enumerate(operands) if judging.is_inexact(x)]

  def pulled_back(*values):
    operands, cotangent = values[:-1], values[-1]

    def apply(*chosen):
      filled = list(operands)
      for i, value in zip(inexact, chosen, strict=True):
        filled[i] = value
      return jaxpr.bind(operation, filled)[0]

    _, pull = jax.vjp(apply, *(operands[i] for i in inexact))
    return pull(cotangent)

  cotangent = jax.ShapeDtypeStruct(result.shape, result.dtype)
  return jaxpr.graph(jax.make_jaxpr(pulled_back)(*operands, cotangent))


def _role(atom: Any, roles: dict[Any, Any]) -> Any:
  """What an atom of the derivative is in the forward pass, if anything."""
  return roles.get(atom) if isinstance(atom, int) else atom


def _is_same(expected: Any, actual: Any) -> bool:
  if isinstance(expected, core.Literal) and isinstance(actual, core.Literal):
    return bool(np.all(np.asarray(expected.val) == np.asarray(actual.val)))
  return (
    expected is not None
    and expected is actual
    or (isinstance(expected, int) and expected == actual)
  )
