"""Tests for `x_ray/optimizer_state.py`."""

from absl.testing import absltest
from absl.testing import parameterized
import chex
import equinox
from flax import nnx
import jax
import jax.numpy as jnp
from jaxdl.x_ray import adapters
from jaxdl.x_ray import optimizer_state
import numpy as np
import optax


def _differing(params):
  """Gradients that tell each parameter from the others."""
  return [(i + 1) * jnp.ones_like(x) for i, x in enumerate(params)]


class OfTest(parameterized.TestCase):
  @parameterized.parameters(
    lambda: optax.sgd(0.1, momentum=0.9),
    lambda: optax.adam(0.1),
    lambda: optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(0.1)),
  )
  def test_of_any_library_it_is_the_state_of_the_parameters(self, make):
    optimizer = make()
    linear = nnx.Linear(3, 2, rngs=nnx.Rngs(0))
    of_nnx = nnx.Optimizer(linear, optimizer, wrt=nnx.Param)
    dense = equinox.nn.Linear(3, 2, key=jax.random.key(0))
    tree = {'b': jnp.ones(2), 'a': [jnp.ones((2, 3)), jnp.ones(4)]}
    of_tree = optimizer.init(tree)
    for model, state in (
      (linear, of_nnx.opt_state),
      (dense, optimizer.init(equinox.filter(dense, equinox.is_inexact_array))),
      (tree, of_tree),
    ):
      params = adapters.adapt(lambda model: 0.0, model).params
      found = optimizer_state.of(optimizer, state, params)
      chex.assert_trees_all_equal(found, optimizer.init(params))

  def test_keeps_the_order(self):
    optimizer = optax.sgd(0.1, momentum=0.9)
    tree = {'b': jnp.ones(2), 'a': [jnp.ones((2, 3)), jnp.ones(2)]}
    leaves, structure = jax.tree.flatten(tree)
    gradients = jax.tree.unflatten(structure, _differing(leaves))
    _, state = optimizer.update(gradients, optimizer.init(tree), tree)
    params = adapters.adapt(lambda model: 0.0, tree).params
    found = optimizer_state.of(optimizer, state, params)
    for trace, gradient in zip(found[0].trace, _differing(params), strict=True):
      np.testing.assert_array_equal(trace, gradient)

  def test_of_a_first_step_by_default(self):
    params = (jnp.ones(3),)
    found = optimizer_state.of(optax.adam(0.1), None, params)
    chex.assert_trees_all_equal(found, optax.adam(0.1).init(params))

  def test_refuses_anothers_state(self):
    state = optax.adam(0.1).init({'w': jnp.ones(3)})
    for optimizer, size in ((optax.sgd(0.1), 3), (optax.adam(0.1), 4)):
      with self.assertRaisesRegex(
        TypeError, r'opt_state has 3 arrays of shapes \(\), \(3,\), \(3,\);'
      ):
        optimizer_state.of(optimizer, state, (jnp.ones(size),))

  def test_refuses_what_is_no_optimizer(self):
    optimizer_state.check(None)
    optimizer_state.check(optax.sgd(0.1))
    linear = nnx.Linear(3, 2, rngs=nnx.Rngs(0))
    of_nnx = nnx.Optimizer(linear, optax.sgd(0.1), wrt=nnx.Param)
    with self.assertRaisesRegex(TypeError, 'of type Optimizer; give one of op'):
      optimizer_state.check(of_nnx)


if __name__ == '__main__':
  absltest.main()
