"""Tests for `diagnosis/batch.py`."""

from absl.testing import absltest
from absl.testing import parameterized
import equinox as eqx
from flax import nnx
import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxdl.x_ray import examination
from jaxdl.x_ray.diagnosis import batch
from jaxdl.x_ray.diagnosis import thresholds
import numpy as np

from tests.x_ray.diagnosis import networks

_LIMITS = thresholds.Thresholds()


class InputScaleTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('bytes', lambda x: jnp.abs(x) * 60 % 256, 'x / 255'),
    ('large', lambda x: x * 1000, '(x - '),
    ('small', lambda x: x * 1e-4, '(x - '),
    ('far_off', lambda x: x + 9, '(x - '),
    ('constant', lambda x: x * 0 + 1, 'every number'),
  )
  def test_is_off(self, change, remedy):
    x, labels = networks.data()
    examined = networks.examined(
      networks.loss(), networks.params(6), change(x), labels
    )
    (found,) = batch.input_scale(examined, _LIMITS)
    self.assertEqual(found.where, 'dense_00')
    self.assertIn(remedy, found.remedies[0])

  @parameterized.named_parameters(
    ('standard', lambda x: x),
    ('between_zero_and_one', lambda x: jnp.abs(x) % 1),
    ('one_hot', lambda x: (x == jnp.max(x, -1, keepdims=True)) * 1.0),
  )
  def test_is_right(self, change):
    x, labels = networks.data()
    examined = networks.examined(
      networks.loss(), networks.params(6), change(x), labels
    )
    self.assertEmpty(batch.input_scale(examined, _LIMITS))

  @parameterized.named_parameters(
    ('divided', lambda x: x.astype(jnp.float32) / 255, 0),
    ('as_they_are', lambda x: x.astype(jnp.float32).reshape(16, 8), 1),
  )
  def test_bytes_that_the_model_scales_or_does_not(self, scale, count):
    def loss(params, x, labels):
      return networks.loss()(params, scale(x), labels)

    x, labels = networks.data()
    x = jnp.asarray(jnp.abs(x) * 60 % 256, jnp.uint8)
    examined = networks.examined(loss, networks.params(1), x, labels)
    self.assertLen(batch.input_scale(examined, _LIMITS), count)


class _Linen(nn.Module):
  @nn.compact
  def __call__(self, x):
    x = nn.BatchNorm(use_running_average=False, name='norm')(
      nn.Dense(8, name='dense')(x)
    )
    return nn.Dense(5, name='head')(nn.relu(x))


class _Nnx(nnx.Module):
  def __init__(self, rngs):
    self.dense = nnx.Linear(8, 8, rngs=rngs)
    self.norm = nnx.BatchNorm(8, rngs=rngs)
    self.head = nnx.Linear(8, 5, rngs=rngs)

  def __call__(self, x):
    return self.head(nnx.relu(self.norm(self.dense(x))))


class _Equinox(eqx.Module):
  dense: eqx.nn.Linear
  norm: eqx.nn.BatchNorm
  head: eqx.nn.Linear

  def __init__(self, key):
    first, second = jax.random.split(key)
    self.dense = eqx.nn.Linear(8, 8, key=first)
    self.norm = eqx.nn.BatchNorm(8, 'batch', mode='batch')
    self.head = eqx.nn.Linear(8, 5, key=second)

  def __call__(self, x, state):
    x, state = self.norm(self.dense(x), state)
    return self.head(jax.nn.relu(x))


def _linen():
  model = _Linen()

  def loss(variables, x, labels):
    y, _ = model.apply(variables, x, mutable=['batch_stats'])
    return networks.cross_entropy(y, labels)

  return loss, model.init(jax.random.key(0), jnp.ones((2, 8)))


def _nnx():
  loss = lambda m, x, labels: networks.cross_entropy(m(x), labels)
  return loss, _Nnx(nnx.Rngs(0))


