"""Tests for `precision.py`."""

from absl.testing import absltest
import chex
import jax
import jax.numpy as jnp
from jaxdl import layers
from jaxdl.layers import precision
import numpy as np


def _net():
  return layers.serial(
    layers.dense(8),
    layers.batch_norm(),
    layers.activation('tanh'),
    layers.dense(3),
  )


class InDtypeTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.net = precision.in_dtype(_net(), jnp.bfloat16)
    _, self.params, self.state = self.net.init(jax.random.key(0), (5,))
    self.x = jax.random.normal(jax.random.key(1), (64, 5))

  def _loss(self, net, params):
    y, state = net.apply(params, self.state, self.x, train=True)
    return jnp.mean(y**2), state

  def test_products_are_computed_in_bfloat16(self):
    text = str(
      jax.make_jaxpr(lambda p: self._loss(self.net, p)[0])(self.params)
    )
    products = [line for line in text.splitlines() if 'dot_general' in line]
    self.assertLen(products, 2)
    for line in products:
      self.assertIn('bf16[', line)

  def test_parameters_gradients_and_state_stay_float32(self):
    grads, state = jax.grad(lambda p: self._loss(self.net, p), has_aux=True)(
      self.params
    )
    chex.assert_trees_all_equal_shapes_and_dtypes(grads, self.params)
    chex.assert_trees_all_equal_shapes_and_dtypes(state, self.state)
    y, _ = self.net.apply(self.params, self.state, self.x)
    self.assertEqual(y.dtype, jnp.float32)

  def test_gradient_is_that_of_float32_to_rounding(self):
    wide, _ = jax.grad(lambda p: self._loss(_net(), p), has_aux=True)(
      self.params
    )
    grads, _ = jax.grad(lambda p: self._loss(self.net, p), has_aux=True)(
      self.params
    )
    flat = lambda tree: jnp.concatenate(
      [x.ravel() for x in jax.tree.leaves(tree)]
    )
    error = jnp.linalg.norm(flat(grads) - flat(wide))
    self.assertLess(float(error / jnp.linalg.norm(flat(wide))), 0.02)
    self.assertGreater(float(error), 0)  # It was rounded.
    np.testing.assert_array_equal(grads[0].w.shape, (5, 8))

  def test_integer_images_have_answers_in_float32(self):
    images = jnp.arange(20, dtype=jnp.uint8).reshape(4, 5)
    y, _ = self.net.apply(self.params, self.state, images)
    self.assertEqual(y.dtype, jnp.float32)
    self.assertGreater(float(jnp.abs(y - jnp.round(y)).max()), 0)


if __name__ == '__main__':
  absltest.main()
