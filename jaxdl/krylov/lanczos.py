"""Lanczos iterations with full reorthogonalization.

A few products with a large matrix yield a small one whose extreme eigenvalues,
or singular values, are those of the large one. See Golub and Van Loan, "Matrix
Computations", 4th edition, chapter 10; the bidiagonalization is that of Golub
and Kahan, 1965, https://doi.org/10.1137/0702016.

Every new vector is made orthogonal to all before it, twice, so no spurious
copies of a converged value arise. Where the vectors span a space that the
matrix maps into itself, the iteration goes on with a random vector orthogonal
to it: after as many steps as the matrix has columns, the spectrum is complete.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
from jaxdl.tracing import statistics

Array = jax.Array
Product = Callable[[Array], Array]

# In units of the rounding of the largest number seen: what is below is zero.
_NEGLIGIBLE = 10.0


class Tridiagonal(NamedTuple):
  """A symmetric matrix A in a basis of vectors: Q A Q^T is tridiagonal.

  Attributes:
    diagonal: `[steps]`.
    off_diagonal: `[steps - 1]`.
    basis: Q, with orthonormal rows, `[steps, n]`.
  """

  diagonal: Array
  off_diagonal: Array
  basis: Array


class Bidiagonal(NamedTuple):
  """A matrix A in bases of vectors: U A V^T is upper bidiagonal.

  Attributes:
    diagonal: `[steps]`.
    off_diagonal: above the diagonal, `[steps - 1]`.
    left: U, with orthonormal rows, `[steps, m]`.
    right: V, with orthonormal rows, `[steps, n]`.
  """

  diagonal: Array
  off_diagonal: Array
  left: Array
  right: Array


class Eigenpairs(NamedTuple):
  """Eigenvalues and eigenvectors of a symmetric matrix.

  Attributes:
    values: `[num]`.
    error: of each: a true eigenvalue lies no farther from it, `[num]`.
    vectors: of unit length, `[num, n]`.
  """

  values: Array
  error: Array
  vectors: Array


class SingularValues(NamedTuple):
  """Singular values of a matrix, the largest first.

  Attributes:
    values: `[num]`.
    error: of each: a true singular value lies no farther from it, but for the
      rounding in what computes the matrix, `[num]`.
  """

  values: Array
  error: Array


def tridiagonalize(
  product: Product, start: Array, steps: int, key: Array
) -> Tridiagonal:
  """Runs the Lanczos iteration on a symmetric matrix.

  Args:
    product: maps a vector v to A v, `[n]` to `[n]`.
    start: the first vector, of any length but zero, `[n]`.
    steps: how many, from 1 to n.
    key: of the vectors that go on from an invariant space.
  """

  def step(carry, index):
    basis, largest = carry
    vector = basis[index]
    image = product(vector)
    diagonal = _dot(vector, image)
    size, following = _next(
      image, basis, largest, jax.random.fold_in(key, index)
    )
    largest = jnp.maximum(largest, jnp.abs(diagonal) + size)
    return (basis.at[index + 1].set(following), largest), (diagonal, size)

  basis = _with_first(start, steps)
  (basis, _), (diagonal, off_diagonal) = lax.scan(
    step, (basis, jnp.zeros((), start.dtype)), jnp.arange(steps)
  )
  return Tridiagonal(diagonal, off_diagonal[:-1], basis[:steps])


def bidiagonalize(
  product: Product,
  transposed: Product,
  start: Array,
  num_rows: int,
  steps: int,
  key: Array,
) -> Bidiagonal:
  """Runs the Golub-Kahan iteration on a matrix with no more columns than rows.

  Args:
    product: maps a vector v to A v, `[n]` to `[m]`.
    transposed: maps a vector u to A^T u, `[m]` to `[n]`.
    start: the first right vector, of any length but zero, `[n]`.
    num_rows: m, at least n.
    steps: how many, from 1 to n.
    key: of the vectors that go on from an invariant space.
  """

  def step(carry, index):
    left, right, largest = carry
    left_key, right_key = jax.random.split(jax.random.fold_in(key, index))
    image = product(right[index])
    diagonal, left_vector = _next(image, left, largest, left_key)
    left = left.at[index].set(left_vector)
    largest = jnp.maximum(largest, diagonal)
    image = transposed(left_vector)
    above, right_vector = _next(image, right, largest, right_key)
    right = right.at[index + 1].set(right_vector)
    return (left, right, jnp.maximum(largest, above)), (diagonal, above)

  right = _with_first(start, steps)
  left = jnp.zeros((steps, num_rows), start.dtype)
  (left, right, _), (diagonal, above) = lax.scan(
    step, (left, right, jnp.zeros((), start.dtype)), jnp.arange(steps)
  )
  return Bidiagonal(diagonal, above[:-1], left, right[:steps])


def eigenvalues(
  product: Product,
  tridiagonal: Tridiagonal,
  select: Callable[[Array], Array],
) -> Eigenpairs:
  """Ritz values of a tridiagonal form, with what bounds their errors.

  The error of each is the norm of A v - value v, computed by one more product,
  so the rounding of products is in it.

  Args:
    product: of the matrix A.
    tridiagonal: of A.
    select: maps the values, ascending, to the indices of those that are meant.
  """
  values, coefficients = eigh(tridiagonal)
  chosen = select(values)
  values = values[chosen]
  vectors = _matmul(coefficients[:, chosen].T, tridiagonal.basis)

  def residual(pair):
    value, vector = pair
    return statistics.norm(product(vector) - value * vector)

  error = lax.map(residual, (values, vectors))
  return Eigenpairs(values, error.astype(values.dtype), vectors)


def singular_values(
  product: Product, transposed: Product, bidiagonal: Bidiagonal, num: int
) -> SingularValues:
  """The largest singular values of a bidiagonal form, and their errors.

  The error is the residual of (u, v) / sqrt(2) as an eigenvector of the
  symmetric matrix that has A and A^T beside a diagonal of zeros. It takes a
  product with each, so the rounding of products is in it.

  Args:
    product: of the matrix A.
    transposed: of A^T.
    bidiagonal: of A.
    num: how many, at most as many as there were steps.
  """
  form = _dense(bidiagonal.diagonal, bidiagonal.off_diagonal)
  inverse = statistics.power_of_two_below_inverse(jnp.max(jnp.abs(form)))
  left, values, right = jnp.linalg.svd(form * inverse)
  values = values[:num] / inverse
  left_vectors = _matmul(left.T[:num], bidiagonal.left)
  right_vectors = _matmul(right[:num], bidiagonal.right)

  def residual(triplet):
    value, u, v = triplet
    parts = (product(v) - value * u, transposed(u) - value * v)
    return statistics.norm(jnp.concatenate(parts)) / jnp.sqrt(2.0)

  error = lax.map(residual, (values, left_vectors, right_vectors))
  return SingularValues(values, error.astype(values.dtype))


def eigh(tridiagonal: Tridiagonal) -> tuple[Array, Array]:
  """Eigenvalues and eigenvectors of the small matrix itself.

  Returns:
    Ascending eigenvalues, `[steps]`, and eigenvectors in columns.
  """
  above = _dense(jnp.zeros_like(tridiagonal.diagonal), tridiagonal.off_diagonal)
  form = above + above.T + jnp.diag(tridiagonal.diagonal)
  inverse = statistics.power_of_two_below_inverse(jnp.max(jnp.abs(form)))
  values, vectors = jnp.linalg.eigh(form * inverse)
  return values / inverse, vectors


def _dense(diagonal: Array, above: Array) -> Array:
  return jnp.diag(diagonal) + jnp.diag(above, 1)


def _with_first(start: Array, steps: int) -> Array:
  """Room for one vector more than there are steps; the first is `start`."""
  basis = jnp.zeros((steps + 1, start.size), start.dtype)
  return basis.at[0].set(_unit(start))


def _next(
  image: Array, basis: Array, largest: Array, key: Array
) -> tuple[Array, Array]:
  """The part of a vector that is orthogonal to a basis.

  Args:
    image: the vector.
    basis: orthonormal rows, and rows of zeros.
    largest: magnitude of the matrix, as far as it is known.
    key: of the vector that replaces a part that is negligible.

  Returns:
    Its norm, exactly 0 where it is negligible, and a unit vector.
  """
  largest = jnp.maximum(largest, statistics.norm(image).astype(image.dtype))
  rest = _orthogonal_to(basis, image)
  size = statistics.norm(rest).astype(image.dtype)
  threshold = _NEGLIGIBLE * jnp.finfo(image.dtype).eps * largest
  is_negligible = size <= threshold  # Not of NaN, which has to be seen.

  def random():
    vector = jax.random.normal(key, image.shape, image.dtype)
    unit = _unit(_orthogonal_to(basis, vector))
    return _unit(_orthogonal_to(basis, unit))

  following = lax.cond(is_negligible, random, lambda: _unit(rest))
  return jnp.where(is_negligible, 0, size), following


def _orthogonal_to(basis: Array, vector: Array) -> Array:
  for _ in range(2):
    vector = vector - _matmul(_matmul(basis, vector), basis)
  return vector


def _unit(vector: Array) -> Array:
  magnitude = jnp.max(jnp.abs(vector))
  vector = vector * statistics.power_of_two_below_inverse(magnitude)
  norm = statistics.norm(vector).astype(vector.dtype)
  return vector / jnp.where(norm == 0, 1, norm)


def _dot(a: Array, b: Array) -> Array:
  return jnp.dot(a, b, precision=lax.Precision.HIGHEST)


def _matmul(a: Array, b: Array) -> Array:
  return jnp.matmul(a, b, precision=lax.Precision.HIGHEST)
