"""Rules of convolution, pooling and padding."""

from collections.abc import Sequence
from fractions import Fraction

from jaxdl.geometry import application as applications
from jaxdl.geometry import extents
from jaxdl.geometry.application import Application
from jaxdl.geometry.extents import Extent


def convolution(application: Application) -> Sequence[Extent]:
  """Windows over space; each sees all features."""
  extent, kernel = application.extents
  if extent is None or kernel is not None:
    return applications.unknown(application)
  params = application.params
  numbers = params['dimension_numbers']
  shape, kernel_shape = application.shapes
  batch, features, *spatial = numbers.lhs_spec
  extent = extents.collapse(extent, features, shape[features])
  if params['batch_group_count'] > 1:
    extent = extents.collapse(extent, batch, shape[batch])
  for d, axis in enumerate(spatial):
    extent = _windows(
      extent,
      axis,
      size=kernel_shape[numbers.rhs_spec[2 + d]],
      stride=params['window_strides'][d],
      low=params['padding'][d][0],
      dilation=params['rhs_dilation'][d],
      base_dilation=params['lhs_dilation'][d],
    )
  sources: list[int | None] = [None] * len(shape)
  sources[numbers.out_spec[0]] = batch
  for axis, out_axis in zip(spatial, numbers.out_spec[2:], strict=True):
    sources[out_axis] = axis
  return [extents.rearrange(extent, sources)]


def reduce_window(application: Application) -> Sequence[Extent]:
  """Windows over all axes, as pooling takes them."""
  params = application.params
  shape = application.out_shapes[0]
  rank = len(shape)
  joined = []
  for extent, operand_shape in zip(
    application.extents, application.shapes, strict=True
  ):
    if extent is None:
      continue
    if len(operand_shape) != rank:  # An initial value.
      return applications.unknown(application)
    for axis in range(rank):
      extent = _windows(
        extent,
        axis,
        size=params['window_dimensions'][axis],
        stride=params['window_strides'][axis],
        low=params['padding'][axis][0],
        dilation=params['window_dilation'][axis],
        base_dilation=params['base_dilation'][axis],
      )
    joined.append(extent)
  together = extents.union(joined, shape, application.name)
  return [together] * len(application.out_shapes)


def pad(application: Application) -> Sequence[Extent]:
  """Shifts, and spreads where the padding is interior."""
  operand, padding_value = application.extents
  (shape,) = application.out_shapes
  joined = []
  if operand is not None:
    for axis, (low, _, interior) in enumerate(
      application.params['padding_config']
    ):
      operand = extents.slide(
        operand,
        axis,
        first=Fraction(-int(low), int(interior) + 1),
        stride=Fraction(1, int(interior) + 1),
      )
    joined.append(operand)
  if padding_value is not None:
    joined.append(extents.rearrange(padding_value, (None,) * len(shape)))
  return [extents.union(joined, shape, application.name)]


def _windows(
  extent: Extent,
  axis: int,
  *,
  size: int,
  stride: int,
  low: int,
  dilation: int,
  base_dilation: int,
) -> Extent:
  """Windows over an axis that has `base_dilation - 1` holes a step.

  Exact where the stride is a multiple of that step. Otherwise the windows of
  neighbouring outputs cover unlike parts of the lattice, and the extent is that
  of a window on the line between its points.
  """
  size, stride, low, dilation, base = map(
    int, (size, stride, low, dilation, base_dilation)
  )
  if stride % base:
    note = '' if extent.note else 'the field differs between neighbours'
    if extent.strides[axis]:
      extent = extent._replace(note=extent.note or note)
    return extents.slide(
      extent,
      axis,
      first=Fraction(-low, base),
      count=size,
      step=Fraction(dilation, base),
      stride=Fraction(stride, base),
    )
  places = [i * dilation - low for i in range(size)]
  hit = [place // base for place in places if place % base == 0]
  if not hit:  # The holes alone; what is next to them bounds what is seen.
    hit = [places[0] // base, -(-places[-1] // base)]
  step = dilation if base == 1 else 1
  return extents.slide(
    extent,
    axis,
    first=hit[0],
    count=(hit[-1] - hit[0]) // step + 1,
    step=step,
    stride=stride // base,
  )
