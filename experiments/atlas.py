"""The known facts of the field, each measured anew, each with a verdict.

Backpropagation, activations, receptive fields, architectures, preprocessing,
cures: what one learns of deep networks, as experiments. Each states a claim and
a rule of decision, measures over seeds, and is confirmed, refuted, or depends,
on what is said.

  ./run.sh atlas --only=vanishing,relu
  ./run.sh atlas --full
  ./run.sh atlas --list

Without flags: all facts over 6 seeds, about 8 minutes on 2 cores. Ctrl-C loses
the fact that is being measured and no other: --resume goes on.

Writes to --out:

  atlas.html          a section a fact: formula, rule, numbers, figure, source
  atlas.md            the same as Markdown
  atlas.csv           a row for each claim under each condition
  <fact>/data.zarr    what was measured; verdicts are drawn from this alone
  <fact>/<fact>.png, .svg
"""

from collections.abc import Mapping, Sequence
import functools
import inspect
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
  'only', None, 'Facts by name, with commas between; --list has the names.'
)
_NUM_SEEDS = flags.DEFINE_integer(
  'num_seeds',
  _FEWEST_SEEDS,
  'Networks, or draws, of each kind; of fewer than 6 there is no interval.',
  lower_bound=_FEWEST_SEEDS,
)
_FULL = flags.DEFINE_bool(
  'full', False, f'{_FULL_SEEDS} seeds, which takes longer.'
)
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
    _report(out)
  except KeyboardInterrupt:
    raise KeyboardInterrupt(
      f'stopped; the facts that were measured are kept. Go on with: '
      f'{stopping.resume_command(out)}'
    ) from None


def _names() -> list[str]:
  """Returns the facts to measure, in the order of the Atlas."""
  if _ONLY.value is None:
    return list(facts.NAMES)
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
  """Returns the folder; checks that it may be written, and what is there."""
  if _RESUME.value and not output.OUT.value:
    raise ValueError('--resume needs --out: the folder of the Atlas to resume')
  if _RESUME.value and output.OVERWRITE.value:
    raise ValueError('--resume and --overwrite exclude each other; give one')
  out = output.folder(_NAME)
  files = (*facts.NAMES, *_FILES)
  if not _RESUME.value:
    output.check_files(out, files)
    for name in facts.NAMES:  # Or an old fact would be taken for a new one.
      shutil.rmtree(out / name, ignore_errors=True)
    return out
  if not out.is_dir():
    raise ValueError(f'there is no {out} to resume; check --out')
  output.check_foreign(out, files)
  for name in _stored(out):
    _check_seeds(_open(out, name), out / name, num_seeds)
  return out


def _stored(out: pathlib.Path) -> list[str]:
  """Returns the facts that are measured, in the order of the Atlas."""
  return [name for name in facts.NAMES if (out / name / _DATA).is_dir()]


def _check_seeds(data: Any, folder: pathlib.Path, num_seeds: int) -> None:
  there = data.attrs.get('num_seeds')
  if there is None:
    raise ValueError(f'{folder} holds no measurement of the Atlas; remove it')
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
  data.attrs |= {
    'num_seeds': num_seeds,
    'seconds': seconds,
    'sizes': _sizes(name),
    **_versions(),
  }
  unfinished = folder / f'.{_DATA}'
  for path in (unfinished, folder / _DATA):
    shutil.rmtree(path, ignore_errors=True)
  folder.mkdir(parents=True, exist_ok=True)
  data.to_zarr(unfinished, mode='w', zarr_format=2, consolidated=True)
  unfinished.rename(folder / _DATA)


def _sizes(name: str) -> str:
  """Returns what `measure` was called with, as one reads it."""
  parameters = inspect.signature(facts.load(name).FACT.measure).parameters
  return '; '.join(
    f'{size.replace("_", " ")} {_shown(parameter.default)}'
    for size, parameter in parameters.items()
    if parameter.default not in (inspect.Parameter.empty, None)
  )


def _shown(value: Any) -> str:
  if isinstance(value, str | int | float):
    return f'{value}'
  return ', '.join(map(_shown, value))


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

  path = out / name / _DATA
  try:
    return xr.open_zarr(path, consolidated=True).load()
  except Exception as error:  # Metadata of other content can be anything.
    raise ValueError(
      f'{path} is damaged ({error}); remove it, or give another --out'
    ) from error


def _report(out: pathlib.Path) -> None:
  """Judges what is stored, prints the table, writes the page."""
  from jaxdl import report
  from jaxdl.report import atlas as atlas_report
  from jaxdl.report import atlas_markdown
  from jaxdl.report import atlas_page
  from jaxdl.report import figures
  from jaxdl.report import tables
  import rich.console

  results = [_result(name, out) for name in _stored(out)]
  for result in results:
    save = functools.partial(figures.save, result.figure)
    for suffix in ('.png', '.svg'):
      report.replace(out / result.name / f'{result.name}{suffix}', save)
  frame = atlas_report.frame(results)
  report.write_text(out / 'atlas.csv', tables.csv(frame))
  report.write_text(out / 'atlas.md', atlas_markdown.render(results))
  path = report.write_text(out / 'atlas.html', atlas_page.render(results))
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
  try:
    judgements = [atlas.judge(claim) for claim in module.FACT.claims(data)]
  except KeyError as error:
    raise ValueError(
      f'{out / name} was measured by another version of jaxdl; remove it, or '
      f'give another --out ({error})'
    ) from error
  except ValueError as error:
    raise ValueError(f'{name}: {error}') from error
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
    measured_with=_measured_with(data.attrs),
    seconds=float(data.attrs['seconds']),
    command=f'./run.sh atlas --only={name} --num_seeds={num_seeds}',
  )


def _measured_with(attrs: Mapping[str, Any]) -> str:
  """Says what decides the numbers of a fact."""
  versions = ', '.join(f'{name} {attrs[name]}' for name in ('jaxdl', 'jax'))
  sizes = f'{attrs["sizes"]}; ' if attrs.get('sizes') else ''
  return f'{attrs["num_seeds"]} seeds; {sizes}{attrs["devices"]}; {versions}'


if __name__ == '__main__':
  command_line.run(main, sections=_SECTIONS)
