"""Tests for `transposes.py`."""

from absl.testing import absltest
import jax
import jax.numpy as jnp
from jaxdl.layers import transposes
import numpy as np


class TangentTest(absltest.TestCase):
  def test_adds_the_parts_of_all_factors(self):
    a, b = jnp.array([2.0, 3.0]), jnp.array([5.0, 7.0])
    tangent = transposes.tangent(
      a * b,
      [
        (lambda ct: ct * b, jnp.array([1.0, 0.0])),
        (lambda ct: ct * a, jnp.array([0.0, 10.0])),
      ],
    )
    np.testing.assert_array_equal(tangent, [5, 30])

  def test_leaves_out_what_is_zero(self):
    y = jnp.array([1.0, 2.0])
    zero = jax.custom_derivatives.SymbolicZero(jax.typeof(y))

    def never(ct):
      raise AssertionError

    np.testing.assert_array_equal(
      transposes.tangent(y, [(never, zero), (lambda ct: 2 * ct, y)]), 2 * y
    )
    np.testing.assert_array_equal(
      transposes.tangent(y, [(never, zero)]), [0, 0]
    )


if __name__ == '__main__':
  absltest.main()
