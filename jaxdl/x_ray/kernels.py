"""Which parameters are kernels, with their fans, and which arrays feed them.

Layouts differ between libraries (Flax has `[in, out]`, Equinox `[out, in]`), so
fans are read where a parameter is used: of a matrix product or a convolution,
the axes that are summed over are the fan-in.
"""

from collections.abc import Sequence
import math
from typing import Any, NamedTuple

from jaxdl.tracing.jaxpr import Graph
from jaxdl.tracing.jaxpr import Operation


class Fans(NamedTuple):
  """How many numbers a kernel sums over, and how many it sums for.

  Attributes:
    fan_in: inputs of one output.
    fan_out: outputs of one input.
  """

  fan_in: int
  fan_out: int


class Kernels(NamedTuple):
  """What a graph does with its inputs.

  Attributes:
    fans: of each parameter that is a kernel, by its position.
    fed: positions of the inputs that are no parameters and meet one before
      anything else: the data, and not the labels.
  """

  fans: dict[int, Fans]
  fed: frozenset[int]


# The inputs that a value is made of: parameters alone, or data alone; None
# where both met. A constant is made of nothing.
_Origin = frozenset[int] | None


def find(graph: Graph, num_parameters: int) -> Kernels:
  """Finds the kernels of a graph and the inputs that are fed to them.

  Args:
    graph: the flattened jaxpr of a loss.
    num_parameters: its first inputs, which are trained.
  """
  search = _Search(num_parameters)
  search.walk(graph, [frozenset({i}) for i in range(len(graph.inputs))])
  fans = {i: f for i, f in search.fans.items() if i not in search.looked_up}
  return Kernels(fans, frozenset(search.fed))


class _Search:
  """Walks a graph; what it finds is kept by position of the input."""

  def __init__(self, num_parameters: int):
    self._num_parameters = num_parameters
    self.fans: dict[int, Fans] = {}
    self.looked_up: set[int] = set()  # Tables of embeddings, perhaps tied.
    self.fed: set[int] = set()

  def walk(self, graph: Graph, given: Sequence[_Origin]) -> None:
    """Walks one level, whose inputs are made of `given`."""
    origins: dict[int, _Origin] = dict.fromkeys(graph.constants, frozenset())
    origins.update(zip(graph.inputs, given, strict=True))
    for operation in graph.operations:
      inputs = [
        origins[atom] if isinstance(atom, int) else frozenset()
        for atom in operation.inputs
      ]
      called = () if operation.called is None else (operation.called,)
      bodies = operation.bodies or called
      for body in bodies:
        is_cond = operation.primitive.name == 'cond'
        self.walk(body, inputs[1:] if is_cond else inputs)
      if not bodies:
        self._note(graph, operation, inputs)
      made = None if bodies else self._union(inputs)
      origins.update(dict.fromkeys(operation.outputs, made))

  def _note(
    self, graph: Graph, operation: Operation, inputs: Sequence[_Origin]
  ) -> None:
    parameters = [self._is_of_parameters(origin) for origin in inputs]
    if any(parameters):
      for origin, of_parameters in zip(inputs, parameters, strict=True):
        if origin and not of_parameters:
          self.fed.update(origin)
    name = operation.primitive.name
    for side, origin in enumerate(inputs[:2]):
      if not origin or not parameters[side] or len(origin) > 1:
        continue
      if name == 'gather' and side == 0:
        self.looked_up.update(origin)
      elif name in _FANS and not (len(inputs) > 1 and parameters[1 - side]):
        key: Any = operation.inputs[side]
        fans = _FANS[name](operation.params, side, graph.avals[key].shape)
        if fans is not None:
          self.fans.setdefault(next(iter(origin)), fans)

  def _is_of_parameters(self, origin: _Origin) -> bool:
    return bool(origin) and max(origin or ()) < self._num_parameters

  def _union(self, inputs: Sequence[_Origin]) -> _Origin:
    known = [origin for origin in inputs if origin is not None]
    if len(known) < len(inputs):
      return None
    kinds = {self._is_of_parameters(origin) for origin in known if origin}
    return frozenset().union(*known) if len(kinds) < 2 else None


def _product_fans(
  params: dict[str, Any], side: int, shape: tuple[int, ...]
) -> Fans:
  (contracted, batch) = (axes[side] for axes in params['dimension_numbers'])
  fan_in = math.prod(shape[axis] for axis in contracted)
  shared = math.prod(shape[axis] for axis in batch)
  return Fans(fan_in, math.prod(shape) // max(fan_in * shared, 1))


def _convolution_fans(
  params: dict[str, Any], side: int, shape: tuple[int, ...]
) -> Fans | None:
  if side == 0:
    return None
  outputs, inputs, *space = params['dimension_numbers'].rhs_spec
  size = math.prod(shape[axis] for axis in space)
  groups = params['feature_group_count']
  return Fans(shape[inputs] * size, shape[outputs] * size // groups)


_FANS = {
  'dot_general': _product_fans,
  'conv_general_dilated': _convolution_fans,
}
