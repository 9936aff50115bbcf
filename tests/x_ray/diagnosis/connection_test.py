"""Tests for `diagnosis/connection.py`."""

from absl.testing import absltest
from absl.testing import parameterized
import jax
from jax import lax
import jax.numpy as jnp
from jaxdl.x_ray.diagnosis import connection
from jaxdl.x_ray.diagnosis import thresholds
import numpy as np

from tests.x_ray.diagnosis import networks

_LIMITS = thresholds.Thresholds()
_X = networks.data()[0]


def _params():
  random = np.random.RandomState(0)
  return {
    name: jnp.asarray(random.randn(8, 8) / 3, jnp.float32)
    for name in ('encoder', 'head', 'other')
  }


def _loss(between, uses_other=True):
  def loss(params, x):
    with jax.named_scope('encoder'):
      x = jnp.tanh(x @ params['encoder'])
    with jax.named_scope('head'):
      x = between(x) @ params['head']
    if uses_other:
      x = x + jnp.mean(params['other'] ** 2)
    return jnp.mean(x**2)

  return loss


class RuleTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('stop', lax.stop_gradient, 'stops at stop_gradient (connection_test.py:'),
    ('zero', lambda x: x * jnp.zeros(8) + 1, 'exactly zero on this batch'),
  )
  def test_what_is_in_the_way(self, between, evidence):
    (found,) = networks.findings(_loss(between), _params(), _X)
    self.assertEqual((found.verdict, found.where), ('disconnected', 'encoder'))
    self.assertIn(evidence, found.evidence)

  def test_not_used(self):
    def loss(params, x):
      return _loss(lambda x: x, uses_other=False)(params, x)

    (found,) = networks.findings(loss, _params(), _X)
    self.assertEqual(found.where, 'other')
    self.assertIn('the loss does not depend on `other`', found.evidence)

  def test_connected(self):
    examined = networks.examined(_loss(lambda x: x), _params(), _X)
    self.assertEmpty(connection.rule(examined, _LIMITS))

  def test_a_branch_that_starts_at_zero_is_no_fault(self):
    def loss(params, x):
      with jax.named_scope('branch'):
        x = x + jnp.tanh(x @ params['encoder']) @ params['other']
      with jax.named_scope('head'):
        return jnp.mean((x @ params['head'] - 1) ** 2)

    params = _params()
    params['other'] *= 0
    self.assertEmpty(networks.findings(loss, params, _X))

  def test_a_branch_that_is_not_taken_is_no_fault(self):
    def loss(params, x, flag):
      def expert(name):
        def branch(x):
          with jax.named_scope(name):
            return jnp.tanh(x @ params[name])

        return branch

      x = lax.cond(flag, expert('encoder'), expert('other'), x)
      with jax.named_scope('head'):
        return jnp.mean((x @ params['head']) ** 2)

    examined = networks.examined(loss, _params(), _X, jnp.asarray(True))
    self.assertEmpty(connection.rule(examined, _LIMITS))


if __name__ == '__main__':
  absltest.main()
