"""Tests for `training/layerwise.py`."""

from absl.testing import absltest
from absl.testing import parameterized
import jax
from jaxdl.models import stack
from jaxdl.training import layerwise
import numpy as np

_norms = jax.jit(layerwise.norms)


def _tree(scale=1.0, depth=3):
  rng = np.random.default_rng(0)
  draw = lambda *shape: (scale * rng.normal(size=shape)).astype(np.float32)
  return stack.Stack(
    (draw(5, 4), draw(4)), (draw(depth, 4, 4), draw(depth, 4)), (draw(4, 2),)
  )


def _expected(tree):
  layers = [tree.stem]
  layers += [[x[i] for x in tree.hidden] for i in range(len(tree.hidden[0]))]
  layers += [tree.readout]
  return [
    np.sqrt(sum(np.sum(x.astype(np.float64) ** 2) for x in layer))
    for layer in layers
  ]


class NormsTest(parameterized.TestCase):
  @parameterized.parameters(1e-33, 1e-20, 1.0, 1e20, 1e33)
  def test_agree_with_float64_at_any_size(self, scale):
    tree = _tree(scale)
    np.testing.assert_allclose(_norms(tree), _expected(tree), rtol=1e-5)

  def test_vanishing_layers_beside_large_ones(self):
    tree = _tree()
    tree = tree._replace(stem=tuple(1e-28 * x for x in tree.stem))
    np.testing.assert_allclose(_norms(tree), _expected(tree), rtol=1e-5)

  def test_zero(self):
    np.testing.assert_array_equal(_norms(_tree(0.0)), np.zeros(5))

  def test_no_hidden_layers(self):
    tree = _tree(depth=0)
    np.testing.assert_allclose(_norms(tree), _expected(tree), rtol=1e-5)


class SizesTest(parameterized.TestCase):
  def test_counts_numbers(self):
    np.testing.assert_array_equal(layerwise.sizes(_tree()), [24, 20, 20, 20, 8])


if __name__ == '__main__':
  absltest.main()
