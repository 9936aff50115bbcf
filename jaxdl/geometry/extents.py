"""Which stretch of an input axis the elements of a value see.

Along one axis of the input, element u of a value sees the pixels from

  start + sum(u * strides)    to    start + sum(u * strides) + size - 1,

where u has one index for each axis of the value. Most values have one axis
with a stride that isn't zero; one that reshapes space into patches has two;
one that averages over space has none. Operations on values become arithmetic
on these numbers, after Araujo, Norris & Sim, 2019,
https://distill.pub/2019/computing-receptive-fields.
"""

from collections.abc import Sequence
from fractions import Fraction
import functools
import math
from typing import NamedTuple

Number = int | Fraction
Shape = tuple[int, ...]


class Extent(NamedTuple):
  """What the elements of a value see of one axis of the input.

  Attributes:
    length: of the axis of the input.
    size: pixels from the first to the last that an element sees.
    start: the first pixel that element 0 sees; negative in the padding.
    strides: pixels from an element to the next, for each axis of the value.
    aligned: whether the branches that joined on the way were centred alike.
    note: why the extent is more than what is seen; empty where it is exact.
  """

  length: int
  size: Number
  start: Number
  strides: tuple[Number, ...]
  aligned: bool = True
  note: str = ''


def of_input(shape: Shape, axis: int) -> Extent:
  """The extent of the input itself, along one of its axes."""
  strides = tuple(int(other == axis) for other in range(len(shape)))
  return Extent(shape[axis], 1, 0, strides)


def whole(extent: Extent, rank: int, note: str = '') -> Extent:
  """The whole axis, seen by every element of a value of the given rank."""
  return Extent(
    extent.length,
    extent.length,
    0,
    (0,) * rank,
    extent.aligned,
    extent.note or note,
  )


def is_constant(extent: Extent) -> bool:
  """Whether all elements see the same pixels."""
  return not any(extent.strides)


def coarsest_axis(extent: Extent) -> int | None:
  """The axis of a value along which what is seen moves most; None if none."""
  if is_constant(extent):
    return None
  sizes = [_magnitude(stride) for stride in extent.strides]
  return sizes.index(max(sizes))


def slide(
  extent: Extent,
  axis: int,
  *,
  first: Number = 0,
  count: int = 1,
  step: Number = 1,
  stride: Number = 1,
) -> Extent:
  """Takes windows along an axis of the value.

  Element v of the result sees what the elements `first + v * stride + i * step`
  see, for i from 0 to `count - 1`.
  """
  unit = extent.strides[axis]
  if not unit:
    return extent
  span = (count - 1) * step * unit
  strides = list(extent.strides)
  strides[axis] = _number(stride * unit)
  return _settled(
    extent._replace(
      size=_number(extent.size + _magnitude(span)),
      start=_number(extent.start + first * unit + min(0, span)),
      strides=tuple(strides),
    )
  )


def collapse(extent: Extent, axis: int, count: int) -> Extent:
  """Lets every element along an axis see what all of its `count` see."""
  return slide(extent, axis, count=count, stride=0)


def rearrange(extent: Extent, sources: Sequence[int | None]) -> Extent:
  """Gives the axes of the value new places.

  Args:
    extent: of the value.
    sources: for each axis of the result, the axis it was, or None for one
      along which all elements are alike.
  """
  strides = tuple(0 if a is None else extent.strides[a] for a in sources)
  return _settled(extent._replace(strides=strides))


def reshape(extent: Extent, old: Shape, new: Shape) -> Extent:
  """Follows a reshape; each element along mixed axes sees all of both."""
  strides: list[Number] = [0] * len(new)
  groups = _groups(old, new)
  coarsest = coarsest_axis(extent)
  for old_axes, new_axes in groups:
    unit: Number | None = _common_stride(extent, old, old_axes)
    if unit is None:
      # To flatten all axes is understood, and so is to move patches of space
      # among the channels.
      if coarsest in old_axes and len(groups) > 1 and not extent.note:
        extent = extent._replace(note='reshape mixes axes')
      extent = _collapsed(extent, old, old_axes)
      unit = 0
    for axis in reversed(new_axes):
      strides[axis] = unit
      unit = _number(unit * new[axis])
  return _settled(extent._replace(strides=tuple(strides)))


