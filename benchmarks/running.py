"""Benchmarks one after another, each in its own process, and their record."""

from collections.abc import Callable, Iterator, Sequence
import json
import pathlib
import shlex
import signal
import subprocess
import sys
import time
from typing import NamedTuple

from benchmarks import catalogue
from benchmarks import results as results_lib
from benchmarks import words

# What is sent to a process that should end, and how long it then has.
_ENDINGS = ((None, 1), (signal.SIGINT, 10), (signal.SIGKILL, 10))
_ROOT = pathlib.Path(__file__).resolve().parents[1]


class Failure(NamedTuple):
  """A benchmark that found nothing.

  Attributes:
    command: that ran it.
    message: the last line that it had to say.
  """

  command: str
  message: str


class Record(NamedTuple):
  """What several benchmarks found.

  Attributes:
    quick: whether they were cut short, so that no figure is to be trusted.
    results: of those that succeeded, in order.
    failures: of the others.
  """

  quick: bool
  results: tuple[results_lib.Result, ...] = ()
  failures: tuple[Failure, ...] = ()


# Maps an entry and the file for its result to the command that runs it.
Launch = Callable[[catalogue.Entry, pathlib.Path, bool], Sequence[str]]


def launch(
  entry: catalogue.Entry, json_file: pathlib.Path, quick: bool
) -> list[str]:
  """Returns the command of an entry.

  Args:
    entry: of the catalogue.
    json_file: for its result.
    quick: whether to cut it short.
  """
  flags = (f'--json={json_file}', *entry.flags, *(entry.quick if quick else ()))
  module = f'benchmarks.{entry.name}'
  return [*entry.prefix, sys.executable, '-m', module, *flags]


def run(
  entries: Sequence[catalogue.Entry],
  folder: pathlib.Path,
  quick: bool,
  say: Callable[[str], None],
  launch: Launch = launch,
) -> Iterator[Record]:
  """Runs entries; yields the record so far, after each of them.

  What each prints is kept in the folder, as `<number>_<name>.txt`.

  Args:
    entries: in order.
    folder: where to write.
    quick: whether to cut them short.
    say: takes lines on what is going on.
    launch: returns the command of an entry.
  """
  record = Record(quick)
  for number, entry in enumerate(entries, 1):
    told = ' '.join([entry.name, *entry.flags])
    say(f'[{number}/{len(entries)}] {told}')
    begin = time.monotonic()
    stem = folder / f'{number:02}_{entry.name}'
    json_file = stem.with_suffix('.json')
    command = launch(entry, json_file.resolve(), quick)
    message = _run_one(command, stem)
    seconds = time.monotonic() - begin
    if message is None:
      result = results_lib.from_json(json.loads(json_file.read_text()))
      again = ' '.join([*entry.prefix, result.command])
      result = result._replace(command=again)
      record = record._replace(results=(*record.results, result))
      json_file.unlink()
      for line in _answers(result):
        say(f'    {line}')
      say(f'    took {seconds:.0f} s')
    else:
      failure = Failure(shlex.join(command), message)
      record = record._replace(failures=(*record.failures, failure))
      say(f'    failed after {seconds:.0f} s: {message}')
    yield record


def _run_one(command: Sequence[str], stem: pathlib.Path) -> str | None:
  """Runs a command; returns what went wrong, or None if nothing did."""
  text, errors = stem.with_suffix('.txt'), stem.with_suffix('.err')
  with text.open('w') as out, errors.open('w') as err:
    try:
      process = subprocess.Popen(command, stdout=out, stderr=err, cwd=_ROOT)
    except FileNotFoundError:
      return f'{command[0]} is not installed'
    with process:
      try:
        status = process.wait()
      except KeyboardInterrupt:
        _end(process)
        raise
  if not status:
    errors.unlink()
    return None
  last = errors.read_text().strip().splitlines()[-1:]
  return f'{last[0] if last else f"status {status}"} ({errors})'


def _end(process: subprocess.Popen[bytes]) -> None:
  """Ends a process, which has a moment to end its own ones.

  A terminal sends Ctrl-C to all of them; whoever interrupts this one alone has
  it passed on.
  """
  for signal_number, seconds in _ENDINGS:
    if signal_number is not None:
      process.send_signal(signal_number)
    try:
      process.wait(seconds)
      return
    except subprocess.TimeoutExpired:
      continue


def _answers(result: results_lib.Result) -> Iterator[str]:
  """Yields a line for each ratio with a goal, else for each ratio, else one."""
  pairs = [
    (ratio, results_lib.found(measurement, ratio))
    for measurement in result.measurements
    for ratio in measurement.ratios
  ]
  with_goal = [pair for pair in pairs if pair[0].goal is not None]
  for ratio, found in with_goal or pairs:
    words_on_goal = (
      ''
      if ratio.goal is None
      else f', goal {words.goal(ratio)}, {words.verdict(ratio, found)}'
    )
    yield f'{words.found(ratio.kind, found)}{words_on_goal}: {ratio.question}'
  if not pairs:
    yield f'{len(result.measurements)} rows of {result.question}'


def write(record: Record, path: pathlib.Path) -> None:
  """Writes a record as JSON.

  Args:
    record: to write.
    path: of the file.
  """
  tree = {
    'quick': record.quick,
    'results': [results_lib.to_json(result) for result in record.results],
    'failures': [failure._asdict() for failure in record.failures],
  }
  path.write_text(json.dumps(tree, indent=1) + '\n')


def read(path: pathlib.Path) -> Record:
  """Returns what `write` wrote.

  Args:
    path: of the file.

  Raises:
    ValueError: it is no such file, or of another format.
  """
  try:
    tree = json.loads(path.read_text())
    return Record(
      tree['quick'],
      tuple(results_lib.from_json(each) for each in tree['results']),
      tuple(Failure(**each) for each in tree['failures']),
    )
  except (json.JSONDecodeError, KeyError, TypeError) as error:
    raise ValueError(
      f'{path} is no record of benchmarks ({error!r}); run them again'
    ) from error
