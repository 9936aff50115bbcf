"""The matrix product, with a derivative that XLA's CPU backend runs fast.

The derivative of `x @ w` by w is the product of x, transposed, and the
cotangent. XLA folds that transposition into the product, which its CPU library
does not take then: what is left is spread over threads, at a cost. Here x is
transposed by itself, which is a pass over it; `benchmarks/step_forms.py` has
both.
"""

import math

import jax
from jax import lax
import jax.numpy as jnp
from jaxdl.layers import base


def matmul(x: base.Array, w: base.Array) -> base.Array:
  """The product of rows and a matrix.

  Args:
    x: the rows, `[..., in]`.
    w: the matrix, `[in, out]`.

  Returns:
    `[..., out]`.

  Raises:
    ValueError: if `w` is no matrix.
  """
  if jnp.ndim(w) != 2:
    raise ValueError(f'w is a matrix [in, out], got shape {jnp.shape(w)}.')
  if jax.default_backend() != 'cpu':
    return x @ w
  dtype = jnp.result_type(x, w)
  return _matmul(x.astype(dtype), w.astype(dtype))


@jax.custom_jvp
def _matmul(x: base.Array, w: base.Array) -> base.Array:
  return x @ w


def _jvp(primals, tangents):
  (x, w), (dx, dw) = primals, tangents
  y = _matmul(x, w)
  parts = []
  if not base.is_zero_tangent(dx):
    parts.append(dx @ w)
  if not base.is_zero_tangent(dw):
    parts.append(_by_columns(x, dw))
  return y, sum(parts[1:], parts[0]) if parts else jnp.zeros_like(y)


_matmul.defjvp(_jvp, symbolic_zeros=True)


def _by_columns(x, w):
  """`x @ w`; its transpose multiplies the columns of x with the cotangent."""
  rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
  # The barrier keeps the transposition out of the product.
  columns = lax.optimization_barrier(rows.T)
  y = lax.dot_general(columns, w, (((0,), (0,)), ((), ())))
  return y.reshape(*x.shape[:-1], w.shape[-1])
