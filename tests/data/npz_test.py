"""Tests for `npz.py`."""

import io
import pathlib
import pickle
import struct
import tracemalloc
import zipfile

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies
from hypothesis.extra import numpy as hypothesis_numpy
from jaxdl.data import npz
import numpy as np

from tests import damage

_DTYPES = ('uint8', '>i2', '<u8', '>f4', '<f8', 'bool')
_ARRAYS = {
  'train_images': np.arange(60, dtype=np.uint8).reshape(3, 5, 4),
  'labels': np.array([0, 1, 2], '>i4'),
}


def _header(dtype, shape: str) -> str:
  return f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}}}"


# Each raised another kind of error in numpy, or asked for memory.
_HEADERS = (
  _header('|u1', f'({2**60},)'),
  _header('|u1', f'({2**62}, 4)'),
  _header('|u1', f'({2**70},)'),
  _header('|u1', f'({2**33},)'),
  _header('|V0', f'({2**33},)'),
  _header('|u1', '(-1,)'),
  _header('|u1', '(True,)'),
  _header('|u1', '3'),
  _header(3, '(3,)'),
  _header('|O', '(3,)'),
  '[1, 2',
  '(' * 5000,
  '-' * 9000 + '1',
  "__import__('os')",
  '\0',
  ' ' * 70000,
)


def _archive(members, compression=zipfile.ZIP_DEFLATED) -> bytes:
  stream = io.BytesIO()
  with zipfile.ZipFile(stream, 'w', compression) as archive:
    for name, contents in members.items():
      archive.writestr(name, contents)
  return stream.getvalue()


def _with_header(header: str, payload: bytes) -> bytes:
  text = header.encode('latin1') + b'\n'
  length = struct.pack('<I', len(text))
  return b'\x93NUMPY\x02\x00' + length + text + payload


def _saved(save=np.savez, **arrays) -> bytes:
  stream = io.BytesIO()
  save(stream, **arrays)
  return stream.getvalue()


class _Trap:
  """Leaves a mark where its pickle is loaded."""

  def __init__(self, mark: pathlib.Path):
    self._mark = mark

  def __reduce__(self):
    return pathlib.Path.touch, (self._mark,)


class NpzTest(parameterized.TestCase):
  @hypothesis.given(
    array=strategies.sampled_from(_DTYPES).flatmap(
      lambda dtype: hypothesis_numpy.arrays(
        dtype, hypothesis_numpy.array_shapes(min_dims=0, min_side=0)
      )
    ),
    save=strategies.sampled_from([np.savez, np.savez_compressed]),
    order=strategies.sampled_from('CF'),
  )
  def test_reads_what_numpy_writes(self, array, save, order):
    found = npz.parse(_saved(save, x=np.asarray(array, order=order)), 'a.npz')
    self.assertEqual(list(found), ['x'])
    self.assertEqual(found['x'].dtype, array.dtype)
    np.testing.assert_array_equal(found['x'], array)

  def _assert_refused_or_whole(self, contents):
    try:
      found = npz.parse(contents, 'a.npz')
    except ValueError as error:
      self.assertStartsWith(str(error), 'a.npz: not a .npz file of plain ')
      self.assertLen(str(error).splitlines(), 1)
    else:
      self.assertLess(sum(x.nbytes for x in found.values()), 10_000)

  @hypothesis.given(damage.damaged(_saved(**_ARRAYS)))
  def test_damaged_archive_is_one_clear_line(self, contents):
    self._assert_refused_or_whole(contents)

  @hypothesis.settings(max_examples=200)
  @hypothesis.given(
    damage.damaged(_with_header(_header('<f8', '(3,)'), bytes(24)))
  )
  def test_damaged_header_is_one_clear_line(self, member):
    self._assert_refused_or_whole(_archive({'x.npy': member}))

  @parameterized.parameters(*_HEADERS)
  def test_header_that_lies_takes_no_memory(self, header):
    contents = _archive({'x.npy': _with_header(header, bytes(24))})
    tracemalloc.start()
    try:
      with self.assertRaisesRegex(ValueError, '^a.npz: not a .npz file of'):
        npz.parse(contents, 'a.npz')
      self.assertLess(tracemalloc.get_traced_memory()[1], 20_000_000)
    finally:
      tracemalloc.stop()

  def test_directory_that_lies_takes_no_memory(self):
    """The archive too says how large a member is."""
    size = 2**31
    member = _with_header(_header('|u1', f'({size},)'), bytes(24))
    contents = _archive({'x.npy': member}, zipfile.ZIP_STORED)
    at = contents.index(b'PK\x01\x02')
    lie = struct.pack('<I', size + 1000)
    contents = contents[: at + 24] + lie + contents[at + 28 :]
    with self.assertRaisesRegex(ValueError, 'x.npy declares 2147483648 bytes'):
      npz.parse(contents, 'a.npz')

  def test_no_pickle_is_loaded(self):
    mark = pathlib.Path(self.create_tempdir().full_path) / 'loaded'
    objects = np.array([_Trap(mark), None], object)
    bare = pickle.dumps(_Trap(mark))
    for contents in (
      _saved(x=objects),
      bare,
      _archive({'x.npy': bare}),
      _archive({'x.npy': _with_header(_header('|O', '(3,)'), bare)}),
    ):
      with self.assertRaisesRegex(ValueError, 'not a .npz file of plain'):
        npz.parse(contents, 'a.npz')
    self.assertFalse(mark.exists())
    # The trap does work.
    np.load(io.BytesIO(_saved(x=objects)), allow_pickle=True)['x']
    self.assertTrue(mark.exists())

  def test_what_is_no_array_is_left_out(self):
    contents = _archive({'../../notes.txt': b'mine', '/x': b''})
    self.assertEqual(npz.parse(contents, 'a.npz'), {})


if __name__ == '__main__':
  absltest.main()
