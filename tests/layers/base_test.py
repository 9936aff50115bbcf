"""Tests for `base.py`."""

from absl.testing import absltest
from absl.testing import parameterized
import jax
import jax.numpy as jnp
from jaxdl.layers import base
import numpy as np


class RequireTest(parameterized.TestCase):
  def test_returns_what_is_right(self):
    key = jax.random.key(0)
    self.assertIs(base.require_key(key, 'dropout'), key)
    self.assertEqual(base.require_positive('width', 1), 1)

  @parameterized.parameters(0, -3)
  def test_refuses_sizes_below_one(self, size):
    with self.assertRaisesRegex(ValueError, f'width .* at least 1, got {size}'):
      base.require_positive('width', size)

  def test_refuses_a_missing_key(self):
    with self.assertRaisesRegex(ValueError, 'dropout is random.*key=key'):
      base.require_key(None, 'dropout')


class NumberTest(parameterized.TestCase):
  def test_real_numbers_are_known(self):
    numbers = (2, 2.0, np.int64(2), np.float32(2), np.array(2.0), jnp.array(2))
    for number in (*numbers, jnp.array(2, jnp.bfloat16)):
      self.assertTrue(base.is_number(number))
      known = base.known(number)
      self.assertIs(type(known), float)
      self.assertEqual(known, 2)

  def test_traced_numbers_are_not_known(self):
    def look(number):
      self.assertTrue(base.is_number(number))
      self.assertIsNone(base.known(number))
      return number

    self.assertEqual(jax.jit(look)(2.0), 2)
    jax.vmap(look)(jnp.ones(3))

  def test_others_are_none(self):
    others = ('2', None, True, np.bool_(True), 2j, np.complex64(2), [2])
    for other in (*others, jnp.ones(1), jnp.array(True), jax.random.key(0)):
      self.assertFalse(base.is_number(other), repr(other))


if __name__ == '__main__':
  absltest.main()
