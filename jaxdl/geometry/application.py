"""A primitive applied to values of which some depend on the input."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from jaxdl.geometry import extents
from jaxdl.geometry.extents import Extent
from jaxdl.geometry.extents import Shape
import numpy as np


class Application(NamedTuple):
  """A primitive applied to operands, along one axis of the input.

  Attributes:
    name: of the primitive.
    params: of the primitive.
    extents: of each operand; None where it doesn't depend on the input.
    shapes: of each operand.
    out_shapes: of each output.
    known: returns the value of an operand by its position, or None if that
      depends on an argument of the function.
  """

  name: str
  params: dict[str, Any]
  extents: tuple[Extent | None, ...]
  shapes: tuple[Shape, ...]
  out_shapes: tuple[Shape, ...]
  known: Callable[[int], np.ndarray | None]


def unknown(application: Application) -> Sequence[Extent]:
  """Lets every output see the whole axis."""
  tracked = [extent for extent in application.extents if extent is not None]
  aligned = all(extent.aligned for extent in tracked)
  note = next((extent.note for extent in tracked if extent.note), '')
  first = tracked[0]._replace(aligned=aligned, note=note)
  return [
    extents.whole(first, len(shape), f'{application.name} is not understood')
    for shape in application.out_shapes
  ]


def operand(application: Application) -> Extent:
  """The extent of the only operand that depends on the input."""
  (extent,) = (e for e in application.extents if e is not None)
  return extent


def without(extent: Extent, axes: Sequence[int]) -> Extent:
  """Drops axes of the value."""
  rank = len(extent.strides)
  return extents.rearrange(extent, [a for a in range(rank) if a not in axes])
