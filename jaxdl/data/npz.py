"""NumPy's .npz files: zip archives of plain arrays, from whoever made them.

Nothing in a file is believed before it is checked: no pickle is loaded, and
memory is taken only for as many elements as the file has bytes for. See
https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html.
"""

from collections.abc import Callable, Mapping
import io
import math
from typing import IO
import zipfile

import numpy as np
from numpy.lib import format as npy

_SUFFIX = '.npy'
_MOST_EXPANSION = 1032  # Bytes that deflate makes of one, at most.
_HEADERS: Mapping[tuple[int, int], Callable[..., tuple]] = {
  (1, 0): npy.read_array_header_1_0,
  (2, 0): npy.read_array_header_2_0,
}


def parse(contents: bytes, where: str) -> dict[str, np.ndarray]:
  """Parses the contents of a .npz file.

  Args:
    contents: the whole file.
    where: the name of the file, for messages.

  Returns:
    The arrays by their names; what else is in the archive is left out.

  Raises:
    ValueError: naming the file, if it is damaged, holds Python objects, or
      declares more than it holds.
  """
  try:
    with zipfile.ZipFile(io.BytesIO(contents)) as archive:
      return {
        info.filename.removesuffix(_SUFFIX): _read(archive, info, len(contents))
        for info in archive.infolist()
        if info.filename.endswith(_SUFFIX)
      }
  except Exception as error:  # A damaged header raises whatever it happens to.
    reason = ' '.join(str(error).split()) or type(error).__name__
    raise ValueError(
      f'{where}: not a .npz file of plain arrays, or damaged ({reason}); write '
      'it with np.savez_compressed, without object arrays'
    ) from error


def _read(
  archive: zipfile.ZipFile, info: zipfile.ZipInfo, num_bytes: int
) -> np.ndarray:
  """Reads one array, if the archive of so many bytes can hold it."""
  with archive.open(info) as file:
    declared = _declared_bytes(file)
  possible = min(info.file_size, _MOST_EXPANSION * num_bytes)
  if declared > possible:
    raise ValueError(
      f'{info.filename} declares {declared} bytes and holds {possible} at most'
    )
  with archive.open(info) as file:
    return npy.read_array(file, allow_pickle=False)


def _declared_bytes(file: IO[bytes]) -> int:
  """The size of the array that a header speaks of."""
  version = npy.read_magic(file)
  if version not in _HEADERS:
    raise ValueError(f'.npy version {version} is none of plain arrays')
  shape, _, dtype = _HEADERS[version](file)
  # An element of no bytes takes memory too, as a label or a pixel.
  return math.prod(shape) * max(dtype.itemsize, 1)
