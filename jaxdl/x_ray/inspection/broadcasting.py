"""Labels against predictions, `[batch]` against `[batch, 1]`.

NumPy's rules make of these an array `[batch, batch]` of all predictions against
all labels, whose mean is a loss, and a wrong one.
"""

from typing import NamedTuple

from jaxdl.tracing.jaxpr import Graph
from jaxdl.tracing.jaxpr import Operation
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
# These give a matrix of the same shape, and no longer of the same pairs.
_MIXING = frozenset({'dot_general', 'transpose', 'sort', 'cumsum'})
_COLUMNS = frozenset({'column', 'made column'})
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
  and made a row to fit it. One of them depends on the parameters, both on the
  data.

  A column that was made of a vector on purpose, `x[:, None]`, is how one asks
  for all pairs. It counts only where predictions meet labels, which don't
  depend on the parameters, NumPy made the row unasked, and nothing but the mean
  or sum over all pairs is left of them; and in no loss that pairs predictions
  with each other, such as a distance of two samples.

  Args:
    graph: the flattened jaxpr of a loss.
    makers: of its values.
    origin: what `first_layer.origins` returned.
  """
  found = []
  compares = False
  for place in facts.places(graph):
    operation, avals = place.operation, place.graph.avals
    if operation.primitive.name not in _COMBINING:
      continue
    shape = avals[operation.outputs[0]].shape
    if len(shape) != 2 or shape[0] != shape[1] or shape[0] < 2:
      continue
    atoms = [a for a in operation.inputs if isinstance(a, int)]
    kinds = {
      _form(key, makers, place.graph): origin.get(key, 0)
      for key in atoms
      if origin.get(key, 0) & _DATA
    }
    is_either = any(origin.get(key, 0) & _PARAMETER for key in atoms)
    is_native = {'column', 'row'} <= kinds.keys() and is_either
    is_pair = 'row' in kinds and not _COLUMNS.isdisjoint(kinds)
    compares |= is_pair and all(k & _PARAMETER for k in kinds.values())
    if is_native or _is_unasked(place, kinds, makers):
      broadcast = Broadcast(
        operation.primitive.name,
        shape[0],
        '/'.join(place.path),
        operation.source,
      )
      found.append((broadcast, is_native))
  # Whose predictions meet each other means all pairs: a distance of samples.
  return tuple(b for b, is_native in found if is_native or not compares)


def _is_unasked(
  place: facts.Place, kinds: dict[str, int], makers: facts.Makers
) -> bool:
  """Whether a column made on purpose meets a vector by mistake."""
  if not {'made column', 'row'} <= kinds.keys():
    return False
  is_labelled = (kinds['made column'] ^ kinds['row']) & _PARAMETER
  operation = place.operation
  rows = [
    key
    for key in operation.inputs
    if isinstance(key, int) and _form(key, makers, place.graph) == 'row'
  ]
  by = [_row_maker(key, makers) for key in rows]
  is_implicit = all(
    maker.instructions == operation.instructions for maker in by
  )
  return bool(is_labelled) and is_implicit and _is_summed(place)


def _row_maker(key: int, makers: facts.Makers) -> Operation:
  """What made a vector a row: the first of the operations that widen it."""
  place = makers.place(key)
  assert place is not None
  source = place.operation.inputs[0]
  if isinstance(source, int) and place.graph.avals[source].ndim == 2:
    return _row_maker(source, makers)
  return place.operation


def _is_summed(place: facts.Place) -> bool:
  """Whether all that is made of a matrix is a sum over both of its axes."""
  shape = place.graph.avals[place.operation.outputs[0]].shape
  pairs = set(place.operation.outputs)
  for operation in place.graph.operations:
    if pairs.isdisjoint(a for a in operation.inputs if isinstance(a, int)):
      continue
    name = operation.written_out.primitive.name
    if name == 'reduce_sum' and set(operation.params['axes']) == {0, 1}:
      continue
    shapes = [place.graph.avals[key].shape for key in operation.outputs]
    if name in _MIXING or any(other != shape for other in shapes):
      return False
    pairs.update(operation.outputs)
  return pairs.isdisjoint(a for a in place.graph.outputs if isinstance(a, int))


def _form(key: int, makers: facts.Makers, graph: Graph) -> str:
  """Whether it is a column, a 'made column', a vector made a row, or none."""
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
    if len(given) == 1 and shape[0] > 1 and shape[1] == 1:
      return 'made column'
    if len(given) == 2 and given[0] > 1 and given[1] == 1:
      return _form(source, makers, place.graph)
    if len(given) == 2 and given[0] == 1 and given[1] > 1:
      return _form(source, makers, place.graph)
    return ''
  if len(shape) != 2 or shape[0] < 2 or shape[1] != 1:
    return ''
  return 'column' if _is_native(key, makers, graph) else 'made column'


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
