"""How fast is a step of the study as one would write it in PyTorch?

Times each kind of network in both arrangements of `pytorch_study`.

  ./run.sh benchmark pytorch_loop --steps=20
"""

from collections.abc import Iterator, Sequence
import itertools
import os

from absl import flags
from benchmarks import pytorch_study
from benchmarks import reporting
from benchmarks import results
import numpy as np
import torch

_STEPS = flags.DEFINE_integer('steps', 20, 'Timed steps of a network.')
_ROUNDS = flags.DEFINE_integer('rounds', 3, 'Rounds, each of both sides.')


def measurements() -> Iterator[results.Measurement]:
  """Times a step of each kind of configuration."""
  data = pytorch_study.load()
  torch.set_num_threads(os.cpu_count() or 1)
  with pytorch_study.Workers(data) as workers:
    for kind in itertools.product(
      pytorch_study.ACTIVATIONS, ('none', 'batch'), ('none', 'identity')
    ):
      times = _step_times(pytorch_study.Cell(*kind), data, workers)
      yield results.Measurement(
        f'a step of {" ".join(kind)}', 'ms', results.sides(times, 1e3)
      )


def _step_times(
  cell: pytorch_study.Cell,
  data: pytorch_study.Data,
  workers: pytorch_study.Workers,
) -> dict[str, list[float]]:
  """Returns seconds a step and configuration, in one process and in one a core.

  All processes train a copy of the configuration, to be busy to the end.
  """
  steps, copies = _STEPS.value, [cell] * (os.cpu_count() or 1)
  one, many = [], []
  for _ in range(_ROUNDS.value):
    one.append(pytorch_study.cost(cell, data, steps).steps[0] / steps)
    costs = workers.costs(copies, steps)
    mean = np.mean([cost.steps[0] for cost in costs])
    many.append(mean / len(copies) / steps)
  return {'one process': one, 'a process a core': many}


def main(_: Sequence[str]) -> None:
  """Reports the time of a step of each kind of configuration."""
  reporting.report(measurements())


if __name__ == '__main__':
  reporting.run(main)
