"""Tests for `krylov/spectrum.py`."""

from absl.testing import absltest
from absl.testing import parameterized
import jax
import jax.numpy as jnp
from jaxdl.krylov import spectrum
import numpy as np


def _matrix(size=30):
  matrix = np.random.default_rng(0).standard_normal((size, size))
  return (matrix + matrix.T) / 2


def _estimate(matrix, key, num_probes, steps=8):
  matrix = jnp.asarray(matrix, jnp.float32)
  return spectrum.estimate(
    lambda v: matrix @ v,
    len(matrix),
    key,
    num_probes=num_probes,
    steps=steps,
    dtype=jnp.float32,
  )


class SpectrumTest(parameterized.TestCase):
  @parameterized.parameters(2, 8)
  def test_moments_are_unbiased_and_their_errors_right(self, steps):
    """Over 200 runs: z-scores of mean 0 and of variance 1."""
    matrix = _matrix()
    true = np.linalg.eigvalsh(matrix)

    @jax.vmap
    def run(key):
      found = _estimate(matrix, key, num_probes=12, steps=steps)
      return found.mean(), found.variance()

    mean, variance = jax.jit(run)(jax.random.split(jax.random.key(0), 200))
    for estimate, expected in ((mean, true.mean()), (variance, true.var())):
      deviation = np.asarray(estimate.value) - expected
      standard_error = deviation.std() / np.sqrt(200)
      self.assertLess(abs(deviation.mean()), 4 * standard_error)
      # The square of a standard error from 12 probes is unbiased; its mean over
      # 200 runs has a relative deviation near sqrt(2 / 11 / 200) = 3%, that of
      # the variance over runs sqrt(2 / 200) = 10%.
      ratio = np.mean(np.square(estimate.error)) / deviation.var()
      self.assertBetween(ratio, 0.65, 1.5)

  def test_signs_tell_a_diagonal_matrix_by_one_probe(self):
    values = np.array([3.0, 1, 1, 0, -2])
    found = jax.jit(lambda key: _estimate(np.diag(values), key, 2, steps=10))(
      jax.random.key(0)
    )
    np.testing.assert_allclose(found.nodes.shape, (2, 5))
    for fn in (lambda x: x, jnp.exp, jnp.abs):
      estimate = found.mean(fn)
      np.testing.assert_allclose(estimate.value, fn(values).mean(), rtol=1e-5)
      np.testing.assert_allclose(estimate.error, 0, atol=1e-5)
    variance = found.variance()
    np.testing.assert_allclose(variance.value, values.var(), rtol=1e-5)

  def test_density_is_that_of_all_eigenvalues(self):
    """Of a 300 x 300 matrix; within the deviation over the probes."""
    matrix = _matrix(300) / np.sqrt(150)
    true = np.linalg.eigvalsh(matrix)
    points, width = np.linspace(-2.5, 2.5, 101), 0.2
    kernel = lambda p: np.exp(-(((p - true) / width) ** 2) / 2)
    exact = np.array([kernel(p).mean() for p in points])
    exact /= width * np.sqrt(2 * np.pi)

    found = jax.jit(lambda key: _estimate(matrix, key, 16, 40))(
      jax.random.key(1)
    )
    actual = found.density(jnp.asarray(points), width)

    self.assertAlmostEqual(float(np.trapezoid(actual, points)), 1, delta=2e-3)
    for point, got, expected in zip(points, actual, exact, strict=True):
      fn = lambda x: jnp.exp(-jnp.square((x - point) / width) / 2)
      error = found.mean(fn).error / (width * np.sqrt(2 * np.pi))
      self.assertLess(abs(got - expected), 5 * error + 1e-4)

  @parameterized.parameters((1, 3, 'num_probes .* at least 2'), (2, 0, 'steps'))
  def test_refuses_too_few(self, num_probes, steps, message):
    with self.assertRaisesRegex(ValueError, message):
      _estimate(np.eye(3), jax.random.key(0), num_probes, steps)


if __name__ == '__main__':
  absltest.main()
