"""One process at a time writes a sweep."""

import fcntl
import os
import pathlib
from typing import Self


class Lock:
  """Keeps other processes from a directory; a context manager, which frees it.

  The lock is the kernel's, on the directory itself: there is no file that a
  killed process could leave behind. It holds on one machine; a network's file
  system may not tell others of it, or know no locks.
  """

  def __init__(self, out: str | os.PathLike[str]):
    """Takes the directory of a sweep, which may not be there yet."""
    self._out = pathlib.Path(out)
    self._descriptor: int | None = None

  def __enter__(self) -> Self:
    if self._out.is_dir():
      self.take()
    return self

  def __exit__(self, *exception: object) -> None:
    if self._descriptor is not None:
      os.close(self._descriptor)

  def take(self) -> None:
    """Makes the directory if need be, and locks it, unless that is done.

    Raises:
      ValueError: another process holds it.
    """
    if self._descriptor is not None:
      return
    self._out.mkdir(parents=True, exist_ok=True)
    self._descriptor = os.open(self._out, os.O_RDONLY)
    try:
      fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      raise ValueError(
        f'another process is writing to {self._out}; wait until it has ended, '
        'or give another --out'
      ) from None
    except OSError:  # The file system knows no locks.
      pass
