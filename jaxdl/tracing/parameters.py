"""Which scopes use which parameters: it tells a scope's module from the graph.

A value that is made of parameters alone (a transposed kernel, a normalized
weight) still is those parameters. They are used where an operation mixes them
with anything else: data, state, or what data became; and where entries are
looked up in them, be it at positions that are written in the code.
"""

from collections.abc import Collection, Mapping, Sequence
import itertools
import math
from typing import Any

from jaxdl.tracing import jaxpr
from jaxdl.tracing.jaxpr import Graph
from jaxdl.tracing.jaxpr import Operation
from jaxdl.tracing.jaxpr import Path

# Which inputs of the graph a value is made of; None if of anything else.
_Origin = frozenset[int] | None
_NOTHING: frozenset[int] = (
  frozenset()
)  # A constant that is written in the code.


def uses(
  graph: Graph, parameters: Sequence[int]
) -> dict[Path, tuple[int, ...]]:
  """Finds the parameters that are used in each scope, those below it left out.

  Args:
    graph: the flattened jaxpr of a loss.
    parameters: positions of the inputs that are parameters.

  Returns:
    Positions by path, in the order of their first use. The path of a use that
    lies in no scope is `()`.
  """
  found = first_uses(graph, parameters)
  return {path: tuple(used) for path, used in found.items()}


def first_uses(
  graph: Graph, parameters: Sequence[int]
) -> dict[Path, dict[int, int]]:
  """Finds where the parameters of each scope are used first; see `uses`.

  Args:
    graph: the flattened jaxpr of a loss.
    parameters: positions of the inputs that are parameters.

  Returns:
    By path, and by position, the key of the value that is made there.
  """
  found: dict[Path, dict[int, int]] = {}
  _collect(graph, (), _origins(graph, parameters), found)
  return found


def used_in_no_scope(graph: Graph, parameters: Sequence[int]) -> set[int]:
  """Finds where parameters are used that no scope uses.

  Args:
    graph: the flattened jaxpr of a loss.
    parameters: positions of the inputs that are parameters.

  Returns:
    Keys of the values that are made there.
  """
  used = uses(graph, parameters)
  outside = set(used.get((), ()))
  for path, found in used.items():
    if path:
      outside.difference_update(found)
  made: set[int] = set()
  if outside:
    _collect(graph, (), _origins(graph, outside), {}, made)
  return made


def _origins(graph: Graph, parameters: Collection[int]) -> dict[int, _Origin]:
  return {
    key: frozenset({i}) if i in parameters else None
    for i, key in enumerate(graph.inputs)
  }


def _collect(
  graph: Graph,
  prefix: Path,
  given: Mapping[int, _Origin],
  found: dict[Path, dict[int, int]],
  made_outside: set[int] | None = None,
) -> None:
  """Walks one level.

  Args:
    graph: of this level.
    prefix: the scopes around it.
    given: the origins of its inputs.
    found: what is found, by path.
    made_outside: keys of what is made of parameters in no scope.
  """
  origins: dict[int, _Origin] = {**given}
  origins.update(dict.fromkeys(graph.constants))
  for operation in graph.operations:
    inputs = [
      origins[atom] if isinstance(atom, int) else _NOTHING
      for atom in operation.inputs
    ]
    if operation.bodies:
      for body, inner in _into_bodies(operation, inputs):
        _collect(body, prefix + operation.path, inner, found, made_outside)
    made: _Origin = None
    is_own = None not in inputs and not _is_lookup(operation, graph)
    if not operation.bodies and is_own:
      made = _NOTHING.union(*(i for i in inputs if i is not None))
    elif not operation.bodies or operation.primitive.name == 'scan':
      mixed = inputs
      if operation.bodies:  # The rest of a scan's inputs is used in its body.
        num_consts, num_carry = jaxpr.num_consts_and_carry(operation)
        mixed = inputs[num_consts:][:num_carry]
      used = [sorted(origin) for origin in mixed if origin]
      here = found.setdefault(prefix + operation.path, {}) if used else {}
      for position in itertools.chain(*used):
        here.setdefault(position, operation.outputs[0])
      if used and made_outside is not None and not prefix + operation.path:
        made_outside.update(operation.outputs)
    origins.update(dict.fromkeys(operation.outputs, made))


def _is_lookup(operation: Operation, graph: Graph) -> bool:
  """Whether several entries are looked up, as in an embedding."""
  if operation.primitive.name != 'gather':
    return False
  indices = operation.inputs[1]
  aval: Any = graph.avals[indices] if isinstance(indices, int) else indices.aval
  return math.prod(aval.shape[:-1]) > 1


def _into_bodies(
  operation: Operation, inputs: Sequence[_Origin]
) -> list[tuple[Graph, dict[int, _Origin]]]:
  """The bodies of an operation, with the origins of their inputs."""
  if operation.primitive.name == 'cond':
    inputs = inputs[1:]
  if operation.primitive.name == 'scan':
    num_consts, num_carry = jaxpr.num_consts_and_carry(operation)
    carried: list[_Origin] = [None] * num_carry
    inputs = [*inputs[:num_consts], *carried, *inputs[num_consts + num_carry :]]
  return [
    (body, dict(zip(body.inputs, inputs, strict=True)))
    for body in operation.bodies
  ]
