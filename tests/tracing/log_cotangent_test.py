"""Tests for `tracing/log_cotangent.py`."""

from absl.testing import absltest
from absl.testing import parameterized
import chex
import jax
from jax import lax
import jax.numpy as jnp
from jaxdl import tracing
from jaxdl.tracing import log_cotangent
import numpy as np


def _stack(layer, ws, x):
  def step(h, w):
    with jax.named_scope('layer'):
      return layer(h, w), None

  with jax.named_scope('hidden'):
    h, _ = lax.scan(step, x, ws)
  return jnp.sum(h)


def _linear(h, w):
  return h @ w


def _residual(h, w):
  with jax.named_scope('branch'):
    branch = jnp.tanh(h @ w)
  return h + branch


class LogCotangentProfileTest(parameterized.TestCase):
  @parameterized.parameters(0.5, 2.0)
  def test_is_right_at_a_depth_of_a_thousand(self, gain):
    depth = 1000  # 0.5**1000 is far below the smallest float32.
    ws = gain * jnp.tile(jnp.eye(4), (depth, 1, 1))
    profile = jax.jit(
      log_cotangent.log_cotangent_profile(lambda ws, x: _stack(_linear, ws, x))
    )(ws, jnp.zeros((3, 4)))
    expected = np.log10(gain) * np.arange(depth - 1, -1, -1)
    np.testing.assert_allclose(
      profile['hidden/layer'], expected, rtol=1e-4, atol=1e-6
    )

  @parameterized.named_parameters(('plain', _linear), ('residual', _residual))
  def test_agrees_with_the_probe_where_nothing_underflows(self, layer):
    ws = jax.random.normal(jax.random.key(0), (6, 8, 8)) / 4
    x = jax.random.normal(jax.random.key(1), (5, 8))
    loss = lambda ws, x: _stack(layer, ws, x)
    logs = jax.jit(tracing.log_cotangent_profile(loss))(ws, x)
    _, _, profile = jax.jit(tracing.probe(loss))(ws, x)
    self.assertEqual(set(logs), set(profile))
    for name, log in logs.items():
      np.testing.assert_allclose(
        log, np.log10(profile[name].backward.rms), rtol=1e-4, atol=1e-5
      )

  def test_rematerialization_changes_nothing(self):
    loss = lambda ws, x: _stack(_residual, ws, x)
    remat = lambda ws, x: _stack(jax.checkpoint(_residual), ws, x)
    ws = jax.random.normal(jax.random.key(0), (6, 8, 8)) / 4
    args = ws, jax.random.normal(jax.random.key(1), (5, 8))
    chex.assert_trees_all_close(
      jax.jit(tracing.log_cotangent_profile(remat))(*args),
      jax.jit(tracing.log_cotangent_profile(loss))(*args),
      atol=1e-6,
    )

  def test_logarithms_of_halves_are_taken_in_float32(self):
    depth = 300
    ws = 0.5 * jnp.tile(jnp.eye(4, dtype=jnp.bfloat16), (depth, 1, 1))
    loss = lambda ws, x: _stack(_linear, ws, x)
    logs = jax.jit(tracing.log_cotangent_profile(loss))(
      ws, jnp.zeros((3, 4), jnp.bfloat16)
    )
    expected = np.log10(0.5) * np.arange(depth - 1, -1, -1)
    np.testing.assert_allclose(
      logs['hidden/layer'], expected, rtol=1e-4, atol=1e-6
    )

  def test_a_path_around_the_stack_is_not_scaled_away(self):
    def loss(ws, x):
      with jax.named_scope('stem'):
        x = x * 2
      return _stack(_linear, ws, x) + 3 * jnp.sum(x)

    ws = 0.5 * jnp.tile(jnp.eye(4), (3, 1, 1))
    logs = tracing.log_cotangent_profile(loss)(ws, jnp.ones((2, 4)))
    np.testing.assert_allclose(logs['stem'], np.log10(3 + 0.125), rtol=1e-5)
    np.testing.assert_allclose(
      logs['hidden/layer'], np.log10([0.25, 0.5, 1.0]), atol=1e-6
    )

  def test_no_signal_is_minus_infinity(self):
    loss = lambda ws, x: 0.0 * _stack(_linear, ws, x)
    ws = jnp.tile(jnp.eye(4), (3, 1, 1))
    logs = tracing.log_cotangent_profile(loss)(ws, jnp.ones((2, 4)))
    np.testing.assert_array_equal(logs['hidden/layer'], [-np.inf] * 3)

  def test_aux(self):
    loss = lambda ws, x: (_stack(_linear, ws, x), x)
    ws = 0.1 * jnp.tile(jnp.eye(4), (3, 1, 1))
    logs = tracing.log_cotangent_profile(loss, has_aux=True)(
      ws, jnp.ones((2, 4))
    )
    np.testing.assert_allclose(logs['hidden/layer'], [-2, -1, 0], atol=1e-5)


if __name__ == '__main__':
  absltest.main()
