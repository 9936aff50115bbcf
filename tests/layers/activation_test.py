"""Tests for `activation.py`."""

from absl.testing import absltest
from absl.testing import parameterized
import jax
import jax.numpy as jnp
from jaxdl import activations
from jaxdl.layers import activation
import numpy as np

_X = jnp.linspace(-2, 2, 12).reshape(3, 4)


class ActivationTest(parameterized.TestCase):
  @parameterized.parameters(*activations.names())
  def test_initially_computes_the_function(self, name):
    for name_or_fn in (name, activations.get(name).fn):
      layer = activation(name_or_fn)
      _, params, state = layer.init(jax.random.key(0), (4,))
      y, _ = layer.apply(params, state, _X)
      np.testing.assert_allclose(y, activations.get(name).fn(_X), rtol=1e-6)

  def test_takes_any_function(self):
    y, _ = activation(jnp.cos).apply((), (), _X)
    np.testing.assert_array_equal(y, jnp.cos(_X))

  def test_hyperparameters_may_be_traced(self):
    def run(alpha):
      return activation('elu', alpha=alpha).apply((), (), _X)[0]

    actual = jax.vmap(run)(jnp.array([0.5, 2.0]))
    expected = jnp.stack([run(0.5), run(2.0)])
    np.testing.assert_allclose(actual, expected, rtol=1e-6)

  def test_rrelu_draws_in_training_alone(self):
    layer = activation('rrelu')
    key = jax.random.key(0)
    at_test, _ = layer.apply((), (), _X, key=key)
    in_training, _ = layer.apply((), (), _X, train=True, key=key)
    np.testing.assert_array_equal(at_test, activations.rrelu(_X))
    np.testing.assert_array_equal(in_training, activations.rrelu(_X, key=key))

  def test_refuses_a_hyperparameter_it_lacks(self):
    with self.assertRaisesRegex(ValueError, 'relu has no hyperparameter'):
      activation('relu', slope=0.1)

  def test_refuses_channel_shared_but_for_prelu(self):
    with self.assertRaisesRegex(ValueError, 'is for prelu, not for relu'):
      activation('relu', channel_shared=True)


class PreluTest(parameterized.TestCase):
  @parameterized.parameters((False, (4,)), (True, ()))
  def test_slope_starts_at_a_quarter_and_learns(self, channel_shared, shape):
    layer = activation('prelu', channel_shared=channel_shared)
    _, params, state = layer.init(jax.random.key(0), (4,))
    np.testing.assert_array_equal(params.slope, np.full(shape, 0.25))

    grads = jax.grad(lambda p: jnp.sum(layer.apply(p, state, _X)[0]))(params)

    negative = np.minimum(_X, 0)
    expected = negative.sum(None if channel_shared else 0)
    np.testing.assert_allclose(grads.slope, expected, rtol=1e-6)

  def test_initial_slope_may_be_traced(self):
    init = lambda slope: activation('prelu', slope=slope).init(
      jax.random.key(0), (4,)
    )[1]
    slope = jax.vmap(init)(jnp.array([0.1, 0.2])).slope
    np.testing.assert_allclose(slope, np.outer([0.1, 0.2], np.ones(4)))


if __name__ == '__main__':
  absltest.main()
