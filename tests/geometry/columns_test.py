"""Tests for `columns.py`."""

from absl.testing import absltest
from jaxdl.geometry import columns


class ColumnsTest(absltest.TestCase):
  def test_aligned(self):
    text = columns.aligned(
      ('name', 'n', 'note'), [('a', '1', ''), ('longer', '22', 'x')], (0, 2)
    )
    self.assertEqual(
      text.splitlines(), ['name     n  note', 'a        1', 'longer  22  x']
    )

  def test_product(self):
    self.assertEqual(columns.product((224, 224, 3)), '224 x 224 x 3')
    self.assertEqual(columns.product(()), '1')

  def test_common(self):
    self.assertEqual(columns.common([3, 3]), '3')
    self.assertEqual(columns.common([3, 5]), '3 x 5')
    self.assertEqual(columns.common([]), '-')


if __name__ == '__main__':
  absltest.main()
