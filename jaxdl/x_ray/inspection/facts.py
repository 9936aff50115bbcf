"""Facts about values of a graph, carried from its inputs to its outputs.

A set of facts is an integer, one bit a fact, so that sets are united quickly in
graphs of many operations.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from jaxdl.tracing import jaxpr
from jaxdl.tracing import sites
from jaxdl.tracing.jaxpr import Graph
from jaxdl.tracing.jaxpr import Operation
from jaxdl.tracing.jaxpr import Path

# Maps an operation, its graph and the facts of its inputs to those of each of
# its outputs.
Transfer = Callable[[Operation, Graph, Sequence[int]], Sequence[int]]


def flow(
  graph: Graph, given: Mapping[int, int], transfer: Transfer
) -> dict[int, int]:
  """Carries facts through a graph and through the bodies in it.

  Args:
    graph: what they flow through.
    given: facts by input; none for those that are left out.
    transfer: of operations without bodies.

  Returns:
    Facts by key, of all values at all levels.
  """
  facts = dict.fromkeys(graph.constants, 0) | dict(given)
  for operation in graph.operations:
    inputs = [
      facts.get(a, 0) if isinstance(a, int) else 0 for a in operation.inputs
    ]
    if operation.bodies:
      outputs, within = _through_bodies(operation, inputs, transfer)
      for key, found in within.items():
        facts[key] = facts.get(key, 0) | found
    else:
      outputs = list(transfer(operation, graph, inputs))
    facts.update(zip(operation.outputs, outputs, strict=True))
  return facts


def united(inputs: Sequence[int], count: int = 1) -> list[int]:
  """All facts of all inputs, for each of so many outputs.

  Args:
    inputs: facts of each input.
    count: number of outputs.
  """
  total = 0
  for facts in inputs:
    total |= facts
  return [total] * count


def _through_bodies(
  operation: Operation, inputs: Sequence[int], transfer: Transfer
) -> tuple[list[int], dict[int, int]]:
  is_scan = operation.primitive.name == 'scan'
  carry_from, carry_to = 0, 0
  if is_scan:
    num_consts, num_carry = jaxpr.num_consts_and_carry(operation)
    carry_from, carry_to = num_consts, num_consts + num_carry
  given = list(inputs[1:] if operation.primitive.name == 'cond' else inputs)
  while True:  # What is carried on brings facts to the next iteration.
    outputs = [0] * len(operation.outputs)
    within: dict[int, int] = {}
    for body in operation.bodies:
      found = flow(body, dict(zip(body.inputs, given, strict=True)), transfer)
      within |= found
      for i, atom in enumerate(body.outputs):
        outputs[i] |= found.get(atom, 0) if isinstance(atom, int) else 0
    grown = list(given)
    for i in range(carry_from, carry_to):
      grown[i] |= outputs[i - carry_from]
    if grown == given:
      return outputs, within
    given = grown


class Place(NamedTuple):
  """An operation and what lies around it.

  Attributes:
    operation: what is applied.
    graph: that it is an operation of.
    path: the scopes it lies in, those around its body too.
    scans: those around it, outermost first.
  """

  operation: Operation
  graph: Graph
  path: Path
  scans: tuple[sites.Scan, ...]


def places(
  graph: Graph, path: Path = (), scans: tuple[sites.Scan, ...] = ()
) -> Iterator[Place]:
  """All operations that a probe can look into, in order.

  Args:
    graph: where they lie.
    path: the scopes around it.
    scans: those around it.
  """
  for operation in graph.operations:
    here = path + operation.path
    yield Place(operation, graph, here, scans)
    for body in operation.bodies:
      inner = scans
      if operation.primitive.name == 'scan':
        params = operation.params
        key = min(body.inputs, default=-1)
        inner += (sites.Scan(key, params['length'], params['reverse']),)
      yield from places(body, here, inner)


def avals(graph: Graph) -> dict[int, Any]:
  """The abstract values (shape, dtype) of all values at all levels.

  Args:
    graph: the flattened jaxpr of a loss.
  """
  found = dict(graph.avals)
  for place in places(graph):
    found.update(place.graph.avals)
  return found


class Makers:
  """What made each value of a graph, at any level.

  Args:
    graph: the flattened jaxpr of a loss.
  """

  def __init__(self, graph: Graph):
    self._places = {
      key: place for place in places(graph) for key in place.operation.outputs
    }
    self._outer: dict[int, int] = {}
    for place in places(graph):
      inputs = place.operation.inputs
      if place.operation.primitive.name == 'cond':
        inputs = inputs[1:]
      for body in place.operation.bodies:
        for own, outer in zip(body.inputs, inputs, strict=True):
          if isinstance(outer, int):
            self._outer[own] = outer

  def outermost(self, key: int) -> int:
    """The value that a body was given as its input `key`; others as they are.

    Args:
      key: of a value.
    """
    while key in self._outer:
      key = self._outer[key]
    return key

  def place(self, key: int) -> Place | None:
    """Where a value was made; None if it is an input or a constant.

    Args:
      key: of a value.
    """
    return self._places.get(key)

  def back(self, key: int, through: frozenset[str]) -> int:
    """Goes back over operations of one value, as far as they are known.

    Args:
      key: of a value.
      through: names of primitives; of several inputs the first of the same
        shape counts, of different shapes the largest.

    Returns:
      The key of the first value that none of them made.
    """
    while True:
      key = self.outermost(key)
      place = self._places.get(key)
      if place is None or place.operation.primitive.name not in through:
        return key
      inputs = [a for a in place.operation.inputs if isinstance(a, int)]
      if not inputs:
        return key
      size = lambda k, avals=place.graph.avals: avals[k].size
      key = max(inputs, key=size)
