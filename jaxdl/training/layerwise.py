"""Norms of the parameters, gradients or updates of each layer of a model."""

import math
from typing import Any

import jax
from jax import lax
import jax.numpy as jnp
from jaxdl import layers
from jaxdl.models.units import Units
from jaxdl.tracing import statistics

Array = jax.Array

# Between these, a sum of squares has neither under- nor overflowed.
_SAFE_FROM, _SAFE_TO = 1e-26, 1e30


def num_layer_axes(unit: Any) -> int:
  """How many leading axes of a unit's arrays count its layers: 1 or 0."""
  return 1 if isinstance(unit, layers.Repeated) else 0


def num_layers(unit: Any) -> int:
  """How many layers a unit stands for."""
  if not num_layer_axes(unit):
    return 1
  return len(jax.tree.leaves(unit)[0])


def names(tree: Units) -> tuple[str, ...]:
  """What each layer is called: `stem`, `hidden/0`, `hidden/1`, `readout`."""
  return tuple(
    f'{name}/{i}' if num_layer_axes(unit) else name
    for name, unit in tree.items()
    for i in range(num_layers(unit))
  )


def norms(tree: Units) -> Array:
  """Euclidean norm of all that each layer holds, `[layer]`.

  Right over the whole range of float32: where a sum of squares may have left
  it, the arrays are scaled first.

  Args:
    tree: arrays of each unit; a repeated one is as many layers.
  """
  squares = _by_layer(tree, _sum_of_squares, jnp.add)
  safe = jnp.all((squares > _SAFE_FROM) & (squares < _SAFE_TO))

  def scaled(tree):
    magnitudes = _by_layer(tree, _largest, jnp.maximum)
    scales = statistics.power_of_two_below_inverse(magnitudes)
    squares = _by_layer(_scaled(tree, scales), _sum_of_squares, jnp.add)
    return jnp.sqrt(squares) / scales

  return lax.cond(safe, lambda tree: jnp.sqrt(squares), scaled, tree)


def sizes(tree: Units) -> Array:
  """How many numbers each layer holds, `[layer]`."""
  return _by_layer(
    tree,
    lambda x: jnp.full(len(x), math.prod(x.shape[1:]), jnp.float32),
    jnp.add,
  )


def _sum_of_squares(x: Array) -> Array:
  return jnp.sum(x * x, axis=tuple(range(1, x.ndim)))


def _largest(x: Array) -> Array:
  return jnp.max(jnp.abs(x), axis=tuple(range(1, x.ndim)))


def _scaled(tree: Units, scales: Array) -> Units:
  """Multiplies what each layer holds by its scale."""
  scaled, start = {}, 0
  for name, unit in tree.items():
    count = num_layers(unit)
    own = scales[start : start + count]
    start += count
    scaled[name] = jax.tree.map(
      lambda x, own=own, unit=unit: x * _along_layers(own, x, unit), unit
    )
  return Units(scaled)


def _along_layers(values: Array, x: Array, unit: Any) -> Array:
  """One value a layer, in a shape that broadcasts against an array of them."""
  axes = num_layer_axes(unit)
  return values.reshape(values.shape[:axes] + (1,) * (x.ndim - axes))


def _by_layer(tree: Units, reduce, combine) -> Array:
  """Reduces arrays with a leading layer axis, and joins the units."""

  def of_unit(unit: Any) -> Array:
    arrays = jax.tree.leaves(unit)
    if not num_layer_axes(unit):
      arrays = [x[None] for x in arrays]
    total = reduce(arrays[0])
    for x in arrays[1:]:
      total = combine(total, reduce(x))
    return total

  return jnp.concatenate([of_unit(unit) for unit in tree.values()])
