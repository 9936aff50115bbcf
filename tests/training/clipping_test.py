"""Tests for `training/clipping.py`, against optax."""

from absl.testing import absltest
from absl.testing import parameterized
import chex
import jax
import jax.numpy as jnp
from jaxdl import layers
from jaxdl.models import units
from jaxdl.training import clipping
from jaxdl.training import layerwise
import numpy as np
import optax

_norms = jax.jit(layerwise.norms)


def _tree(seed=0, scale=1.0):
  rng = np.random.default_rng(seed)
  draw = lambda *shape: jnp.asarray(scale * rng.normal(size=shape), jnp.float32)
  hidden = {'w': draw(3, 4, 4), 'b': draw(3, 4)}
  return units.Units(
    {
      'stem': {'w': draw(5, 4), 'b': draw(4)},
      'hidden': layers.Repeated(hidden),
      'readout': {'w': draw(4, 2)},
    }
  )


def _clip(name, grads, threshold, params=None):
  clip = jax.jit(clipping.get(name))
  params = _tree(1) if params is None else params
  return clip(grads, params, _norms(grads), threshold)


class ClippingTest(parameterized.TestCase):
  @parameterized.parameters(
    ('norm', 0.5, optax.clip_by_global_norm),
    ('norm', 1e3, optax.clip_by_global_norm),
    ('value', 0.5, optax.clip),
  )
  def test_agrees_with_optax(self, name, threshold, reference):
    grads = _tree()
    update = jax.jit(reference(threshold).update)
    expected, _ = update(grads, optax.EmptyState())
    clipped = _clip(name, grads, threshold)
    chex.assert_trees_all_close(clipped.grads, expected, rtol=1e-5)
    np.testing.assert_allclose(clipped.norms, _norms(expected), rtol=1e-5)
    difference = jax.tree.map(jnp.subtract, grads, expected)
    np.testing.assert_allclose(
      clipped.removed,
      _norms(difference) / _norms(grads),
      rtol=1e-4,
      atol=1e-6,
    )
    self.assertEqual(clipped.bound, bool(np.any(clipped.removed > 0)))

  def test_adaptive_agrees_with_optax_on_each_layer(self):
    grads, params = _tree(), _tree(1)
    clipped = _clip('adaptive', grads, 0.1, params)
    update = jax.jit(optax.adaptive_grad_clip(0.1).update)
    layers = lambda tree: [
      tree['stem'],
      *(jax.tree.map(lambda x, i=i: x[i], tree['hidden']) for i in range(3)),
      tree['readout'],
    ]
    for actual, grad, param in zip(
      layers(clipped.grads), layers(grads), layers(params), strict=True
    ):
      expected, _ = update(grad, optax.EmptyState(), param)
      chex.assert_trees_all_close(actual, expected, rtol=1e-5)
    self.assertTrue(clipped.bound)

  @parameterized.parameters(*clipping.names())
  def test_an_infinite_threshold_changes_no_bit(self, name):
    grads = _tree()
    clipped = _clip(name, grads, jnp.inf)
    chex.assert_trees_all_equal(clipped.grads, grads)
    self.assertFalse(clipped.bound)
    np.testing.assert_array_equal(clipped.removed, np.zeros(5))

  def test_gradients_whose_squares_overflow_keep_their_direction(self):
    grads = _tree(scale=1e25)
    clipped = _clip('norm', grads, 1.0)
    total = np.sqrt(np.sum(np.asarray(_norms(clipped.grads)) ** 2))
    np.testing.assert_allclose(total, 1.0, rtol=1e-5)
    self.assertTrue(clipped.bound)

  def test_unknown(self):
    with self.assertRaisesRegex(ValueError, 'norm, value, adaptive'):
      clipping.get('nrom')


if __name__ == '__main__':
  absltest.main()
