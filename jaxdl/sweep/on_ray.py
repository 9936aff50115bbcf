"""Running a sweep on a Ray cluster: each program is a task.

For grids of programs of very different sizes, on machines that come and go. Ray
gives each worker the cores or accelerators of one task, and starts the next
task where one ends; a task is started again, on another worker, if its worker
is lost.
"""

from collections.abc import Callable, Mapping, Sequence
import pathlib
import time
import types
from typing import Any

import jax
from jaxdl.sweep import admission
from jaxdl.sweep import cluster
from jaxdl.sweep import dispatch
from jaxdl.sweep import execute
from jaxdl.sweep import experiment as experiment_lib
from jaxdl.sweep import folder as folder_lib
from jaxdl.sweep import following
from jaxdl.sweep import grid
from jaxdl.sweep import parts
from jaxdl.sweep import processes
from jaxdl.sweep import program as program_lib
from jaxdl.sweep import saved_states
from jaxdl.sweep import tasks
from jaxdl.sweep import writing

_ONE_CORE = cluster.Needs()


def run(
  cells: Sequence[grid.Cell],
  recipe: tasks.Recipe,
  data: experiment_lib.Data,
  needs: cluster.Needs = _ONE_CORE,
  *,
  settings: Mapping[str, Any] = types.MappingProxyType({}),
  attributes: Mapping[str, Any] = types.MappingProxyType({}),
  resume: bool = False,
  overwrite: bool = False,
  progress: Callable[[writing.Event], None] | None = None,
  stop: Callable[[], bool] | None = None,
) -> execute.Outcome:
  """Trains every cell and records it, as `execute.run` does, on a cluster.

  Call it within `cluster.session`, or after `ray.init`.

  Args:
    cells: of the grid.
    recipe: how they are trained.
    data: the data, on the host; Ray holds one copy a machine.
    needs: what each task takes.
    settings: see `execute.run`.
    attributes: see `execute.run`.
    resume: see `execute.run`.
    overwrite: see `execute.run`.
    progress: see `execute.run`.
    stop: called now and then; once true, workers save their states and end,
      and what waits for a machine waits no longer.

  Returns:
    How it went.

  Raises:
    ValueError: see `execute.run`; or there is no cluster, or a task fits on
      none of its machines.
    StorageError: see `execute.run`.
    ProcessLostError: the workers of a task were lost again and again.
    ray.exceptions.RayTaskError: of a fault in a worker, with its traceback.
  """
  cluster.check(needs)
  begin = time.monotonic()
  out = pathlib.Path(recipe.out)
  plan = recipe.plan(cells, jax.local_devices())
  group = processes.Processes()
  # The plan's are those of this process, which trains nothing.
  devices = f'{cluster.describe(needs)} a task of Ray'
  attributes = {'devices': devices, **attributes}
  with folder_lib.Folder(group, out, plan, settings, attributes) as folder:
    is_there = folder.claim(resume=resume, overwrite=overwrite) > 0
    shapes = [] if is_there else _shapes(plan, recipe, data)
    traced = time.monotonic()
    store = folder.open(shapes, is_there=is_there)
    saved = saved_states.steps(out, len(plan.cells))
    pending = parts.pending(plan.programs, saved, plan.num_steps)
    follower = following.Follower(plan, pending, saved, store, progress)
    finished = dispatch.train(
      pending, recipe, data, needs, waiting=follower.look, stop=stop
    )
    follower.look_now()
  steps = saved_states.steps(out, len(plan.cells)) - saved
  return execute.Outcome(
    finished=finished,
    steps=int(sum(steps[program.first_cell] for program in pending)),
    seconds=time.monotonic() - begin,
    trace_seconds=traced - begin,
    wait_seconds=0.0,
    write_seconds=0.0,
  )


def _shapes(plan, recipe, data) -> list[program_lib.Shapes]:
  """Returns what each program records."""
  return [
    admission.trace(program, plan, recipe.build, data, recipe.indices)[1]
    for program in plan.programs
  ]
