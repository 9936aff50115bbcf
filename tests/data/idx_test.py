"""Tests for `idx.py`."""

import gzip
import pathlib
import struct
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies
from hypothesis.extra import numpy as hypothesis_numpy
from jaxdl.data import idx
import numpy as np

from tests import damage

_DTYPES = ('uint8', 'int8', 'int16', 'int32', 'float32', 'float64')


def _contents(magic: int, *dimensions: int, data: bytes = b'') -> bytes:
  return struct.pack(f'>I{len(dimensions)}I', magic, *dimensions) + data


class _FolderTestCase(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))


class RoundTripTest(_FolderTestCase):
  @hypothesis.settings(deadline=None, max_examples=60)
  @hypothesis.given(
    array=strategies.sampled_from(_DTYPES).flatmap(
      lambda dtype: hypothesis_numpy.arrays(
        dtype, hypothesis_numpy.array_shapes(max_dims=4, min_side=0)
      )
    ),
    suffix=strategies.sampled_from(['', '.gz']),
    order=strategies.sampled_from('<>'),
  )
  def test_read_gives_what_was_written(self, array, suffix, order):
    path = self.folder / f'array{suffix}'

    idx.write(path, array.astype(array.dtype.newbyteorder(order)))
    actual = idx.read(path)

    self.assertEqual(actual.dtype, array.dtype)
    np.testing.assert_array_equal(actual, array)

  def test_layout_is_that_of_the_format(self):
    path = self.folder / 'array'
    idx.write(path, np.array([[1, 2], [3, -4]], np.int16))
    self.assertEqual(
      path.read_bytes().hex(), '00000b020000000200000002000100020003fffc'
    )

  def test_equal_arrays_give_equal_gzip_files(self):
    for name in ('a.gz', 'b.gz'):
      idx.write(self.folder / name, np.arange(5, dtype=np.uint8))
    first, second = [(self.folder / n).read_bytes() for n in ('a.gz', 'b.gz')]
    self.assertEqual(first, second)
    self.assertEqual(first[4:8], bytes(4))  # The time in the header.

  def test_gzip_is_known_by_its_contents(self):
    path = self.folder / 'no-suffix'
    path.write_bytes(gzip.compress(_contents(0x0801, 2, data=b'\1\2')))
    np.testing.assert_array_equal(idx.read(path), [1, 2])

  @parameterized.named_parameters(
    ('dtype', np.zeros(3, np.int64), 'cannot hold int64'),
    ('rank', np.zeros((), np.uint8), '1 to 32 dimensions, not 0'),
  )
  def test_what_idx_cannot_hold_is_refused(self, array, message):
    path = self.folder / 'array'
    with self.assertRaisesRegex(ValueError, message):
      idx.write(path, array)
    self.assertFalse(path.exists())


class FaultTest(_FolderTestCase):
  @parameterized.named_parameters(
    ('empty', b'', 'truncated: 0 bytes'),
    ('short_magic', b'\0\0\x08', 'truncated: 3 bytes'),
    ('nonzero_start', _contents(0x01000801, 1, data=b'\1'), '0x01000801'),
    ('unknown_type', _contents(0x0A01, 1, data=b'\1'), 'not an IDX file'),
    ('no_dimensions', _contents(0x0800), 'not an IDX file'),
    ('many_dimensions', _contents(0x0821), 'not an IDX file'),
    ('short_dimensions', _contents(0x0803, 1, 2), 'inside its 3 dimensions'),
    ('no_data', _contents(0x0801, 2), 'truncated: its header says'),
    ('truncated', _contents(0x0802, 2, 2, data=b'abc'), '4 bytes, and 3'),
    ('too_long', _contents(0x0802, 2, 2, data=b'abcde'), 'too long'),
    ('wide', _contents(0x0C01, 1, data=b'abc'), r'int32, which is 4 bytes'),
    ('huge', _contents(0x0803, *[2**32 - 1] * 3), 'truncated: its header'),
  )
  def test_damage_is_named_with_the_file(self, contents, message):
    path = self.folder / 'images'
    path.write_bytes(contents)
    with self.assertRaisesRegex(ValueError, f'images: .*{message}'):
      idx.read(path)

  @parameterized.named_parameters(
    ('truncated', lambda contents: contents[:-9]),
    ('checksum', lambda contents: contents[:-8] + bytes(8)),
    ('trailing', lambda contents: contents + b'more'),
    ('deflate', lambda contents: contents[:10] + b'\xff' + contents[11:]),
  )
  def test_damaged_gzip_is_refused(self, change):
    path = self.folder / 'images.gz'
    whole = gzip.compress(_contents(0x0801, 9, data=bytes(range(9))))
    path.write_bytes(change(whole))
    with self.assertRaisesRegex(ValueError, 'images.gz: the gzip data are'):
      idx.read(path)

  @hypothesis.given(
    damage.damaged(
      gzip.compress(_contents(0x0802, 3, 4, data=bytes(range(12))), mtime=0)
    )
  )
  def test_any_damage_of_gzip_is_refused_or_harmless(self, contents):
    path = self.folder / 'images.gz'
    path.write_bytes(contents)
    try:
      array = idx.read(path)
    except ValueError as error:
      self.assertStartsWith(str(error), f'{path}: ')
      self.assertLen(str(error).splitlines(), 1)
    else:  # Bytes of the header that say nothing of the contents.
      np.testing.assert_array_equal(array.ravel(), range(12))

  def test_a_missing_file_is_named(self):
    path = self.folder / 'absent'
    with self.assertRaisesRegex(ValueError, 'absent: there is no such file'):
      idx.read(path)

  @hypothesis.settings(deadline=None, max_examples=100)
  @hypothesis.given(contents=strategies.binary(max_size=40))
  def test_any_bytes_are_either_whole_or_refused(self, contents):
    try:
      array = idx.parse(b'\0\0' + contents, 'bytes')
    except ValueError as error:
      self.assertStartsWith(str(error), 'bytes: ')
    else:
      self.assertEqual(4 + 4 * array.ndim + array.nbytes, len(contents) + 2)


if __name__ == '__main__':
  absltest.main()
