"""Labels against predictions, `[batch]` against `[batch, 1]`.

NumPy's rules make of these an array `[batch, batch]` of all predictions against
all labels, whose mean is a loss, and a wrong one.
"""

from typing import NamedTuple

from jaxdl.tracing.jaxpr import Graph
from jaxdl.x_ray.inspection import facts

_COMBINING = frozenset(
  {'add', 'sub', 'mul', 'div', 'max', 'min', 'pow', 'eq', 'ne', 'select_n'}
)
_SAME_SHAPE = _COMBINING | {
  'convert_element_type',
  'neg',
  'exp',
  'log',
  'log1p',
  'logistic',
  'tanh',
  'stop_gradient',
  'copy',
}
_PARAMETER, _DATA = 1, 2


class Broadcast(NamedTuple):
  """An operation that makes all pairs of two vectors over the batch.

  Attributes:
    primitive: of the operation: `sub`.
    size: of the batch.
    path: the scope it lies in.
    source: the line: `train.py:17 loss`, or empty.
  """

  primitive: str
  size: int
  path: str
  source: str


def find(
  graph: Graph, makers: facts.Makers, origin: dict[int, int]
) -> tuple[Broadcast, ...]:
  """Finds vectors that are combined with columns, on the way to the loss.

  One is of shape `[batch, 1]` from where it was computed, the other `[batch]`
  and made a row to fit it. A column that was made of a vector on purpose,
  `x[:, None]`, does not count: that is how one asks for all pairs. One of them
  depends on the parameters, both on the data.

  Args:
    graph: the flattened jaxpr of a loss.
    makers: of its values.
    origin: what `first_layer.origins` returned.
  """
  found = []
  for place in facts.places(graph):
    operation, avals = place.operation, place.graph.avals
    if operation.primitive.name not in _COMBINING:
      continue
    shape = avals[operation.outputs[0]].shape
    if len(shape) != 2 or shape[0] != shape[1] or shape[0] < 2:
      continue
    atoms = [a for a in operation.inputs if isinstance(a, int)]
    kinds = [origin.get(key, 0) for key in atoms]
    forms = [_form(key, makers, place.graph) for key in atoms]
    both_data = [
      form for form, kind in zip(forms, kinds, strict=True) if kind & _DATA
    ]
    if {'column', 'row'} <= set(both_data) and any(
      k & _PARAMETER for k in kinds
    ):
      found.append(
        Broadcast(
          operation.primitive.name,
          shape[0],
          '/'.join(place.path),
          operation.source,
        )
      )
  return tuple(found)


def _form(key: int, makers: facts.Makers, graph: Graph) -> str:
  """Whether an operand is a column, a vector made a row, or neither."""
  shape = graph.avals[key].shape
  place = makers.place(key)
  if place is not None and place.operation.primitive.name == 'broadcast_in_dim':
    source = place.operation.inputs[0]
    dimensions = tuple(place.operation.params['broadcast_dimensions'])
    if not isinstance(source, int):
      return ''
    given = place.graph.avals[source].shape
    if len(given) == 1 and dimensions == (1,) and given[0] > 1:
      return 'row'
    if len(given) == 2 and given[0] > 1 and given[1] == 1:
      return _form(source, makers, place.graph)
    if len(given) == 2 and given[0] == 1 and given[1] > 1:
      return _form(source, makers, place.graph)
    return ''
  if len(shape) != 2 or shape[0] < 2 or shape[1] != 1:
    return ''
  return 'column' if _is_native(key, makers, graph) else ''


def _is_native(key: int, makers: facts.Makers, graph: Graph) -> bool:
  """Whether a column was computed as one, and not made of a vector."""
  seen: set[int] = set()
  shape = graph.avals[key].shape
  while key not in seen:
    seen.add(key)
    place = makers.place(key)
    if place is None:
      return True
    operation = place.operation
    if operation.primitive.name == 'broadcast_in_dim':
      source = operation.inputs[0]
      return not (
        isinstance(source, int) and place.graph.avals[source].ndim == 1
      )
    if operation.primitive.name not in _SAME_SHAPE:
      return True
    same = [
      a
      for a in operation.inputs
      if isinstance(a, int) and place.graph.avals[a].shape == shape
    ]
    if not same:
      return True
    key = same[0]
  return True
