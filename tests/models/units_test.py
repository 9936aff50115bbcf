"""Tests for `units.py`."""

from absl.testing import absltest
import jax
import jax.numpy as jnp
from jaxdl import layers
from jaxdl.models import units
import numpy as np


def _chain():
  return units.chain(
    {
      'wide': layers.dense(3),
      'again': layers.repeat(layers.dense(3), 2),
      'a': layers.dense(2),
    }
  )


class UnitsTest(absltest.TestCase):
  def test_keeps_its_order_through_a_tree_map(self):
    tree = units.Units({'b': 1, 'a': (2, 3)})
    doubled = jax.tree.map(lambda x: 2 * x, tree)
    self.assertEqual(list(doubled), ['b', 'a'])
    self.assertEqual(doubled['a'], (4, 6))

  def test_paths_name_the_units(self):
    tree = units.Units({'b': 1, 'a': (2,)})
    paths = [
      jax.tree_util.keystr(p) for p, _ in jax.tree.leaves_with_path(tree)
    ]
    self.assertEqual(paths, ["['b']", "['a'][0]"])

  def test_chain_applies_in_order(self):
    net = _chain()
    out_shape, params, state = net.init(jax.random.key(0), (4,))
    self.assertEqual(out_shape, (2,))
    self.assertEqual(list(params), ['wide', 'again', 'a'])
    x = jnp.ones((5, 4))
    y, new_state = net.apply(params, state, x)
    affine = lambda p, x: x @ p.w + p.b
    again = params['again'].layer
    expected = affine(params['wide'], x)
    for i in range(2):
      expected = expected @ again.w[i] + again.b[i]
    np.testing.assert_allclose(y, affine(params['a'], expected), rtol=1e-5)
    self.assertEqual(list(new_state), ['wide', 'again', 'a'])

  def test_error_names_the_unit(self):
    net = units.chain({'head': layers.serial(layers.conv(3), names=('conv',))})
    with self.assertRaisesRegex(
      layers.base.LayerError, r'^head/conv: .*\(4,\)'
    ):
      net.init(jax.random.key(0), (4,))


if __name__ == '__main__':
  absltest.main()
