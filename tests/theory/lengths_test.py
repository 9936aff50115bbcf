"""Tests for `theory/lengths.py`."""

import math

from absl.testing import absltest
from absl.testing import parameterized
import jax
import jax.numpy as jnp
from jaxdl.theory import elementwise
from jaxdl.theory import lengths
import numpy as np


def _bump(x):
  return jnp.exp(-x * x)


def _dipped(x):
  """Its length map rises, falls, and rises again."""
  return 3 * _bump(x - 1) + jnp.maximum(x - 4, 0)


def _length_map(activation, weight_std, bias_std):
  found = elementwise.elementwise(activation)
  return lengths.LengthMap(found, weight_std, bias_std)


class LengthMapTest(parameterized.TestCase):
  @parameterized.parameters('relu', 'prelu:0.5', 'identity')
  def test_of_the_relu_family(self, name):
    slope = {'relu': 0, 'prelu:0.5': 0.5, 'identity': 1}[name]
    length_map = _length_map(name, 1.3, 0.4)
    q = np.array([0, 1e-9, 1, 1e9])
    growth = 1.69 * (1 + slope**2) / 2
    np.testing.assert_allclose(length_map(q), growth * q + 0.16, rtol=1e-13)
    self.assertAlmostEqual(length_map.slope(2.0), growth, places=12)

  @parameterized.parameters('tanh', 'gelu', jax.nn.hard_tanh, _bump)
  def test_slope_is_the_derivative(self, activation):
    length_map = _length_map(activation, 1.3, 0.4)
    q, step = 0.8, 1e-3
    far, near = (
      float(length_map(q + h) - length_map(q - h)) / (2 * h)
      for h in (step, step / 2)
    )
    expected = near + (near - far) / 3  # Richardson's, of an error in step^4.
    np.testing.assert_allclose(length_map.slope(q), expected, rtol=1e-9)


class SurveyTest(parameterized.TestCase):
  def test_of_relu_with_bias(self):
    (point,) = lengths.survey(_length_map('relu', 1.0, 0.5)).points
    np.testing.assert_allclose(point.q, 0.5, rtol=1e-12)
    np.testing.assert_allclose(point.slope, 0.5, rtol=1e-12)
    self.assertTrue(point.stable)

  @parameterized.parameters(('identity', 1.0), ('relu', math.sqrt(2)))
  def test_says_that_every_variance_is_fixed(self, name, weight_std):
    self.assertTrue(lengths.survey(_length_map(name, weight_std, 0.0)).every)
    for other in (0.999 * weight_std, 1.001 * weight_std):
      found = lengths.survey(_length_map(name, other, 0.0))
      self.assertFalse(found.every)
      (zero,) = found.points
      self.assertEqual((zero.q, zero.stable), (0.0, other < weight_std))

  def test_of_a_square_has_two_in_closed_form(self):
    """E[u^4] = 3 q^2, so 3 w^2 q^2 - q + b^2 = 0."""
    found = lengths.survey(_length_map(jnp.square, 0.5, 0.5))
    root = math.sqrt(1 - 4 * 0.75 * 0.25)
    expected = [(1 - root) / 1.5, (1 + root) / 1.5]
    np.testing.assert_allclose([p.q for p in found.points], expected, 1e-12)
    np.testing.assert_allclose(
      [p.slope for p in found.points], [1 - root, 1 + root], 1e-11
    )
    self.assertEqual([p.stable for p in found.points], [True, False])

  def test_finds_two_that_nearly_are_one(self):
    """The discriminant is 4e-8: they are 1e-4 of themselves apart."""
    bias_std = math.sqrt((1 - 4e-8) / 3)
    found = lengths.survey(_length_map(jnp.square, 0.5, bias_std))
    expected = [(1 - 2e-4) / 1.5, (1 + 2e-4) / 1.5]
    np.testing.assert_allclose([p.q for p in found.points], expected, 1e-9)

  def test_of_none(self):
    found = lengths.survey(_length_map(jnp.square, 0.5, 1.0))
    self.assertEqual(found.points, ())
    self.assertFalse(found.every)

  def test_tanh_leaves_zero_at_one(self):
    (zero,) = lengths.survey(_length_map('tanh', 1.0, 0.0)).points
    self.assertEqual((zero.q, zero.stable), (0.0, True))
    zero, above = lengths.survey(_length_map('tanh', 1.1, 0.0)).points
    self.assertEqual((zero.q, zero.stable), (0.0, False))
    self.assertTrue(above.stable)


class LimitTest(parameterized.TestCase):
  @parameterized.parameters(
    (jnp.square, 0.5, 0.5, 1.0, 1 / 3),
    (jnp.square, 0.5, 0.5, 0.99, None),
    (jnp.square, 0.5, 0.5, 1.01, math.inf),
  )
  def test_depends_on_the_start(self, fn, weight_std, bias_std, start, limit):
    length_map = _length_map(fn, weight_std, bias_std)
    found = lengths.survey(length_map)
    low, high = (point.q for point in found.points)
    if limit == 1 / 3:  # Exactly at the unstable one.
      start, limit = high, high
    actual = lengths.limit(length_map, found, start)
    self.assertEqual(actual, low if limit is None else limit)

  @parameterized.parameters(
    (_bump, 1.0, 0.1), (_bump, 8.0, 0.0), (_dipped, 1.0, 0.0), (_dipped, 2.0, 1)
  )
  def test_is_where_iterates_go(self, fn, weight_std, bias_std):
    length_map = _length_map(fn, weight_std, bias_std)
    found = lengths.survey(length_map)
    self.assertFalse(found.increasing)
    for start in (1e-3, 0.3, 2.0, 50.0, 1e4):
      q = start
      for _ in range(60):
        q = float(length_map(q))
        if q > 1e12:
          break
      limit = lengths.limit(length_map, found, start)
      if q > 1e12:
        self.assertEqual(limit, math.inf)
      else:
        np.testing.assert_allclose(limit, q, rtol=1e-6)

  def test_of_rounding_alone_is_the_start(self):
    length_map = _length_map('relu', math.sqrt(2), 1e-9)
    found = lengths.survey(length_map)
    self.assertEqual(lengths.limit(length_map, found, 2.0), 2.0)


class RefusalTest(parameterized.TestCase):
  @parameterized.parameters(
    (-1.0, 0.1, 'weight_std must be a finite number that is positive; got -1'),
    (0.0, 0.1, 'weight_std must be a finite number that is positive; got 0.0'),
    (math.inf, 0.1, 'weight_std must be .* got inf'),
    (1.0, -0.1, 'bias_std must be a finite number that is not negative; got -'),
    (1.0, math.nan, 'bias_std must be .* got nan'),
    ('a', 0.1, "weight_std must be a number; got 'a'"),
    (1.0, np.ones(2), r'bias_std must be one number; .* shape \(2,\)'),
  )
  def test_of_standard_deviations(self, weight_std, bias_std, message):
    with self.assertRaisesRegex(ValueError, message):
      lengths.require_stds(weight_std, bias_std)


if __name__ == '__main__':
  absltest.main()
