"""Tests for `double_precision.py`."""

from absl.testing import absltest
import jax
import jax.numpy as jnp
from jaxdl import double_precision


class DoublePrecisionTest(absltest.TestCase):
  def test_holds_within_and_not_beyond(self):
    with double_precision.double_precision():
      self.assertEqual(jnp.ones(2).dtype, jnp.float64)
      self.assertEqual(float(jnp.sin(1.0)), 0.8414709848078965)
    self.assertEqual(jnp.ones(2).dtype, jnp.float32)

  def test_computes_at_once_within_a_trace(self):
    def traced(x):
      with double_precision.double_precision():
        third = float(jnp.array(1.0) / 3)
      self.assertEqual(third, 1 / 3)
      return x * third

    self.assertEqual(jax.jit(traced)(3.0).dtype, jnp.float32)


if __name__ == '__main__':
  absltest.main()
