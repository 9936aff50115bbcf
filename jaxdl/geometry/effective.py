"""The effective receptive field: how much each pixel matters to one output.

Pixels in the middle of a receptive field reach the output on many paths, those
at its rim on few. In a chain of n convolutions the field grows as n, and the
region that matters as the square root of n, much like a Gaussian. See Luo et
al., 2016, https://arxiv.org/abs/1701.04128.
"""

from typing import Any, NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
from jaxdl import choice
from jaxdl import layers
from jaxdl.geometry import extents
from jaxdl.geometry import receptive_fields
from jaxdl.geometry import traced
from jaxdl.geometry.extents import Extent
from jaxdl.tracing import evaluation
import numpy as np

Array = jax.Array

_LEAST_SHARE = 1 - 0.9545


def effective_receptive_field(
  fn: traced.Model,
  params: Any,
  in_shape: extents.Shape,
  key: Array,
  *,
  num_samples: int = 16,
  scope: str | None = None,
) -> Array:
  """Measures how much the output at the centre depends on each pixel.

  The gradient of that output, summed over its channels, with respect to the
  input; its absolute value, summed over the channels of the input and averaged
  over inputs of independent standard normal numbers. Along an axis of n outputs
  the centre is output n // 2, whose analytic field is `Field.middle()`.

  Args:
    fn: a `jaxdl.layers.Layer`, at test time, whose params and state come from
      its `init`; or a function of (params, x), or of x where params is None.
    params: None, or what the function is given.
    in_shape: of x, without the batch; its last axis holds the channels.
    key: of the inputs and, for a layer, of its `init`.
    num_samples: how many inputs.
    scope: whose output is meant; the output of the model by default. In a scan,
      that of the last iteration.

  Returns:
    The average, of shape `in_shape[:-1]`.

  Raises:
    ValueError: if the shape isn't one, there are no samples, the scope is
      unknown, or a layer is given params.
  """
  if num_samples < 1:
    raise ValueError(f'num_samples must be at least 1, got {num_samples}.')
  traced.require_shape(in_shape)
  init_key, x_key = jax.random.split(key)
  if isinstance(fn, layers.Layer):
    traced.require_own_params(params)
    layer = fn
    params = layer.init(init_key, tuple(in_shape))[1:]
    fn = lambda own, x: layer.apply(*own, x)[0]
  model = traced.trace(fn, in_shape, params)
  arrays = traced.array_leaves(params)
  target = _target(model, in_shape, scope)
  index = (*target.iteration, *_centre(target))

  def output(x):
    return jnp.sum(_value(model, [*arrays, x], target.key)[index])

  def add(total, sample_key):
    x = jax.random.normal(sample_key, (1, *in_shape))
    return total + jnp.sum(jnp.abs(jax.grad(output)(x)), axis=(0, -1)), None

  keys = jax.random.split(x_key, num_samples)
  total, _ = lax.scan(add, jnp.zeros(in_shape[:-1]), keys)
  return total / num_samples


def effective_size(measured: Array | np.ndarray) -> float:
  """Returns the side of the region that matters, in pixels.

  The square root of the number of pixels above 1 - 95.45% of the largest, as
  Luo et al. count them in section 3; of a Gaussian those within 2.49 standard
  deviations.

  Args:
    measured: what `effective_receptive_field` returns.
  """
  count = jnp.sum(measured > _LEAST_SHARE * jnp.max(measured))
  return float(count) ** (1 / max(measured.ndim, 1))


class _Target(NamedTuple):
  """A value whose field is measured.

  Attributes:
    key: of the value in its graph; None of the output.
    shape: of the value, with the batch, in one iteration.
    iteration: of the scans around it.
    seen: what it sees of each axis of space.
  """

  key: int | None
  shape: extents.Shape
  iteration: tuple[int, ...]
  seen: tuple[Extent, ...]


def _target(
  model: traced.Traced, in_shape: extents.Shape, scope: str | None
) -> _Target:
  """Finds the value that leaves a scope last, or else the output."""
  sites = {path: site for site in model.sites for path in site.paths}
  scope = None if scope == 'output' else scope
  site = None if scope is None else choice.choose('scope', scope, sites)
  found: list[_Target] = []

  def record(key, iteration, seen):
    if site is not None and key == site.key:
      found.append(_Target(key, site.shape, iteration, seen))

  axes = range(len(in_shape) - 1)
  outputs = receptive_fields.propagate(model, in_shape, axes, record)
  if site is None and outputs[0] is not None:
    found.append(_Target(None, model.out_shape, (), outputs[0]))
  if not found:
    what = 'output' if scope is None else f'output of scope {scope!r}'
    raise ValueError(f'The {what} does not depend on the input.')
  return found[-1]


def _centre(target: _Target) -> tuple[int | slice, ...]:
  """The index of the output in the middle; all along axes not of space."""
  axes = [extents.coarsest_axis(extent) for extent in target.seen]
  return tuple(
    count // 2 if axis in axes else slice(None)
    for axis, count in enumerate(target.shape)
  )


def _value(model: traced.Traced, values: list[Any], key: int | None) -> Array:
  """One value of a graph, stacked by the scans around it; or its output."""
  if key is None:
    return evaluation.evaluate(model.graph, values, {}, {}).outputs[0]
  tap = lambda x, slot, thread: (x, x, thread)
  done = evaluation.evaluate(model.graph, values, {key: tap}, {key: ()})
  return done.parts[key]
