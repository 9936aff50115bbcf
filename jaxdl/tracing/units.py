"""Which axis of a value holds its units, such as the channels of an image.

It is the last in most libraries. But Equinox keeps the channels of an image
first, and `jax.vmap` of a matrix times a vector leaves the examples last. An
axis is known from where the value was multiplied by parameters, and followed
through what is done to it.
"""

from collections.abc import Callable, Mapping, Sequence
import math
from typing import Any

from jaxdl.tracing import jaxpr
from jaxdl.tracing.jaxpr import Graph
from jaxdl.tracing.jaxpr import Operation

# The axis of the units, counted from the first; None where it isn't known.
_Axis = int | None


def axes(graph: Graph, parameters: Sequence[int]) -> dict[int, int]:
  """Finds the axes of units, where they are known.

  Args:
    graph: the flattened jaxpr of a loss.
    parameters: positions of the inputs that are parameters.

  Returns:
    Axes, counted from the first, by key of the value, in bodies too.
  """
  found: dict[int, int] = {}
  weights = {graph.inputs[i] for i in parameters}
  _follow(graph, weights, found)
  return found


def _follow(graph: Graph, weights: set[int], found: dict[int, int]) -> None:
  """Follows the values of one level.

  Args:
    graph: of this level.
    weights: keys of inputs that are made of parameters alone; is added to.
    found: axes by key, of inputs too; is added to.
  """
  for operation in graph.operations:
    keys = [atom for atom in operation.inputs if isinstance(atom, int)]
    if keys and weights.issuperset(keys):
      weights.update(operation.outputs)
    elif operation.bodies:
      _follow_bodies(operation, weights, found)
    else:
      axis = _axis(operation, graph, weights, found)
      for key in operation.outputs:
        if axis is not None and axis < graph.avals[key].ndim:
          found[key] = axis


def _follow_bodies(
  operation: Operation, weights: set[int], found: dict[int, int]
) -> None:
  is_scan = operation.primitive.name == 'scan'
  num_consts, num_carry = (
    jaxpr.num_consts_and_carry(operation) if is_scan else (0, 0)
  )
  from_xs = num_consts + num_carry
  for body in operation.bodies:
    shift = len(operation.inputs) - len(body.inputs)  # Of a cond: its number.
    for i, (own, outer) in enumerate(
      zip(body.inputs, operation.inputs[shift:], strict=True)
    ):
      if not isinstance(outer, int):
        continue
      is_x = is_scan and i >= from_xs
      if outer in weights and not num_consts <= i < from_xs:
        weights.add(own)
      axis = found.get(outer)
      if axis is not None and axis >= is_x:
        found[own] = axis - is_x
    _follow(body, weights, found)
    for i, (outer, inner) in enumerate(
      zip(operation.outputs, body.outputs, strict=True)
    ):
      is_y = is_scan and i >= num_carry
      if isinstance(inner, int) and inner in found:
        found[outer] = found[inner] + is_y


def _axis(
  operation: Operation,
  graph: Graph,
  weights: set[int],
  found: Mapping[int, int],
) -> _Axis:
  operation = operation.written_out
  name, params = operation.primitive.name, operation.params
  is_weights = [
    isinstance(atom, int) and atom in weights for atom in operation.inputs
  ]
  if name == 'conv_general_dilated':
    return params['dimension_numbers'].out_spec[1]
  if name == 'dot_general':
    return _of_product(operation, graph, is_weights)
  (known, shape) = next(
    (
      (found[atom], graph.avals[atom].shape)
      for atom in operation.inputs
      if isinstance(atom, int) and atom in found
    ),
    (None, ()),
  )
  if known is None or not operation.outputs:
    return None
  after = graph.avals[operation.outputs[0]].shape
  if name in _MOVES:
    return _MOVES[name](known, shape, after, params)
  # Elementwise, or along axes that stay: windows, slices, sums over them.
  return known if len(after) == len(shape) else None


def _of_product(
  operation: Operation, graph: Graph, is_weights: Sequence[bool]
) -> _Axis:
  """The last axis of the result that the parameters alone have."""
  if is_weights[0] == is_weights[1]:
    return None
  contracted, batched = operation.params['dimension_numbers']
  ranks = [len(_shape(atom, graph)) for atom in operation.inputs]
  free = [
    rank - len(over) - len(along)
    for rank, over, along in zip(ranks, contracted, batched, strict=True)
  ]
  own = 0 if is_weights[0] else 1
  end = len(batched[0]) + sum(free[: own + 1])
  return end - 1 if free[own] else None


def _shape(atom: Any, graph: Graph) -> tuple[int, ...]:
  aval = graph.avals[atom] if isinstance(atom, int) else atom.aval
  return aval.shape


def _transposed(axis: int, shape: Any, after: Any, params: Any) -> _Axis:
  del shape, after
  return params['permutation'].index(axis)


def _broadcast(axis: int, shape: Any, after: Any, params: Any) -> _Axis:
  del shape, after
  return params['broadcast_dimensions'][axis]


def _without(axis: int, removed: Sequence[int]) -> _Axis:
  return None if axis in removed else axis - sum(i < axis for i in removed)


def _reshaped(axis: int, shape: Any, after: Any, params: Any) -> _Axis:
  """Known if there is an axis of this size with as many entries before it."""
  del params
  before = math.prod(shape[:axis])
  for i, size in enumerate(after):
    if math.prod(after[:i]) == before and size == shape[axis]:
      return i
  return None


_MOVES: dict[str, Callable[..., _Axis]] = {
  'transpose': _transposed,
  'broadcast_in_dim': _broadcast,
  'reshape': _reshaped,
  'squeeze': lambda axis, shape, after, params: _without(
    axis, params['dimensions']
  ),
  'gather': lambda *_: None,
  'scatter-add': lambda *_: None,
  **{
    name: lambda axis, shape, after, params: _without(axis, params['axes'])
    for name in (
      'reduce_sum',
      'reduce_max',
      'reduce_min',
      'reduce_prod',
      'reduce_and',
      'reduce_or',
      'argmax',
      'argmin',
    )
  },
}
