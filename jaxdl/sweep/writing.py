"""The thread that writes what programs compute, while they compute on."""

from collections.abc import Callable, Mapping
import queue
import threading
import time
import types
from typing import NamedTuple

from jaxdl.sweep import checkpoint as checkpoint_lib
from jaxdl.sweep import grid
from jaxdl.sweep import planning
from jaxdl.sweep import store as store_lib
import numpy as np


class Event(NamedTuple):
  """A chunk is recorded.

  Attributes:
    program: the program, or a part of one.
    cells: its cells.
    steps_done: how many steps are recorded of each.
    metrics: of the chunk, each `[cells, chunk]` or `[cells, chunk, layer]`. Of
      another process they have the layers of the whole record, NaN where these
      cells have none.
  """

  program: planning.Program
  cells: tuple[grid.Cell, ...]
  steps_done: int
  metrics: dict[str, np.ndarray]


class Item(NamedTuple):
  """What is to be written: metrics, then scores, then the checkpoint."""

  program: planning.Program
  step: int = 0  # The first step of the metrics.
  metrics: Mapping[str, np.ndarray] = types.MappingProxyType({})
  scores: Mapping[str, np.ndarray] = types.MappingProxyType({})
  checkpoint: checkpoint_lib.Checkpoint | None = None


class Writer:
  """Writes items in the order in which they are put.

  The first error ends all writing: `put` raises it from then on, and so does
  `close`.

  Attributes:
    seconds: what all writing took so far.
    checkpoint_seconds: what the last checkpoint took, of whichever program.
  """

  def __init__(
    self,
    store: store_lib.Store,
    announce: Callable[[Event], None],
    capacity: int,
  ):
    self._store = store
    self._announce = announce
    self._items: queue.Queue[Item | None] = queue.Queue(capacity)
    self._error: BaseException | None = None
    self._thread = threading.Thread(
      target=self._work, name='write', daemon=True
    )
    self.seconds = 0.0
    self.checkpoint_seconds = 0.0
    self._thread.start()

  def put(self, item: Item) -> None:
    """Hands over an item; waits while too many are pending.

    Args:
      item: what to write.

    Raises:
      StorageError: an earlier item could not be written.
    """
    if self._error is None:
      self._items.put(item)
    if self._error is not None:
      raise self._error

  def close(self) -> None:
    """Writes what is pending and ends the thread.

    Raises:
      StorageError: an item could not be written.
    """
    if self._thread.is_alive():
      self._items.put(None)
      self._thread.join()
    if self._error is not None:
      raise self._error

  def _work(self) -> None:
    while (item := self._items.get()) is not None:
      if self._error is not None:
        continue  # Empties the queue, so that no `put` waits forever.
      begin = time.monotonic()
      try:
        self._write(item)
      except BaseException as error:  # Raised again by `put` and `close`.
        self._error = error
      self.seconds += time.monotonic() - begin

  def _write(self, item: Item) -> None:
    program = item.program
    store_lib.write_chunk(self._store, program, item.step, item.metrics)
    store_lib.write_scores(self._store, program, item.scores)
    if item.checkpoint is not None:
      begin = time.monotonic()
      store_lib.save(self._store, program, item.checkpoint)
      if not item.checkpoint.finished:
        self.checkpoint_seconds = time.monotonic() - begin
    if item.metrics:
      steps = next(iter(item.metrics.values())).shape[1]
      done = item.step + steps
      self._announce(Event(program, program.cells, done, dict(item.metrics)))
