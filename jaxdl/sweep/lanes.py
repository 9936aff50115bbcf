"""Lanes: threads, each of which runs its programs on its devices in turn."""

from collections.abc import Callable, Sequence
from concurrent import futures
import queue
import threading
import time
from typing import Any, NamedTuple

import jax
from jaxdl.sweep import checkpoint as checkpoint_lib
from jaxdl.sweep import compilation
from jaxdl.sweep import experiment as experiment_lib
from jaxdl.sweep import grid
from jaxdl.sweep import planning
from jaxdl.sweep import program as program_lib
from jaxdl.sweep import saved_states
from jaxdl.sweep import store as store_lib
from jaxdl.sweep import writing
import numpy as np

# Maps a cell, a first step and a number of steps to [steps, batch], int32.
Indices = Callable[[grid.Cell, int, int], np.ndarray]

# Of the time of a program, at most this share goes into its checkpoints.
_CHECKPOINT_SHARE = 0.02

_SECONDS_BETWEEN_CALLS = 1.0


class _Inputs(NamedTuple):
  """What a program reads, on its devices."""

  seeds: jax.Array
  dynamic: dict[str, jax.Array]
  data: experiment_lib.Data


class Lanes:
  """Runs programs on the lanes of a plan, and records them.

  Attributes:
    store: where they are recorded.
    finished: whether all programs were trained to their last step.
    steps: training steps run, over all programs.
    wait_seconds: seconds that programs waited for their compilation, summed.
    writer: the thread that writes.
  """

  def __init__(
    self,
    plan: planning.Plan,
    data: experiment_lib.Data,
    indices: Indices,
    store: store_lib.Store,
    compiler: compilation.Compiler,
    shapes: dict[int, program_lib.Shapes],
    stop: Callable[[], bool],
  ):
    self._plan = plan
    self._data = data
    self._indices = indices
    self.store = store
    self._compiler = compiler
    self._shapes = shapes
    self._stop = stop
    self._stopping = threading.Event()
    self._lock = threading.Lock()
    self._events: queue.Queue[writing.Event | None] = queue.Queue()
    self.finished = False
    self.steps = 0
    self.wait_seconds = 0.0
    self.writer = writing.Writer(
      store, self._events.put, capacity=2 * plan.num_lanes
    )

  def run(
    self,
    programs: Sequence[planning.Program],
    progress: Callable[[writing.Event], None] = lambda event: None,
    waiting: Callable[[], None] = lambda: None,
  ) -> None:
    """Runs programs; whatever happens, all threads have ended on return.

    Args:
      programs: those to run.
      progress: called in this thread with each event.
      waiting: called in this thread now and then.
    """
    by_lane: dict[int, list[planning.Program]] = {}
    for program in programs:
      by_lane.setdefault(program.lane, []).append(program)
    pool = futures.ThreadPoolExecutor(max(len(by_lane), 1), 'lane')
    try:
      running = [pool.submit(self._run_lane, lane) for lane in by_lane.values()]
      for future in running:
        future.add_done_callback(self._lane_ended)
      for _ in running:
        while (event := self._next_event(waiting)) is not None:
          progress(event)
    except BaseException:
      self._stopping.set()
      raise
    finally:
      pool.shutdown(wait=True)
      self.writer.close()
    for future in running:
      future.result()
    while not self._events.empty():
      if (event := self._events.get()) is not None:
        progress(event)
    self.finished = not self._stopping.is_set()

  def _next_event(self, waiting: Callable[[], None]) -> writing.Event | None:
    """Waits for an event; None if a lane has ended."""
    while True:
      waiting()
      try:
        return self._events.get(timeout=_SECONDS_BETWEEN_CALLS)
      except queue.Empty:
        continue

  def _lane_ended(self, future: futures.Future) -> None:
    if future.exception() is not None:
      self._stopping.set()
    self._events.put(None)

  def _run_lane(self, programs: Sequence[planning.Program]) -> None:
    mesh = program_lib.mesh(programs[0])
    data = jax.device_put(self._data, program_lib.replicated(mesh))
    for program in programs:
      if self._should_stop():
        return
      seeds, dynamic = jax.device_put(
        (program.seeds, program.dynamic), program_lib.over_cells(mesh)
      )
      self._run_program(program, _Inputs(seeds, dynamic, data), mesh)

  def _should_stop(self) -> bool:
    with self._lock:
      if self._stop():
        self._stopping.set()
    return self._stopping.is_set()

  def _run_program(self, program, inputs, mesh) -> None:
    """Trains the cells of one program, from its checkpoint if there is one."""
    init, chunk, finish = self._take(program.first_cell)
    step, states = self._first_states(program, inputs, init, mesh)
    keeper = _Keeper(program, self.writer, step)
    indices = self._batches(program, step)
    while step < self._plan.num_steps:
      if self._should_stop():
        keeper.save(step, states)
        return
      count = min(self._plan.chunk_steps, self._plan.num_steps - step)
      states, recording = chunk(
        states,
        jax.device_put(indices, program_lib.over_batches(mesh)),
        *inputs,
        np.int32(step),
        np.int32(count),
      )
      # The devices are at work: the next batches cost no time.
      indices = self._batches(program, step + count)
      metrics = {
        name: values[: len(program.cells), :count]
        for name, values in jax.tree.map(np.array, recording).by_name().items()
      }
      self.writer.put(writing.Item(program, step, metrics))
      step += count
      with self._lock:
        self.steps += count
      if step < self._plan.num_steps and keeper.is_due():
        keeper.save(step, states)
    self._finish(program, finish, states, inputs)

  def _take(self, index: int) -> program_lib.Functions:
    """Returns the compiled functions of a program."""
    begin = time.monotonic()
    init, chunk, finish = self._compiler.take(index)
    functions = program_lib.Functions(
      init.result(), chunk.result(), finish.result()
    )
    with self._lock:
      self.wait_seconds += time.monotonic() - begin
    return functions

  def _first_states(self, program, inputs, init, mesh) -> tuple[int, Any]:
    """Returns the step to begin with and its states."""
    shapes, treedef = jax.tree.flatten(self._shapes[program.first_cell].states)
    checkpoint = saved_states.read(self.store.out, program, shapes)
    if checkpoint is None:
      return 0, init(inputs.seeds, inputs.dynamic)
    cells = np.minimum(np.arange(program.padded_cells), len(program.cells) - 1)
    leaves = [leaf[cells] for leaf in checkpoint.leaves]
    return checkpoint.step, jax.device_put(
      jax.tree.unflatten(treedef, leaves), program_lib.over_cells(mesh)
    )

  def _batches(self, program: planning.Program, start: int) -> np.ndarray:
    """Returns the indices `[padded_cells, chunk, batch]` of a chunk.

    What lies past the last step is not used, and repeats the first batch.
    """
    count = min(self._plan.chunk_steps, max(self._plan.num_steps - start, 1))
    rows = np.stack(
      [self._indices(cell, start, count) for cell in program.cells]
    )
    cells = np.minimum(np.arange(program.padded_cells), len(rows) - 1)
    steps = np.arange(self._plan.chunk_steps) % count
    return rows[cells][:, steps].astype(np.int32)

  def _finish(self, program, finish, states, inputs) -> None:
    """Records the scores of a program and marks it finished."""
    scores = {
      name: np.array(values)[: len(program.cells)]
      for name, values in finish(states, inputs.dynamic, inputs.data).items()
    }
    mark = checkpoint_lib.Checkpoint(self._plan.num_steps, True, ())
    self.writer.put(writing.Item(program, scores=scores, checkpoint=mark))


