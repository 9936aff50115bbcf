"""Of a value that flows through a model: what it still tells apart.

Deep networks can map all examples, or all positions of one, to one direction
(Dong et al., [Attention is not all you need](https://arxiv.org/abs/2103.03404),
2021; Schoenholz et al., [Deep information
propagation](https://arxiv.org/abs/1611.01232), 2017), and all units of a layer
to one.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
from jaxdl.tracing import sites
from jaxdl.tracing import statistics

Array = jax.Array

# Of the examples, and of the positions of each of a few, so many are compared.
_COMPARED = 32
_SEQUENCES = 4
_SINGLE_KEY = 0.99  # Of an attention's mass.


class Representation(NamedTuple):
  """Scale-free numbers of a value, `[...]`; NaN where one has no meaning.

  Attributes:
    spread: 1 less the mean squared cosine between two examples (axis 0): near 1
      where they are told apart, 0 where all are collinear; measured where all
      that comes before acts through this value alone.
    position_spread: the same between positions of one example, for values
      `[example, position, unit]`.
    unit_spread: largest difference of a unit (last axis) from the first, over
      the largest magnitude: 0 where all units are the same.
    concentrated: of a softmax over keys, share of the queries that have 99% of
      their mass on one key.
  """

  spread: Array
  position_spread: Array
  unit_spread: Array
  concentrated: Array


def measure(site: sites.Site) -> statistics.Measure:
  """Measures a `Representation`.

  Args:
    site: where.
  """
  is_softmax, through = site.activation == 'softmax', site.is_cut

  def reduce(x: Array) -> Array:
    x = real(x)
    return jnp.stack(
      [
        _spread(x.reshape(1, len(x), -1)) if x.ndim > 1 and through else _nan(),
        _spread(_picked(x, _SEQUENCES)) if x.ndim == 3 and through else _nan(),
        _unit_spread(x),
        _concentrated(x) if is_softmax else _nan(),
      ]
    )

  def finish(packed: Array) -> Representation:
    return Representation(*jnp.moveaxis(packed, -1, 0))

  return statistics.Measure(reduce, finish)


def together(
  measures: Mapping[str, statistics.Measure],
) -> statistics.Measure:
  """Several measures of one value, by name.

  Args:
    measures: by name.

  Returns:
    The measure of a dictionary.
  """

  def reduce(x: Array) -> Any:
    return {name: measure.reduce(x) for name, measure in measures.items()}

  def finish(parts: Any) -> Any:
    return {name: m.finish(parts[name]) for name, m in measures.items()}

  return statistics.Measure(reduce, finish)


def real(x: Array) -> Array:
  """Magnitudes of complex numbers, others in float32 at least.

  Args:
    x: any array of numbers.
  """
  if jnp.issubdtype(x.dtype, jnp.complexfloating):
    x = jnp.abs(x)
  return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def parallel(x: Array, gradient: Array) -> Array:
  """How far an array is from units that are, and learn, all the same.

  Args:
    x: a parameter.
    gradient: of the loss with respect to it.

  Returns:
    For the axis along which it is least, the largest difference of a slice from
    the first, relative to the largest magnitude, of the parameter or of its
    gradient (whichever is larger). NaN unless two axes have several slices.
  """
  axes = [axis for axis, size in enumerate(x.shape) if size > 1]
  if len(axes) < 2:
    return _nan()
  differences = [_differences(real(array), axes) for array in (x, gradient)]
  return jnp.min(jnp.maximum(*differences))


def _differences(x: Array, axes: Sequence[int]) -> Array:
  """Of all slices along each of the axes from the first, relative."""
  largest = jnp.max(jnp.abs(x))
  first = lambda axis: lax.slice_in_dim(x, 0, 1, axis=axis)
  over = [jnp.max(jnp.abs(x - first(axis))) for axis in axes]
  return jnp.stack(over) / jnp.where(largest > 0, largest, 1)


def _picked(x: Array, count: int) -> Array:
  """At most so many slices of axis 0, evenly."""
  return x if len(x) <= count else x[:: -(-len(x) // count)]


def _spread(x: Array) -> Array:
  """Over pairs of vectors `[group, vector, :]` of a group that aren't zero."""
  x = jnp.swapaxes(_picked(jnp.swapaxes(x, 0, 1), _COMPARED), 0, 1)
  if x.shape[1] < 2 or x.shape[2] < 2:
    return _nan()
  scale = jnp.max(jnp.abs(x), axis=-1, keepdims=True)
  unit = x / jnp.where(scale > 0, scale, 1)
  norm = jnp.sqrt(jnp.sum(unit * unit, axis=-1, keepdims=True))
  unit = unit / jnp.where(norm > 0, norm, 1)
  gram = jnp.matmul(unit, unit.mT, precision=lax.Precision.HIGHEST)
  exists = (scale > 0)[..., 0]
  pairs = exists[:, :, None] & exists[:, None, :]
  pairs &= ~jnp.eye(x.shape[1], dtype=bool)
  count = jnp.sum(pairs)
  mean = jnp.sum(jnp.where(pairs, gram * gram, 0)) / jnp.maximum(count, 1)
  return jnp.where(count > 0, jnp.maximum(1 - mean, 0), jnp.nan)


def _unit_spread(x: Array) -> Array:
  if x.ndim < 2 or x.shape[-1] < 2:
    return _nan()
  return _differences(x, [-1])[0]


def _concentrated(x: Array) -> Array:
  if x.ndim < 3 or min(x.shape[-2:]) < 2:
    return _nan()
  share = jnp.max(x, axis=-1) / jnp.sum(x, axis=-1)
  return jnp.mean(share > _SINGLE_KEY, dtype=x.dtype)


def _nan() -> Array:
  return jnp.full([], jnp.nan)
