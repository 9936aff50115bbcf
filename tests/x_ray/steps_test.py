"""Tests for `x_ray/steps.py`; `cures_test.py` has those of batches."""

from absl.testing import absltest
import chex
from flax import nnx
import jax
import jax.numpy as jnp
from jaxdl.x_ray import examination
from jaxdl.x_ray import steps
import numpy as np
import optax


class AfterTest(absltest.TestCase):
  def test_is_the_model_that_a_loop_trains(self):
    x = jnp.asarray(np.random.RandomState(0).randn(8, 3), jnp.float32)
    model = nnx.Linear(3, 2, rngs=nnx.Rngs(0))
    loss_fn = lambda model, x: jnp.mean((model(x) - 1) ** 2)
    subject = examination.subject(loss_fn, model, (x,), False)
    trained = steps.after(subject, optax.adam(0.1), 3)
    optimizer = nnx.Optimizer(model, optax.adam(0.1), wrt=nnx.Param)
    for _ in range(3):
      optimizer.update(model, nnx.grad(loss_fn)(model, x))
    expected = examination.subject(loss_fn, model, (x,), False)
    chex.assert_trees_all_close(
      trained.adapted.params, expected.adapted.params, rtol=1e-5
    )
    chex.assert_trees_all_equal(
      steps.after(subject, optax.adam(0.1), 0).adapted.params,
      subject.adapted.params,
    )


class StackedTest(absltest.TestCase):
  def test_stacks_arrays_and_leaves_what_is_none(self):
    batches = [(jnp.ones(3), True), (jnp.zeros(3), True)]
    (found,) = steps.stacked(batches[0], batches)
    np.testing.assert_array_equal(found, [[1, 1, 1], [0, 0, 0]])

  def test_keys_are_stacked_too(self):
    args = (jax.random.key(0),)
    (found,) = steps.stacked(args, None)
    self.assertEqual(found.shape, (1,))

  def test_refuses_a_batch_with_another_constant(self):
    with self.assertRaisesRegex(ValueError, 'batch 0 of batches is not like'):
      steps.stacked((jnp.ones(3), True), [(jnp.ones(3), False)])


if __name__ == '__main__':
  absltest.main()
