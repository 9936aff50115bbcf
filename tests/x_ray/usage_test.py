"""Tests for `x_ray/usage.py`."""

from absl.testing import absltest
import jax
import jax.numpy as jnp
from jaxdl.tracing import parameters
from jaxdl.tracing import probing
from jaxdl.x_ray import usage


def _loss(params, x):
  with jax.named_scope('net'):
    for w, b in params['layers']:
      x = jnp.tanh(x @ w + b)
    x = x @ params['head']
  with jax.named_scope('tanh'):
    return jnp.sum(jnp.tanh(x * params['scale']))


class UsageTest(absltest.TestCase):
  def test_each_activation_in_a_module_has_what_is_used_before_it(self):
    params = {
      'head': jnp.ones((3, 2)),
      'layers': [(jnp.ones((3, 3)), jnp.ones(3))] * 2,
      'scale': jnp.ones(2),
    }
    traced = probing.trace(_loss, (params, jnp.ones((4, 3))), {})
    count = len(jax.tree.leaves(params))
    uses = parameters.first_uses(traced.graph, range(count))
    found = {site.paths[0]: site for site in traced.sites}
    before = usage.before_activations(traced.sites, uses)
    by_name = {name: before.get(site.key) for name, site in found.items()}
    self.assertEqual(by_name['net/tanh'], (1, 2))
    self.assertEqual(by_name['net/tanh#2'], (3, 4))
    self.assertIsNone(by_name['net'])
    self.assertEqual(usage.of_site(found['net'], uses), (1, 2, 3, 4, 0))
    # A scope that is called like an activation, and has a parameter of its own.
    self.assertIsNone(by_name['tanh'])
    self.assertEqual(usage.of_site(found['tanh'], uses), (5,))


if __name__ == '__main__':
  absltest.main()
