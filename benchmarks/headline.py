"""How long does the gradient-flow study take, here and in PyTorch?

Ours is what a user starts: a process that imports, compiles from an empty
cache, trains every network, records every layer's statistics at every step,
tests, diagnoses and writes the report. PyTorch trains the same networks, from
data in memory, and records the norm of each layer's gradient; its start,
evaluation and report are not counted. It is given its best arrangement too.
The time of the cores is less disturbed by other work on the machine.

  ./run.sh benchmark headline           # PyTorch from some steps, scaled
  ./run.sh benchmark headline --full    # every step of both; takes long
  ./run.sh benchmark headline -- --activation=relu   # flags of the study
"""

from collections.abc import Iterator, Sequence
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

from absl import flags
from benchmarks import clocks
from benchmarks import pytorch_study
from benchmarks import reporting
from benchmarks import results
from jaxdl import sweep
import numpy as np
import torch

_FULL = flags.DEFINE_bool('full', False, "Run all of PyTorch's steps.")
_STEPS = flags.DEFINE_integer(
  'steps', 20, 'Timed steps of each PyTorch network, without --full.'
)
_ROUNDS = flags.DEFINE_integer('rounds', 1, 'Rounds, each of all sides.')

OURS, ONE, MANY = 'jaxdl', 'PyTorch, one process', 'PyTorch, a process a core'
_RIVALS = {  # What each is called, and the goal.
  ONE: ('a customary PyTorch loop', 3.0),
  MANY: ("PyTorch's best, a single-threaded process a core", 1.5),
}


def study_seconds(
  arguments: Sequence[str], folder: pathlib.Path
) -> clocks.Clock:
  """Runs the study as a user does, from an empty cache, into a folder."""
  begin = _with_children()
  subprocess.run(
    [
      *(sys.executable, '-m', 'experiments.gradient_flow'),
      *(*arguments, f'--out={folder / "study"}', '--overwrite'),
    ],
    env={
      **os.environ,
      'JAX_COMPILATION_CACHE_DIR': tempfile.mkdtemp(dir=folder),
    },
    stdout=subprocess.DEVNULL,
    check=True,
  )
  return _with_children() - begin


def _with_children() -> clocks.Clock:
  """Returns the time of the wall, and of the cores in ended processes."""
  usage = resource.getrusage(resource.RUSAGE_CHILDREN)
  return np.array([time.perf_counter(), usage.ru_utime + usage.ru_stime])


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
) -> dict[str, clocks.Clock]:
  """Returns the time of both arrangements, each network's steps scaled."""
  left = num_steps - pytorch_study.WARMUP_STEPS
  timed = left if _FULL.value else min(_STEPS.value, left)

  def total(costs):
    return sum(cost.warmup + cost.steps * left / timed for cost in costs)

  one = [pytorch_study.cost(cell, data, timed) for cell in cells]
  many = workers.costs(cells, timed)
  # As if the processes shared the work without remainder.
  return {ONE: total(one), MANY: total(many) / [os.cpu_count(), 1]}


def measurements(arguments: Sequence[str]) -> Iterator[results.Measurement]:
  """Times a round of all sides, again and again.

  Args:
    arguments: flags of the study.
  """
  torch.set_num_threads(os.cpu_count() or 1)
  data = pytorch_study.load()
  readings: dict[str, list[clocks.Clock]] = {OURS: [], ONE: [], MANY: []}
  with (
    tempfile.TemporaryDirectory() as temporary,
    pytorch_study.Workers(data) as workers,
  ):
    folder = pathlib.Path(temporary)
    for _ in range(_ROUNDS.value):
      readings[OURS].append(study_seconds(arguments, folder))
      cells, num_steps = networks(folder / 'study' / 'record.zarr')
      pytorch = pytorch_seconds(cells, num_steps, data, workers)
      for name, clock in pytorch.items():
        readings[name].append(clock)
  steps = 'all' if _FULL.value else f'scaled from {_STEPS.value}'
  alone = f'training alone, {steps} steps of each network'
  notes = {OURS: 'from start to report, compiled from cold'}
  study = f'the study of {len(cells)} networks'
  yield results.Measurement(
    f'{study}, {cells[0].depth} layers, {num_steps} steps',
    's',
    clocks.sides(readings, notes={**dict.fromkeys(readings, alone), **notes}),
    tuple(
      results.Ratio(
        f'{study}, compilation and report included, against {rival}',
        name,
        OURS,
        results.Kind.SPEED,
        goal,
      )
      for name, (rival, goal) in _RIVALS.items()
    ),
  )


def main(argv: Sequence[str]) -> None:
  """Reports the ratios, and the time of each side."""
  reporting.report(measurements(argv[1:]))


if __name__ == '__main__':
  reporting.run(main, arguments='[-- flags of the study]')
