"""Tests for `application.py`."""

from absl.testing import absltest
from absl.testing import parameterized
from jaxdl.geometry import application
from jaxdl.geometry import extents


class ApplicationTest(parameterized.TestCase):
  def test_every_output_of_an_unknown_primitive_sees_all(self):
    window = extents.Extent(9, 3, -1, (0, 1))
    applied = application.Application(
      'mystery',
      {},
      (None, window),
      ((), (2, 9)),
      ((3,), (2, 2, 2)),
      known=lambda _: None,
    )
    one, other = application.unknown(applied)
    self.assertEqual(one, extents.whole(window, 1, 'mystery is not understood'))
    self.assertLen(other.strides, 3)
    self.assertIs(application.operand(applied), window)

  def test_without_an_axis(self):
    window = extents.Extent(9, 3, -1, (0, 1, 2))
    self.assertEqual(application.without(window, (1,)).strides, (0, 2))


if __name__ == '__main__':
  absltest.main()
