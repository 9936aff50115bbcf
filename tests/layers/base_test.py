"""Tests for `base.py`."""

from absl.testing import absltest
from absl.testing import parameterized
import jax
from jaxdl.layers import base


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


if __name__ == '__main__':
  absltest.main()
