"""Running a plan: compile ahead, train in chunks, record, checkpoint."""

from collections.abc import Callable, Mapping
import contextlib
import pathlib
import time
import types
from typing import Any, NamedTuple

from jaxdl.sweep import claim
from jaxdl.sweep import compilation
from jaxdl.sweep import experiment as experiment_lib
from jaxdl.sweep import lanes
from jaxdl.sweep import lock as lock_lib
from jaxdl.sweep import memory
from jaxdl.sweep import planning
from jaxdl.sweep import program as program_lib
from jaxdl.sweep import store as store_lib
from jaxdl.sweep import writing
import numpy as np


class Outcome(NamedTuple):
  """How a run went."""

  finished: bool  # False if it was stopped; it can be resumed.
  steps: int  # Training steps run now, over all programs.
  seconds: float  # From the first trace to the last write.
  trace_seconds: float
  wait_seconds: float  # That programs waited for their compilation, summed.
  write_seconds: float  # In the writing thread, beside the computation.


def run(
  plan: planning.Plan,
  build: Callable[[Any], experiment_lib.Experiment],
  data: experiment_lib.Data,
  indices: lanes.Indices,
  out: str | pathlib.Path,
  *,
  settings: Mapping[str, Any] = types.MappingProxyType({}),
  attributes: Mapping[str, Any] = types.MappingProxyType({}),
  resume: bool = False,
  overwrite: bool = False,
  progress: Callable[[writing.Event], None] | None = None,
  stop: Callable[[], bool] | None = None,
  compile_threads: int | None = None,
) -> Outcome:
  """Trains every cell of a plan and records it.

  Args:
    plan: the plan.
    build: maps the static part of a cell to its experiment.
    data: the data, on the host.
    indices: maps a cell, a first step and a number of steps to the examples of
      these batches, `[steps, batch]`; called from several threads.
    out: the directory of the sweep.
    settings: what else decides the numbers, for JSON: a sweep resumes only
      under the same.
    attributes: attributes of the record.
    resume: whether to go on with the sweep in `out`, if there is one.
    overwrite: whether to replace the sweep in `out`, if there is one.
    progress: called in this thread with an `Event` for each recorded chunk.
    stop: called between chunks, by one thread at a time; once true, the states
      are saved and the run ends.
    compile_threads: threads that compile; None takes one a core, at most 4.

  Returns:
    How it went.

  Raises:
    ValueError: `out` cannot take this sweep, another process is writing to it,
      or a program does not fit the memory; nothing was written.
    StorageError: the disk is full; the sweep can be resumed.
  """
  begin = time.monotonic()
  with (
    lock_lib.Lock(out) as lock,
    contextlib.closing(
      compilation.Compiler(compile_threads, plan.num_lanes)
    ) as compiler,
  ):
    resuming = claim.claim(
      out, plan, settings, resume=resume, overwrite=overwrite
    )
    pending = _unfinished(plan, out) if resuming else plan.programs
    shapes = _trace(pending, plan, build, data, indices, compiler)
    traced_at = time.monotonic()
    _check_memory(plan, pending, shapes, data, compiler)
    lock.take()
    if not resuming:
      store_lib.create(out, plan, shapes.values(), settings, attributes)
    store = store_lib.reopen(out)
    sweep = lanes.Lanes(plan, data, indices, store, compiler, shapes, stop)
    sweep.run(pending, progress)
  return Outcome(
    finished=sweep.finished,
    steps=sweep.steps,
    seconds=time.monotonic() - begin,
    trace_seconds=traced_at - begin,
    wait_seconds=sweep.wait_seconds,
    write_seconds=sweep.writer.seconds,
  )


def _unfinished(plan, out):
  """Returns the programs that are not trained to their last step."""
  return [p for p in plan.programs if not store_lib.is_finished(out, p)]


def _trace(programs, plan, build, data, indices, compiler):
  """Traces programs, hands them to the compiler, and returns their shapes.

  A program that cannot fit is refused before anything is compiled for it.
  """
  shapes = {}
  for program in programs:
    batch_size = np.shape(indices(program.cells[0], 0, 1))[1]
    traced, shapes[program.number] = program_lib.trace(
      build(program.static), program, plan, data, batch_size
    )
    need = memory.predict_memory(program, shapes[program.number], data)
    memory.check_memory(plan, program, need)
    compiler.add(program.number, traced)
  return shapes


def _check_memory(plan, pending, shapes, data, compiler):
  """Raises a ValueError if the largest program does not fit by XLA's analysis.

  The shapes alone have admitted all of them.
  """
  if not pending:
    return
  largest = max(
    pending,
    key=lambda program: memory.predict_memory(
      program, shapes[program.number], data
    ),
  )
  compiled = compiler.start(largest.number).chunk.result()
  need = memory.predict_memory(largest, shapes[largest.number], data, compiled)
  memory.check_memory(plan, largest, need)
