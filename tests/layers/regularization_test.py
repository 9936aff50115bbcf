"""Tests for `regularization.py`."""

import math

from absl.testing import absltest
from absl.testing import parameterized
import jax
import jax.numpy as jnp
from jaxdl.layers import regularization
import numpy as np

_X = jnp.ones((100, 200))


class DropoutTest(parameterized.TestCase):
  @parameterized.parameters(0.0, 0.3, 0.9)
  def test_drops_at_the_rate_and_keeps_the_mean(self, rate):
    layer = regularization.dropout(rate)
    y, _ = layer.apply((), (), _X, train=True, key=jax.random.key(0))
    np.testing.assert_allclose(jnp.mean(y == 0), rate, atol=0.01)
    kept = np.asarray(y)[np.asarray(y) != 0]
    np.testing.assert_allclose(kept, 1 / (1 - rate), rtol=1e-6)

  def test_is_the_identity_at_test(self):
    y, _ = regularization.dropout(0.5).apply((), (), _X)
    np.testing.assert_array_equal(y, _X)

  def test_rate_may_be_traced(self):
    def zeros(rate):
      layer = regularization.dropout(rate)
      y, _ = layer.apply((), (), _X, train=True, key=jax.random.key(0))
      return jnp.mean(y == 0)

    actual = jax.vmap(zeros)(jnp.array([0.2, 0.7]))
    np.testing.assert_allclose(actual, [0.2, 0.7], atol=0.02)

  @parameterized.parameters(
    -0.1,
    1.0,
    2,
    math.nan,
    np.float32(1.5),
    (np.array(-0.5),),
    None,
    '0.5',
    True,
  )
  def test_refuses_rates_out_of_range(self, rate):
    with self.assertRaisesRegex(ValueError, r'to drop, in \[0, 1\)'):
      regularization.dropout(rate)


if __name__ == '__main__':
  absltest.main()
