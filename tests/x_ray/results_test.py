"""Tests for `x_ray/results.py`."""

from absl.testing import absltest
import jax
import jax.numpy as jnp
from jaxdl.x_ray import examination
from jaxdl.x_ray import results
import numpy as np


class ExaminationTest(absltest.TestCase):
  def test_holds_what_was_measured_of_data_and_of_representations(self):
    def loss(params, x):
      with jax.named_scope('dense'):
        y = (x - 1) @ params['w'] + params['b']
      with jax.named_scope('norm'):
        y = (y - y.mean(0)) / jnp.sqrt(y.var(0) + 1e-5)
      return jnp.mean(y**4)

    random = np.random.RandomState(0)
    params = {
      'b': jnp.zeros(3),
      'unused': jnp.ones(2),
      'w': jnp.asarray(random.randn(5, 3), jnp.float32),
    }
    x = jnp.asarray(random.randn(6, 5) + 1, jnp.float32)
    subject = examination.subject(loss, params, (x,), False)
    found = examination.examine(subject)
    self.assertIsInstance(found, results.Examination)
    (data,) = found.inputs
    self.assertEqual((data.name, data.shape), ('dense', (6, 5)))
    np.testing.assert_allclose(data.forward.mean, np.mean(x - 1), atol=1e-6)
    (moments,) = found.moments
    self.assertEqual((moments.name, moments.axes), ('norm', (0,)))
    self.assertEqual(moments.constant, 0)
    self.assertEqual(found.broadcasts, ())
    obstacles = {p.name: p.obstacle for p in found.parameters}
    self.assertEqual(obstacles, {'b': '', 'unused': 'unused', 'w': ''})
    parallel = {p.name: p.parallel for p in found.parameters}
    self.assertGreater(parallel['w'], 0.1)
    self.assertTrue(np.isnan(parallel['b']))
    self.assertGreater(found.rows[0].representation.spread, 0.1)


if __name__ == '__main__':
  absltest.main()
