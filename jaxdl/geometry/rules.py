"""How each primitive changes what its operands see of an input axis.

A rule maps an `Application` to the extent of each output. A primitive without
one is unknown: its outputs are taken to see the whole axis.
"""

from collections.abc import Callable, Sequence

from jaxdl.geometry import application as applications
from jaxdl.geometry import extents
from jaxdl.geometry import indexing
from jaxdl.geometry import windows
from jaxdl.geometry.application import Application
from jaxdl.geometry.extents import Extent

_ELEMENTWISE = frozenset(
  """abs acos acosh add add_any and asin asinh atan atan2 atanh
  bessel_i0e bessel_i1e bitcast_convert_type cbrt ceil clamp clz complex conj
  convert_element_type copy copy_p cos cosh device_put digamma div eq erf
  erf_inv erfc exp exp2 expm1 floor ge gt igamma igamma_grad_a igammac imag
  integer_pow is_finite le lgamma log log1p logistic lt max min mul name ne neg
  nextafter not or pbroadcast polygamma population_count pow pvary real
  reduce_precision regularized_incomplete_beta rem round rsqrt select_n
  sharding_constraint shift_left shift_right_arithmetic shift_right_logical
  sign sin sinh sqrt square stop_gradient sub tan tanh xor zeta""".split()
)


Rule = Callable[[Application], Sequence[Extent]]


def apply(application: Application) -> Sequence[Extent]:
  """Returns the extent of each output."""
  if application.name in _ELEMENTWISE:
    return _elementwise(application)
  return _RULES.get(application.name, applications.unknown)(application)


def _elementwise(application: Application) -> Sequence[Extent]:
  """Joins operands; scalars, and axes of length 1, are broadcast."""
  (shape,) = application.out_shapes
  joined = []
  for extent, own in zip(application.extents, application.shapes, strict=True):
    if extent is not None:
      sources = [
        axis if own and own[axis] == count else None
        for axis, count in enumerate(shape)
      ]
      joined.append(extents.rearrange(extent, sources))
  return [extents.union(joined, shape, application.name)]


def _broadcast_in_dim(application: Application) -> Sequence[Extent]:
  (shape,) = application.out_shapes
  sources: list[int | None] = [None] * len(shape)
  for source, axis in enumerate(application.params['broadcast_dimensions']):
    if application.shapes[0][source] == shape[axis]:
      sources[axis] = source
  return [extents.rearrange(applications.operand(application), sources)]


def _squeeze(application: Application) -> Sequence[Extent]:
  dropped = application.params['dimensions']
  return [applications.without(applications.operand(application), dropped)]


def _transpose(application: Application) -> Sequence[Extent]:
  permutation = application.params['permutation']
  return [extents.rearrange(applications.operand(application), permutation)]


def _reshape(application: Application) -> Sequence[Extent]:
  if application.params.get('dimensions') is not None:
    return applications.unknown(application)
  (new,) = application.out_shapes
  return [
    extents.reshape(
      applications.operand(application), application.shapes[0], new
    )
  ]


def _rev(application: Application) -> Sequence[Extent]:
  extent = applications.operand(application)
  for axis in application.params['dimensions']:
    last = application.shapes[0][axis] - 1
    extent = extents.slide(extent, axis, first=last, stride=-1)
  return [extent]


def _concatenate(application: Application) -> Sequence[Extent]:
  axis, first, joined = application.params['dimension'], 0, []
  (out_shape,) = application.out_shapes
  for extent, shape in zip(
    application.extents, application.shapes, strict=True
  ):
    if extent is not None:
      joined.append(extents.slide(extent, axis, first=-first))
    first += shape[axis]
  return [extents.union(joined, out_shape, application.name)]


def _reduce(application: Application) -> Sequence[Extent]:
  params = application.params
  axes = params['axes'] if 'axes' in params else params['dimensions']
  joined = []
  for extent, shape in zip(
    application.extents, application.shapes, strict=True
  ):
    if extent is not None:
      if len(shape) < max(axes, default=-1) + 1:  # An initial value.
        return applications.unknown(application)
      for axis in axes:
        extent = extents.collapse(extent, axis, shape[axis])
      joined.append(applications.without(extent, axes))
  shape = application.out_shapes[0]
  together = extents.union(joined, shape, application.name)
  return [together] * len(application.out_shapes)


def _along_axis(application: Application) -> Sequence[Extent]:
  """A scan, sort or search along one axis, each of whose results sees all."""
  params = application.params
  axis = params.get('axis', params.get('dimension', params.get('operand_axis')))
  joined = []
  for extent, shape in zip(
    application.extents, application.shapes, strict=True
  ):
    if extent is not None:
      last = len(shape) - 1 if axis is None else axis
      joined.append(extents.collapse(extent, last, shape[last]))
  shape = application.out_shapes[0]
  together = extents.union(joined, shape, application.name)
  return [together] * len(application.out_shapes)


def _dot_general(application: Application) -> Sequence[Extent]:
  contracted, batch = application.params['dimension_numbers']
  lhs_free, rhs_free = (
    [axis for axis in range(len(shape)) if axis not in {*summed, *kept}]
    for shape, summed, kept in zip(
      application.shapes, contracted, batch, strict=True
    )
  )
  lhs_gap: list[int | None] = [None] * len(lhs_free)
  rhs_gap: list[int | None] = [None] * len(rhs_free)
  sources = (
    [*batch[0], *lhs_free, *rhs_gap],
    [*batch[1], *lhs_gap, *rhs_free],
  )
  joined = []
  for extent, shape, summed, source in zip(
    application.extents, application.shapes, contracted, sources, strict=True
  ):
    if extent is not None:
      for axis in summed:
        extent = extents.collapse(extent, axis, shape[axis])
      joined.append(extents.rearrange(extent, source))
  (out_shape,) = application.out_shapes
  return [extents.union(joined, out_shape, application.name)]


_RULES: dict[str, Rule] = {
  'argmax': _reduce,
  'argmin': _reduce,
  'broadcast_in_dim': _broadcast_in_dim,
  'concatenate': _concatenate,
  'conv_general_dilated': windows.convolution,
  'cumlogsumexp': _along_axis,
  'cummax': _along_axis,
  'cummin': _along_axis,
  'cumprod': _along_axis,
  'cumsum': _along_axis,
  'dot_general': _dot_general,
  'dynamic_slice': indexing.dynamic_slice,
  'gather': indexing.gather,
  'pad': windows.pad,
  'reduce': _reduce,
  'reduce_and': _reduce,
  'reduce_max': _reduce,
  'reduce_min': _reduce,
  'reduce_or': _reduce,
  'reduce_prod': _reduce,
  'reduce_sum': _reduce,
  'reduce_window': windows.reduce_window,
  'reduce_window_max': windows.reduce_window,
  'reduce_window_min': windows.reduce_window,
  'reduce_window_sum': windows.reduce_window,
  'reduce_xor': _reduce,
  'reshape': _reshape,
  'rev': _rev,
  'select_and_gather_add': windows.reduce_window,
  'slice': indexing.slice,
  'sort': _along_axis,
  'split': indexing.split,
  'squeeze': _squeeze,
  'top_k': _along_axis,
  'transpose': _transpose,
}
