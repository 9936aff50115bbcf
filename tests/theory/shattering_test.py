"""Tests for `theory/shattering.py`."""

import functools
import math

from absl.testing import absltest
from absl.testing import parameterized
import jax
import jax.numpy as jnp
from jaxdl.theory import shattering
import numpy as np

_WIDTH, _BATCH, _DEPTH, _SEEDS = 256, 128, 6, 24


def _outputs(design, weights, x):
  """What `shattering` is about, in its words."""
  for w in weights:
    z = x - jax.lax.stop_gradient(jnp.mean(x, axis=0))
    if design == 'residual_batch_norm':
      z = z / jax.lax.stop_gradient(jnp.std(z, axis=0))
    y = jax.nn.relu(z) @ w
    x = y if design == 'plain' else x + y
  return x


def _correlation(design, key):
  """The mean correlation of the gradients at the inputs of a batch."""
  keys = jax.random.split(key, 3)
  std = math.sqrt(2 / _WIDTH)
  weights = std * jax.random.normal(keys[0], (_DEPTH, _WIDTH, _WIDTH))
  x = jax.random.normal(keys[1], (_BATCH, _WIDTH))
  readout = jax.random.normal(keys[2], (_WIDTH,))
  fn = lambda x: jnp.sum(_outputs(design, weights, x) @ readout)
  gradients = jax.grad(fn)(x)
  own = jnp.sum(jnp.square(gradients))
  pairs = jnp.sum(jnp.square(jnp.sum(gradients, axis=0))) - own
  return pairs / (_BATCH - 1) / own


class GradientCorrelationTest(parameterized.TestCase):
  def test_published(self):
    """Balduzzi et al., 2017."""
    correlation = functools.partial(shattering.gradient_correlation, 400)
    depth = np.arange(1, 401)
    np.testing.assert_allclose(correlation('plain'), 0.5**depth)
    np.testing.assert_allclose(correlation('residual'), 0.75**depth)
    batch_norm = correlation('residual_batch_norm', variance_per_block=1.0)
    np.testing.assert_allclose(
      batch_norm[-1], 2 / math.sqrt(math.pi * 400), rtol=2e-3
    )

  @parameterized.parameters('plain', 'residual', 'residual_batch_norm')
  def test_of_networks(self, design):
    """By jax.grad, within four standard errors of the mean over seeds."""
    keys = jax.random.split(jax.random.key(0), _SEEDS)
    one = functools.partial(_correlation, design)
    measured = np.asarray(jax.jit(lambda keys: jax.lax.map(one, keys))(keys))
    predicted = shattering.gradient_correlation(_DEPTH, design)[-1]
    error = measured.std() / math.sqrt(_SEEDS)
    self.assertLess(error, 0.05 * predicted)
    self.assertAlmostEqual(measured.mean(), predicted, delta=4 * error)

  @parameterized.parameters(
    (0, 'plain', 1.0, 'depth'),
    (2.5, 'plain', 1.0, 'depth'),
    (2, 'highway', 1.0, 'Unknown design'),
    (2, 'residual_batch_norm', 0.0, 'variance_per_block'),
  )
  def test_refuses(self, depth, design, variance, message):
    with self.assertRaisesRegex(ValueError, message):
      shattering.gradient_correlation(
        depth, design, variance_per_block=variance
      )


if __name__ == '__main__':
  absltest.main()
