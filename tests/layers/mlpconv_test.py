"""Tests for `mlpconv.py`."""

from absl.testing import absltest
import jax
import jax.numpy as jnp
from jaxdl import layers
from jaxdl.layers import mlpconv  # The function: it bears its module's name.
import numpy as np

_TANH = layers.activation('tanh')
_X = np.random.default_rng(0).standard_normal((2, 5, 6, 3)).astype(np.float32)


def _drawn(net):
  """Returns params, drawn by numpy, which compiles nothing; and state."""
  rng = np.random.default_rng(1)
  init = lambda key: net.init(key, _X.shape[1:])[1:]
  params, state = jax.eval_shape(init, jax.random.key(0))
  draw = lambda p: rng.standard_normal(p.shape).astype(np.float32) / 3
  return jax.tree.map(draw, params), jax.tree.map(draw, state)


class MlpconvTest(absltest.TestCase):
  def test_is_a_perceptron_on_each_window(self):
    net = mlpconv((4, 7, 2), (3, 2), activation=_TANH, padding='VALID')
    params, state = _drawn(net)
    y, _ = jax.jit(net.apply)(params, state, jnp.asarray(_X))
    self.assertEqual(y.shape, (2, 3, 5, 2))

    weights = [p for p in params if p]  # Activations have none.
    for i, j in np.ndindex(3, 5):
      hidden = _X[:, i : i + 3, j : j + 2].reshape(2, -1).astype(np.float64)
      for p in weights:
        hidden = np.tanh(hidden @ np.reshape(p.w, (-1, p.w.shape[-1])) + p.b)
      np.testing.assert_allclose(y[:, i, j], hidden, rtol=1e-4, atol=1e-5)

  def test_of_1x1_equals_dense_layers_over_channels(self):
    net = mlpconv((4, 5), 1, activation=_TANH)
    params, state = _drawn(net)
    y, _ = jax.jit(net.apply)(params, state, jnp.asarray(_X))

    dense = layers.serial(layers.dense(4), _TANH, layers.dense(5), _TANH)
    dense_params = tuple(
      layers.DenseParams(p.w[0, 0], p.b) if p else () for p in params
    )
    expected, _ = jax.jit(dense.apply)(dense_params, state, jnp.asarray(_X))
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-6)

  def test_scopes_and_norms(self):
    net = mlpconv(
      (4, 4, 4), activation=_TANH, norm=layers.batch_norm(), use_bias=False
    )
    params, state = _drawn(net)
    text = jax.make_jaxpr(net.apply)(params, state, jnp.asarray(_X))
    scopes = [
      str(eqn.source_info.name_stack).split('/')[0] for eqn in text.jaxpr.eqns
    ]
    self.assertEqual(
      list(dict.fromkeys(scopes)),
      ['conv', 'norm1', 'activation1', 'mlp1', 'norm2', 'activation2']
      + ['mlp2', 'norm', 'activation'],
    )
    convs = [p for p in params if isinstance(p, layers.ConvParams)]
    self.assertEqual([p.b for p in convs], [(), (), ()])

  def test_convolutions_are_those_within(self):
    sizes = dict(strides=2, padding='VALID', use_bias=False)
    convolutions = layers.mlpconv_convolutions((4, 7, 2), 3, **sizes)
    self.assertEqual(list(convolutions), ['conv', 'mlp1', 'mlp2'])
    net = mlpconv((4, 7, 2), 3, activation=_TANH, **sizes)
    params, _ = _drawn(net)
    expected = _drawn(layers.named(convolutions))[0]
    self.assertEqual(
      [p.w.shape for p in params if p], [p.w.shape for p in expected]
    )

  def test_refuses_no_features(self):
    with self.assertRaisesRegex(ValueError, 'needs the features of one'):
      mlpconv((), activation=_TANH)


if __name__ == '__main__':
  absltest.main()
