"""A process that has imported everything, and is forked for each run.

Most of the time of a short run goes into imports. What a fork inherits is only
modules: flags are parsed, and JAX is set up, in the fork.
"""

from collections.abc import Callable, Mapping
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from typing import NamedTuple

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_LONGEST = 150  # Seconds, after which a run is killed: no test hangs.
_SIGNALLED = 128  # Added to the number of the signal, as shells have it.


class Done(NamedTuple):
  """How a run ended."""

  returncode: int
  stdout: str
  stderr: str


class Runs:
  """Runs experiments, one run after the other."""

  def __init__(self, environment: Mapping[str, str]):
    self._process = subprocess.Popen(
      [sys.executable, '-m', 'tests.experiments.warm_process'],
      cwd=_ROOT,
      env=dict(environment),
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      text=True,
    )

  def run(
    self,
    experiment: str,
    arguments: list[str],
    folder: str | os.PathLike[str],
    meanwhile: Callable[[int], None] = lambda process: None,
    file_size: int = -1,
    lowered: bool = False,
    **changes: str,
  ) -> Done:
    """Runs one with these arguments and changes of the environment.

    Args:
      experiment: which.
      arguments: its flags.
      folder: the working directory.
      meanwhile: called with its process id once it is started.
      file_size: bytes that no file of it may exceed; -1 for no limit.
      lowered: whether what it compiles is lowered for a TPU too.
      **changes: of JAX's and XLA's settings in the environment.
    """
    with tempfile.TemporaryDirectory() as outputs:
      paths = [f'{outputs}/stdout', f'{outputs}/stderr']
      where = (os.fspath(folder), *paths)
      request = (experiment, arguments, *where, file_size, lowered, changes)
      print(json.dumps(request), file=self._process.stdin, flush=True)
      meanwhile(int(self._process.stdout.readline()))
      status = int(self._process.stdout.readline())
      return Done(status, *(pathlib.Path(path).read_text() for path in paths))

  def close(self) -> None:
    """Ends the process."""
    self._process.communicate()


def _serve() -> None:
  """Forks for each line of the standard input."""
  import gc
  import warnings

  from experiments import progress  # noqa: F401
  import jax  # noqa: F401
  from jaxdl import laboratory  # noqa: F401
  from jaxdl.report import figures  # noqa: F401

  from tests import lowering  # noqa: F401

  # Of forking with threads: none runs before JAX has a device.
  warnings.simplefilter('ignore')
  # What is inherited stays, so no fork spends half a second in collecting it.
  gc.freeze()
  for line in sys.stdin:
    child = os.fork()
    if child == 0:
      _become(*json.loads(line))
    print(child, flush=True)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    print(code if code >= 0 else _SIGNALLED - code, flush=True)


def _become(
  experiment, arguments, folder, stdout, stderr, file_size, lowered, changes
) -> None:
  """Becomes a run in a folder, and ends with it."""
  import contextlib
  import resource
  import runpy
  import signal

  import jax

  from tests import lowering

  os.environ.update(changes)
  for name, value in changes.items():  # JAX reads its own when imported.
    if name.startswith('JAX_'):
      jax.config.update(name.lower(), int(value) if value.isdigit() else value)
  os.chdir(folder)
  for descriptor, path in ((0, os.devnull), (1, stdout), (2, stderr)):
    flags = os.O_RDWR | os.O_CREAT
    os.dup2(os.open(path, flags), descriptor)
  sys.argv[1:] = arguments
  sys.orig_argv[1:] = ['-m', 'experiments', experiment, *arguments]
  signal.alarm(_LONGEST)
  resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
  with lowering.too() if lowered else contextlib.nullcontext() as checked:
    try:
      runpy.run_module(
        f'experiments.{experiment}', run_name='__main__', alter_sys=True
      )
    finally:
      assert checked or not lowered, 'nothing was compiled'


if __name__ == '__main__':
  _serve()
