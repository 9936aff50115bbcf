"""Tests for `theory/quadrature.py`."""

import math

from absl.testing import absltest
from absl.testing import parameterized
from jaxdl.theory import quadrature
import numpy as np


class RootTest(parameterized.TestCase):
  @parameterized.parameters(
    (lambda x: math.cos(x) - x, 0.7390851332151607),
    (lambda x: x**9 - 1e-9, 0.1),
    (lambda x: math.copysign(1, x - 0.3), 0.3),
  )
  def test_finds_where_the_sign_changes(self, fn, expected):
    actual = quadrature.root(fn, 0.0, 2.0)
    np.testing.assert_allclose(actual, expected, rtol=1e-14)

  def test_refuses_ends_of_the_same_sign(self):
    with self.assertRaisesRegex(ValueError, 'same sign at 1.0 and at 2.0'):
      quadrature.root(math.exp, 1.0, 2.0)


if __name__ == '__main__':
  absltest.main()
