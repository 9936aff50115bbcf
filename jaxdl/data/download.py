"""Downloading: to a temporary name, verified, then renamed.

A file that is there under its own name is therefore whole and right, also when
several processes fetch it at once or one of them is killed.
"""

from collections.abc import Callable, Sequence
import hashlib
import http.client
import os
import pathlib
import tempfile
from typing import BinaryIO
import urllib.request

_CHUNK_BYTES = 1 << 16
_TIMEOUT_SECONDS = 30.0


def cache_dir() -> pathlib.Path:
  """The user's cache directory: `$XDG_CACHE_HOME/jaxdl`, or `~/.cache/jaxdl`.

  See https://specifications.freedesktop.org/basedir-spec/.

  Raises:
    ValueError: the user has no home, as in some containers.
  """
  home = os.environ.get('XDG_CACHE_HOME', '')
  if os.path.isabs(home):  # The specification has relative ones ignored.
    return pathlib.Path(home, 'jaxdl')
  try:
    return pathlib.Path.home() / '.cache' / 'jaxdl'
  except RuntimeError as error:
    raise ValueError(
      'this user has no home to keep data in; set XDG_CACHE_HOME to a folder, '
      'by its whole path'
    ) from error


def fetch(
  addresses: Sequence[str],
  destination: pathlib.Path,
  verify: Callable[[pathlib.Path], None],
) -> None:
  """Downloads a file from the first address that gives it whole and verified.

  Args:
    addresses: to be tried in turn.
    destination: the file to make; its folder is made if need be.
    verify: is given the downloaded file, and raises ValueError if it is wrong.

  Raises:
    ValueError: if no address gave the file, with the reason for each.
  """
  failures = []
  for address in addresses:
    try:
      _fetch_one(address, destination, verify)
      return
    except (OSError, http.client.HTTPException, ValueError) as error:
      failures.append(f'{address}: {error}')
  raise ValueError('; '.join(failures))


def check_sha256(contents: bytes, expected: str, where: str) -> None:
  """Raises ValueError if the SHA-256 of the contents is not as published."""
  actual = hashlib.sha256(contents).hexdigest()
  if actual != expected:
    raise ValueError(
      f'{where}: the SHA-256 of its contents is {actual}, not {expected} as '
      'published'
    )


def _fetch_one(
  address: str,
  destination: pathlib.Path,
  verify: Callable[[pathlib.Path], None],
) -> None:
  destination.parent.mkdir(parents=True, exist_ok=True)
  handle, name = tempfile.mkstemp(
    prefix=f'{destination.name}.', suffix='.part', dir=destination.parent
  )
  temporary = pathlib.Path(name)
  try:
    with os.fdopen(handle, 'wb') as file:
      _copy(address, file, destination.name)
    verify(temporary)
    os.replace(temporary, destination)
  finally:
    temporary.unlink(missing_ok=True)


def _copy(address: str, file: BinaryIO, description: str) -> None:
  """Copies what an address answers into a file, with a line of progress."""
  from rich import console
  from rich import progress

  columns = (
    progress.TextColumn('{task.description}'),
    progress.BarColumn(),
    progress.DownloadColumn(),
    progress.TimeRemainingColumn(),
  )
  screen = console.Console(stderr=True)
  with urllib.request.urlopen(address, timeout=_TIMEOUT_SECONDS) as response:
    length = response.headers.get('Content-Length')
    total = None if length is None else int(length)
    received = 0
    with progress.Progress(*columns, console=screen) as bar:
      task = bar.add_task(f'Downloading {description}', total=total)
      while chunk := response.read(_CHUNK_BYTES):
        file.write(chunk)
        received += len(chunk)
        bar.update(task, completed=received)
  if total is not None and received != total:
    raise ValueError(f'the answer ended after {received} of {total} bytes')
