"""Where the operations of a graph stand, and which of them a result needs."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from jaxdl.tracing import jaxpr
from jaxdl.tracing.jaxpr import Graph
from jaxdl.tracing.jaxpr import Operation


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


class Level(NamedTuple):
  """A step on the way down to an operation.

  Attributes:
    place: of the operation in its graph.
    length: of the scan that the operation is, if the way goes on below; else 0.
    reverse: whether that scan runs from its last iteration to its first.
  """

  place: int
  length: int = 0
  reverse: bool = False


class Spot(NamedTuple):
  """An operation and where it stands.

  Attributes:
    graph: that it is in.
    operation: itself.
    paths: the named scopes of each level, outermost first.
    levels: the way to it.
  """

  graph: Graph
  operation: Operation
  paths: tuple[jaxpr.Path, ...]
  levels: tuple[Level, ...]

  @property
  def name(self) -> int:
    """What the operation is known by, `name`."""
    return name(self.operation)

  @property
  def lengths(self) -> tuple[int, ...]:
    """Of the scans around it, outermost first."""
    return tuple(level.length for level in self.levels if level.length)

  @property
  def start(self) -> tuple[int, ...]:
    """The iteration that is executed first."""
    scans = [level for level in self.levels if level.length]
    return tuple(s.length - 1 if s.reverse else 0 for s in scans)

  def when(self, iteration: Sequence[int]) -> tuple[int, ...]:
    """Sorts as the operations are executed."""
    remaining = iter(iteration)
    order: list[int] = []
    for level in self.levels:
      order.append(level.place)
      if level.length:
        i = next(remaining)
        order.append(level.length - 1 - i if level.reverse else i)
    return tuple(order)


def find(graph: Graph) -> dict[int, Spot]:
  """All operations with results, here and in the bodies below, by name."""
  return {spot.name: spot for spot in _find(graph) if spot.operation.outputs}


def _find(graph: Graph, paths=(), levels=()) -> Iterator[Spot]:
  for place, operation in enumerate(graph.operations):
    here = (*paths, operation.path)
    yield Spot(graph, operation, here, (*levels, Level(place)))
    is_scan = operation.primitive.name == 'scan'
    level = Level(
      place,
      operation.params['length'] if is_scan else 0,
      is_scan and operation.params['reverse'],
    )
    for body in inner_graphs(operation):
      yield from _find(body, here, (*levels, level))


def needed(graph: Graph, outputs: Sequence[int]) -> frozenset[int]:
  """The names of operations, and keys of inputs, on which outputs depend."""
  names, inputs = _needed(graph, set(outputs))
  return frozenset(names) | {graph.inputs[i] for i in inputs}


def _needed(graph: Graph, outputs: set[int]) -> tuple[set[int], set[int]]:
  """Names of operations needed, and positions of the inputs needed."""
  keys = {
    atom
    for i, atom in enumerate(graph.outputs)
    if i in outputs and isinstance(atom, int)
  }
  names: set[int] = set()
  for operation in reversed(graph.operations):
    wanted = {i for i, key in enumerate(operation.outputs) if key in keys}
    if not wanted:
      continue
    names.add(name(operation))
    inner, positions = _needed_inside(operation, wanted)
    names |= inner
    keys.update(
      atom
      for i, atom in enumerate(operation.inputs)
      if i in positions and isinstance(atom, int)
    )
  return names, {i for i, key in enumerate(graph.inputs) if key in keys}


def _needed_inside(operation, wanted: set[int]) -> tuple[set[int], set[int]]:
  bodies = inner_graphs(operation)
  if not bodies:
    return set(), set(range(len(operation.inputs)))
  if operation.primitive.name == 'scan':
    return _needed_in_scan(operation, wanted)
  # The first operand of a cond is the number of its branch.
  shift = len(operation.inputs) - len(bodies[0].inputs)
  names: set[int] = set()
  positions = set(range(shift))
  for body in bodies:
    inner, inputs = _needed(body, wanted)
    names |= inner
    positions |= {i + shift for i in inputs}
  return names, positions


def _needed_in_scan(operation, wanted: set[int]) -> tuple[set[int], set[int]]:
  (body,) = operation.bodies
  num_consts, num_carry = jaxpr.num_consts_and_carry(operation)
  while True:  # What is carried on may be needed by the next iteration.
    names, inputs = _needed(body, wanted)
    carried = {i - num_consts for i in inputs}
    grown = wanted | {i for i in carried if 0 <= i < num_carry}
    if grown == wanted:
      return names, inputs
    wanted = grown
