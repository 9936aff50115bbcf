"""Tests for `theory/elementwise.py`."""

from absl.testing import absltest
from absl.testing import parameterized
import jax.numpy as jnp
from jaxdl.theory import elementwise
import numpy as np


class KinksTest(parameterized.TestCase):
  @parameterized.parameters(
    ('relu', (0.0,)),
    ('tanh', ()),
    ('gelu', ()),
    (lambda x: jnp.clip(x, -1, 1), (-1.0, 1.0)),
    (lambda x: jnp.maximum(x, 0.3), (0.3,)),
  )
  def test_are_found(self, activation, expected):
    actual = elementwise.elementwise(activation).kinks
    self.assertLen(actual, len(expected))
    np.testing.assert_allclose(actual, expected, rtol=1e-14, atol=1e-300)


if __name__ == '__main__':
  absltest.main()
