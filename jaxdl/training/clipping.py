"""Gradient clipping, and what it takes away."""

from collections.abc import Callable
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxdl import choice
from jaxdl.models.units import Units
from jaxdl.tracing import statistics
from jaxdl.training import layerwise

Array = jax.Array
Scalar = float | jax.Array


class Clipped(NamedTuple):
  """Gradients after clipping, and what it did.

  Attributes:
    grads: the clipped gradients.
    norms: of each layer's gradient, `[layer]`.
    removed: share of each layer's gradient that was removed,
      |g - clipped| / |g|, `[layer]`; 0 where the gradient is 0.
    bound: whether clipping changed anything.
  """

  grads: Any
  norms: Array
  removed: Array
  bound: Array


# Maps gradients, parameters, the norms of the gradients of each layer and the
# threshold to the clipped gradients.
Clip = Callable[[Units, Units, Array, Scalar], Clipped]

_ADAPTIVE_EPS = 1e-3


def by_norm(
  grads: Units, params: Units, norms: Array, threshold: Scalar
) -> Clipped:
  """Scales all gradients so that their global norm is at most `threshold`.

  g <- g * V / |g| where |g| > V: Pascanu et al., 2013,
  https://arxiv.org/abs/1211.5063, algorithm 1. An infinite threshold changes
  nothing, to the last bit.

  Args:
    grads: gradients.
    params: parameters, of the same shapes; not read.
    norms: norm of each layer's gradient, `[layer]`.
    threshold: V.
  """
  del params
  global_norm = statistics.norm(norms)
  bound = global_norm > threshold
  scale = jnp.where(bound, threshold / jnp.where(bound, global_norm, 1), 1)
  return Clipped(
    grads=jax.tree.map(lambda g: g * scale.astype(g.dtype), grads),
    norms=norms * scale,
    removed=jnp.where(norms > 0, 1 - scale, 0),
    bound=bound,
  )


def by_value(
  grads: Units, params: Units, norms: Array, threshold: Scalar
) -> Clipped:
  """Brings each element into [-threshold, threshold].

  Args:
    grads: gradients.
    params: parameters, of the same shapes; not read.
    norms: norm of each layer's gradient, `[layer]`.
    threshold: the largest magnitude that is kept.
  """
  del params
  clip = lambda g: jnp.clip(g, min=-threshold, max=threshold)
  return _compared(grads, jax.tree.map(clip, grads), norms)


def adaptive(
  grads: Units, params: Units, norms: Array, threshold: Scalar
) -> Clipped:
  """Scales each unit's gradient to at most `threshold` of its weights' norm.

  Brock et al., 2021, https://arxiv.org/abs/2102.06171, equation 3: a unit is
  what feeds one output; its weights count for at least 1e-3. A vector is one
  unit, as in the authors' code.

  Args:
    grads: gradients.
    params: parameters, of the same shapes.
    norms: norm of each layer's gradient, `[layer]`.
    threshold: largest ratio of the norms, such as 0.01.
  """

  def clip(g, w, num_layer_axes):
    largest = threshold * jnp.maximum(
      _unit_norms(w, num_layer_axes), _ADAPTIVE_EPS
    )
    size = _unit_norms(g, num_layer_axes)
    over = size > largest
    return g * jnp.where(over, largest / jnp.where(over, size, 1), 1)

  def clip_unit(unit, of_params):
    clip_own = functools.partial(
      clip, num_layer_axes=layerwise.num_layer_axes(unit)
    )
    return jax.tree.map(clip_own, unit, of_params)

  clipped = Units(
    (name, clip_unit(unit, params[name])) for name, unit in grads.items()
  )
  return _compared(grads, clipped, norms)


_TABLE: dict[str, Clip] = {
  'norm': by_norm,
  'value': by_value,
  'adaptive': adaptive,
}


def names() -> tuple[str, ...]:
  """Returns the names of the ways to clip."""
  return tuple(_TABLE)


def get(name: str) -> Clip:
  """Returns the way to clip called `name`.

  Raises:
    ValueError: if there is none.
  """
  return choice.choose('way to clip', name, _TABLE)


def _compared(grads: Units, clipped: Units, norms: Array) -> Clipped:
  removed = layerwise.norms(jax.tree.map(jnp.subtract, grads, clipped))
  share = jnp.where(norms > 0, removed / jnp.where(norms > 0, norms, 1), 0)
  return Clipped(clipped, layerwise.norms(clipped), share, jnp.any(removed > 0))


def _unit_norms(x: Array, num_layer_axes: int) -> Array:
  """Norms over all axes but those of layers and of outputs."""
  is_vector = x.ndim - num_layer_axes < 2
  last = x.ndim if is_vector else x.ndim - 1
  axes = tuple(range(num_layer_axes, last))
  norm = statistics.norm(x, axis=axes) if axes else jnp.abs(x)
  return jnp.expand_dims(norm, axes).astype(x.dtype)
