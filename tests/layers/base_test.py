"""Tests for `base.py`."""

from absl.testing import absltest
from absl.testing import parameterized
import jax
from jaxdl.layers import base

_TABLE = {'first': 1, 'second': 2}


class ChooseTest(absltest.TestCase):
  def test_known(self):
    self.assertEqual(base.choose('place', 'second', _TABLE), 2)

  def test_unknown_name_lists_the_names_and_a_close_one(self):
    with self.assertRaises(ValueError) as raised:
      base.choose('place', 'secnd', _TABLE)
    self.assertEqual(
      str(raised.exception),
      "Unknown place 'secnd'; choose one of: first, second. "
      "Did you mean 'second'?",
    )

  def test_no_hint_where_nothing_is_close(self):
    with self.assertRaisesRegex(ValueError, r'first, second\.$'):
      base.choose('place', 'xyz', _TABLE)


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
