"""Tests for `theory/quadrature.py`."""

import math

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies
from jaxdl.theory import quadrature
import numpy as np
from scipy import optimize


class IntegrateTest(parameterized.TestCase):
  def test_is_exact_for_polynomials_up_to_degree_31(self):
    """Kronrod's rule of 21 points has the degree 3 * 10 + 1."""
    parts = quadrature.panels(np.zeros((1, 0)), -1.0, 2.0)
    for degree in (0, 1, 16, 31):
      result = quadrature.integrate(
        lambda x, owner, degree=degree: (x**degree)[None], parts, 1
      )
      expected = (2 ** (degree + 1) - (-1) ** (degree + 1)) / (degree + 1)
      np.testing.assert_allclose(result.value, [[expected]], rtol=1e-14)

  def test_of_several_integrals_of_several_components(self):
    """Of |x - k| and exp(k x) from 0 to 2, for k = 0, 1 and 2."""

    def fn(x, owner):
      return np.stack([np.abs(x - owner), np.exp(owner * x)])

    parts = quadrature.panels(np.array([[0.0], [0.7], [9.0]]), 0.0, 2.0)
    self.assertEqual(parts.owner.tolist(), [0, 1, 1, 2])
    result = quadrature.integrate(fn, parts, 3)
    expected = [[2, 1, 2], [2, math.e**2 - 1, (math.e**4 - 1) / 2]]
    np.testing.assert_allclose(result.value, expected, rtol=1e-13)
    self.assertTrue(np.all(np.abs(result.value - expected) <= 1e-12))

  def test_adapts_to_a_spike(self):
    width = 1e-7
    parts = quadrature.panels(np.zeros((1, 1)), -1.0, 1.0)
    result = quadrature.integrate(
      lambda x, owner: (width / (x**2 + width**2))[None], parts, 1
    )
    np.testing.assert_allclose(
      result.value, [[2 * math.atan(1 / width)]], rtol=1e-13
    )

  def test_leaves_the_error_of_a_divergent_integral(self):
    parts = quadrature.panels(np.zeros((1, 0)), 0.0, 1.0)
    result = quadrature.integrate(lambda x, owner: (1 / x)[None], parts, 1)
    self.assertGreater(result.error[0, 0], 1e-6 * result.magnitude[0, 0])


class RootTest(parameterized.TestCase):
  @parameterized.parameters(
    (lambda x: math.cos(x) - x, 0.7390851332151607),
    (lambda x: x**9 - 1e-9, 0.1),
    (lambda x: math.copysign(1, x - 0.3), 0.3),
    (lambda x: x, 0.0),
    (lambda x: x - 2, 2.0),
  )
  def test_finds_where_the_sign_changes(self, fn, expected):
    actual = quadrature.root(fn, 0.0, 2.0)
    np.testing.assert_allclose(actual, expected, rtol=1e-14)

  @hypothesis.given(
    strategies.floats(-5, 5), strategies.floats(0.1, 50), strategies.booleans()
  )
  def test_agrees_with_brent(self, place, steepness, falling):
    sign = -1 if falling else 1
    fn = lambda x: sign * (math.expm1(steepness * (x - place)) + x - place)
    expected = optimize.brentq(fn, -6, 6, xtol=1e-14, rtol=1e-14)
    actual = quadrature.root(fn, -6.0, 6.0)
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-12)

  def test_refuses_ends_of_the_same_sign(self):
    with self.assertRaisesRegex(ValueError, 'same sign at 1.0 and at 2.0'):
      quadrature.root(math.exp, 1.0, 2.0)


if __name__ == '__main__':
  absltest.main()
