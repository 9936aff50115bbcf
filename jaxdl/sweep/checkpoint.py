"""The train states of a program, on disk.

A file is a line of hexadecimal digits, the CRC-32 of what follows, and
MessagePack: the step that the states belong to, and their leaves. It is written
under another name, flushed to the disk and renamed, so that at any moment the
file is either the old one or the new one.
"""

from collections.abc import Sequence
import os
import pathlib
from typing import Any, NamedTuple
import zlib

import numpy as np


class Checkpoint(NamedTuple):
  """States after so many steps; a finished program needs none."""

  step: int
  finished: bool
  leaves: tuple[np.ndarray, ...]  # Each [cells, ...], without copies of cells.


def write(path: pathlib.Path, checkpoint: Checkpoint) -> None:
  """Writes a checkpoint, all of it or nothing."""
  from flax import serialization

  payload = serialization.msgpack_serialize(
    {
      'step': checkpoint.step,
      'finished': checkpoint.finished,
      'leaves': {str(i): leaf for i, leaf in enumerate(checkpoint.leaves)},
    }
  )
  partial = path.with_suffix('.partial')
  if partial.is_symlink():
    partial.unlink()  # Or what it points to would be overwritten.
  with partial.open('wb') as file:
    file.write(b'%08x\n' % zlib.crc32(payload))
    file.write(payload)
    file.flush()
    os.fsync(file.fileno())
  partial.replace(path)


def read(path: pathlib.Path) -> Checkpoint | None:
  """Reads a checkpoint; None if there is none.

  Args:
    path: its file.

  Returns:
    The checkpoint.

  Raises:
    ValueError: the file is damaged.
  """
  from flax import serialization

  if not path.exists():
    return None
  try:
    digits, _, payload = path.read_bytes().partition(b'\n')
    if digits != b'%08x' % zlib.crc32(payload):
      raise ValueError('another checksum')
    return _from_content(serialization.msgpack_restore(payload))
  except Exception as error:  # MessagePack of something else can be anything.
    raise ValueError(
      f'checkpoint {path} is damaged; delete it to train its program again'
    ) from error


def _from_content(content: Any) -> Checkpoint:
  """Raises one error or another if the content is that of no checkpoint."""
  step, finished = content['step'], content['finished']
  leaves = [content['leaves'][str(i)] for i in range(len(content['leaves']))]
  if (
    type(step) is not int
    or step < 0
    or not isinstance(finished, bool)
    or not all(isinstance(leaf, np.ndarray) and leaf.ndim for leaf in leaves)
  ):
    raise ValueError('no checkpoint')
  return Checkpoint(step, finished, tuple(leaves))


def check(path: pathlib.Path, checkpoint: Checkpoint, shapes: Sequence) -> None:
  """Raises a ValueError if a checkpoint does not fit the states of a program.

  Args:
    path: its file, for the message.
    checkpoint: the checkpoint.
    shapes: the shapes of the leaves, with any number of cells.

  Raises:
    ValueError: another number of leaves, or another shape or dtype.
  """
  found = [(leaf.shape[1:], str(leaf.dtype)) for leaf in checkpoint.leaves]
  wanted = [(shape.shape[1:], str(shape.dtype)) for shape in shapes]
  if found != wanted:
    raise ValueError(
      f'checkpoint {path} holds other states than this program has: it was '
      'written by another version of the experiment; use --overwrite, or '
      'another --out'
    )