class _Keeper:
  """Decides when the states of a program are saved, and saves them."""

  def __init__(
    self, program: planning.Program, writer: writing.Writer, step: int
  ):
    self._program = program
    self._writer = writer
    self._step = step
    self._time = time.monotonic()
    self._copy_seconds = 0.0

  def is_due(self) -> bool:
    """Returns whether the last checkpoint has cost its share of the time."""
    cost = self._copy_seconds + self._writer.checkpoint_seconds
    return time.monotonic() - self._time > cost / _CHECKPOINT_SHARE

  def save(self, step: int, states: Any) -> None:
    """Copies the states to the host and has them written."""
    if step == self._step:
      return
    begin = time.monotonic()
    leaves = tuple(
      _to_host(leaf)[: len(self._program.cells)]
      for leaf in jax.tree.leaves(states)
    )
    checkpoint = checkpoint_lib.Checkpoint(step, False, leaves)
    self._writer.put(writing.Item(self._program, step, checkpoint=checkpoint))
    self._step, self._time = step, time.monotonic()
    self._copy_seconds = self._time - begin


def _to_host(array: jax.Array) -> np.ndarray:
  """Copies an array; a view of its buffers would keep them from donation."""
  shards = {
    shard.index[0].start or 0: shard for shard in array.addressable_shards
  }
  return np.concatenate([np.asarray(shards[i].data) for i in sorted(shards)])
