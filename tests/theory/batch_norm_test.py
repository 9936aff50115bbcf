"""Tests for `theory/batch_norm.py`."""

import math

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies
import jax.numpy as jnp
from jaxdl.theory import batch_norm
from jaxdl.theory import elementwise
import numpy as np


def _of_relu(batch_size):
  """Moments of ReLU by arc-cosine kernels.

  Cho & Saul, 2009: of a function that scales with its argument, the moments on
  a sphere are those of Gaussian variables.
  """
  cosine = -1 / (batch_size - 1)
  angle = math.acos(cosine)
  product = (math.sin(angle) + (math.pi - angle) * cosine) / (2 * math.pi)
  slopes = (math.pi - angle) / (2 * math.pi)
  kept = (1 - 1 / batch_size) / 2 - (0.5 - slopes - product) / batch_size
  return product, batch_size / (batch_size - 3) * kept


def _hard_tanh(x):
  return jnp.clip(x, -1, 1)


class GradientGrowthTest(parameterized.TestCase):
  @parameterized.parameters(4, 5, 8, 32, 1000)
  def test_of_linear_layers(self, batch_size):
    """Yang et al., 2019."""
    growth = batch_norm.gradient_growth('identity', batch_size)
    exact = (batch_size - 2) / (batch_size - 3)
    np.testing.assert_allclose(growth, exact, rtol=1e-12)

  @parameterized.parameters(
    ('relu', math.pi / (math.pi - 1)),  # Yang et al., 2019.
    ('elu:1.0', 1.07901346),
    ('gelu', 1.31884497),
    ('leaky_relu:0.2', 1.24360),
    ('identity', 1.0),
  )
  def test_of_large_batches(self, activation, exact):
    growth = batch_norm.gradient_growth(activation)
    self.assertAlmostEqual(growth, exact, delta=5e-6)
    finite = batch_norm.gradient_growth(activation, 10**6)
    self.assertAlmostEqual(finite, growth, delta=3e-6)

  @hypothesis.settings(max_examples=10, deadline=None)
  @hypothesis.given(
    strategies.floats(-1, 1, width=32, allow_subnormal=False),
    strategies.integers(4, 200),
    strategies.booleans(),
  )
  def test_always_explodes(self, slope, batch_size, smooth):
    """By the inequality of Poincare: no activation does better than none."""
    activation = f'elu:{slope}' if smooth else f'leaky_relu:{slope}'
    growth = batch_norm.gradient_growth(activation, batch_size)
    linear = (batch_size - 2) / (batch_size - 3)
    self.assertGreaterEqual(growth, (1 - 1e-12) * linear)

  @parameterized.parameters(
    (3, 'at least 4'), (0, 'at least 4'), (4.5, 'integer'), (True, 'integer')
  )
  def test_refuses(self, batch_size, message):
    with self.assertRaisesRegex(ValueError, message):
      batch_norm.gradient_growth('relu', batch_size)


class BatchMomentsTest(parameterized.TestCase):
  @parameterized.parameters(4, 6, 128, 4096)
  def test_of_relu(self, batch_size):
    moments = batch_norm.batch_moments('relu', batch_size)
    product, backward = _of_relu(batch_size)
    self.assertAlmostEqual(moments.mean_square, 0.5, delta=1e-12)
    self.assertAlmostEqual(moments.product, product, delta=1e-11)
    self.assertAlmostEqual(moments.backward, backward, delta=1e-10)

  @parameterized.product(
    activation=('tanh', 'sigmoid', _hard_tanh), batch_size=(4, 7)
  )
  def test_by_sampling(self, activation, batch_size):
    """Batches of normal numbers, normalized and differentiated by hand."""
    generator = np.random.default_rng(0)
    found = elementwise.elementwise(activation)
    z = generator.normal(size=(200_000, batch_size))
    z -= z.mean(axis=1, keepdims=True)
    length = np.sqrt(np.sum(z**2, axis=1, keepdims=True))
    u = math.sqrt(batch_size) * z / length
    f, slope = found.value_and_slope(u)
    moments = batch_norm.batch_moments(activation, batch_size)
    np.testing.assert_allclose(moments.mean, f.mean(), atol=4e-3)
    np.testing.assert_allclose(moments.mean_square, (f**2).mean(), atol=4e-3)
    other = (f[:, 0] * f[:, 1]).mean()
    np.testing.assert_allclose(moments.product, other, atol=4e-3)
    # Cotangents that add up to zero, through the slope and the Jacobian; the
    # length is independent of the direction, and the mean of its inverse known.
    g = generator.normal(size=z.shape)
    g -= g.mean(axis=1, keepdims=True)
    g *= slope
    back = g - g.mean(axis=1, keepdims=True)
    back -= u * (u * g).mean(axis=1, keepdims=True)
    kept = np.sum(back**2, axis=1).mean() / (batch_size - 1)
    backward = batch_size / (batch_size - 3) * kept
    np.testing.assert_allclose(moments.backward, backward, rtol=1e-2)

  def test_refuses_what_does_not_converge(self):
    with self.assertRaisesRegex(ValueError, 'do not converge'):
      batch_norm.batch_moments(lambda x: jnp.sin(3e4 * x), 8)


if __name__ == '__main__':
  absltest.main()
