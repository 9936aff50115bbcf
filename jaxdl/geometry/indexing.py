"""Rules of slices, and of indexing with arrays."""

from collections.abc import Sequence

from jaxdl.geometry import application as applications
from jaxdl.geometry import extents
from jaxdl.geometry.application import Application
from jaxdl.geometry.extents import Extent
import numpy as np


def slice(application: Application) -> Sequence[Extent]:
  """Takes every so many elements of a stretch of each axis."""
  extent = applications.operand(application)
  starts = application.params['start_indices']
  strides = application.params['strides'] or (1,) * len(starts)
  for axis, (first, stride) in enumerate(zip(starts, strides, strict=True)):
    extent = extents.slide(extent, axis, first=int(first), stride=int(stride))
  return [extent]


def split(application: Application) -> Sequence[Extent]:
  """Takes the stretches that follow each other along an axis."""
  axis, first, pieces = application.params['axis'], 0, []
  for size in application.params['sizes']:
    pieces.append(
      extents.slide(applications.operand(application), axis, first=first)
    )
    first += int(size)
  return pieces


def dynamic_slice(application: Application) -> Sequence[Extent]:
  """Takes stretches at places that may be known only when it runs."""
  extent, *indices = application.extents
  if extent is None or any(index is not None for index in indices):
    return applications.unknown(application)
  sizes = application.params['slice_sizes']
  for axis, (count, size) in enumerate(
    zip(application.shapes[0], sizes, strict=True)
  ):
    if size == count or not extent.strides[axis]:
      continue
    index = application.known(axis + 1)
    if index is None:
      extent = _of_unknown_places(extent, axis, count, application.name)
    else:
      first = min(max(0, int(index)), count - size)
      extent = extents.slide(extent, axis, first=first)
  return [extent]


def gather(application: Application) -> Sequence[Extent]:
  """Takes elements along axes, as indexing with arrays does."""
  extent, indices_extent = application.extents
  if extent is None or indices_extent is not None:
    return applications.unknown(application)
  numbers = application.params['dimension_numbers']
  sizes = application.params['slice_sizes']
  (shape,) = application.out_shapes
  if numbers.operand_batching_dims:
    return applications.unknown(application)
  gone = numbers.collapsed_slice_dims
  kept = [axis for axis in range(len(sizes)) if axis not in gone]
  batch = [a for a in range(len(shape)) if a not in numbers.offset_dims]
  strides: list[extents.Number] = [0] * len(shape)
  for axis, out_axis in zip(kept, numbers.offset_dims, strict=True):
    strides[out_axis] = extent.strides[axis]
  for position, axis in enumerate(numbers.start_index_map):
    if not extent.strides[axis]:
      continue
    indices = application.known(1)
    steps = None if indices is None else _steps(indices[..., position])
    if steps is None:
      count = application.shapes[0][axis]
      extent = _of_unknown_places(extent, axis, count, application.name)
      for kept_axis, out_axis in zip(kept, numbers.offset_dims, strict=True):
        if kept_axis == axis:
          strides[out_axis] = 0
      continue
    first, step = steps
    unit = extent.strides[axis]
    extent = extent._replace(start=extent.start + first * unit)
    for out_axis, by in zip(batch, step, strict=True):
      strides[out_axis] += by * unit
  identity = tuple(range(len(shape)))
  return [extents.rearrange(extent._replace(strides=tuple(strides)), identity)]


def _of_unknown_places(extent, axis, count, name) -> Extent:
  """Lets all elements along an axis see what any of them sees."""
  note = extent.note or f'{name} takes irregular or unknown places'
  return extents.collapse(extent, axis, count)._replace(note=note)


def _steps(indices: np.ndarray) -> tuple[int, list[int]] | None:
  """Writes indices as `first + sum(u * steps)`; None if they aren't so."""
  if not indices.size:
    return None
  first = int(indices.flat[0])
  steps = []
  expected = np.full(indices.shape, first)
  for axis, count in enumerate(indices.shape):
    step = 0
    if count > 1:
      start = tuple(int(other == axis) for other in range(indices.ndim))
      step = int(indices[start]) - first
    steps.append(step)
    ramp = step * np.arange(count)
    expected = expected + ramp.reshape(
      [-1 if other == axis else 1 for other in range(indices.ndim)]
    )
  return (first, steps) if np.array_equal(indices, expected) else None
