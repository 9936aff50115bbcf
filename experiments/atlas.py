"""The known facts of the field, each measured anew, each with a verdict.

Backpropagation, activations, receptive fields, architectures, preprocessing,
cures: what one learns of deep networks, as experiments. Each states a claim and
a rule of decision, measures over seeds, and is confirmed, refuted, or depends,
on what is said.

  ./run.sh atlas --only=vanishing,relu
  ./run.sh atlas --full
  ./run.sh atlas --list

Without flags: all facts over 6 seeds, some minutes on 2 cores. Ctrl-C loses the
fact that is being measured and no other: --resume goes on.

Writes to --out:

  atlas.html          a section a fact: formula, rule, numbers, figure, source
  atlas.md            the same as Markdown
  atlas.csv           a row for each claim under each condition
  <fact>/data.zarr    what was measured; verdicts are drawn from this alone
  <fact>/<fact>.png, .svg
"""

from collections.abc import Mapping, Sequence
import functools
import pathlib
import shutil
import time
from typing import Any

from absl import flags
from experiments import command_line
from experiments import facts
from experiments import list_flags
from experiments import output
from experiments import stopping

_NAME = 'atlas'
_FEWEST_SEEDS = 6  # That have an interval; `atlas.MIN_SEEDS`, without JAX.
_FULL_SEEDS = 20
_DATA = 'data.zarr'
_FILES = ('atlas.html', 'atlas.md', 'atlas.csv')

_ONLY = flags.DEFINE_list(
  'only', list(facts.NAMES), f'Facts, of {", ".join(facts.NAMES)}.'
)
_NUM_SEEDS = flags.DEFINE_integer(
  'num_seeds',
  _FEWEST_SEEDS,
  'Networks, or draws, of each kind.',
  lower_bound=_FEWEST_SEEDS,
)
_FULL = flags.DEFINE_bool('full', False, f'{_FULL_SEEDS} seeds.')
_LIST = flags.DEFINE_bool('list', False, 'List the facts and end.')
_RESUME = flags.DEFINE_bool(
  'resume', False, 'Measure only the facts that --out has not.'
)

_SECTIONS: Mapping[str, Sequence[flags.FlagHolder[Any]]] = {
  'Facts': [_ONLY, _NUM_SEEDS, _FULL, _LIST],
  'Output': [output.OUT, _RESUME, output.OVERWRITE],
}


def main(_: list[str]) -> None:
  """Measures facts, judges them and reports."""
  names = _names()
  if _LIST.value:
    _list(names)
    return
  command_line.configure_jax()
  num_seeds = _seeds()
  out = _output_folder(num_seeds)
  try:
    for index, name in enumerate(names, 1):
      _measure(name, num_seeds, out, f'{index}/{len(names)}')
    _report(names, out)
  except KeyboardInterrupt:
    raise KeyboardInterrupt(
      f'stopped; the facts that were measured are kept. Go on with: '
      f'{stopping.resume_command(out)}'
    ) from None


def _names() -> list[str]:
  """Returns the facts to measure, in the order of the Atlas."""
  list_flags.check({_ONLY.name: _ONLY.value})
  list_flags.check_unique(_ONLY)
  for name in _ONLY.value:
    if name not in facts.NAMES:
      raise ValueError(
        f'no fact is called {name!r}; there are {", ".join(facts.NAMES)}'
      )
  return [name for name in facts.NAMES if name in _ONLY.value]


def _seeds() -> int:
  if not _FULL.value:
    return _NUM_SEEDS.value
  if _NUM_SEEDS.present:
    raise ValueError('--full chooses the seeds; give it or --num_seeds')
  return _FULL_SEEDS


def _list(names: Sequence[str]) -> None:
  from jaxdl.atlas import facts as facts_lib

  for name in names:
    title = facts_lib.statement(facts.load(name).__doc__).title
    print(f'{name:22} {title}')


