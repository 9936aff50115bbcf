"""Tests for `pooling.py`."""

from absl.testing import absltest
from absl.testing import parameterized
import jax.numpy as jnp
from jaxdl.layers import pooling
import numpy as np

_X = np.random.default_rng(0).standard_normal((2, 6, 7, 3)).astype(np.float32)


class PoolingTest(parameterized.TestCase):
  @parameterized.product(
    row=((pooling.max_pool, np.nanmax), (pooling.avg_pool, np.nanmean)),
    window=(2, (3, 2)),
    strides=(None, 1),
    padding=(0, 1),
  )
  def test_agrees_with_numpy(self, row, window, strides, padding):
    pool, reference = row
    y, _ = pool(window, strides, padding).apply((), (), jnp.asarray(_X))

    height, width = window if isinstance(window, tuple) else (window, window)
    down, right = (height, width) if strides is None else (strides, strides)
    edges = ((0, 0), (padding,) * 2, (padding,) * 2, (0, 0))
    padded = np.pad(_X, edges, constant_values=np.nan)  # Padding never counts.
    for i, j in np.ndindex(y.shape[1:3]):
      rows = slice(i * down, i * down + height)
      columns = slice(j * right, j * right + width)
      expected = reference(padded[:, rows, columns], axis=(1, 2))
      np.testing.assert_allclose(y[:, i, j], expected, rtol=1e-5, atol=1e-6)

  def test_valid_is_the_default(self):
    y, _ = pooling.avg_pool(2).apply((), (), jnp.asarray(_X))
    expected = _X[:, :, :6].reshape(2, 3, 2, 3, 2, 3).mean((2, 4))
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-6)

  def test_global(self):
    y, _ = pooling.global_avg_pool().apply((), (), jnp.asarray(_X))
    np.testing.assert_allclose(y, _X.mean((1, 2)), rtol=1e-4, atol=1e-6)


if __name__ == '__main__':
  absltest.main()
