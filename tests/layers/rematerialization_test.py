"""Tests for `layers/rematerialization.py`."""

from absl.testing import absltest
from absl.testing import parameterized
import chex
import jax
from jax import lax
import jax.numpy as jnp
from jaxdl.layers import rematerialization
import numpy as np

_WIDTH = 8


def _step(x, w):
  x = jnp.tanh(x @ w)
  return x, jnp.sum(x)


def _weights(length):
  rng = np.random.default_rng(0)
  return jnp.asarray(rng.normal(size=(length, _WIDTH, _WIDTH)), jnp.float32)


def _loss(scan, weights):
  x, sums = scan(_step, jnp.ones(_WIDTH), weights)
  return jnp.sum(x) + jnp.sum(sums**2), sums


class ScanInRunsTest(parameterized.TestCase):
  @parameterized.parameters(1, 5, 12)
  def test_equals_a_scan_with_its_gradient(self, length):
    weights = _weights(length)

    def in_runs(step, x, xs):
      return rematerialization.scan_in_runs(step, x, xs, length)

    found, expected = (
      jax.jit(jax.value_and_grad(lambda w: _loss(scan, w), has_aux=True))(
        weights
      )
      for scan in (in_runs, lax.scan)
    )
    chex.assert_trees_all_close(found, expected, rtol=1e-5, atol=1e-6)

  def test_keeps_about_twice_the_root_of_what_a_scan_keeps(self):
    length = 100
    weights = jax.ShapeDtypeStruct((length, _WIDTH, _WIDTH), jnp.float32)

    def kept(scan):
      """Elements of the arrays with an axis of steps that leave a scan."""
      grad = jax.grad(lambda w: _loss(scan, w)[0])
      text = str(jax.make_jaxpr(grad)(weights))
      return [n for n in (100, 10) if f'f32[{n},{_WIDTH}]' in text]

    in_runs = lambda *args: rematerialization.scan_in_runs(*args, length)
    self.assertEqual(kept(lax.scan), [100])
    self.assertEqual(kept(in_runs), [10])


if __name__ == '__main__':
  absltest.main()
