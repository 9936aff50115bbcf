"""Tests for `training/optimizer.py`."""

from absl.testing import absltest
from absl.testing import parameterized
import jax
import jax.numpy as jnp
from jaxdl import layers
from jaxdl.training import optimizer
import numpy as np
import optax


def _descend(gradient_transformation, steps=5):
  w = jnp.array([3.0, -2.0])
  state = gradient_transformation.init(w)
  for _ in range(steps):
    updates, state = gradient_transformation.update(2 * w, state, w)
    w = optax.apply_updates(w, updates)
  return jnp.sum(w**2)


class OptimizerTest(parameterized.TestCase):
  @parameterized.parameters(*optimizer.names())
  def test_descends(self, name):
    self.assertLess(_descend(optimizer.get(name)(0.05)), 13.0)

  @parameterized.parameters(*optimizer.names())
  def test_rates_may_be_traced(self, name):
    rates = jnp.array([0.01, 0.05])
    together = jax.vmap(lambda rate: _descend(optimizer.get(name)(rate)))(rates)
    for rate, loss in zip(rates, together, strict=True):
      np.testing.assert_allclose(
        loss, _descend(optimizer.get(name)(float(rate))), rtol=1e-5
      )

  def test_numbers_beside_the_rate(self):
    self.assertEqual(optimizer.hyperparameters('sgd'), {})
    self.assertEqual(
      optimizer.hyperparameters('adam'), {'b1': 0.9, 'b2': 0.999}
    )

  def test_weight_decay_leaves_the_slopes_of_prelu_alone(self):
    params = (layers.PreluParams(jnp.ones(3)), jnp.ones(2))
    decayed = optimizer.with_weight_decay(optimizer.sgd(1.0), 0.5)
    zeros = jax.tree.map(jnp.zeros_like, params)
    updates, _ = decayed.update(zeros, decayed.init(params), params)
    np.testing.assert_array_equal(updates[0].slope, np.zeros(3))
    np.testing.assert_array_equal(updates[1], [-0.5, -0.5])

  def test_unknown(self):
    with self.assertRaisesRegex(ValueError, 'sgd, momentum.*adam'):
      optimizer.get('adm')


if __name__ == '__main__':
  absltest.main()
