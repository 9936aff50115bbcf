"""Batch normalization, found by what it does: it divides by a deviation."""

from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxdl.tracing import statistics
from jaxdl.tracing.jaxpr import Graph
from jaxdl.tracing.jaxpr import Operation
from jaxdl.x_ray.inspection import facts
from jaxdl.x_ray.inspection import representation

_ROOTS = frozenset({'rsqrt', 'sqrt'})
_ELEMENTWISE = frozenset(
  {
    'add',
    'sub',
    'mul',
    'div',
    'max',
    'square',
    'integer_pow',
    'convert_element_type',
    'abs',
    'reshape',
    'broadcast_in_dim',
    'squeeze',
    'select_n',
    'copy',
    'stop_gradient',
  }
)
# A variance within rounding of zero: (8 units in the last place)^2 of float32.
_NO_VARIANCE = 1e-12
_DATA = 2


class Normalization(NamedTuple):
  """One normalization over the batch.

  Attributes:
    key: of the value that is normalized.
    axes: over which its moments are taken.
    path: the scope that does it.
    source: the line, or empty.
  """

  key: int
  axes: tuple[int, ...]
  path: str
  source: str


def find(
  graph: Graph, makers: facts.Makers, origin: dict[int, int]
) -> tuple[Normalization, ...]:
  """Finds the normalizations over the batch, axis 0, of a loss.

  Args:
    graph: its flattened jaxpr.
    makers: of its values.
    origin: what `first_layer.origins` returned.
  """
  found: dict[int, Normalization] = {}
  for place in facts.places(graph):
    if place.operation.primitive.name not in _ROOTS:
      continue
    for operation in _reductions(place.operation, makers):
      key, axes = _reduced(operation, makers)
      maker = makers.place(key)
      if maker is None or not origin.get(key, 0) & _DATA:
        continue
      aval = maker.graph.avals[key]
      if aval.ndim > max(1, len(axes)) and 0 in axes:
        path = '/'.join(place.path)
        found.setdefault(
          key, Normalization(key, axes, path, place.operation.source)
        )
  return tuple(found.values())


def _reductions(root: Operation, makers: facts.Makers) -> Iterator[Operation]:
  """The sums over axes of which the operand of a root is made."""
  seen: set[int] = set()
  pending = [a for a in root.inputs if isinstance(a, int)]
  while pending:
    key = makers.outermost(pending.pop())
    place = makers.place(key)
    if key in seen or place is None:
      continue
    seen.add(key)
    name = place.operation.primitive.name
    if _axes(place.operation) is not None:
      yield place.operation
    elif name in _ELEMENTWISE:
      pending += [a for a in place.operation.inputs if isinstance(a, int)]


def _reduced(
  reduction: Operation, makers: facts.Makers
) -> tuple[int, tuple[int, ...]]:
  """What is summed, and over which of its axes, by this and earlier sums."""
  summed: set[int] = set()
  while True:
    axes = _axes(reduction) or ()
    (operand,) = (a for a in reduction.inputs if isinstance(a, int))
    key = makers.back(operand, _ELEMENTWISE)
    place = makers.place(operand)
    ndim = place.graph.avals[operand].ndim if place is not None else 0
    kept = [axis for axis in range(ndim) if axis not in axes]
    summed = {*axes, *(kept[axis] for axis in summed if axis < len(kept))}
    maker = makers.place(key)
    if maker is None or _axes(maker.operation) is None:
      return key, tuple(sorted(summed))
    reduction = maker.operation


def _axes(operation: Operation) -> tuple[int, ...] | None:
  """The axes of a sum, over positions or over what `vmap` maps."""
  axes = operation.params.get('axes', ())
  is_sum = operation.primitive.name in ('reduce_sum', 'psum')
  is_positional = all(isinstance(axis, int) for axis in axes)
  is_single = sum(isinstance(a, int) for a in operation.inputs) == 1
  return tuple(axes) if is_sum and is_positional and is_single else None


def measure(axes: tuple[int, ...]) -> statistics.Measure:
  """Measures the share of the units that do not vary over `axes`.

  Args:
    axes: over which a batch normalization takes its moments.

  Returns:
    Of the share, between 0 and 1.
  """

  def reduce(x: jax.Array) -> jax.Array:
    x = representation.real(x)
    largest = jnp.max(jnp.abs(x), axes, keepdims=True)
    unit = x / jnp.where(largest > 0, largest, 1)
    variance = jnp.var(unit, axes)
    return jnp.mean(variance <= _NO_VARIANCE, dtype=x.dtype)

  return statistics.Measure(reduce, lambda share: share)
