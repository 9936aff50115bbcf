"""How long does the gradient-flow study take, here and in PyTorch?

Ours is what a user starts: a process that imports, compiles from an empty
cache, trains every network, records every layer's statistics at every step,
tests, diagnoses and writes the report. PyTorch trains the same networks, from
data in memory, and records the norm of each layer's gradient; its start,
evaluation and report are not counted. It is given its best arrangement too.

  ./run.sh benchmark                    # PyTorch from some steps, scaled
  ./run.sh benchmark headline --full    # every step of both; takes long
  ./run.sh benchmark headline -- --activation=relu   # flags of the study
"""

from collections.abc import Sequence
import os
import pathlib
import subprocess
import sys
import tempfile

from absl import flags
from benchmarks import pytorch_study
from benchmarks import timing
from experiments import command_line
from jaxdl import sweep
import torch

_FULL = flags.DEFINE_bool('full', False, "Run all of PyTorch's steps.")
_STEPS = flags.DEFINE_integer(
  'steps', 20, 'Timed steps of each PyTorch network, without --full.'
)
_ROUNDS = flags.DEFINE_integer('rounds', 1, 'Rounds, each of all sides.')

OURS, ONE, MANY = 'jaxdl', 'PyTorch, one process', 'PyTorch, a process a core'


def run_study(arguments: Sequence[str], folder: pathlib.Path) -> pathlib.Path:
  """Runs the study as a user does, from an empty cache; returns its record."""
  out = folder / 'study'
  cache = tempfile.mkdtemp(dir=folder)
  subprocess.run(
    [
      *(sys.executable, '-m', 'experiments.gradient_flow'),
      *(*arguments, f'--out={out}', '--overwrite'),
    ],
    env={**os.environ, 'JAX_COMPILATION_CACHE_DIR': cache},
    stdout=subprocess.DEVNULL,
    check=True,
  )
  return out / 'record.zarr'


def networks(record: pathlib.Path) -> tuple[list[pytorch_study.Cell], int]:
  """Returns the networks of a record for PyTorch, and their number of steps."""
  dataset = sweep.open_record(record)
  unknown = set(dataset.activation.values) - set(pytorch_study.ACTIVATIONS)
  if unknown:
    raise ValueError(
      f'activation {sorted(unknown)[0]!r} is not in the PyTorch study, which '
      f'has {", ".join(pytorch_study.ACTIVATIONS)}'
    )
  axes = [dataset[name].values.tolist() for name in pytorch_study.Cell._fields]
  cells = [pytorch_study.Cell(*values) for values in zip(*axes, strict=True)]
  return cells, dataset.sizes['step']


def pytorch_seconds(
  cells: Sequence[pytorch_study.Cell],
  num_steps: int,
  data: pytorch_study.Data,
  workers: pytorch_study.Workers,
) -> dict[str, float]:
  """Returns the seconds of both arrangements, each after its warm-up."""
  arrangements = {
    ONE: lambda steps: pytorch_study.train_all(cells, data, steps),
    MANY: lambda steps: workers.train_all(cells, steps),
  }
  result = {}
  for name, train in arrangements.items():
    if _FULL.value:
      result[name] = timing.seconds(lambda: train(num_steps))
      continue
    # Two lengths, so that what comes once a network is not multiplied.
    begin = pytorch_study.WARMUP_STEPS
    short = timing.seconds(lambda: train(begin))
    long = timing.seconds(lambda: train(begin + _STEPS.value))
    step = (long - short) / _STEPS.value
    result[name] = short + step * (num_steps - begin)
  return result


def main(argv: Sequence[str]) -> None:
  """Times a round of all sides, again and again, and prints the ratios."""
  cores = os.cpu_count() or 1
  print(f'PyTorch {torch.__version__}; {timing.machine()}.')
  torch.set_num_threads(cores)
  data = pytorch_study.load()
  times: timing.Times = {OURS: [], ONE: [], MANY: []}
  with (
    tempfile.TemporaryDirectory() as temporary,
    pytorch_study.Workers(data) as workers,
  ):
    folder = pathlib.Path(temporary)
    for _ in range(_ROUNDS.value):
      times[OURS].append(timing.seconds(lambda: run_study(argv[1:], folder)))
      cells, num_steps = networks(folder / 'study' / 'record.zarr')
      pytorch = pytorch_seconds(cells, num_steps, data, workers)
      for name, seconds in pytorch.items():
        times[name].append(seconds)
  print(f'{len(cells)} networks of {cells[0].depth} layers, {num_steps} steps.')
  _print(times)


def _print(times: timing.Times) -> None:
  for name in (ONE, MANY):
    ratio = timing.median_ratio(times, slow=name, fast=OURS)
    print(f'{ratio:6.2f} times as fast as {name}')
  scaled = (
    'all steps'
    if _FULL.value
    else f'scaled from {_STEPS.value} steps of each network, after '
    f'{pytorch_study.WARMUP_STEPS}'
  )
  what = {OURS: 'from start to report, compiled from cold'}
  for name, values in times.items():
    note = what.get(name, f'training alone, {scaled}')
    print(f'  {name:27}{timing.spread(values)}: {note}')


if __name__ == '__main__':
  command_line.run(
    main, arguments='[-- flags of the study]', script='./run.sh benchmark'
  )
