"""Pytrees of real numbers as flat vectors."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

Array = jax.Array


class Space(NamedTuple):
  """The vectors that stand for pytrees of one structure.

  Attributes:
    tree: the structure.
    leaves: shape and dtype of each leaf.
    size: how many numbers there are.
    dtype: of the vectors: wide enough for all leaves, float32 at least.
  """

  tree: Any
  leaves: tuple[jax.ShapeDtypeStruct, ...]
  size: int
  dtype: Any


def space(what: str, tree: Any) -> Space:
  """The space of a pytree.

  Args:
    what: the name of the pytree, for messages.
    tree: arrays, or `jax.ShapeDtypeStruct`s, in any nest.

  Raises:
    ValueError: if a leaf isn't real floating point, or there are no numbers.
  """
  leaves, structure = jax.tree.flatten(tree)
  shapes = tuple(
    jax.ShapeDtypeStruct(jnp.shape(leaf), jnp.result_type(leaf))
    for leaf in leaves
  )
  for leaf in shapes:
    if not jnp.issubdtype(leaf.dtype, jnp.floating):
      raise ValueError(
        f'{what} has a leaf of {leaf.dtype}; only real floating-point arrays '
        'have the derivatives asked for: close over what is constant, and '
        'split complex numbers into two real ones.'
      )
  size = sum(math.prod(leaf.shape) for leaf in shapes)
  if not size:
    raise ValueError(f'{what} holds no number; it needs at least one.')
  dtype = jnp.result_type(jnp.float32, *(leaf.dtype for leaf in shapes))
  return Space(structure, shapes, size, dtype)


def flatten(space: Space, tree: Any) -> Array:
  """A pytree as a vector, `[size]`."""
  leaves = jax.tree.leaves(tree)
  parts = [jnp.ravel(leaf).astype(space.dtype) for leaf in leaves]
  return jnp.concatenate(parts)


def unflatten(space: Space, vector: Array) -> Any:
  """Inverse of `flatten`; each leaf in its own dtype.

  Args:
    space: of the pytree.
    vector: `[size]`.
  """
  leaves = []
  start = 0
  for leaf in space.leaves:
    size = math.prod(leaf.shape)
    part = vector[start : start + size]
    leaves.append(part.reshape(leaf.shape).astype(leaf.dtype))
    start += size
  return jax.tree.unflatten(space.tree, leaves)
