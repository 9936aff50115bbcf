"""The shell of every benchmark: prints what it found, and writes it as JSON.

A benchmark ends in

  if __name__ == '__main__':
    reporting.run(main)

and its `main` hands over its measurements, as they come, to `report`.
"""

from collections.abc import Callable, Iterable, Sequence
import datetime
from importlib import metadata
import json
import pathlib
import platform
import shlex
import sys
import time
from typing import Any, NoReturn

from absl import flags
from benchmarks import clocks
from benchmarks import results
from benchmarks import words
from experiments import command_line

_JSON = flags.DEFINE_string(
  'json', None, 'File for the result, every round of it, as JSON.'
)

_SCRIPT = './run.sh benchmark'
_LIBRARIES = ('jaxdl', 'jax', 'flax', 'optax', 'numpy', 'torch')


def run(main: Callable[[list[str]], Any], arguments: str = '') -> NoReturn:
  """Runs a benchmark's `main` and exits; see `command_line.run`.

  Args:
    main: takes what is left of the command line after its flags.
    arguments: what it takes beside flags, for the help page.
  """
  sections = {'Output': [_JSON]}
  command_line.run(main, sections=sections, arguments=arguments, script=_SCRIPT)


def report(measurements: Iterable[results.Measurement]) -> results.Result:
  """Prints measurements as they come, and writes them if `--json` asks.

  Args:
    measurements: taken one after another, while this is running.

  Returns:
    What was found, with what it was measured on.
  """
  begin, machine, versions = time.monotonic(), clocks.machine(), _versions()
  date = datetime.datetime.now(datetime.UTC)
  print(words.head(machine, versions), flush=True)
  taken = []
  for measurement in measurements:
    print(words.text(measurement), flush=True)
    taken.append(measurement)
  result = results.Result(
    benchmark=pathlib.Path(sys.argv[0]).stem,
    question=(sys.modules['__main__'].__doc__ or '').partition('\n')[0],
    command=_command(sys.argv),
    date=date.isoformat(timespec='seconds'),
    seconds=round(time.monotonic() - begin, 1),
    machine=machine,
    versions=versions,
    measurements=tuple(taken),
  )
  if _JSON.value:
    path = pathlib.Path(_JSON.value)
    path.write_text(json.dumps(results.to_json(result), indent=1) + '\n')
  return result


def _command(argv: Sequence[str]) -> str:
  """Returns what runs this again: without where its result goes."""
  name = pathlib.Path(argv[0]).stem
  given = [word for word in argv[1:] if not word.startswith('--json=')]
  return ' '.join([_SCRIPT, name, *map(shlex.quote, given)])


def _versions() -> dict[str, str]:
  """Returns the versions of what may decide a benchmark, of those installed."""
  known = {'python': platform.python_version()}
  for name in _LIBRARIES:
    try:
      known[name] = metadata.version(name)
    except metadata.PackageNotFoundError:
      continue
  return known
