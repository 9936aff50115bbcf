"""Handing programs to the workers of a Ray cluster, until all have ended.

Ray is told to start no task again by itself: where memory is short it would do
so for ever, and after a Ctrl-C too. What ended a task is judged here.
"""

from collections.abc import Callable, Iterator, Sequence
import contextlib
import signal
import threading
from typing import Any, NamedTuple

from jaxdl import refusals
from jaxdl.sweep import cluster
from jaxdl.sweep import experiment as experiment_lib
from jaxdl.sweep import planning
from jaxdl.sweep import processes
from jaxdl.sweep import store as store_lib
from jaxdl.sweep import tasks as tasks_lib

_SECONDS_BETWEEN_LOOKS = 1.0
_SECONDS_TO_END = 30.0
# How often a program is started again if its worker is lost.
_MAX_RETRIES = 3


class _Attempt(NamedTuple):
  """A program, as a task.

  Attributes:
    program: the program.
    cpus: the cores that are kept free for it.
    losses: how many workers were lost that trained it.
  """

  program: planning.Program
  cpus: int
  losses: int = 0


class _Ending(NamedTuple):
  """What a worker says of a task that has ended.

  Attributes:
    finished: whether it is trained; False if it was stopped or refused.
    refusal: what was refused, if anything was.
  """

  finished: bool
  refusal: ValueError | store_lib.StorageError | None = None


def train(
  programs: Sequence[planning.Program],
  recipe: tasks_lib.Recipe,
  data: experiment_lib.Data,
  needs: cluster.Needs,
  *,
  waiting: Callable[[], None],
  stop: Callable[[], bool] | None,
) -> bool:
  """Has workers train programs; whatever happens, no task is left on return.

  A program whose worker is lost is started again. One that Ray kills because
  memory is short is started again with a machine to itself.

  Args:
    programs: those to train.
    recipe: how they are trained.
    data: the data, on the host.
    needs: what each task takes.
    waiting: called now and then.
    stop: called now and then, if given; once true, tasks that run save their
      states and end, and those that wait for a machine end at once.

  Returns:
    Whether all were trained to their last step.

  Raises:
    ValueError: a worker refuses a program, or it does not fit the memory.
    StorageError: the disk is full.
    ProcessLostError: the workers of a program were lost again and again.
    ray.exceptions.RayError: anything else, with the traceback of the worker.
  """
  import ray

  lost = (
    ray.exceptions.LocalRayletDiedError,
    ray.exceptions.NodeDiedError,
    ray.exceptions.OutOfMemoryError,
    ray.exceptions.WorkerCrashedError,
  )
  tasks = _Tasks(recipe, data, needs)
  finished, is_stopping = True, False
  with contextlib.closing(tasks):
    # The largest first, so that the last to end is a small one.
    for program in sorted(programs, key=lambda program: -len(program.cells)):
      tasks.start(_Attempt(program, needs.cpus))
    while tasks:
      ended = tasks.wait()
      waiting()
      is_stopping = is_stopping or (stop is not None and stop())
      for reference, attempt in ended.items():
        try:
          finished &= _is_finished(reference)
        except lost as error:
          if is_stopping:
            finished = False
          else:
            tasks.start(_again(attempt, error, needs))
      if is_stopping:
        tasks.stop()
  return finished


class _Tasks:
  """The tasks that wait for a machine or run; true while there are any."""

  def __init__(self, recipe, data, needs: cluster.Needs):
    import ray

    self._ray = ray
    self._arguments = (recipe, needs.prepare, ray.put(data))
    self._work = ray.remote(
      num_gpus=needs.gpus,
      max_retries=0,
      runtime_env={'env_vars': cluster.environment(needs)},
    )(_work)
    self._running: dict[Any, _Attempt] = {}

  def __bool__(self) -> bool:
    return bool(self._running)

  def start(self, attempt: _Attempt) -> None:
    """Hands out a task; Ray starts it where, and when, there is room."""
    program = attempt.program
    task = tasks_lib.Task(program.number, program.cells, program.first_cell)
    work = self._work.options(num_cpus=attempt.cpus)
    self._running[work.remote(task, *self._arguments)] = attempt

  def wait(self) -> dict[Any, _Attempt]:
    """Returns the tasks that have ended, after a while at most."""
    ended, _ = self._ray.wait(
      list(self._running),
      num_returns=len(self._running),
      timeout=_SECONDS_BETWEEN_LOOKS,
    )
    return {reference: self._running.pop(reference) for reference in ended}

  def stop(self) -> None:
    """Asks all to end; again and again, since a worker may not listen yet."""
    for reference in self._running:
      self._ray.cancel(reference, force=False)

  def close(self) -> None:
    """Ends all at once: the folder is theirs only while it is locked."""
    left = list(self._running)
    for reference in left:
      self._ray.cancel(reference, force=True)
    if left:
      self._ray.wait(left, num_returns=len(left), timeout=_SECONDS_TO_END)


def _is_finished(reference: Any) -> bool:
  """Returns whether a program is trained; raises what ended it otherwise."""
  import ray

  try:
    ending = ray.get(reference)
  except ray.exceptions.TaskCancelledError:  # It had not begun.
    return False
  if ending.refusal is not None:
    raise ending.refusal
  return ending.finished


def _again(
  attempt: _Attempt, error: Exception, needs: cluster.Needs
) -> _Attempt:
  """Returns how a program is tried again whose worker was lost.

  Args:
    attempt: the one that failed.
    error: what Ray says.
    needs: what a task takes.

  Raises:
    ValueError: it does not fit the memory.
    ProcessLostError: it was tried often enough.
  """
  import ray

  program = attempt.program
  if isinstance(error, ray.exceptions.OutOfMemoryError):
    cpus = cluster.most_cpus(needs)
    if attempt.cpus >= cpus:
      raise ValueError(
        f'program {program.number} ({len(program.cells)} cells) had a machine '
        'to itself, and Ray killed it because memory was short; lower depth, '
        'width or batch size, give an axis fewer values, or take machines of '
        'more memory'
      ) from error
    return attempt._replace(cpus=cpus)
  if attempt.losses == _MAX_RETRIES:
    raise processes.ProcessLostError(
      f'the workers that train program {program.number} were lost '
      f'{_MAX_RETRIES + 1} times; see to the machines, and go on with --resume'
    ) from error
  return attempt._replace(losses=attempt.losses + 1)


def _work(
  task: tasks_lib.Task,
  recipe: tasks_lib.Recipe,
  prepare: Callable[[], None] | None,
  data: experiment_lib.Data,
) -> _Ending:
  """Runs in a worker."""
  with _interrupts() as stop:
    if prepare is not None:
      prepare()
    try:
      return _Ending(tasks_lib.train(task, recipe, data, stop))
    except (ValueError, store_lib.StorageError) as error:
      if refusals.is_refusal(error):
        return _Ending(False, error)
      raise


@contextlib.contextmanager
def _interrupts() -> Iterator[Callable[[], bool]]:
  """Turns an interrupt, by which Ray cancels a task, into a request to stop."""
  asked = threading.Event()
  previous = signal.signal(signal.SIGINT, lambda *_: asked.set())
  try:
    yield asked.is_set
  finally:
    signal.signal(signal.SIGINT, previous)
