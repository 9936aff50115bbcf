"""Tests for `diagnosis/activity.py`."""

from absl.testing import absltest
from absl.testing import parameterized
import jax
import jax.numpy as jnp
from jaxdl.x_ray.diagnosis import activity
from jaxdl.x_ray.diagnosis import thresholds
import numpy as np

from tests.x_ray.diagnosis import networks

_LIMITS = thresholds.Thresholds()


def _attend(params, x):
  with jax.named_scope('attention'):
    q, k, v = (x @ params[n] for n in ('query', 'key', 'value'))
    a = jax.nn.softmax(jnp.einsum('bqd,bkd->bqk', q, k) / 4)
    x = x + jnp.einsum('bqk,bkd->bqd', a, v)
  with jax.named_scope('out'):
    return jnp.mean((x @ params['out']) ** 2)


class DeadTest(parameterized.TestCase):
  def test_biases_that_are_far_below_zero(self):
    params = networks.params(6)
    params['dense_02']['bias'] -= 50.0
    args = networks.loss(), params, *networks.data()
    (found,) = networks.findings(*args)
    self.assertEqual(found.verdict, 'dead')
    self.assertEqual(found.where, 'relu#3')
    self.assertStartsWith(found.evidence, '100% of its units are zero')
    self.assertIn('from `dense_02`, has mean -5', found.evidence)
    self.assertIn('disconnected', found.evidence)
    self.assertIn('`dense_02` with biases of zero', found.remedies[0])

  def test_units_that_are_alive(self):
    self.assertEmpty(activity.dead(networks.healthy(), _LIMITS))

  def test_a_few_values_are_zero_by_chance(self):
    params = networks.params(1, width=4)
    params['dense_00']['bias'] -= 50.0
    examined = networks.examined(
      networks.loss(), params, *networks.data(batch=2)
    )
    self.assertEmpty(activity.dead(examined, _LIMITS))


class SaturatedTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('tanh', jnp.tanh, 100.0), ('sigmoid', jax.nn.sigmoid, 500.0)
  )
  def test_weights_that_are_too_large(self, activation, value):
    params = networks.params(6)
    params['dense_01']['kernel'] *= value
    args = networks.loss(activation), params, *networks.data()
    (found,) = networks.findings(*args)
    name = {'tanh': 'tanh#2', 'sigmoid': 'sigmoid#2'}[
      'tanh' if activation is jnp.tanh else 'sigmoid'
    ]
    self.assertEqual((found.verdict, found.where), ('saturated', name))
    self.assertIn('`dense_01` with a smaller gain', found.remedies[0])

  def test_weights_that_are_not(self):
    args = networks.loss(jnp.tanh), networks.params(6), *networks.data()
    self.assertEmpty(networks.findings(*args))

  @parameterized.named_parameters(('sharp', 40.0, True), ('even', 1.0, False))
  def test_attention(self, scale, is_saturated):
    random = np.random.RandomState(0)
    params = {
      name: jnp.asarray(random.randn(16, 16) / 4, jnp.float32)
      for name in ('query', 'key', 'value', 'out')
    }
    params['query'] *= scale
    x = jnp.asarray(random.randn(3, 8, 16), jnp.float32)
    found = activity.saturated(networks.examined(_attend, params, x), _LIMITS)
    self.assertEqual(bool(found), is_saturated)
    for suspicion in found:
      self.assertEqual(suspicion.where, 'attention/softmax')
      self.assertIn('one of 8 keys', suspicion.evidence)

  def test_an_answer_may_be_sure(self):
    def loss(params, x):
      with jax.named_scope('dense'):
        p = x @ params['w']
      return jnp.mean(jax.nn.sigmoid(p))

    params = {'w': jnp.full((8, 1), 1000.0)}
    examined = networks.examined(loss, params, networks.data()[0])
    self.assertGreater(examined.rows[-1].forward.saturated, 0.9)
    self.assertEmpty(activity.saturated(examined, _LIMITS))


if __name__ == '__main__':
  absltest.main()
