"""Tests for `diagnosis/initialization.py`."""

from absl.testing import absltest
from absl.testing import parameterized
import jax
import jax.numpy as jnp
from jaxdl.x_ray.diagnosis import initialization
from jaxdl.x_ray.diagnosis import thresholds
import numpy as np

from tests.x_ray.diagnosis import networks

_LIMITS = thresholds.Thresholds()


def _with_kernels(value, layers):
  params = networks.params(6)
  for name in layers:
    params[name]['kernel'] = jnp.full_like(params[name]['kernel'], value)
  return params


class SymmetricTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('constant', 0.1, jnp.tanh), ('zero', 0.0, jax.nn.relu)
  )
  def test_all_layers_alike(self, value, activation):
    layers = [f'dense_{l:02}' for l in range(7)]
    found = networks.findings(
      networks.loss(activation), _with_kernels(value, layers), *networks.data()
    )
    self.assertEqual([f.verdict for f in found], ['symmetric'])
    self.assertIn('sqrt(2 / ', found[0].remedies[0])

  def test_one_layer_of_constants(self):
    params = _with_kernels(0.1, ['dense_01'])
    found = networks.findings(networks.loss(), params, *networks.data())
    self.assertEqual(found[0].verdict, 'symmetric')
    self.assertEqual(found[0].where, 'dense_01/kernel')

  def test_equal_columns_of_random_rows(self):
    params = networks.params(6)
    for name in params:
      kernel = params[name]['kernel']
      params[name]['kernel'] = jnp.broadcast_to(kernel[:, :1], kernel.shape)
    found = networks.findings(networks.loss(), params, *networks.data())
    self.assertEqual(found[0].verdict, 'symmetric')

  def test_a_readout_may_start_at_zero(self):
    params = _with_kernels(0.0, ['dense_06'])
    self.assertEmpty(
      networks.findings(networks.loss(), params, *networks.data())
    )

  def test_random_weights(self):
    self.assertEmpty(initialization.symmetric(networks.healthy(), _LIMITS))


def _averaging(shortcut):
  """Attention that averages over all positions, a few times."""

  def loss(params, x):
    for l in range(4):
      with jax.named_scope(f'attention_{l}'):
        a = jax.nn.softmax(jnp.einsum('bqd,bkd->bqk', x, x) / 16)
        y = jnp.einsum('bqk,bkd->bqd', a, x @ params[l])
        x = y + x if shortcut else y
    with jax.named_scope('head'):
      return jnp.mean((x @ params[4]) ** 2)

  return loss


class RankCollapseTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('attention_alone', False), ('with_shortcuts', True)
  )
  def test_positions(self, shortcut):
    random = np.random.RandomState(0)
    params = [
      jnp.asarray(random.randn(16, 16) / 4, jnp.float32) for _ in range(5)
    ]
    x = jnp.asarray(random.randn(3, 8, 16), jnp.float32)
    found = initialization.rank_collapse(
      networks.examined(_averaging(shortcut), params, x), _LIMITS
    )
    self.assertEqual(bool(found), not shortcut)
    for suspicion in found:
      self.assertIn('two positions of an example', suspicion.evidence)
      self.assertIn('attention too', suspicion.remedies[0])

  def test_examples_drowned_in_biases(self):
    params = networks.params(6, 1.0)
    random = np.random.RandomState(1)
    for name in list(params)[1:-1]:
      params[name]['bias'] = jnp.asarray(random.randn(16) * 10, jnp.float32)
    found = networks.findings(networks.loss(), params, *networks.data())
    self.assertEqual([f.verdict for f in found], ['rank_collapse'])
    self.assertIn('two examples differ in direction', found[0].evidence)

  def test_examples_that_are_alike_from_the_start(self):
    x, labels = networks.data()
    args = networks.params(6), x * 1e-3 + 1.0, labels
    found = initialization.rank_collapse(
      networks.examined(networks.loss(), *args), _LIMITS
    )
    self.assertEmpty(found)


if __name__ == '__main__':
  absltest.main()
