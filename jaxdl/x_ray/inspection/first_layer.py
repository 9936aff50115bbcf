"""What enters the first layers of a model: the data, as they come there."""

from jaxdl.tracing.jaxpr import Graph
from jaxdl.x_ray.inspection import facts

_LAYERS = frozenset({'dot_general', 'conv_general_dilated'})
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
    By key of the value, the scope of the first layer that it enters. Numbers
    that are moved about on their way stay the same value.
  """
  found: dict[int, str] = {}
  for place in facts.places(graph):
    if place.operation.primitive.name not in _LAYERS:
      continue
    atoms = [a for a in place.operation.inputs if isinstance(a, int)]
    kinds = [origin.get(key, 0) for key in atoms]
    if sorted(kinds) == [_PARAMETER, _DATA]:
      key = makers.back(atoms[kinds.index(_DATA)], _MOVING)
      found.setdefault(key, '/'.join(place.path))
  return found
