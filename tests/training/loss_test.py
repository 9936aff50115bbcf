"""Tests for `training/loss.py`."""

from absl.testing import absltest
from absl.testing import parameterized
import jax.numpy as jnp
from jaxdl.training import loss
import numpy as np


class LossTest(parameterized.TestCase):
  def test_cross_entropy_agrees_with_float64(self):
    rng = np.random.default_rng(0)
    logits = 30 * rng.normal(size=(8, 5))
    labels = rng.integers(5, size=8)
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_sums = np.log(np.exp(shifted).sum(axis=1))
    expected = np.mean(log_sums - shifted[np.arange(8), labels])
    actual = loss.cross_entropy(jnp.float32(logits), jnp.asarray(labels))
    np.testing.assert_allclose(actual, expected, rtol=1e-5)

  def test_accuracy(self):
    logits = jnp.array([[1.0, 0.0], [0.0, 1.0], [3.0, 2.0], [0.0, 1.0]])
    self.assertEqual(loss.accuracy(logits, jnp.array([0, 1, 1, 1])), 0.75)

  def test_an_answer_that_is_not_finite_is_wrong(self):
    logits = jnp.array([[jnp.nan, 0.0], [0.0, jnp.inf], [0.0, 1.0]])
    self.assertAlmostEqual(
      float(loss.accuracy(logits, jnp.array([0, 1, 1]))), 1 / 3, places=6
    )


if __name__ == '__main__':
  absltest.main()
