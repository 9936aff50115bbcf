"""Which programs may run: they are traced, and found to fit the memory."""

from collections.abc import Callable, Sequence
from typing import Any

from jaxdl.sweep import compilation
from jaxdl.sweep import experiment as experiment_lib
from jaxdl.sweep import memory
from jaxdl.sweep import planning
from jaxdl.sweep import program as program_lib
import numpy as np

Build = Callable[[Any], experiment_lib.Experiment]


def trace(
  program: planning.Program,
  plan: planning.Plan,
  build: Build,
  data: experiment_lib.Data,
  indices: Callable[..., np.ndarray],
) -> tuple[program_lib.Functions, program_lib.Shapes]:
  """Traces a program; nothing is compiled or allocated.

  Args:
    program: the program.
    plan: the plan that it belongs to.
    build: see `execute.run`.
    data: the data.
    indices: see `execute.run`.
  """
  batch_size = np.shape(indices(program.cells[0], 0, 1))[1]
  return program_lib.trace(
    build(program.static), program, plan, data, batch_size
  )


def admit(
  plan: planning.Plan,
  programs: Sequence[planning.Program],
  build: Build,
  data: experiment_lib.Data,
  indices: Callable[..., np.ndarray],
  compiler: compilation.Compiler,
) -> dict[int, program_lib.Shapes]:
  """Traces programs and hands them to the compiler.

  A program that cannot fit is refused before anything is compiled for it.

  Args:
    plan: the plan; its lanes share the memory of a CPU.
    programs: those to run.
    build: see `execute.run`.
    data: the data.
    indices: see `execute.run`.
    compiler: takes the programs on, by their first cells.

  Returns:
    What each returns, by its first cell.

  Raises:
    ValueError: one does not fit the memory.
  """
  shapes = {}
  for program in programs:
    name = program.first_cell
    traced, shapes[name] = trace(program, plan, build, data, indices)
    need = memory.predict_memory(program, shapes[name], data)
    memory.check_memory(plan, program, need)
    compiler.add(name, traced)
  if programs:
    _check_largest(plan, programs, shapes, data, compiler)
  return shapes


def _check_largest(plan, programs, shapes, data, compiler) -> None:
  """Raises a ValueError if the largest does not fit by XLA's analysis.

  The shapes alone have admitted all of them.
  """
  largest = max(
    programs,
    key=lambda program: memory.predict_memory(
      program, shapes[program.first_cell], data
    ),
  )
  name = largest.first_cell
  compiled = compiler.start(name).chunk.result()
  need = memory.predict_memory(largest, shapes[name], data, compiled)
  memory.check_memory(plan, largest, need)
