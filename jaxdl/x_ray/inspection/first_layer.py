"""What enters the first layers of a model: the data, as they come there."""

from typing import Any

import jax.numpy as jnp
from jaxdl.tracing.jaxpr import Graph
from jaxdl.x_ray.inspection import facts

_LAYERS = frozenset({'dot_general', 'conv_general_dilated'})
_ADDING = frozenset({'add', 'sub'})
# They move numbers and leave them as they are.
_MOVING = frozenset(
  {
    'reshape',
    'transpose',
    'squeeze',
    'broadcast_in_dim',
    'convert_element_type',
    'copy',
    'reduce_precision',
    'rev',
    'slice',
  }
)
_PARAMETER, _DATA = 1, 2


def origins(graph: Graph, num_parameters: int, num_rest: int) -> dict[int, int]:
  """Whether values depend on parameters (1), on data (2), or on both (3).

  Args:
    graph: the flattened jaxpr of a loss: parameters, other arrays of the model,
      and the data are its inputs, in this order.
    num_parameters: how many there are of the first.
    num_rest: and of the second.
  """
  kinds = [_PARAMETER] * num_parameters + [0] * num_rest
  kinds += [_DATA] * (len(graph.inputs) - len(kinds))
  return facts.flow(
    graph,
    dict(zip(graph.inputs, kinds, strict=True)),
    lambda operation, _, inputs: facts.united(inputs, len(operation.outputs)),
  )


def inputs(
  graph: Graph, makers: facts.Makers, origin: dict[int, int]
) -> dict[int, str]:
  """Finds the data that dense layers and convolutions are given.

  Args:
    graph: the flattened jaxpr of a loss.
    makers: of its values.
    origin: what `origins` returned.

  Returns:
    By key of the value, the scope of the first layer that it enters: or where
    it is added to what comes from one, and goes on to another. Numbers that are
    moved about on their way stay the same value.
  """
  found: dict[int, str] = {}
  added = _added(graph, makers, origin)
  for place in facts.places(graph):
    for key in set(added).intersection(place.operation.outputs):
      found.setdefault(added[key], '/'.join(place.path))
    if place.operation.written_out.primitive.name not in _LAYERS:
      continue
    atoms = [a for a in place.operation.inputs if isinstance(a, int)]
    kinds = [origin.get(key, 0) for key in atoms]
    if sorted(kinds) == [_PARAMETER, _DATA]:
      key = makers.back(atoms[kinds.index(_DATA)], _MOVING)
      found.setdefault(key, '/'.join(place.path))
  return found


def _added(
  graph: Graph, makers: facts.Makers, origin: dict[int, int]
) -> dict[int, int]:
  """Arguments that are added to a stream, by key of the sum.

  A target that is subtracted from a prediction enters no layer behind it.
  """
  sums: dict[int, int] = {}
  for place in facts.places(graph):
    operation, avals = place.operation, place.graph.avals
    atoms = [a for a in operation.inputs if isinstance(a, int)]
    if operation.primitive.name not in _ADDING or len(atoms) != 2:
      continue
    kinds = [origin.get(key, 0) for key in atoms]
    if _DATA in kinds and any(k & _PARAMETER for k in kinds):
      key = makers.back(atoms[kinds.index(_DATA)], _MOVING)
      is_argument = key in graph.inputs and _is_real(graph.avals[key])
      if is_argument and avals[atoms[0]].shape == avals[atoms[1]].shape:
        sums[operation.outputs[0]] = key
  reached = _reaching_layers(graph, list(sums), origin)
  return {output: key for output, key in sums.items() if output in reached}


def _reaching_layers(
  graph: Graph, keys: list[int], origin: dict[int, int]
) -> set[int]:
  """Which of some values go through a layer on their way."""
  bits = {key: 1 << i for i, key in enumerate(keys)}
  reached: set[int] = set()

  def transfer(operation, _, inputs):
    if operation.written_out.primitive.name in _LAYERS:
      atoms = [a for a in operation.inputs if isinstance(a, int)]
      if any(origin.get(key, 0) == _PARAMETER for key in atoms):
        (total,) = facts.united(inputs)
        reached.update(key for key, bit in bits.items() if total & bit)
    outputs = facts.united(inputs, len(operation.outputs))
    own = [bits.get(key, 0) for key in operation.outputs]
    return [a | b for a, b in zip(outputs, own, strict=True)]

  if bits:
    facts.flow(graph, {}, transfer)
  return reached


def _is_real(aval: Any) -> bool:
  return jnp.issubdtype(aval.dtype, jnp.floating)
