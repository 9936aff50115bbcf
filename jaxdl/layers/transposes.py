"""Derivatives of products, in the form in which a backend runs them fast."""

from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
from jaxdl.layers import base


def tangent(
  y: base.Array,
  parts: Iterable[tuple[Callable[[base.Array], base.Array], Any]],
) -> base.Array:
  """The tangent of a product, each part as the transpose of its own transpose.

  Reverse mode transposes what is written here, and so comes back to the
  transposes in the form that they are written in.

  Args:
    y: the product.
    parts: for each factor a function, linear, from the cotangent of y to the
      factor's; and the factor's tangent, which may be a `SymbolicZero`.
  """
  ct = jax.ShapeDtypeStruct(y.shape, y.dtype)
  found: list[base.Array] = []
  for transpose, factor_tangent in parts:
    if not isinstance(factor_tangent, jax.custom_derivatives.SymbolicZero):
      found += jax.linear_transpose(transpose, ct)(factor_tangent)
  return sum(found[1:], found[0]) if found else jnp.zeros_like(y)
