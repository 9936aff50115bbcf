"""Tests for `krylov/vectors.py`."""

from absl.testing import absltest
from absl.testing import parameterized
import chex
import jax
import jax.numpy as jnp
from jaxdl.krylov import vectors
import numpy as np


class VectorsTest(parameterized.TestCase):
  def test_unflatten_is_the_inverse_of_flatten(self):
    tree = {
      'a': jnp.arange(6, dtype=jnp.bfloat16).reshape(2, 3),
      'b': (jnp.float32(6), jnp.zeros((0, 2)), jnp.arange(7.0, 9.0)),
    }
    space = vectors.space('x', tree)
    flat = vectors.flatten(space, tree)
    np.testing.assert_array_equal(flat, np.arange(9.0))
    self.assertEqual((space.size, space.dtype), (9, jnp.float32))
    back = vectors.unflatten(space, flat)
    chex.assert_trees_all_equal(back, tree)
    chex.assert_trees_all_equal_dtypes(back, tree)

  def test_halves_become_single_precision(self):
    half = jax.ShapeDtypeStruct((3,), jnp.bfloat16)
    self.assertEqual(vectors.space('x', half).dtype, jnp.float32)

  @parameterized.parameters(
    (1, 'x has a leaf of int32'),
    ([1.0, 1j], 'x has a leaf of complex64'),
    ([True], 'x has a leaf of bool'),
    ((), 'x holds no number'),
    (np.zeros((0, 3), np.float32), 'x holds no number'),
  )
  def test_refuses_what_has_no_derivative(self, tree, message):
    with self.assertRaisesRegex(ValueError, f'^{message}.*[^\n]$'):
      vectors.space('x', tree)


if __name__ == '__main__':
  absltest.main()
