"""Ctrl-C: how a study stops, and how one goes on with it."""

from collections.abc import Callable
import os
import shlex
import signal
import sys
import threading
from typing import NoReturn, Protocol

_INTERRUPTED = 130  # 128 + SIGINT, as shells have it.
_OURS = ('out', 'resume', 'noresume', 'overwrite', 'nooverwrite')


class Display(Protocol):
  """What shows that a study stops; called from within a signal handler."""

  def stopping(self) -> None:
    """Says that it stops after this chunk."""

  def abandon(self) -> None:
    """Leaves the terminal as it was found."""


class OnInterrupt:
  """Turns the first Ctrl-C into a request, and the second into the end.

  A context manager that gives what tells whether to stop. The second Ctrl-C
  ends the process where it stands, also while XLA compiles: whatever was
  recorded is whole at any moment.
  """

  def __init__(self, display: Display, message: str):
    """Takes what says it, and the last words of a process that ends at once."""
    self._display = display
    self._message = message
    self._stop = threading.Event()

  def __enter__(self) -> Callable[[], bool]:
    self._previous = signal.signal(signal.SIGINT, self._request)
    return self._stop.is_set

  def __exit__(self, *exception: object) -> None:
    signal.signal(signal.SIGINT, self._previous)

  def _request(self, *_: object) -> None:
    signal.signal(signal.SIGINT, self._end)
    self._stop.set()
    self._display.stopping()

  def _end(self, *_: object) -> NoReturn:
    self._display.abandon()
    say(self._message)
    os._exit(_INTERRUPTED)


def say(message: str) -> None:
  """Writes a line to stderr; a signal handler may, which may not `print`."""
  os.write(sys.stderr.fileno(), os.fsencode(f'{message}\n'))


def resume_command(out: str | os.PathLike[str]) -> str:
  """Returns the command that goes on with this study, as it was given.

  Args:
    out: the folder of the study.
  """
  arguments, given, skip = sys.argv[1:], [], False
  for argument in arguments:
    name, equals, _ = argument.lstrip('-').partition('=')
    if skip:
      skip = False
    elif argument.startswith('-') and name in _OURS:
      skip = name == 'out' and not equals
    else:
      given.append(argument)
  program = sys.orig_argv[: len(sys.orig_argv) - len(arguments)]
  return shlex.join([*program, *given, f'--out={os.fspath(out)}', '--resume'])
