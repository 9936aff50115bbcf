"""Tests for `krylov/lanczos.py`, against dense decompositions of NumPy."""

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies
import jax
import jax.numpy as jnp
from jaxdl.krylov import lanczos
import numpy as np


def _everything(values):
  return jnp.arange(len(values))


@jax.jit
def _eigenpairs(matrix, key):
  product = lambda v: matrix @ v
  start_key, key = jax.random.split(key)
  size = len(matrix)
  start = jax.random.normal(start_key, (size,), matrix.dtype)
  form = lanczos.tridiagonalize(product, start, size, key)
  return form, lanczos.eigenvalues(product, form, _everything)


@jax.jit
def _singular_values(matrix, key):
  m, n = matrix.shape
  start_key, key = jax.random.split(key)
  start = jax.random.normal(start_key, (n,), matrix.dtype)
  product, transposed = (lambda v: matrix @ v), (lambda u: u @ matrix)
  form = lanczos.bidiagonalize(product, transposed, start, m, n, key)
  return form, lanczos.singular_values(product, transposed, form, n)


def _orthogonal(rng, size):
  return np.linalg.qr(rng.standard_normal((size, size)))[0]


def _is_orthonormal(rows):
  np.testing.assert_allclose(rows @ rows.T, np.eye(len(rows)), atol=1e-5)


# Spectra of size 8: distinct, repeated, deficient, zero, of one value.
_SPECTRA = {
  'distinct': (5, -4, 3, 2.5, 1, 0.5, -0.1, 0.01),
  'repeated': (3, 3, 3, -2, -2, 1, 1, 1),
  'deficient': (3, 3, -1, 0, 0, 0, 0, 0),
  'one': (2, 2, 2, 2, 2, 2, 2, 2),
  'zero': (0, 0, 0, 0, 0, 0, 0, 0),
  'tiny': (5e-25, 4e-25, 3e-25, 2e-25, 1e-25, 1e-25, 0, 0),
  'large': (5e25, 4e25, 3e25, 2e25, -1e25, -1e25, 0, 0),
}


class SpectraTest(parameterized.TestCase):
  @parameterized.named_parameters(_SPECTRA.items())
  def test_all_steps_find_all_eigenvalues_with_their_copies(self, spectrum):
    spectrum = np.array(spectrum)
    q = _orthogonal(np.random.default_rng(0), 8)
    matrix = jnp.asarray(q * spectrum @ q.T, jnp.float32)
    form, found = _eigenpairs(matrix, jax.random.key(0))
    _is_orthonormal(form.basis)
    _is_orthonormal(found.vectors)
    tolerance = 4e-6 * np.abs(spectrum).max()
    difference = np.abs(found.values - np.sort(spectrum))
    self.assertLessEqual(difference.max(), tolerance)
    self.assertLessEqual(found.error.max(), tolerance)

  @parameterized.named_parameters(_SPECTRA.items())
  def test_all_steps_find_all_singular_values_with_their_copies(self, spectrum):
    spectrum = np.abs(spectrum)
    rng = np.random.default_rng(1)
    left, right = _orthogonal(rng, 11)[:, :8], _orthogonal(rng, 8)
    matrix = jnp.asarray(left * spectrum @ right.T, jnp.float32)
    form, found = _singular_values(matrix, jax.random.key(0))
    _is_orthonormal(form.left)
    _is_orthonormal(form.right)
    tolerance = 4e-6 * spectrum.max()
    difference = np.abs(found.values - np.sort(spectrum)[::-1])
    self.assertLessEqual(difference.max(), tolerance)
    self.assertLessEqual(found.error.max(), tolerance)

  def test_forms_are_the_matrices_in_their_bases(self):
    matrix = np.random.default_rng(2).standard_normal((8, 8)).astype(np.float32)
    form, _ = _singular_values(matrix, jax.random.key(0))
    expected = np.diag(form.diagonal) + np.diag(form.off_diagonal, 1)
    actual = form.left @ matrix @ form.right.T
    np.testing.assert_allclose(actual, expected, atol=1e-5)

    matrix = matrix + matrix.T
    form, _ = _eigenpairs(matrix, jax.random.key(0))
    above = np.diag(form.off_diagonal, 1)
    expected = np.diag(form.diagonal) + above + above.T
    actual = form.basis @ matrix @ form.basis.T
    np.testing.assert_allclose(actual, expected, atol=1e-5)

  def test_what_is_not_finite_is_seen(self):
    matrix = jnp.eye(8).at[3, 3].set(jnp.nan)
    self.assertTrue(
      np.isnan(_eigenpairs(matrix, jax.random.key(0))[1].values).all()
    )
    _, found = _singular_values(matrix, jax.random.key(0))
    self.assertTrue(np.isnan(found.values).all())


class FewStepsTest(parameterized.TestCase):
  @hypothesis.given(strategies.integers(0, 10**6))
  def test_error_bounds_the_distance_to_a_true_value(self, seed):
    matrix = np.random.default_rng(seed).standard_normal((40, 30))
    true = np.linalg.svd(matrix, compute_uv=False)
    found = _few(jnp.asarray(matrix, jnp.float32), jax.random.key(seed))
    nearest = np.abs(true[:, None] - np.asarray(found.values)).min(axis=0)
    rounding = 1e-5 * true[0]
    np.testing.assert_array_less(nearest, found.error + rounding)
    np.testing.assert_array_less(found.values, true[:4] + rounding)

  def test_a_gap_makes_it_converge(self):
    rng = np.random.default_rng(3)
    left, right = _orthogonal(rng, 40)[:, :30], _orthogonal(rng, 30)
    values = np.concatenate([[20, 15, 11, 8], np.linspace(1, 0, 26)])
    matrix = jnp.asarray(left * values @ right.T, jnp.float32)
    found = _few(matrix, jax.random.key(0))
    np.testing.assert_allclose(found.values, values[:4], rtol=1e-5)
    np.testing.assert_array_less(found.error, 0.01)

  def test_a_repeated_value_is_seen_once_until_the_rest_is_exhausted(self):
    """As `jacobian.singular_values` says: six steps see six values."""
    values = np.array([9, 9, 9, 5, 2, 1, 0.5, 0.1])
    product = lambda v: jnp.asarray(values, jnp.float32) * v

    @jax.jit
    def run(key):
      form = lanczos.bidiagonalize(product, product, jnp.ones(8), 8, 6, key)
      return lanczos.singular_values(product, product, form, 6)

    found = run(jax.random.key(0))
    expected = np.unique(values)[::-1]
    np.testing.assert_allclose(found.values, expected, atol=1e-4)


@jax.jit
def _few(matrix, key):
  m, n = matrix.shape
  product, transposed = (lambda v: matrix @ v), (lambda u: u @ matrix)
  start = jax.random.normal(key, (n,))
  form = lanczos.bidiagonalize(product, transposed, start, m, 12, key)
  return lanczos.singular_values(product, transposed, form, 4)


if __name__ == '__main__':
  absltest.main()
