"""How fast is a step of the study as one would write it in PyTorch?

Times each kind of network in both arrangements of `pytorch_study`.

  ./run.sh benchmark pytorch_loop --steps=20
"""

from collections.abc import Sequence
import itertools
import os
import statistics

from absl import flags
from benchmarks import pytorch_study
from benchmarks import timing
from experiments import command_line
import numpy as np
import torch

_STEPS = flags.DEFINE_integer('steps', 20, 'Timed steps of a network.')
_ROUNDS = flags.DEFINE_integer('rounds', 3, 'Rounds, each of both sides.')


def main(_: Sequence[str]) -> None:
  """Prints the time of a step of each kind of configuration."""
  data = pytorch_study.load()
  torch.set_num_threads(os.cpu_count() or 1)
  print(f'PyTorch {torch.__version__}; {timing.machine()}.')
  print('Milliseconds a configuration and step:')
  print(f'{"":28}one process   a process a core')
  with pytorch_study.Workers(data) as workers:
    for kind in itertools.product(
      pytorch_study.ACTIVATIONS, ('none', 'batch'), ('none', 'identity')
    ):
      one, many = _step_times(pytorch_study.Cell(*kind), data, workers)
      print(f'{" ".join(kind):28}{one:11.2f}{many:19.2f}', flush=True)


def _step_times(
  cell: pytorch_study.Cell,
  data: pytorch_study.Data,
  workers: pytorch_study.Workers,
) -> list[float]:
  """Returns milliseconds a step, in one process and in one a core.

  All processes train a copy of the configuration, to be busy to the end.
  """
  steps, copies = _STEPS.value, [cell] * (os.cpu_count() or 1)
  one, many = [], []
  for _ in range(_ROUNDS.value):
    one.append(pytorch_study.cost(cell, data, steps).steps[0])
    costs = workers.costs(copies, steps)
    many.append(np.mean([cost.steps[0] for cost in costs]) / len(copies))
  return [1e3 * statistics.median(side) / steps for side in (one, many)]


if __name__ == '__main__':
  command_line.run(main, script='./run.sh benchmark')
