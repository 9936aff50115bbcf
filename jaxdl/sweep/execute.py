"""Running a plan: compile ahead, train in chunks, record, checkpoint."""

from collections.abc import Callable, Mapping, Sequence
import contextlib
import pathlib
import time
import types
from typing import Any, NamedTuple

from jaxdl.sweep import admission
from jaxdl.sweep import compilation
from jaxdl.sweep import experiment as experiment_lib
from jaxdl.sweep import folder as folder_lib
from jaxdl.sweep import following
from jaxdl.sweep import lanes
from jaxdl.sweep import parts
from jaxdl.sweep import planning
from jaxdl.sweep import processes
from jaxdl.sweep import saved_states
from jaxdl.sweep import writing
import numpy as np


class Outcome(NamedTuple):
  """How a run went, in this process."""

  finished: bool  # False if any process was stopped; it can be resumed.
  steps: int  # Training steps run now, over the programs of this process.
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

  Where `jax.distributed` joins several processes, each calls this alike, with
  an `out` that all of them see; it returns when all have ended.

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
    progress: called in this thread with an `Event` for each recorded chunk; in
      process 0 also for those of other processes.
    stop: called between chunks, by one thread at a time; once true, in any
      process, the states are saved and the run ends.
    compile_threads: threads that compile; None takes one a core, at most 4.

  Returns:
    How it went.

  Raises:
    ValueError: `out` cannot take this sweep, another process is writing to it,
      or a program does not fit the memory; nothing was written.
    StorageError: the disk is full; the sweep can be resumed.
    ProcessLostError: another process failed or is gone; the sweep can be
      resumed, by any number of processes.
  """
  begin = time.monotonic()
  with contextlib.ExitStack() as stack:
    group = stack.enter_context(processes.Processes())
    folder = folder_lib.Folder(group, out, plan, settings, attributes)
    stack.enter_context(folder)
    unit = folder.claim(resume=resume, overwrite=overwrite)
    work = _work(plan, group, out, unit)
    compiler = compilation.Compiler(compile_threads, work.own.num_lanes)
    stack.enter_context(contextlib.closing(compiler))
    shapes = admission.admit(
      work.own, work.pending, build, data, indices, compiler
    )
    traced = time.monotonic()
    store = folder.open(shapes.values(), is_there=unit > 0)
    should_stop = lambda: group.should_stop(stop is not None and stop())
    sweep = lanes.Lanes(
      work.own, data, indices, store, compiler, shapes, should_stop
    )
    finished = _train(group, plan, work, sweep, progress, should_stop)
  return _outcome(finished, sweep, begin, traced)


def _outcome(finished, sweep, begin, traced) -> Outcome:
  return Outcome(
    finished=finished,
    steps=sweep.steps,
    seconds=time.monotonic() - begin,
    trace_seconds=traced - begin,
    wait_seconds=sweep.wait_seconds,
    write_seconds=sweep.writer.seconds,
  )


class _Work(NamedTuple):
  """What a process has to do.

  Attributes:
    own: the plan, with the programs, or parts of programs, of this process.
    pending: those of them that are left to train.
    others: in process 0, what is left to train for the other processes.
    saved: the step that each cell goes on from, `[cells]`.
  """

  own: planning.Plan
  pending: Sequence[planning.Program]
  others: Sequence[planning.Program]
  saved: np.ndarray


def _work(plan, group, out, unit) -> _Work:
  """Returns what a process has to do; `unit` is 0 where nothing was begun."""
  saved = np.zeros(len(plan.cells), int)
  if unit:
    saved = saved_states.steps(out, len(plan.cells))
  shares = {
    process: parts.of_process(plan, process, unit or parts.unit(plan))
    for process in parts.processes(plan)
  }
  own = shares.pop(group.index, [])
  others = [program for share in shares.values() for program in share]
  return _Work(
    plan._replace(programs=tuple(own)),
    parts.pending(own, saved, plan.num_steps),
    parts.pending(others if group.leads else [], saved, plan.num_steps),
    saved,
  )


def _train(group, plan, work, sweep, progress, should_stop) -> bool:
  """Trains the part of this process; returns whether all have finished."""
  progress = progress or (lambda event: None)
  follower = following.Follower(
    plan, work.others, work.saved, sweep.store, progress
  )

  def waiting() -> None:
    follower.look()
    should_stop()  # What is asked of a process that has ended is told to all.

  sweep.run(work.pending, progress, follower.look)
  endings = group.agree('ended', str(sweep.finished), waiting)
  follower.look_now()
  return all(ending == str(True) for ending in endings)
