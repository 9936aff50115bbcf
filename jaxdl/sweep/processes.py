"""The processes that run a sweep together, and what they tell each other.

Each trains its own cells and waits for nobody. They agree on little: whether
the sweep may be written, that it is ready, that it should stop, that it is
done. They do so through the coordination service of `jax.distributed`; a
process alone agrees with itself. With `jax_enable_recoverability` set before
`jax.distributed.initialize`, the others outlive one that dies, and say so.
"""

from collections.abc import Callable
import time
from typing import Any, Self

import jax

_SECONDS_BETWEEN_QUESTIONS = 0.2
_SECONDS_BETWEEN_ROLL_CALLS = 1.0
_SECONDS_TO_PART = 60.0


class ProcessLostError(ConnectionError):
  """Another process of the run has failed or is gone."""


class Processes:
  """The processes of one run; a context manager, which tells of its failure.

  Attributes:
    index: of this process. Process 0 leads: it alone creates the record.
    count: how many there are.
    has_record: whether there is known to be a record to go on with, which is
      said where a process is gone.
  """

  def __init__(self) -> None:
    """Joins the run; all processes make the same runs, in the same order."""
    self.index = jax.process_index()
    self.count = jax.process_count()
    self.has_record = False
    self._client: Any = _client() if self.count > 1 else None
    self._run = self._next_run()
    self._last_roll_call = time.monotonic()
    self._lost: str | None = None
    self._is_stopping = False

  @property
  def leads(self) -> bool:
    """Whether this process acts for all."""
    return self.index == 0

  def __enter__(self) -> Self:
    return self

  def __exit__(self, kind: Any, error: BaseException | None, _: Any) -> None:
    self._tell(error)

  def _tell(self, error: BaseException | None) -> None:
    """Tells the others what ends this process, unless one of them does."""
    if self._client and error and not isinstance(error, ProcessLostError):
      message = ' '.join(str(error).split()) or type(error).__name__
      self._set(f'failed/{self.index}', message)

  def part(
    self, error: BaseException | None, seconds: float = _SECONDS_TO_PART
  ) -> None:
    """Tells that this process writes no more; process 0 waits for the others.

    Args:
      error: what ends this process, if anything does; told first, so that the
        others end too.
      seconds: how long process 0 waits for those that are not gone.
    """
    if self._client is None:
      return
    self._tell(error)
    self._set(f'parted/{self.index}', '')
    end = time.monotonic() + seconds
    while self.leads and self._writers() and time.monotonic() < end:
      time.sleep(_SECONDS_BETWEEN_QUESTIONS)

  def _writers(self) -> set[int]:
    """Returns the processes that are there and may still write."""
    return self._living() - set(self._all('parted'))

  def agree(
    self,
    topic: str,
    value: str = '',
    waiting: Callable[[], None] = lambda: None,
  ) -> list[str]:
    """Tells the others a value, and waits for theirs.

    Args:
      topic: what it is about; each once in a run.
      value: that of this process.
      waiting: called now and then.

    Returns:
      The value of each process.

    Raises:
      ProcessLostError: another process failed or is gone.
    """
    if self._client is None:
      return [value]
    self._set(f'{topic}/{self.index}', value)
    while True:
      # Before the values are read: who has told its own may be gone.
      problem = self._problem()
      values = self._all(topic)
      if len(values) == self.count:
        return [values[index] for index in range(self.count)]
      if problem:
        raise ProcessLostError(problem)
      waiting()
      time.sleep(_SECONDS_BETWEEN_QUESTIONS)

  def should_stop(self, asked: bool) -> bool:
    """Returns whether any process was asked to stop, or has failed.

    Args:
      asked: whether this one was asked to.
    """
    if self._client is None:
      return asked
    if asked and not self._is_stopping:
      self._set(f'stopping/{self.index}', '')
    # Of a problem `agree` tells, after the states are saved.
    self._is_stopping |= (
      asked or bool(self._all('stopping')) or self._problem() is not None
    )
    return self._is_stopping

  def _problem(self) -> str | None:
    """Returns which other process failed or is gone, if one is known to."""
    now = time.monotonic()
    if (
      self._lost is None
      and now - self._last_roll_call >= _SECONDS_BETWEEN_ROLL_CALLS
    ):
      self._last_roll_call = now
      self._lost = self._call_the_roll()
    return self._lost

  def _call_the_roll(self) -> str | None:
    """Asks which other process failed or is gone."""
    for index, message in sorted(self._all('failed').items()):
      return f'process {index} of {self.count}: {message}'
    for index in sorted(set(range(self.count)) - self._living()):
      remedy = 'start all again'
      if self.has_record:
        remedy = (
          f'what was recorded is whole: {remedy} with --resume, in any number'
        )
      return f'process {index} of {self.count} is gone; {remedy}'
    return None

  def _living(self) -> set[int]:
    """Returns the processes whose heartbeats are heard."""
    return set(self._client.get_live_nodes(list(range(self.count))))

  def _next_run(self) -> str:
    """Returns a name for this run, the same in all processes."""
    if self._client is None:
      return ''
    count = self._client.key_value_increment(f'jaxdl/runs/{self.index}', 1)
    return f'jaxdl/run/{count}'

  def _set(self, key: str, value: str) -> None:
    # The service takes no empty value.
    self._client.key_value_set(
      f'{self._run}/{key}', f':{value}', allow_overwrite=True
    )

  def _all(self, topic: str) -> dict[int, str]:
    """Returns what has been set below a topic, by process."""
    prefix = f'{self._run}/{topic}/'
    found = self._client.key_value_dir_get(prefix)
    return {int(key.rsplit('/', 1)[1]): value[1:] for key, value in found}


def leave(seconds: float = 60.0) -> None:
  """Leaves the coordination service, process 0 last, which is its host.

  Args:
    seconds: how long process 0 waits for the others.
  """
  client = _client()
  if client is None:
    return
  count, begin = jax.process_count(), time.monotonic()
  while jax.process_index() == 0 and time.monotonic() - begin < seconds:
    if len(client.get_live_nodes(list(range(count)))) == 1:
      break
    time.sleep(_SECONDS_BETWEEN_QUESTIONS)
  jax.distributed.shutdown()


def _client() -> Any:
  """Returns the client of JAX's coordination service.

  JAX has no public way to it; Orbax and Flax take the same one.
  """
  from jax._src import distributed

  return distributed.global_state.client