def union(extents: Sequence[Extent], shape: Shape, name: str) -> Extent:
  """Joins the extents of values of one shape, as a sum of branches does.

  Args:
    extents: at least one; all along the same axis of the input.
    shape: of the values.
    name: of what joins them, for the note.
  """
  return functools.reduce(lambda a, b: _join(a, b, shape, name), extents)


def _join(a: Extent, b: Extent, shape: Shape, name: str) -> Extent:
  aligned = a.aligned and b.aligned
  note = a.note or b.note
  strides = tuple(
    _larger(x, y) if n == 1 else x
    for x, y, n in zip(a.strides, b.strides, shape, strict=True)
  )
  one = a._replace(strides=strides, aligned=aligned, note=note)
  if _is_whole(a) or _is_whole(b):
    return whole(one, len(shape))
  if any(
    x != y and n > 1
    for x, y, n in zip(a.strides, b.strides, shape, strict=True)
  ):
    return whole(one, len(shape), f'{name} joins different strides')
  start = min(a.start, b.start)
  size = max(a.start + a.size, b.start + b.size) - start
  centred = 2 * a.start + a.size == 2 * b.start + b.size
  return _settled(
    one._replace(size=size, start=start, aligned=aligned and centred)
  )


def _larger(a: Number, b: Number) -> Number:
  return a if _magnitude(a) >= _magnitude(b) else b


def _magnitude(number: Number) -> Number:
  return number if number >= 0 else -number


def _is_whole(extent: Extent) -> bool:
  return (
    is_constant(extent)
    and extent.start <= 0
    and extent.start + extent.size >= extent.length
  )


def _settled(extent: Extent) -> Extent:
  """Cuts off the padding where the place of all elements is known."""
  if not is_constant(extent):
    return extent
  start = min(max(0, math.ceil(extent.start)), extent.length - 1)
  end = min(extent.length, math.floor(extent.start + extent.size))
  return extent._replace(start=start, size=max(1, end - start))


def _collapsed(extent: Extent, shape: Shape, axes: Sequence[int]) -> Extent:
  for axis in axes:
    extent = collapse(extent, axis, shape[axis])
  return extent


def _common_stride(
  extent: Extent, shape: Shape, axes: Sequence[int]
) -> Number | None:
  """The stride of several axes as one, or None if there is none."""
  axes = [axis for axis in axes if shape[axis] != 1]
  if not axes:
    return 0
  unit = extent.strides[axes[-1]]
  count = 1
  for axis in reversed(axes):
    if extent.strides[axis] != unit * count:
      return None
    count *= shape[axis]
  return unit


def _groups(old: Shape, new: Shape) -> list[tuple[list[int], list[int]]]:
  """Splits the axes of a reshape, but those of length 1, by equal sizes."""
  if 0 in old:
    return []
  old_left = [axis for axis, n in enumerate(old) if n != 1]
  new_left = [axis for axis, n in enumerate(new) if n != 1]
  groups = []
  while old_left:
    old_axes, new_axes = [old_left.pop(0)], [new_left.pop(0)]
    old_size, new_size = old[old_axes[0]], new[new_axes[0]]
    while old_size != new_size:
      if old_size < new_size:
        old_axes.append(old_left.pop(0))
        old_size *= old[old_axes[-1]]
      else:
        new_axes.append(new_left.pop(0))
        new_size *= new[new_axes[-1]]
    groups.append((old_axes, new_axes))
  return groups


def _number(value: Number) -> Number:
  """An integer where it is one."""
  if isinstance(value, Fraction) and value.denominator == 1:
    return int(value)
  return value
