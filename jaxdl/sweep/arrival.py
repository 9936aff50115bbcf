"""Waiting for what another process has made to be seen by this one."""

import contextlib
import os
import pathlib
import time

_SECONDS_TO_ARRIVE = 10.0
_SECONDS_BETWEEN_LOOKS = 0.2


def wait_for(
  path: str | os.PathLike[str], seconds: float = _SECONDS_TO_ARRIVE
) -> bool:
  """Waits until a path is seen that another process says it has made.

  The file system of a network may go on saying for a minute that something is
  not there. It asks its server anew when a directory is opened, though (see
  nfs(5), close-to-open consistency), so the two above the path are listed.

  Args:
    path: of a file or directory.
    seconds: how long to wait at most.

  Returns:
    Whether it is seen.
  """
  path, end = pathlib.Path(path), time.monotonic() + seconds
  while not _is_seen(path):
    if time.monotonic() >= end:
      return False
    time.sleep(_SECONDS_BETWEEN_LOOKS)
  return True


def _is_seen(path: pathlib.Path) -> bool:
  for folder in (path.parent.parent, path.parent):
    # It may not be seen yet, or let others only pass through.
    with contextlib.suppress(FileNotFoundError, PermissionError):
      os.listdir(folder)
  return path.exists()
