"""Which part of each program a process trains.

Cells need nothing of each other. So where the lane of a program has devices of
several processes, each process trains the cells that lie on its own devices, as
a program of its own, and waits for nobody.
"""

from collections.abc import Sequence
import itertools
import math

from jaxdl.sweep import planning
import numpy as np

# A file of the record holds at most so many cells.
_MAX_UNIT = 64


def of_process(
  plan: planning.Plan, process: int, unit: int = 1
) -> list[planning.Program]:
  """Returns the programs, or parts of programs, that a process trains.

  Args:
    plan: the plan.
    process: the index of the process.
    unit: cells are shared out in multiples of it; it divides the number of
      cells of each program.

  Returns:
    The parts, in the order of the plan; none that is empty.
  """
  found = []
  for program in plan.programs:
    groups = _groups(program, process)
    units = len(program.cells) // unit
    start, stop = (
      unit * (units * group // program.width)
      for group in (groups.start, groups.stop)
    )
    if start < stop:
      size = program.group_size
      devices = program.devices[groups.start * size : groups.stop * size]
      found.append(program.part(start, stop, devices))
  return found


def _groups(program: planning.Program, process: int) -> range:
  """Returns which groups of devices of a program belong to a process."""
  own = [
    group
    for group in range(program.width)
    if program.devices[group * program.group_size].process_index == process
  ]
  return range(own[0], own[-1] + 1) if own else range(0)


def unit(plan: planning.Plan) -> int:
  """Returns how many cells a file of the record holds.

  No two processes write to one file, so it divides the cells of every part.

  Args:
    plan: the plan.
  """
  sizes = [
    len(part.cells)
    for process in processes(plan)
    for part in of_process(plan, process)
  ]
  common = math.gcd(*sizes)
  return max(
    divisor
    for divisor in range(1, min(common, _MAX_UNIT) + 1)
    if common % divisor == 0
  )


def processes(plan: planning.Plan) -> list[int]:
  """Returns the indices of the processes whose devices a plan uses."""
  return sorted(
    {d.process_index for program in plan.programs for d in program.devices}
  )


def pending(
  programs: Sequence[planning.Program], steps: np.ndarray, num_steps: int
) -> list[planning.Program]:
  """Returns what is left to train, in parts that go on from the same step.

  Cells of a program may have been saved at different steps, where other
  processes shared them out in another way.

  Args:
    programs: the programs, or parts of programs.
    steps: the step that each cell of the record goes on from, `[cells]`.
    num_steps: the step at which a cell is finished.
  """
  left = []
  for program in programs:
    own = range(program.first_cell, program.first_cell + len(program.cells))
    for step, run in itertools.groupby(own, lambda cell: steps[cell]):
      start, *rest = (cell - program.first_cell for cell in run)
      if step < num_steps:
        left.append(program.part(start, start + 1 + len(rest), program.devices))
  return left