def _output_folder(num_seeds: int) -> pathlib.Path:
  """Returns the folder; checks that it may be written."""
  if _RESUME.value and not output.OUT.value:
    raise ValueError('--resume needs --out: the folder of the Atlas to resume')
  out = output.folder(_NAME)
  if not _RESUME.value:
    output.check_files(out, (*facts.NAMES, *_FILES))
  else:
    for name in facts.NAMES:
      if (out / name / _DATA).is_dir():
        _check_seeds(_open(out, name), out / name, num_seeds)
  return out


def _check_seeds(data: Any, folder: pathlib.Path, num_seeds: int) -> None:
  there = data.attrs['num_seeds']
  if there != num_seeds:
    raise ValueError(
      f'{folder} was measured over {there} seeds; resume with '
      f'--num_seeds={there}, or give another --out'
    )


def _measure(name: str, num_seeds: int, out: pathlib.Path, count: str) -> None:
  """Measures a fact and stores it whole, unless that is done already."""
  folder = out / name
  if _RESUME.value and (folder / _DATA).is_dir():
    return
  print(f'{count:>5} {name:22}', end='', flush=True)
  begin = time.monotonic()
  data = facts.load(name).FACT.measure(num_seeds)
  seconds = time.monotonic() - begin
  print(f'{seconds:6.1f} s', flush=True)
  data.attrs |= {'num_seeds': num_seeds, 'seconds': seconds, **_versions()}
  unfinished = folder / f'.{_DATA}'
  for path in (unfinished, folder / _DATA):
    shutil.rmtree(path, ignore_errors=True)
  folder.mkdir(parents=True, exist_ok=True)
  data.to_zarr(unfinished, mode='w', zarr_format=2, consolidated=True)
  unfinished.rename(folder / _DATA)


def _versions() -> dict[str, str]:
  import jax
  import jaxdl

  device = jax.devices()[0]
  return {
    'jaxdl': jaxdl.__version__,
    'jax': jax.__version__,
    'devices': f'{jax.device_count()} {device.device_kind}',
  }


def _open(out: pathlib.Path, name: str) -> Any:
  import xarray as xr

  return xr.open_zarr(out / name / _DATA, consolidated=True).load()


def _report(names: Sequence[str], out: pathlib.Path) -> None:
  """Judges what is stored, prints the table, writes the page."""
  from jaxdl import report
  from jaxdl.report import atlas as atlas_report
  from jaxdl.report import atlas_markdown
  from jaxdl.report import atlas_page
  from jaxdl.report import figures
  from jaxdl.report import tables
  import rich.console

  results = [_result(name, out) for name in names]
  for result in results:
    save = functools.partial(figures.save, result.figure)
    for suffix in ('.png', '.svg'):
      report.replace(out / result.name / f'{result.name}{suffix}', save)
  frame = atlas_report.frame(results)
  report.write_text(out / 'atlas.csv', tables.csv(frame))
  versions = _versions()
  report.write_text(out / 'atlas.md', atlas_markdown.render(results, versions))
  path = report.write_text(
    out / 'atlas.html', atlas_page.render(results, versions)
  )
  console = rich.console.Console()
  if not console.is_terminal:
    console.width = max(console.width, 140)
  console.print()
  console.print(atlas_report.table(results))
  print(f'\nPage: {output.shown(path)}  (data, figures and table beside it)')


def _result(name: str, out: pathlib.Path) -> Any:
  from jaxdl import atlas
  from jaxdl.atlas import facts as facts_lib
  from jaxdl.report import atlas as atlas_report

  module = facts.load(name)
  data = _open(out, name)
  judgements = [atlas.judge(claim) for claim in module.FACT.claims(data)]
  verdict, on = atlas.of_fact(judgements)
  num_seeds = int(data.attrs['num_seeds'])
  return atlas_report.Result(
    name=name,
    statement=facts_lib.statement(module.__doc__),
    formulas=module.FACT.formulas,
    judgements=judgements,
    verdict=verdict,
    on=on,
    figure=module.FACT.draw(data),
    num_seeds=num_seeds,
    seconds=float(data.attrs['seconds']),
    command=f'./run.sh atlas --only={name} --num_seeds={num_seeds}',
  )


if __name__ == '__main__':
  command_line.run(main, sections=_SECTIONS)
