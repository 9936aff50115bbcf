"""One program as a task: what a worker trains, on the devices that it has.

Workers share nothing but the folder of the sweep. Whoever hands the tasks out
creates the record first; a task that is run again goes on from its checkpoint.
"""

from collections.abc import Callable, Sequence
import contextlib
import os
import pathlib
import socket
from typing import Any, NamedTuple

import jax
from jaxdl.sweep import admission
from jaxdl.sweep import arrival
from jaxdl.sweep import claim
from jaxdl.sweep import compilation
from jaxdl.sweep import experiment as experiment_lib
from jaxdl.sweep import grid
from jaxdl.sweep import lanes
from jaxdl.sweep import parts
from jaxdl.sweep import planning
from jaxdl.sweep import saved_states
from jaxdl.sweep import store as store_lib

# Plans some cells on some devices, as `planning.plan` does.
Plan = Callable[[Sequence[grid.Cell], Sequence[Any]], planning.Plan]


class Task(NamedTuple):
  """Cells of one program, which a worker trains.

  Attributes:
    number: of the program in the plan.
    cells: the cells.
    first_cell: where they begin in the record.
  """

  number: int
  cells: tuple[grid.Cell, ...]
  first_cell: int


class Recipe(NamedTuple):
  """How any task is trained; a worker receives it by pickle.

  Attributes:
    plan: plans the cells of a task on the devices of the worker.
    build: see `execute.run`.
    indices: see `execute.run`.
    out: the folder of the sweep, which all workers see.
  """

  plan: Plan
  build: Callable[[Any], experiment_lib.Experiment]
  indices: lanes.Indices
  out: str | os.PathLike[str]


def train(
  task: Task,
  recipe: Recipe,
  data: experiment_lib.Data,
  stop: Callable[[], bool] = lambda: False,
) -> bool:
  """Trains the cells of a task and records them.

  Args:
    task: the task.
    recipe: how it is trained.
    data: the data.
    stop: called between chunks; once true, the states are saved.

  Returns:
    Whether it is finished; False if it was stopped.

  Raises:
    ValueError: the program does not fit the memory, or the record is not seen
      from this machine.
    StorageError: the disk is full.
  """
  if stop():
    return False
  out = pathlib.Path(recipe.out)
  if not arrival.wait_for(out / claim.RECORD):
    raise ValueError(
      f'{socket.gethostname()} sees no record in {out}, where it trains '
      f'program {task.number}; give an --out that all machines see'
    )
  plan = recipe.plan(task.cells, jax.local_devices())
  (whole,) = plan.programs
  program = whole._replace(number=task.number, first_cell=task.first_cell)
  own = plan._replace(programs=(program,))
  saved = saved_states.steps(out, task.first_cell + len(task.cells))
  pending = parts.pending(own.programs, saved, plan.num_steps)
  with contextlib.closing(compilation.Compiler()) as compiler:
    shapes = admission.admit(
      own, pending, recipe.build, data, recipe.indices, compiler
    )
    sweep = lanes.Lanes(
      own,
      data,
      recipe.indices,
      store_lib.open_store(out),
      compiler,
      shapes,
      stop,
    )
    sweep.run(pending)
  return sweep.finished
