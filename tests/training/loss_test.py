"""Tests for `training/loss.py`."""

from absl.testing import absltest
from absl.testing import parameterized
import jax
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

  def test_auxiliary_classifiers_count_three_tenths(self):
    labels = jnp.array([0, 2])
    logits = [
      jnp.float32(np.random.default_rng(i).normal(size=(2, 3)))
      for i in range(3)
    ]
    main, one, two = [float(loss.cross_entropy(x, labels)) for x in logits]
    value = loss.with_auxiliary(logits[0], logits[1:], labels)
    self.assertAlmostEqual(float(value), main + 0.3 * (one + two), places=5)
    alone = loss.with_auxiliary(logits[0], (), labels)
    self.assertAlmostEqual(float(alone), main, places=6)

  def test_accuracy(self):
    logits = jnp.array([[1.0, 0.0], [0.0, 1.0], [3.0, 2.0], [0.0, 1.0]])
    self.assertEqual(loss.accuracy(logits, jnp.array([0, 1, 1, 1])), 0.75)

  def test_of_equal_logits_the_first_is_the_answer(self):
    logits = np.random.default_rng(0).integers(3, size=(64, 4))
    labels = np.random.default_rng(1).integers(4, size=64)
    expected = np.mean(logits.argmax(axis=1) == labels)
    actual = loss.accuracy(jnp.float32(logits), jnp.asarray(labels))
    self.assertAlmostEqual(float(actual), float(expected), places=6)

  def test_accuracy_leaves_nothing_in_jax_by_each_trace(self):
    # The reducer of an argmax is an object made anew, which keys JAX's caches.
    jaxpr = jax.make_jaxpr(loss.accuracy)(jnp.ones((4, 3)), jnp.arange(4) % 3)
    self.assertNotIn('argm', str(jaxpr))

  def test_an_answer_that_is_not_finite_is_wrong(self):
    logits = jnp.array([[jnp.nan, 0.0], [0.0, jnp.inf], [0.0, 1.0]])
    self.assertAlmostEqual(
      float(loss.accuracy(logits, jnp.array([0, 1, 1]))), 1 / 3, places=6
    )


if __name__ == '__main__':
  absltest.main()
