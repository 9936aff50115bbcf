"""Tests for `shortcuts.py`."""

from absl.testing import absltest
from absl.testing import parameterized
import chex
import jax
import jax.numpy as jnp
from jaxdl import layers
from jaxdl.layers import base
from jaxdl.layers import shortcuts
import numpy as np

_WIDTH = 4


def _input():
  return jax.random.normal(jax.random.key(0), (8, _WIDTH))


class ResidualTest(parameterized.TestCase):
  @parameterized.parameters((1.0, 0.0), (1.0, 0.5), (0.0, 1.0), (0.5, 2.0))
  def test_adds_the_branch_and_the_shortcut_each_scaled(
    self, shortcut_scale, scale
  ):
    branch = layers.dense(_WIDTH)
    net = shortcuts.residual(branch, scale=scale, shortcut_scale=shortcut_scale)
    _, params, state = net.init(jax.random.key(0), (_WIDTH,))
    y, _ = net.apply(params, state, _input())
    branch_y, _ = branch.apply(params.branch, (), _input())
    expected = shortcut_scale * _input() + scale * branch_y
    np.testing.assert_allclose(y, expected, rtol=1e-6)

  def test_scale_may_be_traced(self):
    def run(scale):
      net = shortcuts.residual(layers.dense(_WIDTH), scale=scale)
      _, params, state = net.init(jax.random.key(0), (_WIDTH,))
      return net.apply(params, state, _input())[0]

    actual = jax.vmap(run)(jnp.array([0.0, 2.0]))
    expected = jnp.stack([run(0.0), run(2.0)])
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)

  @parameterized.parameters(np.inf, np.nan, 3e38)
  def test_shortcut_of_scale_zero_lets_nothing_through(self, huge):
    """Neither a value nor a gradient, whatever it is."""
    half = base.Layer(
      lambda key, shape: (shape, (), ()),
      lambda params, state, x, **_: (jnp.where(x > 2, 0, x / 2), state),
    )

    @jax.jit
    def run(scale, x, ct):
      net = shortcuts.residual(half, shortcut_scale=scale)
      _, params, state = net.init(jax.random.key(0), (2,))
      y, pullback = jax.vjp(lambda x: net.apply(params, state, x)[0], x)
      return y, pullback(ct)[0]

    given = jnp.array([1.0, 3e38]), jnp.array([1.0, huge])
    y, ct = run(0.0, *given)
    np.testing.assert_array_equal(y, [0.5, 0])
    np.testing.assert_array_equal(ct, [0.5, 0])
    y, ct = run(1.0, *given)
    np.testing.assert_array_equal(y, np.float32([1.5, 3e38]))
    np.testing.assert_array_equal(ct, np.float32([1.5, huge]))

  def test_branch_draws_what_it_draws_by_itself(self):
    """So that networks with and without a shortcut differ in nothing else."""
    branch = layers.serial(layers.dense(_WIDTH), layers.dropout(0.5))
    net = shortcuts.residual(branch)
    key = jax.random.key(0)
    _, params, state = net.init(key, (_WIDTH,))
    _, alone, _ = branch.init(key, (_WIDTH,))
    chex.assert_trees_all_equal(params.branch, alone)
    y, _ = net.apply(params, state, _input(), train=True, key=key)
    branch_y, _ = branch.apply(
      alone, state.branch, _input(), train=True, key=key
    )
    np.testing.assert_allclose(y, _input() + branch_y, rtol=1e-6)

  def test_branch_and_a_layer_beside_it_draw_apart(self):
    net = shortcuts.residual(layers.dense(_WIDTH), layers.dense(_WIDTH))
    _, params, _ = net.init(jax.random.key(0), (_WIDTH,))
    self.assertFalse(np.array_equal(params.branch.w, params.shortcut.w))

  def test_refuses_shapes_that_differ(self):
    with self.assertRaisesRegex(ValueError, 'shortcut differ'):
      shortcuts.residual(layers.dense(3)).init(jax.random.key(0), (4,))


class HighwayTest(parameterized.TestCase):
  @parameterized.parameters((-100.0, 0.0), (100.0, 1.0))
  def test_gate_bias_carries_or_transforms(self, bias, share):
    transform = layers.dense(_WIDTH)
    net = shortcuts.highway(transform, gate_bias=bias)
    _, params, state = net.init(jax.random.key(0), (_WIDTH,))
    y, _ = net.apply(params, state, _input())
    h, _ = transform.apply(params.transform, (), _input())
    np.testing.assert_allclose(
      y, share * h + (1 - share) * _input(), rtol=1e-5, atol=1e-5
    )

  def test_mixes_by_the_gate(self):
    net = shortcuts.highway(layers.dense(_WIDTH))
    _, params, state = net.init(jax.random.key(0), (_WIDTH,))
    y, _ = net.apply(params, state, _input())
    x = np.asarray(_input(), np.float64)
    h = x @ params.transform.w + params.transform.b
    t = 1 / (1 + np.exp(-(x @ params.gate.w - 2.0)))
    np.testing.assert_allclose(y, h * t + x * (1 - t), rtol=1e-4, atol=1e-5)

  def test_refuses_a_transform_that_changes_the_shape(self):
    with self.assertRaisesRegex(ValueError, 'transform differ'):
      shortcuts.highway(layers.dense(3)).init(jax.random.key(0), (4,))


if __name__ == '__main__':
  absltest.main()
