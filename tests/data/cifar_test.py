"""Tests for `cifar.py`."""

from absl.testing import absltest
from absl.testing import parameterized
from jaxdl.data import cifar
import numpy as np


class ParseTest(parameterized.TestCase):
  def test_planes_become_channels(self):
    record = [7] + [1] * 1024 + [2] * 1024 + [3] * 1024
    record[1] = 9  # Red, of the first pixel of the first row.
    record[1 + 1024 + 31] = 8  # Green, of the last pixel of the first row.
    record[1 + 2048 + 32] = 6  # Blue, of the first pixel of the second row.

    images, labels = cifar.parse(bytes(record), 'file')

    expected = np.tile(np.array([1, 2, 3], np.uint8), (1, 32, 32, 1))
    expected[0, 0, 0, 0] = 9
    expected[0, 0, 31, 1] = 8
    expected[0, 1, 0, 2] = 6
    np.testing.assert_array_equal(images, expected)
    np.testing.assert_array_equal(labels, [7])

  def test_parse_inverts_serialize(self):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (4, 32, 32, 3), np.uint8)
    labels = rng.integers(0, 10, 4, np.uint8)
    parsed = cifar.parse(cifar.serialize(images, labels), 'file')
    np.testing.assert_array_equal(parsed[0], images)
    np.testing.assert_array_equal(parsed[1], labels)

  @parameterized.parameters(0, 1, 3072, 3074, 2 * 3073 - 1)
  def test_a_broken_record_is_refused(self, size):
    with self.assertRaisesRegex(ValueError, f'file: {size} bytes are not'):
      cifar.parse(bytes(size), 'file')


if __name__ == '__main__':
  absltest.main()
