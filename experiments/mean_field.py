"""Do random networks do what mean field theory says of them?

Draws networks of each activation in each phase, measures them with the probe
before any training, and holds against theory, which knows the activation and
the two standard deviations alone: the variance of pre-activations, the factor
by which a layer multiplies a squared gradient, and that by which two inputs
approach the correlation that all tend to.

  ./run.sh mean_field
  ./run.sh mean_field --activation=tanh --weight_std=0.9,critical,2 --bias_std=0
  ./run.sh mean_field --activation=gelu,elu --weight_std=critical --bias_std=1
  ./run.sh mean_field --width=300 --depth=100

A weight_std is a number, or a phase: critical is where gradients keep their
size, ordered is 0.8 times that, where they vanish, chaotic 1.25 times that,
where they explode. Not every activation has one at every bias; see
docs/theory.md. Without flags: 5 activations x 3 phases x 20 seeds = 300
networks of 20 layers, 1,000 wide, under a minute on 2 cores.

Prints theory's number, the measured one, the difference and the z-score over
seeds. Writes to --out:

  mean_field.csv         the numbers
  mean_field.png, .svg   the profiles over depth, theory dashed over them
  record.zarr            all that was measured: xarray, over configuration, seed
                         and layer, and beside it what was predicted
"""

from collections.abc import Mapping, Sequence
import pathlib
import sys
from typing import Any

from absl import flags
from experiments import command_line
from experiments import help_texts
from experiments import list_flags
from experiments import output

_NAME = 'mean_field'
_FILES = tuple(f'{_NAME}.{suffix}' for suffix in ('csv', 'png', 'svg'))
_RECORD = 'record.zarr'
_OWN = 'own'

_ACTIVATION = flags.DEFINE_list(
  'activation', 'tanh,erf,relu,gelu,silu', help_texts.ACTIVATIONS
)
_WEIGHT_STD = flags.DEFINE_list(
  'weight_std',
  'ordered,critical,chaotic',
  'Standard deviations of the weights times sqrt(fan-in), sigma_w; or phases: '
  'ordered, critical, chaotic.',
)
_BIAS_STD = flags.DEFINE_list(
  'bias_std',
  _OWN,
  'Standard deviations of the biases, sigma_b; own takes, for each activation, '
  'the first of 0.2, 0 and 1 at which it has a critical weight_std.',
)
_WIDTH = flags.DEFINE_integer('width', 1000, f'{help_texts.WIDTH}.')
_DEPTH = flags.DEFINE_integer('depth', 20, f'{help_texts.DEPTH}.')
_NUM_SEEDS = flags.DEFINE_integer(
  'num_seeds', 20, 'Networks of each configuration.', lower_bound=2
)
_SEED = flags.DEFINE_integer('seed', 0, 'Of all draws.', lower_bound=0)

_SECTIONS: Mapping[str, Sequence[flags.FlagHolder[Any]]] = {
  'Compared (a comma makes a list)': [_ACTIVATION, _WEIGHT_STD, _BIAS_STD],
  'Networks': [_WIDTH, _DEPTH, _NUM_SEEDS, _SEED],
  'Output': [output.OUT, output.OVERWRITE],
}


def main(_: list[str]) -> None:
  """Predicts, measures, compares and reports."""
  command_line.configure_jax()
  out = output.folder(_NAME)
  output.check_files(out, (*_FILES, _RECORD))
  _report(*_measured(_cases()), out)


def _cases() -> dict[str, list[Any]]:
  """Returns the configurations of each activation, with their theory."""
  from jaxdl.laboratory import mean_field

  for flag in (_ACTIVATION, _WEIGHT_STD, _BIAS_STD):
    list_flags.check({flag.name: flag.value})
    list_flags.check_unique(flag)
  found = {}
  for activation in _ACTIVATION.value:
    if _BIAS_STD.value == [_OWN]:
      bias_stds = [mean_field.own_bias_std(activation)]
    else:
      bias_stds = list_flags.numbers(_BIAS_STD, float)
    stds = [
      (_weight_std(activation, text, bias_std), bias_std)
      for bias_std in bias_stds
      for text in _WEIGHT_STD.value
    ]
    found[activation] = [  # Once, where a number is that of a phase.
      mean_field.case(activation, *pair) for pair in dict.fromkeys(stds)
    ]
  return found


def _weight_std(activation: str, text: str, bias_std: float) -> float:
  """Returns a number, or what a phase stands for."""
  from jaxdl.laboratory import mean_field

  try:
    return float(text)
  except ValueError:
    if text in mean_field.PHASES:
      return mean_field.weight_std(activation, text, bias_std)
  raise ValueError(
    f'--weight_std has {text!r}; give numbers, or of '
    f'{", ".join(mean_field.PHASES)}'
  )


def _measured(cases: Mapping[str, list[Any]]) -> tuple[Any, Any]:
  """Returns what was measured and what is predicted, one activation a time."""
  from jaxdl.laboratory import initialization
  from jaxdl.laboratory import mean_field
  import numpy as np
  import xarray as xr

  measured, predicted = [], []
  for i, (activation, of_one) in enumerate(cases.items()):
    _show(f'{activation}: {i + 1} of {len(cases)}')
    found = initialization.measure(
      activation,
      [one.field.weight_std for one in of_one],
      [one.field.bias_std for one in of_one],
      np.stack([mean_field.inputs(one) for one in of_one]),
      width=_WIDTH.value,
      depth=_DEPTH.value,
      num_seeds=_NUM_SEEDS.value,
      seed=len(cases) * _SEED.value + i,  # No two share their draws.
    )
    measured.append(found)
    predicted.append(mean_field.predict(of_one, _DEPTH.value))
  _show('')
  join = lambda parts: xr.concat(parts, 'configuration')
  return join(measured), join(predicted)


def _show(progress: str) -> None:
  """Writes over the last line of progress, on a terminal."""
  if sys.stdout.isatty():
    print(f'\r{progress}\033[K', end='', flush=True)


def _report(measured: Any, predicted: Any, out: pathlib.Path) -> None:
  """Prints the table and the verdict, writes the files."""
  from jaxdl.laboratory import agreement
  from jaxdl.report import comparison
  from jaxdl.report import mean_field as report
  import rich.console

  frame = agreement.compare(measured, predicted)
  console = rich.console.Console()
  sentences = report.verdict(
    frame,
    width=_WIDTH.value,
    depth=_DEPTH.value,
    num_seeds=_NUM_SEEDS.value,
  )
  comparison.show(
    report.table(frame), sentences, console, report.LEFT_OUT_FIRST
  )
  out.mkdir(parents=True, exist_ok=True)
  comparison.write(out, _NAME, frame, report.figure(measured, predicted))
  profiles = predicted.rename(
    {name: f'predicted_{name}' for name in predicted.data_vars}
  )
  record = measured.merge(profiles, compat='no_conflicts', join='exact')
  record.attrs = {
    flag.name: flag.value for flag in (_WIDTH, _DEPTH, _NUM_SEEDS, _SEED)
  }
  record.to_zarr(out / _RECORD, mode='w', zarr_format=2, consolidated=True)
  path = output.shown(out / f'{_NAME}.png')
  print(f'\nFigure: {path}  (record and table beside it)')


if __name__ == '__main__':
  command_line.run(main, sections=_SECTIONS)
