"""Tests for `x_ray/adapters.py`."""

from absl.testing import absltest
from absl.testing import parameterized
import equinox as eqx
from flax import nnx
import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
from jaxdl.x_ray import adapters
import numpy as np

from tests.x_ray import outlines

_X = jnp.ones((2, 3))


class _Linen(nn.Module):
  @nn.compact
  def __call__(self, x):
    x = nn.Dense(4, name='dense')(x)
    return nn.BatchNorm(use_running_average=False, name='norm')(x)


class _Nnx(nnx.Module):
  def __init__(self):
    rngs = nnx.Rngs(0)
    self.dense = nnx.Linear(3, 4, rngs=rngs)
    self.norm = nnx.BatchNorm(4, rngs=rngs)

  def __call__(self, x):
    return self.norm(self.dense(x))


def _linen():
  model = _Linen()

  def loss(variables, x):
    y, _ = model.apply(variables, x, mutable=['batch_stats'])
    return jnp.sum(y)

  return loss, model.init(jax.random.key(0), _X)


def _haiku():
  network = hk.without_apply_rng(
    hk.transform(lambda x: hk.nets.MLP([4], name='mlp')(x))
  )
  loss = lambda params, x: jnp.sum(network.apply(params, x))
  return loss, network.init(jax.random.key(0), _X)


def _equinox():
  model = eqx.nn.MLP(3, 4, 5, 1, key=jax.random.key(0))
  return lambda model, x: jnp.sum(jax.vmap(model)(x)), model


class AdaptTest(parameterized.TestCase):
  @parameterized.named_parameters(
    (
      'linen',
      _linen,
      {'dense/kernel', 'dense/bias', 'norm/scale', 'norm/bias'},
    ),
    (
      'nnx',
      lambda: (lambda m, x: jnp.sum(m(x)), _Nnx()),
      {'dense/kernel', 'dense/bias', 'norm/scale', 'norm/bias'},
    ),
    ('haiku', _haiku, {'mlp/linear_0/w', 'mlp/linear_0/b'}),
    (
      'equinox',
      _equinox,
      {
        'layers/0/weight',
        'layers/0/bias',
        'layers/1/weight',
        'layers/1/bias',
      },
    ),
  )
  def test_names_the_parameters_and_returns_the_loss(self, make, expected):
    loss, model = make()
    adapted = adapters.adapt(loss, model)
    self.assertEqual(set(adapted.names), expected)
    np.testing.assert_allclose(
      jax.jit(adapted.loss)(adapted.params, adapted.rest, _X),
      loss(model, _X),
      rtol=1e-6,
      atol=1e-6,
    )

  @parameterized.named_parameters(
    ('dictionary', lambda a, b: {'a': a, 'b': b}, ('a', 'b')),
    ('tuple', lambda *pair: pair, (0, 1)),
  )
  def test_several_modules(self, hold, keys):
    first, second = keys
    rngs = nnx.Rngs(0)
    of_nnx = hold(nnx.Linear(3, 3, rngs=rngs), nnx.Linear(3, 2, rngs=rngs))
    key = jax.random.key(0)
    of_equinox = hold(
      eqx.nn.Linear(3, 3, key=key), eqx.nn.Linear(3, 2, key=key)
    )

    def loss_of_nnx(models, x):
      return jnp.sum(models[second](models[first](x)))

    def loss_of_equinox(models, x):
      return jnp.sum(jax.vmap(lambda x: models[second](models[first](x)))(x))

    for loss, models in (
      (loss_of_nnx, of_nnx),
      (loss_of_equinox, of_equinox),
    ):
      rows = outlines.examined(loss, models, _X).rows
      self.assertEqual([row.name for row in rows], list(map(str, keys)))
      adapted = adapters.adapt(loss, models)
      value = adapted.loss(adapted.params, adapted.rest, _X)
      np.testing.assert_allclose(value, loss(models, _X), rtol=1e-6)

  def test_a_pytree_of_which_a_part_is_called_params(self):
    model = {'params': {'w': jnp.ones(3)}, 'temperature': jnp.ones([])}
    loss = lambda m, x: jnp.sum(x @ m['params']['w']) * m['temperature']
    adapted = adapters.adapt(loss, model)
    self.assertEqual(adapted.names, ('params/w', 'temperature'))

  def test_a_module_that_holds_no_parameters_says_what_does(self):
    with self.assertRaisesRegex(TypeError, 'of type _Linen.*its variables'):
      adapters.adapt(lambda m, x: jnp.sum(x), _Linen())

  def test_integers_and_what_is_no_array_are_no_parameters(self):
    model = {'w': jnp.ones(3), 'count': jnp.arange(2), 'name': 'linear'}
    adapted = adapters.adapt(
      lambda m, x: jnp.sum(x @ m['w']) * (m['name'] == 'linear'), model
    )
    self.assertEqual(adapted.names, ('w',))
    self.assertLen(adapted.rest, 1)
    self.assertEqual(adapted.loss(adapted.params, adapted.rest, _X), 6)

  @parameterized.named_parameters(
    ('loss', None, {'w': jnp.ones(3)}, 'the loss is None'),
    ('no_parameters', jnp.sum, {'w': jnp.arange(3)}, 'no parameters'),
    ('no_model', jnp.sum, None, 'the model is None'),
    ('linen', jnp.sum, nn.Dense(3, dtype=jnp.float16), 'of type Dense.*no par'),
  )
  def test_refuses(self, loss, model, message):
    with self.assertRaisesRegex(TypeError, message):
      adapters.adapt(loss, model)


if __name__ == '__main__':
  absltest.main()
