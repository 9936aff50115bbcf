"""Tests for `recording.py`."""

from absl.testing import absltest
import jax
import jax.numpy as jnp
from jaxdl.sweep import recording
import numpy as np


def _metrics(seed):
  return {
    'loss': seed + jnp.float32(0.5),
    'gradient_norm': seed + jnp.arange(3.0),
    'accuracy': seed - jnp.float32(0.5),
  }


class RecordingTest(absltest.TestCase):
  def _recorded(self, count):
    shapes = jax.eval_shape(_metrics, jnp.float32(0))

    def run(first):
      return jax.lax.fori_loop(
        0,
        count,
        lambda i, recorded: recorded.with_step(i, _metrics(first + i)),
        recording.blank(shapes, steps=4),
      )

    return jax.jit(jax.vmap(run))(jnp.array([0.0, 10.0]))

  def test_holds_each_metric_by_its_name(self):
    found = self._recorded(count=4).by_name()
    self.assertSetEqual(set(found), {'loss', 'accuracy', 'gradient_norm'})
    steps = np.arange(4) + np.array([[0.0], [10.0]])
    np.testing.assert_array_equal(found['loss'], steps + 0.5)
    np.testing.assert_array_equal(found['accuracy'], steps - 0.5)
    np.testing.assert_array_equal(
      found['gradient_norm'], steps[..., None] + np.arange(3)
    )

  def test_what_is_not_written_is_nan(self):
    found = self._recorded(count=3).by_name()
    for values in found.values():
      self.assertTrue(np.isfinite(values[:, :3]).all())
      self.assertTrue(np.isnan(values[:, 3]).all())

  def test_is_an_array_for_each_shape(self):
    self.assertLen(self._recorded(count=1).arrays, 2)


if __name__ == '__main__':
  absltest.main()
