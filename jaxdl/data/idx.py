"""The IDX file format, in which MNIST and its descendants are published.

A file is a four-byte magic number (two zeros, a code for the element type, the
number of dimensions), each dimension as a big-endian 32-bit integer, and the
elements, big-endian, last dimension fastest. See LeCun, Cortes & Burges, "The
MNIST database of handwritten digits", http://yann.lecun.com/exdb/mnist/.
"""

import gzip
import math
import os
import pathlib
import struct
import zlib

import numpy as np

_DTYPES: dict[int, np.dtype] = {
  0x08: np.dtype('>u1'),
  0x09: np.dtype('>i1'),
  0x0B: np.dtype('>i2'),
  0x0C: np.dtype('>i4'),
  0x0D: np.dtype('>f4'),
  0x0E: np.dtype('>f8'),
}
_CODES = {dtype: code for code, dtype in _DTYPES.items()}
_MAX_DIMENSIONS = 32  # Of a numpy array, before numpy 2.
_GZIP_MAGIC = b'\x1f\x8b'


def read(path: str | os.PathLike[str]) -> np.ndarray:
  """Reads an IDX file, plain or gzipped, as an array in native byte order.

  Raises:
    ValueError: if the file is not one whole IDX file and nothing more.
  """
  return parse(read_contents(path), str(path))


def write(path: str | os.PathLike[str], array: np.ndarray) -> None:
  """Writes an array as an IDX file, gzipped if the path ends in `.gz`.

  Equal arrays give equal bytes: the gzip header carries no time.

  Raises:
    ValueError: if IDX has no code for the array's dtype or rank.
  """
  code = _CODES.get(array.dtype.newbyteorder('>'))
  if code is None:
    names = ', '.join(str(d.newbyteorder('=')) for d in _DTYPES.values())
    raise ValueError(
      f'{path}: IDX cannot hold {array.dtype}; convert the array to one of '
      f'{names}'
    )
  if not 1 <= array.ndim <= _MAX_DIMENSIONS:
    raise ValueError(
      f'{path}: an IDX array has 1 to {_MAX_DIMENSIONS} dimensions, not '
      f'{array.ndim}'
    )
  header = struct.pack(f'>HBB{array.ndim}I', 0, code, array.ndim, *array.shape)
  contents = header + array.astype(_DTYPES[code]).tobytes()
  if str(path).endswith('.gz'):
    contents = gzip.compress(contents, mtime=0)
  pathlib.Path(path).write_bytes(contents)


def read_contents(path: str | os.PathLike[str]) -> bytes:
  """Reads a file, uncompressing it if its first bytes are those of gzip.

  Raises:
    ValueError: if there is no such file, or its compressed data are damaged.
  """
  if not pathlib.Path(path).is_file():
    raise ValueError(f'{path}: there is no such file')
  contents = pathlib.Path(path).read_bytes()
  if not contents.startswith(_GZIP_MAGIC):
    return contents
  try:
    return gzip.decompress(contents)
  except (EOFError, gzip.BadGzipFile, zlib.error) as error:
    raise ValueError(
      f'{path}: the gzip data are truncated or damaged ({error}); '
      'fetch the file again'
    ) from error


def parse(contents: bytes, where: str) -> np.ndarray:
  """Parses the uncompressed contents of an IDX file.

  Args:
    contents: the whole file.
    where: the name of the file, for messages.

  Raises:
    ValueError: naming the file and what is wrong with it.
  """
  if len(contents) < 4:
    raise ValueError(
      f'{where}: truncated: {len(contents)} bytes do not hold the 4 bytes of '
      'an IDX magic number'
    )
  zeros, code, rank = struct.unpack_from('>HBB', contents)
  if zeros != 0 or code not in _DTYPES or not 1 <= rank <= _MAX_DIMENSIONS:
    raise ValueError(
      f'{where}: not an IDX file: its magic number is 0x{contents[:4].hex()}, '
      'not 0x0000 with an element type of 08, 09 or 0b to 0e and a number of '
      'dimensions from 01 to 20'
    )
  start = 4 + 4 * rank
  if len(contents) < start:
    raise ValueError(
      f'{where}: truncated: the file ends inside its {rank} dimensions'
    )
  shape = struct.unpack_from(f'>{rank}I', contents, 4)
  dtype = _DTYPES[code]
  _check_length(len(contents) - start, shape, dtype, where)
  array = np.frombuffer(contents, dtype, offset=start).reshape(shape)
  return array.astype(dtype.newbyteorder('='))


def _check_length(
  actual: int, shape: tuple[int, ...], dtype: np.dtype, where: str
) -> None:
  expected = math.prod(shape) * dtype.itemsize
  if actual == expected:
    return
  what = 'truncated' if actual < expected else 'too long'
  raise ValueError(
    f'{where}: {what}: its header says {shape} of '
    f'{dtype.newbyteorder("=")}, which is {expected} bytes, and {actual} follow'
  )
