"""Norms of the parameters, gradients or updates of each layer of a stack."""

import math
from typing import Any

import jax
from jax import lax
import jax.numpy as jnp
from jaxdl.models.stack import Stack
from jaxdl.tracing import statistics

Array = jax.Array

# Between these, a sum of squares has neither under- nor overflowed.
_SAFE_FROM, _SAFE_TO = 1e-26, 1e30


def norms(tree: Stack) -> Array:
  """Euclidean norm of all that each layer holds, `[layer]`.

  Right over the whole range of float32: where a sum of squares may have left
  it, the arrays are scaled first.

  Args:
    tree: arrays of the stem, of the hidden layers (stacked on a leading axis)
      and of the readout.
  """
  squares = _by_layer(tree, _sum_of_squares, jnp.add)
  safe = jnp.all((squares > _SAFE_FROM) & (squares < _SAFE_TO))

  def scaled(tree):
    magnitudes = _by_layer(tree, _largest, jnp.maximum)
    scales = statistics.power_of_two_below_inverse(magnitudes)
    squares = _by_layer(_scaled(tree, scales), _sum_of_squares, jnp.add)
    return jnp.sqrt(squares) / scales

  return lax.cond(safe, lambda tree: jnp.sqrt(squares), scaled, tree)


def sizes(tree: Stack) -> Array:
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


def _scaled(tree: Stack, scales: Array) -> Stack:
  """Multiplies what each layer holds by its scale."""
  hidden = lambda x: x * scales[1:-1].reshape(-1, *[1] * (x.ndim - 1))
  return Stack(
    jax.tree.map(lambda x: x * scales[0], tree.stem),
    jax.tree.map(hidden, tree.hidden),
    jax.tree.map(lambda x: x * scales[-1], tree.readout),
  )


def _by_layer(tree: Stack, reduce, combine) -> Array:
  """Reduces arrays with a leading layer axis and joins the three parts."""

  def part(arrays: list[Any]) -> Array:
    total = reduce(arrays[0])
    for x in arrays[1:]:
      total = combine(total, reduce(x))
    return total

  single = lambda tree: [x[None] for x in jax.tree.leaves(tree)]
  hidden = jax.tree.leaves(tree.hidden)
  parts = [single(tree.stem), hidden, single(tree.readout)]
  return jnp.concatenate([part(arrays) for arrays in parts if arrays])
