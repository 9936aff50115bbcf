"""What each scope of a graph costs: parameters and multiply-accumulates."""

from collections.abc import Callable, Iterable, Mapping
import math
from typing import Any

from jaxdl.tracing.jaxpr import Graph
from jaxdl.tracing.jaxpr import Operation
from jaxdl.tracing.jaxpr import Path

# Is told of every operation: its absolute path, itself, the graph that it is
# in, and how often it runs.
Visit = Callable[[Path, Operation, Graph, int], None]


def visit(graph: Graph, tell: Visit, prefix: Path = (), times: int = 1) -> None:
  """Goes through all operations of a graph and of the bodies below it."""
  for operation in graph.operations:
    path = prefix + operation.path
    tell(path, operation, graph, times)
    runs = times
    if operation.primitive.name == 'scan':
      runs *= operation.params['length']
    for body in _graphs_below(operation):
      visit(body, tell, path, runs)


def multiply_accumulates(operation: Operation, graph: Graph) -> int:
  """Multiply-accumulates of a convolution or a product of matrices; else 0.

  Those with the padding count; those with the holes that a transposed
  convolution puts between its inputs don't.
  """
  name = operation.primitive.name
  if name not in ('conv_general_dilated', 'dot_general'):
    return 0
  lhs, rhs = (_shape(atom, graph) for atom in operation.inputs)
  out = graph.avals[operation.outputs[0]].shape
  if name == 'dot_general':
    (contracted, _), _ = operation.params['dimension_numbers']
    return math.prod(out) * math.prod(lhs[axis] for axis in contracted)
  numbers = operation.params['dimension_numbers']
  out_features, in_features, *spatial = (rhs[a] for a in numbers.rhs_spec)
  if math.prod(operation.params['lhs_dilation']) == 1:
    return math.prod(out) * in_features * math.prod(spatial)
  groups = operation.params['feature_group_count']
  return math.prod(lhs) * (out_features // groups) * math.prod(spatial)


def owners(graph: Graph, keys: Iterable[int]) -> dict[int, Path]:
  """Returns the scope in which each input of a graph is read first.

  What is only cast or reshaped outside all scopes counts as not yet read. An
  input that no operation reads is left out.
  """
  found: dict[int, Path] = {}
  _find_owners(graph, (), {key: key for key in keys}, found)
  return found


def _find_owners(
  graph: Graph, prefix: Path, origins: Mapping[int, int], found: dict[int, Path]
) -> None:
  """Enters owners of the inputs that `origins` maps values of a graph to."""
  origins = dict(origins)
  for operation in graph.operations:
    read = {
      position: origins[atom]
      for position, atom in enumerate(operation.inputs)
      if isinstance(atom, int) and atom in origins
    }
    if not read:
      continue
    path = prefix + operation.path
    if not path and len(operation.inputs) == len(operation.outputs) == 1:
      origins[operation.outputs[0]] = read[0]
      continue
    for body in operation.bodies:
      offset = len(operation.inputs) - len(body.inputs)  # Of a cond's choice.
      inner = {
        body.inputs[position - offset]: origin
        for position, origin in read.items()
        if position >= offset
      }
      _find_owners(body, path, inner, found)
    for origin in read.values():
      if not operation.bodies:
        found.setdefault(origin, path)


def _graphs_below(operation: Operation) -> tuple[Graph, ...]:
  """The graphs that an operation runs; of a cond, the most expensive branch."""
  if operation.called is not None:
    return (operation.called,)
  if operation.primitive.name == 'cond':
    return (max(operation.bodies, key=_total),)
  return operation.bodies


def _total(graph: Graph) -> int:
  total = 0

  def add(path, operation, graph, times):
    nonlocal total
    del path
    total += times * multiply_accumulates(operation, graph)

  visit(graph, add)
  return total


def _shape(atom: Any, graph: Graph) -> tuple[int, ...]:
  return graph.avals[atom].shape if isinstance(atom, int) else atom.aval.shape
