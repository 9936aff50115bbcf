"""Tests for `training/layerwise.py`."""

from absl.testing import absltest
from absl.testing import parameterized
import jax
from jaxdl import layers
from jaxdl.models import units
from jaxdl.training import layerwise
import numpy as np

_norms = jax.jit(layerwise.norms)


def _tree(scale=1.0, depth=3):
  rng = np.random.default_rng(0)
  draw = lambda *shape: (scale * rng.normal(size=shape)).astype(np.float32)
  return units.Units(
    {
      'stem': (draw(5, 4), draw(4)),
      'hidden': layers.Repeated((draw(depth, 4, 4), draw(depth, 4))),
      'readout': (draw(4, 2),),
    }
  )


def _expected(tree):
  hidden = tree['hidden'].layer
  rows = [tree['stem']]
  rows += [[x[i] for x in hidden] for i in range(len(hidden[0]))]
  rows += [tree['readout']]
  return [
    np.sqrt(sum(np.sum(x.astype(np.float64) ** 2) for x in layer))
    for layer in rows
  ]


class NormsTest(parameterized.TestCase):
  @parameterized.parameters(1e-33, 1e-20, 1.0, 1e20, 1e33)
  def test_agree_with_float64_at_any_size(self, scale):
    tree = _tree(scale)
    np.testing.assert_allclose(_norms(tree), _expected(tree), rtol=1e-5)

  def test_vanishing_layers_beside_large_ones(self):
    tree = _tree()
    tiny = tuple(1e-28 * x for x in tree['stem'])
    tree = units.Units({**tree, 'stem': tiny})
    np.testing.assert_allclose(_norms(tree), _expected(tree), rtol=1e-5)

  def test_zero(self):
    np.testing.assert_array_equal(_norms(_tree(0.0)), np.zeros(5))

  def test_no_hidden_layers(self):
    tree = _tree(depth=0)
    np.testing.assert_allclose(_norms(tree), _expected(tree), rtol=1e-5)


class SizesTest(parameterized.TestCase):
  def test_counts_numbers(self):
    np.testing.assert_array_equal(layerwise.sizes(_tree()), [24, 20, 20, 20, 8])


class NamesTest(absltest.TestCase):
  def test_a_repeated_unit_is_as_many_layers(self):
    self.assertEqual(
      layerwise.names(_tree(depth=2)),
      ('stem', 'hidden/0', 'hidden/1', 'readout'),
    )


if __name__ == '__main__':
  absltest.main()
