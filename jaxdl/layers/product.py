"""The matrix product, with a derivative that XLA's CPU backend runs fast.

The derivative of `x @ w` by w is the product of x, transposed, and the
cotangent. XLA folds that transposition into the product, which its CPU library
does not take then: what is left takes two to three times as long. Here x is
transposed by itself, which is a pass over it.
"""

import functools

import jax
from jax import lax
import jax.numpy as jnp
from jaxdl.layers import base
from jaxdl.layers import transposes


def matmul(x: base.Array, w: base.Array) -> base.Array:
  """The product of rows and a matrix.

  Args:
    x: the rows, `[..., in]`.
    w: the matrix, `[in, out]`.

  Returns:
    `[..., out]`.
  """
  if jax.default_backend() != 'cpu':
    return x @ w
  dtype = jnp.result_type(x, w)
  return _matmul(x.astype(dtype), w.astype(dtype))


@jax.custom_jvp
def _matmul(x: base.Array, w: base.Array) -> base.Array:
  return x @ w


def _jvp(primals, tangents):
  x, w = primals
  y = _matmul(x, w)
  parts = (
    (functools.partial(_to_rows, w), tangents[0]),
    (functools.partial(_to_matrix, x), tangents[1]),
  )
  return y, transposes.tangent(y, parts)


_matmul.defjvp(_jvp, symbolic_zeros=True)


def _to_rows(w, ct):
  """The cotangent of the rows."""
  # Without w.T, which the backward pass of a loop would keep beside w.
  return lax.dot_general(ct, w, (((ct.ndim - 1,), (1,)), ((), ())))


def _to_matrix(x, ct):
  """The cotangent of the matrix, summed over rows."""
  # The barrier keeps the transposition out of the product.
  columns = lax.optimization_barrier(x.reshape(-1, x.shape[-1]).T)
  return columns @ ct.reshape(-1, ct.shape[-1])
