"""Tests for `depth.py`."""

from absl.testing import absltest
from absl.testing import parameterized
import jax
from jax import lax
import jax.numpy as jnp
from jaxdl import layers
from jaxdl.geometry import depth
from jaxdl.geometry import traced


def _depth(model, in_shape, params=None):
  found = traced.trace(model, in_shape, params)
  inputs = [0 if key == found.x else None for key in found.graph.inputs]
  return depth.longest_path(found.graph, inputs)[0]


class LongestPathTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('dense', layers.dense(2), 1),
    ('chain', layers.serial(*[layers.dense(3)] * 4), 4),
    ('repeated', layers.repeat(layers.dense(3), 100), 100),
    ('identity', layers.identity(), 0),
    (
      'residual with a projection',
      layers.residual(
        layers.serial(layers.dense(2), layers.dense(2)), layers.dense(2)
      ),
      2,
    ),
    (
      'deep shortcut',
      layers.residual(layers.dense(2), layers.serial(*[layers.dense(2)] * 3)),
      3,
    ),
    ('normalized', layers.serial(layers.dense(3), layers.layer_norm()), 1),
  )
  def test_of_layers(self, layer, expected):
    self.assertEqual(_depth(layer, (3,)), expected)

  def test_of_a_scan_that_collects(self):
    def fn(w, x):
      step = lambda x, w: (jnp.tanh(x @ w),) * 2
      return lax.scan(step, x, w)[1]

    w = jax.ShapeDtypeStruct((7, 3, 3), jnp.float32)
    self.assertEqual(_depth(fn, (3,), w), 7)

  def test_of_branches_and_calls(self):
    def fn(w, x):
      x = jax.checkpoint(lambda x: jax.nn.relu(x @ w))(x)
      return lax.cond(w[0, 0] > 0, lambda: x @ w @ w, lambda: x @ w)

    w = jax.ShapeDtypeStruct((3, 3), jnp.float32)
    self.assertEqual(_depth(fn, (3,), w), 3)

  def test_products_of_two_values_have_no_weights(self):
    attention = lambda x: jax.nn.softmax(x @ x.mT) @ x
    self.assertEqual(_depth(attention, (4, 3)), 0)

  def test_what_does_not_depend_on_the_input_has_none(self):
    self.assertIsNone(_depth(lambda x: jnp.arange(3.0) + 1, (3,)))


if __name__ == '__main__':
  absltest.main()
