"""The receptive field of every scope of a model, by arithmetic on its graph.

An output sees `size` pixels along each axis of the input; its neighbour sees
those `stride` further on; the first output starts `padding` pixels before the
image. The numbers compose from layer to layer,

  size += (kernel_extent - 1) * stride,    stride *= layer_stride,

with kernel_extent = dilation * (kernel - 1) + 1, and branches that join see the
union. See Araujo, Norris & Sim, 2019,
https://distill.pub/2019/computing-receptive-fields.
"""

from collections.abc import Iterable, Sequence
import math
from typing import Any, NamedTuple

from jaxdl.geometry import columns
from jaxdl.geometry import extents
from jaxdl.geometry import propagation
from jaxdl.geometry import traced
from jaxdl.geometry.extents import Extent
from jaxdl.geometry.extents import Number
from jaxdl.geometry.extents import Shape

_OUTPUT = 'output'


class Field(NamedTuple):
  """What the outputs of a scope see of one axis of the input.

  Attributes:
    size: pixels from the first to the last; a fraction where a transposed
      convolution makes it differ, and no output sees more than its floor.
    stride: pixels from an output to the next; 0 where all see the same.
    start: the first pixel that the first output sees; negative in the padding.
    num_outputs: along the axis; 1 where all see the same.
    aligned: whether branches that joined on the way have the same centre.
    note: why the field is more than what is seen; empty where it is exact.
  """

  size: Number
  stride: Number
  start: Number
  num_outputs: int
  aligned: bool
  note: str

  @property
  def padding(self) -> Number:
    """The effective padding: pixels that the first output sees before 0."""
    return -self.start

  def pixels(self, index: int) -> tuple[int, int]:
    """Returns the first and the last pixel that output `index` sees.

    Those outside the image lie in the padding.
    """
    start = self.start + index * self.stride
    return math.ceil(start), math.floor(start + self.size) - 1

  def middle(self) -> tuple[int, int]:
    """Returns the pixels of the output at the centre, `num_outputs // 2`."""
    return self.pixels(self.num_outputs // 2)


class Row(NamedTuple):
  """A scope with its field.

  Attributes:
    scope: the outermost of the scopes that the value leaves.
    iteration: of the scans around it, from 0, outermost first.
    shape: of the value, without the batch.
    fields: one for each axis that was asked for.
    scopes: all scopes that the value leaves, innermost first.
  """

  scope: str
  iteration: tuple[int, ...]
  shape: Shape
  fields: tuple[Field, ...]
  scopes: tuple[str, ...]


class ReceptiveFields(tuple[Row, ...]):
  """The rows of all scopes in the order of computation, and of the output."""

  def row(self, scope: str, iteration: tuple[int, ...] | None = None) -> Row:
    """Returns the row of a scope, of its last iteration if none is given.

    Raises:
      ValueError: if there is none.
    """
    found = [
      row
      for row in self
      if scope in row.scopes and iteration in (None, row.iteration)
    ]
    if not found:
      known = ', '.join(dict.fromkeys(row.scope for row in self))
      where = '' if iteration is None else f' in iteration {iteration}'
      raise ValueError(
        f'The output does not pass a scope {scope!r}{where}; choose one of: '
        f'{known}.'
      )
    return found[-1]

  def at_depth(self, depth: int) -> 'ReceptiveFields':
    """Returns the rows of scopes with at most `depth` names."""
    return ReceptiveFields(
      row._replace(scope=short[-1])
      for row in self
      if (short := [s for s in row.scopes if s.count('/') < depth])
    )

  def __str__(self) -> str:
    """Returns the rows in columns; of a scan the first and last iteration."""
    return columns.aligned(
      ('scope', 'output', 'size', 'stride', 'padding', ''),
      [_cells(row) for row in _without_the_middle_of_scans(self)],
      left=(0, 5),
    )


def receptive_field(
  fn: traced.Model,
  in_shape: Shape,
  params: Any = None,
  *,
  axes: Sequence[int] | None = None,
) -> ReceptiveFields:
  """Computes the receptive field of each named scope and of the output.

  By arithmetic on the jaxpr: nothing is allocated or run. Values that don't
  depend on x have no row. A primitive that isn't understood is taken to see the
  whole input, and the note of the field names it.

  Args:
    fn: a `jaxdl.layers.Layer`, at test time; a function of x; or, where params
      are given, a function of (params, x). x has a batch of one.
    in_shape: of x, without the batch.
    params: arrays or `jax.ShapeDtypeStruct`s.
    axes: those of `in_shape` whose fields to compute; by default all but the
      last, which holds the channels.

  Returns:
    The rows; `print` shows them as a table.

  Raises:
    ValueError: if the shape or an axis isn't one, or a layer is given params.
  """
  model = traced.trace(fn, in_shape, params)
  return of_traced(model, in_shape, axes)


def of_traced(
  model: traced.Traced, in_shape: Shape, axes: Sequence[int] | None = None
) -> ReceptiveFields:
  """As `receptive_field`, of a model that was traced."""
  axes = _require_axes(in_shape, axes)
  sites = {site.key: site for site in model.sites}
  rows = []

  def record(key, iteration, seen):
    if key in sites:
      paths = sites[key].paths
      shape = sites[key].shape
      rows.append(_row(paths, iteration, shape, seen))

  outputs = propagate(model, in_shape, axes, record)
  for index, (atom, seen) in enumerate(
    zip(model.graph.outputs, outputs, strict=True)
  ):
    if seen is not None and isinstance(atom, int):
      name = _OUTPUT if len(outputs) == 1 else f'{_OUTPUT}[{index}]'
      shape = model.graph.avals[atom].shape
      rows.append(_row((name,), (), shape, seen))
  return ReceptiveFields(rows)


def propagate(
  model: traced.Traced,
  in_shape: Shape,
  axes: Sequence[int],
  record: propagation.Record,
) -> list[propagation.Fields]:
  """What each output of a model sees of some axes of its input."""
  own = tuple(extents.of_input((1, *in_shape), axis + 1) for axis in axes)
  inputs = [own if key == model.x else None for key in model.graph.inputs]
  return propagation.propagate(model.graph, inputs, record)


def forward_field(
  layers: Iterable[tuple[int, int, int]],
) -> tuple[int, int]:
  """Returns size and stride of the field of a chain, from the input on.

  r_out = r_in + (k_eff - 1) * j_in and j_out = j_in * s, from r = j = 1, where
  k_eff = d * (k - 1) + 1.

  Args:
    layers: kernel size k, stride s and dilation d of each, the first first.
  """
  size, jump = 1, 1
  for kernel, stride, dilation in layers:
    size += dilation * (kernel - 1) * jump
    jump *= stride
  return size, jump


def backward_field(layers: Sequence[tuple[int, int, int]]) -> int:
  """Returns the size of the field of a chain, from the output back.

  r_in = s * r_out + (k_eff - s), from r = 1, where k_eff = d * (k - 1) + 1.

  Args:
    layers: kernel size k, stride s and dilation d of each, the first first.
  """
  size = 1
  for kernel, stride, dilation in reversed(layers):
    size = stride * size + dilation * (kernel - 1) + 1 - stride
  return size


def _require_axes(in_shape, axes) -> tuple[int, ...]:
  rank = len(in_shape)
  if axes is None:
    return tuple(range(rank - 1))
  wrong = [axis for axis in axes if not 0 <= axis < rank]
  if wrong:
    raise ValueError(
      f'Axis {wrong[0]} is none of an input of shape {tuple(in_shape)}; choose '
      f'from 0 to {rank - 1}.'
    )
  return tuple(axes)


def _row(paths, iteration, shape, seen) -> Row:
  fields = tuple(_field(extent, shape) for extent in seen)
  return Row(paths[-1], iteration, tuple(shape[1:]), fields, paths)


def _field(extent: Extent, shape: Shape) -> Field:
  """The field along the axis where it moves most; others see all."""
  coarsest = extents.coarsest_axis(extent)
  for axis, count in enumerate(shape):
    if axis != coarsest:
      extent = extents.collapse(extent, axis, count)
  return Field(
    size=extent.size,
    stride=0 if coarsest is None else extent.strides[coarsest],
    start=extent.start,
    num_outputs=1 if coarsest is None else shape[coarsest],
    aligned=extent.aligned,
    note=extent.note,
  )


def _cells(row: Row | None) -> tuple[str, ...]:
  if row is None:
    return ('...', '', '', '', '', '')
  index = ','.join(map(str, row.iteration))
  notes = {field.note for field in row.fields if field.note}
  if not all(field.aligned for field in row.fields):
    notes.add('branches are not aligned')
  return (
    f'{row.scope}[{index}]' if index else row.scope,
    columns.product(row.shape),
    columns.common([math.floor(field.size) for field in row.fields]),
    columns.common([field.stride or '-' for field in row.fields]),
    columns.common([field.padding for field in row.fields]),
    '; '.join(sorted(notes)),
  )


def _without_the_middle_of_scans(rows: Sequence[Row]) -> list[Row | None]:
  """Leaves the first and last iteration of each scan; None stands between."""
  seen: dict[str, list[tuple[int, ...]]] = {}
  for row in rows:
    seen.setdefault(row.scope, []).append(row.iteration)
  kept: list[Row | None] = []
  for row in rows:
    iterations = seen[row.scope]
    if row.iteration in (iterations[0], iterations[-1]):
      kept.append(row)
    elif kept and kept[-1] is not None:
      kept.append(None)
  return kept
