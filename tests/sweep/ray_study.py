"""The linear study on a Ray cluster of this machine, one of whose workers dies.

python ray_study.py OUT
"""

import functools
import os
import pathlib
import signal
import sys

import jax
from jaxdl import sweep
from jaxdl.sweep import on_ray
from jaxdl.sweep import tasks

from tests.sweep import linear_study

NUM_STEPS = 1000


def plan(cells, devices, num_steps=NUM_STEPS) -> sweep.Plan:
  """Plans cells of the study."""
  return sweep.plan(
    cells,
    linear_study.split,
    devices=devices,
    num_steps=num_steps,
    chunk_steps=max(num_steps // 100, 2),
  )


def cells() -> list[sweep.Cell]:
  """Returns the cells of four programs."""
  return linear_study.grid(depth=[2, 3]).cells()


def recipe(out, num_steps=NUM_STEPS) -> tasks.Recipe:
  """Returns how the cells are trained."""
  return tasks.Recipe(
    functools.partial(plan, num_steps=num_steps),
    linear_study.build,
    linear_study.indices,
    out,
  )


def _compile_quickly() -> None:
  jax.config.update('jax_disable_most_optimizations', True)


def _parent(process: int) -> int:
  """Returns the parent of a process."""
  status = pathlib.Path(f'/proc/{process}/stat').read_text()
  return int(status.rpartition(')')[2].split()[1])


def _workers() -> list[int]:
  """Returns the processes that work on a task of this cluster.

  The raylet that starts them is a child of this process; other clusters on this
  machine are not to be touched.
  """
  found = []
  for path in pathlib.Path('/proc').glob('[0-9]*/cmdline'):
    process = int(path.parent.name)
    try:
      if path.read_bytes().startswith(b'ray::_work'):
        if _parent(_parent(process)) == os.getpid():
          found.append(process)
    except OSError:  # It has just ended.
      continue
  return found


def main(out: str) -> None:
  """Runs the study, kills one worker, and says how it went."""
  killed: list[int] = []

  def kill_one(event: sweep.Event) -> None:
    if not killed and event.steps_done < NUM_STEPS:
      killed.append(_workers()[0])
      os.kill(killed[0], signal.SIGKILL)

  with on_ray.session():
    outcome = on_ray.run(
      cells(),
      recipe(out),
      linear_study.data(),
      on_ray.Needs(cpus=1, prepare=_compile_quickly),
      progress=kill_one,
    )
  print(f'finished: {outcome.finished}, killed: {len(killed)}')


if __name__ == '__main__':
  main(*sys.argv[1:])
