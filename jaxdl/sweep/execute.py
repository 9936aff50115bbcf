"""Running a plan: compile ahead, train in chunks, record, checkpoint."""

from collections.abc import Callable, Mapping
import os
import pathlib
import time
from typing import Any, NamedTuple

from jaxdl.sweep import claim
from jaxdl.sweep import compilation
from jaxdl.sweep import experiment as experiment_lib
from jaxdl.sweep import lanes
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
  settings: Mapping[str, Any] | None = None,
  attributes: Mapping[str, Any] | None = None,
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
    settings: what else decides the numbers, by name, as JSON can hold it; a
      sweep resumes only under the same settings.
    attributes: attributes of the record.
    resume: whether to go on with the sweep in `out`, if there is one.
    overwrite: whether to replace the sweep in `out`, if there is one.
    progress: called in this thread with an `Event` for each recorded chunk.
    stop: called between chunks, from several threads; once it is true, every
      program is checkpointed and the run ends.
    compile_threads: threads that compile; None takes one a core, at most 4.

  Returns:
    How it went.

  Raises:
    ValueError: `out` cannot take this sweep, or a program does not fit the
      memory; nothing was written.
    StorageError: the disk is full; the sweep can be resumed.
  """
  begin = time.monotonic()
  settings = dict(settings or {})
  resuming = claim.claim(
    out, plan, settings, resume=resume, overwrite=overwrite
  )
  pending = list(plan.programs)
  if resuming:
    pending = [p for p in pending if not store_lib.is_finished(out, p)]
  traced = {
    program.number: _trace(program, plan, build, data, indices)
    for program in pending
  }
  trace_seconds = time.monotonic() - begin

  threads = compile_threads or min(os.cpu_count() or 1, 4)
  compiler = compilation.Compiler(
    {index: functions for index, (functions, _) in traced.items()},
    threads=threads,
    ahead=threads + plan.num_lanes,
  )
  shapes = {index: shapes for index, (_, shapes) in traced.items()}
  del traced
  try:
    _check_memory(plan, pending, shapes, data, compiler)
    if resuming:
      store = store_lib.reopen(out)
    else:
      recorded = list(shapes.values())
      store = store_lib.create(out, plan, recorded, settings, attributes or {})
    sweep = lanes.Lanes(plan, data, indices, store, compiler, shapes, stop)
    sweep.run(pending, progress)
  finally:
    compiler.close()
  return Outcome(
    finished=sweep.finished,
    steps=sweep.steps,
    seconds=time.monotonic() - begin,
    trace_seconds=trace_seconds,
    wait_seconds=sweep.wait_seconds,
    write_seconds=sweep.writer.seconds,
  )


def _trace(program, plan, build, data, indices):
  """Returns the traced functions of a program, and its shapes."""
  batch_size = np.shape(indices(program.cells[0], 0, 1))[1]
  experiment = build(program.static)
  return program_lib.trace(experiment, program, plan, data, batch_size)


def _check_memory(plan, pending, shapes, data, compiler):
  """Raises a ValueError if a program does not fit the memory.

  All are judged by their shapes, and the largest of them by XLA's analysis.
  """
  needs = {
    program.number: memory.predict_memory(program, shapes[program.number], data)
    for program in pending
  }
  for program in pending:
    memory.check_memory(plan, program, needs[program.number])
  if pending:
    largest = max(pending, key=lambda program: needs[program.number])
    compiled = compiler.start(largest.number).chunk.result()
    need = memory.predict_memory(
      largest, shapes[largest.number], data, compiled
    )
    memory.check_memory(plan, largest, need)
