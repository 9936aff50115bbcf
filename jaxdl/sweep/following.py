"""Following, in the record, what other processes train."""

from collections.abc import Callable, Sequence
import errno
import time

from jaxdl.sweep import planning
from jaxdl.sweep import store as store_lib
from jaxdl.sweep import writing
import numpy as np

_SECONDS_BETWEEN_LOOKS = 2.0
_TRIES = 2  # Of a look, where files are replaced while they are read.


class Follower:
  """Makes events of chunks that other processes recorded."""

  def __init__(
    self,
    plan: planning.Plan,
    programs: Sequence[planning.Program],
    saved: np.ndarray,
    store: store_lib.Store,
    progress: Callable[[writing.Event], None] | None,
  ):
    """Begins to follow.

    Args:
      plan: the plan.
      programs: the parts that other processes train, each from one step on.
      saved: the step that each cell goes on from, `[cells]`, from before any
        process wrote: what they have recorded by now is new.
      store: the store that they write to.
      progress: called with an event for the last chunk of each part, if given.
    """
    self._chunk_steps = plan.chunk_steps
    self._programs = programs
    self._store = store
    self._progress = progress or (lambda event: None)
    self._seen = [int(saved[program.first_cell]) for program in programs]
    self._last_look = time.monotonic()

  def look(self) -> None:
    """Looks for new chunks, unless it did a moment ago."""
    if time.monotonic() - self._last_look > _SECONDS_BETWEEN_LOOKS:
      self.look_now()

  def look_now(self) -> None:
    """Looks for new chunks; a file that is replaced meanwhile is no error.

    Raises:
      OSError: the record cannot be read.
    """
    self._last_look = time.monotonic()
    for _ in range(_TRIES):
      try:
        self._show_new_chunks()
        return
      except OSError as error:
        # On a network's file system, another process replaced what was open.
        if error.errno != errno.ESTALE:
          raise

  def _show_new_chunks(self) -> None:
    for index, new in enumerate(self._steps_done()):
      program = self._programs[index]
      if new != self._seen[index] and new:
        start = (new - 1) // self._chunk_steps * self._chunk_steps
        metrics = store_lib.read_chunk(self._store, program, start, new)
        self._progress(writing.Event(program, program.cells, new, metrics))
      self._seen[index] = new

  def _steps_done(self) -> list[int]:
    """Returns the steps that are recorded of each part."""
    done = np.asarray(self._store.arrays['steps_done'][:])
    return [int(done[program.first_cell]) for program in self._programs]
