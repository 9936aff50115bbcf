"""Opens pages in a headless Chromium, for tests of what they really show."""

import pathlib
import shutil
import subprocess
import tempfile

_NAMES = ('chromium', 'chromium-browser', 'google-chrome')
_FLAGS = (
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--disable-dev-shm-usage',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--hide-scrollbars',
  '--enable-logging=stderr',
  '--v=0',
  '--virtual-time-budget=10000',
)


def open_page(
  path: pathlib.Path, fragment: str = '', size: tuple[int, int] = (1200, 900)
) -> tuple[str, list[str]]:
  """Opens a page, lets it run, and closes the browser.

  Args:
    path: the page's file.
    fragment: what follows the number sign of its address.
    size: of the window, in pixels.

  Returns:
    The document as HTML once its scripts have run, and what the browser logged
    to the console, line by line.

  Raises:
    FileNotFoundError: if there is no Chromium on the PATH.
  """
  found = [path for path in map(shutil.which, _NAMES) if path]
  if not found:
    raise FileNotFoundError(
      'The test of the page needs a browser: install Chromium, for instance by '
      '`apt-get install chromium`, and have it on the PATH.'
    )
  address = path.resolve().as_uri() + (f'#{fragment}' if fragment else '')
  with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
    command = [
      found[0],
      *_FLAGS,
      f'--user-data-dir={profile}',
      f'--window-size={size[0]},{size[1]}',
      '--dump-dom',
      address,
    ]
    run = subprocess.run(
      command, capture_output=True, text=True, timeout=120, check=True
    )
  return run.stdout, [s for s in run.stderr.splitlines() if 'CONSOLE' in s]
