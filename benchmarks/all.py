"""How fast is jaxdl? Every figure of docs/benchmarks.md, found anew.

Runs the benchmarks one after another, each in a process of its own, beside the
peers that they name, and writes into --out: `benchmarks.json` with every round,
`benchmarks.md` with the table, figures as SVG and PNG, and what each printed.
Ctrl-C keeps what is done.

  ./run.sh benchmark                     # all; leave the machine alone
  ./run.sh benchmark --quick             # only to see that they work
  ./run.sh benchmark --only=xray,vanishing
  ./run.sh benchmark --publish           # and puts them into docs/
  ./run.sh benchmark --redraw=results/benchmarks/<time> --publish
"""

from collections.abc import Sequence
import datetime
import pathlib

from absl import flags
from benchmarks import catalogue
from benchmarks import clocks
from benchmarks import running
from benchmarks import words
from experiments import command_line

_ONLY = flags.DEFINE_list('only', [], 'Names of benchmarks; else all.')
_QUICK = flags.DEFINE_bool(
  'quick', False, 'Cuts each short, to see that it works.'
)
_FULL = flags.DEFINE_bool('full', False, 'Also convolutions of every shape.')
_OUT = flags.DEFINE_string(
  'out', None, 'Folder to write into; by default results/benchmarks/<time>.'
)
_PUBLISH = flags.DEFINE_bool(
  'publish',
  False,
  'Also writes docs/benchmark_results and the tables of docs/benchmarks.md.',
)
_REDRAW = flags.DEFINE_string(
  'redraw', None, 'Folder of an earlier run, to be drawn anew; runs nothing.'
)

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_BUSY = 0.5  # Cores that other work wants.


def main(_: Sequence[str]) -> None:
  """Runs what the flags ask for, and writes what it found."""
  if _PUBLISH.value and _QUICK.value:
    raise ValueError('--publish takes no --quick: its figures are not true')
  if _REDRAW.value:
    folder = pathlib.Path(_REDRAW.value)
    record = _publication().read(folder)
  else:
    folder, record = _run()
  _publication().write(record, folder)
  print(f'{folder}/benchmarks.md has the table; figures are beside it.')
  if _PUBLISH.value:
    _publication().publish(record, _ROOT / 'docs')
    print('docs/benchmarks.md and docs/benchmark_results have it too.')
  if record.failures:
    failed = ', '.join(failure.command for failure in record.failures)
    raise ValueError(f'{len(record.failures)} failed; see above: {failed}')


def _run() -> tuple[pathlib.Path, running.Record]:
  """Runs the benchmarks; returns the folder and the record."""
  entries = catalogue.select(_ONLY.value, _FULL.value)
  folder = _folder()
  _announce(entries, folder)
  record = running.Record(_QUICK.value)
  try:
    for record in running.run(entries, folder, _QUICK.value, _say):
      running.write(record, folder / 'benchmarks.json')
  except KeyboardInterrupt:
    _publication().write(record, folder)
    raise KeyboardInterrupt(
      f'interrupted; {folder} has the {len(record.results)} that were done'
    ) from None
  return folder, record


def _say(line: str) -> None:
  print(line, flush=True)


def _announce(entries: Sequence[catalogue.Entry], folder: pathlib.Path) -> None:
  minutes = sum(entry.seconds for entry in entries) / 60
  time = 'a few minutes' if _QUICK.value else f'about {minutes:.0f} minutes'
  machine = clocks.machine()
  _say(
    f'{len(entries)} benchmarks, {time} on two idle cores (here: '
    f'{words.machine(machine)}), into {folder}.'
  )
  if machine.load > _BUSY:
    _say(
      f'Other work wants {machine.load:.1f} cores at the moment: figures will '
      'be off.'
    )


def _folder() -> pathlib.Path:
  """Makes the folder to write into.

  Raises:
    ValueError: it has a record already.
  """
  now = datetime.datetime.now().strftime('%Y-%m-%d-%H%M%S')
  folder = pathlib.Path(_OUT.value or f'results/benchmarks/{now}')
  if (folder / 'benchmarks.json').exists():
    raise ValueError(
      f'{folder} has the results of another run; choose another --out'
    )
  folder.mkdir(parents=True, exist_ok=True)
  return folder


def _publication():
  """Returns the module that draws, which --help and mistakes don't wait for."""
  from benchmarks import publication

  return publication


if __name__ == '__main__':
  command_line.run(main, script='./run.sh benchmark')
