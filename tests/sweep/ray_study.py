"""The linear study on a Ray cluster of this machine, one of whose workers dies.

python ray_study.py OUT

Then it is run again, in OUT-stopped, and stopped at its first chunk: by then
one or two of its programs run, and the others wait.
"""

import functools
import os
import pathlib
import signal
import sys

import jax
from jaxdl import sweep
from jaxdl.sweep import cluster
from jaxdl.sweep import dispatch
from jaxdl.sweep import following
from jaxdl.sweep import on_ray
from jaxdl.sweep import saved_states
from jaxdl.sweep import tasks

from tests.sweep import linear_study

NUM_STEPS = 500


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


def _run(out: str, num_steps: int = NUM_STEPS, **options) -> sweep.Outcome:
  return on_ray.run(
    cells(),
    recipe(out, num_steps),
    linear_study.data(),
    cluster.Needs(cpus=1, prepare=_compile_quickly),
    **options,
  )


def main(out: str) -> None:
  """Runs the study, kills one worker, and says how it went."""
  for module in (dispatch, following):
    module._SECONDS_BETWEEN_LOOKS = 0.2
  killed: list[int] = []

  def kill_one(event: sweep.Event) -> None:
    if not killed and event.steps_done < NUM_STEPS:
      killed.append(_workers()[0])
      os.kill(killed[0], signal.SIGKILL)

  events: list[sweep.Event] = []
  with cluster.session():
    outcome = _run(out, progress=kill_one)
    print(f'finished: {outcome.finished}, killed: {len(killed)}')
    out = f'{out}-stopped'
    outcome = _run(
      out,
      100 * NUM_STEPS,
      progress=events.append,
      stop=lambda: bool(events),
    )
  saved = saved_states.steps(out, len(cells()))[:: len(cells()) // 4]
  print(f'finished: {outcome.finished}, saved: {(saved > 0).sum() in (1, 2)}')


if __name__ == '__main__':
  main(*sys.argv[1:])
