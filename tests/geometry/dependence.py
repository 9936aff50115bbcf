"""What each output of a function depends on, found by trying every pixel.

Infinity in one pixel makes infinite or undefined exactly those outputs that
read it, if no weight is negative and no minimum is taken.
"""

import math

import jax
from jaxdl.geometry import extents
from jaxdl.geometry import receptive_fields
from jaxdl.geometry import traced
import numpy as np


def seen(fn, in_shape):
  """Returns which outputs depend on which pixels.

  Args:
    fn: a function of x, [1, height, width, channels].
    in_shape: [height, width, channels].

  Returns:
    Booleans, [*output, height, width].
  """
  height, width, channels = in_shape
  pixels = np.eye(height * width).reshape(-1, 1, height, width, 1)
  tried = np.where(pixels, np.inf, np.ones(channels)).astype(np.float32)
  reached = ~np.isfinite(jax.jit(jax.vmap(fn))(tried))
  stacked = np.moveaxis(reached, 0, -1)
  return stacked.reshape(*stacked.shape[:-1], height, width)


def predicted(fn, in_shape):
  """Returns the extents of the first output along height and width."""
  model = traced.trace(fn, in_shape)
  outputs = receptive_fields.propagate(
    model, in_shape, (0, 1), record=lambda *_: None
  )
  return outputs[0]


def assert_agree(fn, in_shape, *, exact=True):
  """Checks that no output sees more than predicted, and inner ones as much.

  Args:
    fn: a function of x, [1, height, width, channels].
    in_shape: [height, width, channels].
    exact: whether outputs whose predicted pixels lie all in the image must
      see the first and the last of them.
  """
  actual = seen(fn, in_shape)
  found = predicted(fn, in_shape)
  num_inner = 0
  for index in np.ndindex(actual.shape[:-2]):
    stretches = [_pixels(extent, index) for extent in found]
    pixels = [
      np.flatnonzero(actual[index].any(axis=1 - axis)) for axis in (0, 1)
    ]
    where = (index, found, pixels)
    for (first, last), own in zip(stretches, pixels, strict=True):
      assert not own.size or first <= own[0], where
      assert not own.size or own[-1] <= last, where
    if exact and all(
      0 <= first and last < length
      for (first, last), length in zip(stretches, in_shape, strict=False)
    ):
      num_inner += 1
      assert stretches == [(own[0], own[-1]) for own in pixels], where
  assert num_inner or not exact, f'no output is within the image: {found}'
  for extent in found:
    assert bool(extent.note) != exact, extent


def _pixels(extent, index):
  offset = sum(u * s for u, s in zip(index, extent.strides, strict=True))
  start = extent.start + offset
  return math.ceil(start), math.floor(start + extent.size) - 1


def whole(fn, in_shape):
  """Whether every output is predicted to see all of the input."""
  return all(
    extents.is_constant(e) and (e.start, e.size) == (0, e.length)
    for e in predicted(fn, in_shape)
  )