def _equinox():
  model, state = eqx.nn.make_with_state(_Equinox)(jax.random.key(0))

  def loss(model, x, labels):
    y = jax.vmap(model, (0, None), axis_name='batch')(x, state)
    return networks.cross_entropy(y, labels)

  return loss, model


class BatchNormTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('linen', _linen), ('nnx', _nnx), ('equinox', _equinox)
  )
  def test_library(self, make):
    loss, model = make()
    x, labels = networks.data()
    examined = networks.examined(loss, model, x, labels)
    self.assertLen(examined.moments, 1)
    self.assertEqual(examined.moments[0].name, 'norm')
    self.assertEmpty(batch.batch_norm(examined, _LIMITS))
    same = jnp.broadcast_to(x[:1], x.shape)
    found = networks.findings(loss, model, same, labels)
    self.assertEqual([f.verdict for f in found], ['batch_norm_degenerate'])
    self.assertIn('in all 16 places', found[0].evidence)

  def test_batch_of_one(self):
    loss, model = _nnx()
    (found,) = networks.findings(loss, model, *networks.data(batch=1))
    self.assertEqual(found.verdict, 'batch_norm_degenerate')
    self.assertEqual(found.where, 'norm')
    self.assertIn('over a single number', found.evidence)

  def test_normalizations_over_units_are_others(self):
    def loss(params, x):
      with jax.named_scope('norm'):
        x = x @ params['w']
        x = (x - x.mean(-1, keepdims=True)) / jnp.sqrt(
          x.var(-1, keepdims=True) + 1e-5
        )
      return jnp.mean((x @ params['v']) ** 2)

    random = np.random.RandomState(0)
    params = {n: jnp.asarray(random.randn(8, 8), jnp.float32) for n in 'wv'}
    examined = networks.examined(loss, params, networks.data()[0])
    self.assertEmpty(examined.moments)


class ShapeBroadcastTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('labels_without_axis', lambda p, y, column: (p - y) ** 2, True),
    ('labels_with_axis', lambda p, y, column: (p[:, 0] - column) ** 2, True),
    ('both_without', lambda p, y, column: (p[:, 0] - y) ** 2, False),
    ('both_with', lambda p, y, column: (p - column) ** 2, False),
    ('axis_of_labels', lambda p, y, column: (p[:, 0] - y[:, None]) ** 2, True),
    ('axis_of_p', lambda p, y, column: jnp.abs(p[:, 0][:, None] - y), True),
    (
      'all_pairs_on_purpose',
      lambda p, y, column: (p[:, 0][:, None] - y[None]) ** 2,
      False,
    ),
    (
      'nearest_label',
      lambda p, y, column: jnp.min((p[:, 0] - y[:, None]) ** 2, axis=0),
      False,
    ),
    (
      'distance_of_samples',
      lambda p, y, column: (
        jnp.mean(abs(p[:, 0] - y[:, None]))
        - jnp.mean(abs(p[:, 0] - p[:, 0][:, None])) / 2
      ),
      False,
    ),
    ('ranks', lambda p, y, column: abs(p[:, 0] - p[:, 0][:, None]), False),
  )
  def test_shapes(self, error, is_wrong):
    def loss(params, x, y, column):
      with jax.named_scope('head'):
        p = x @ params['w']
      return jnp.mean(error(p, y, column))

    x, y = networks.data()
    y = y * 1.0
    params = {'w': jnp.asarray(np.random.RandomState(0).randn(8, 1) * 0.3)}
    params = jax.tree.map(lambda w: w.astype(jnp.float32), params)
    args = x, y, y[:, None]
    subject = examination.subject(loss, params, args, False)
    broadcasts = subject.structure.broadcasts
    examined = networks.healthy()._replace(broadcasts=broadcasts)
    found = batch.shape_broadcast(examined, _LIMITS)
    self.assertEqual(bool(found), is_wrong)
    for suspicion in found:
      self.assertStartsWith(suspicion.where, 'batch_test.py:')
      self.assertIn('[16, 1] and [16]', suspicion.evidence)


if __name__ == '__main__':
  absltest.main()
