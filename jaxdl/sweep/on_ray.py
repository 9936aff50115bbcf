"""Running a sweep on a Ray cluster: each program is a task.

For grids of programs of very different sizes, on machines that come and go. Ray
gives each worker the cores or accelerators of one task, starts the next task
where one ends, and starts a task again, on another worker, if its worker is
lost. See https://docs.ray.io.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
import contextlib
import logging
import pathlib
import socket
import time
import types
from typing import Any, NamedTuple

import jax
from jaxdl.sweep import admission
from jaxdl.sweep import execute
from jaxdl.sweep import experiment as experiment_lib
from jaxdl.sweep import folder as folder_lib
from jaxdl.sweep import following
from jaxdl.sweep import grid
from jaxdl.sweep import parts
from jaxdl.sweep import planning
from jaxdl.sweep import processes
from jaxdl.sweep import program as program_lib
from jaxdl.sweep import saved_states
from jaxdl.sweep import store as store_lib
from jaxdl.sweep import tasks
from jaxdl.sweep import writing

LOCAL = 'local'
_SECONDS_BETWEEN_LOOKS = 1.0
_SECONDS_TO_END = 30.0
_SECONDS_TO_ANSWER = 10.0
# How often a task is started again if its worker is lost.
_MAX_RETRIES = 3
_RESOURCES = ('CPU', 'GPU')
# Of a GPU's memory, JAX takes this share for itself.
_MEMORY_SHARE = 0.75


class Needs(NamedTuple):
  """What a task takes of a cluster.

  Attributes:
    cpus: cores of a task; on CPUs each becomes a device.
    gpus: accelerators of a task; may be a fraction.
    prepare: called in a worker before JAX computes, with no arguments.
  """

  cpus: int = 1
  gpus: float = 0.0
  prepare: Callable[[], None] | None = None


_ONE_CORE = Needs()


def run(
  cells: Sequence[grid.Cell],
  recipe: tasks.Recipe,
  data: experiment_lib.Data,
  needs: Needs = _ONE_CORE,
  *,
  settings: Mapping[str, Any] = types.MappingProxyType({}),
  attributes: Mapping[str, Any] = types.MappingProxyType({}),
  resume: bool = False,
  overwrite: bool = False,
  progress: Callable[[writing.Event], None] | None = None,
  stop: Callable[[], bool] | None = None,
) -> execute.Outcome:
  """Trains every cell and records it, as `execute.run` does, on a cluster.

  Call it within `session`, or after `ray.init`.

  Args:
    cells: of the grid.
    recipe: how they are trained.
    data: the data, on the host; Ray holds one copy a machine.
    needs: what each task takes.
    settings: see `execute.run`.
    attributes: see `execute.run`.
    resume: see `execute.run`.
    overwrite: see `execute.run`.
    progress: see `execute.run`.
    stop: called now and then; once true, workers save their states and end.

  Returns:
    How it went.

  Raises:
    ValueError: see `execute.run`; or there is no cluster, or a task fits on
      none of its machines.
    StorageError: see `execute.run`.
    ProcessLostError: the workers of a task were lost again and again.
  """
  _check(needs)
  begin = time.monotonic()
  out = pathlib.Path(recipe.out)
  plan = recipe.plan(cells, jax.local_devices())
  group = processes.Processes()
  # The plan's are those of this process, which trains nothing.
  attributes = {
    'devices': f'{_resources(_wanted(needs))} a task of Ray',
    **attributes,
  }
  with folder_lib.Folder(group, out, plan, settings, attributes) as folder:
    is_there = folder.claim(resume=resume, overwrite=overwrite) > 0
    shapes = [] if is_there else _shapes(plan, recipe, data)
    traced = time.monotonic()
    store = folder.open(shapes, is_there=is_there)
    saved = saved_states.steps(out, len(plan.cells))
    pending = parts.pending(plan.programs, saved, plan.num_steps)
    follower = following.Follower(
      plan, pending, saved, store, progress or _ignore
    )
    finished = _train(needs, pending, recipe, data, follower, stop)
  steps = saved_states.steps(out, len(plan.cells)) - saved
  return execute.Outcome(
    finished=finished,
    steps=int(sum(steps[program.first_cell] for program in pending)),
    seconds=time.monotonic() - begin,
    trace_seconds=traced - begin,
    wait_seconds=0.0,
    write_seconds=0.0,
  )


def _ignore(event: writing.Event) -> None:
  del event


def _shapes(plan, recipe, data) -> list[program_lib.Shapes]:
  """Returns what each program records."""
  return [
    admission.trace(program, plan, recipe.build, data, recipe.indices)[1]
    for program in plan.programs
  ]


@contextlib.contextmanager
def session(address: str = LOCAL) -> Iterator[None]:
  """Connects to a Ray cluster; enter it before JAX computes.

  Ray forks, which JAX does not bear once it has threads.

  Args:
    address: of a cluster, as `ray.init` takes it; 'local' starts one on this
      machine and ends it afterwards.

  Raises:
    ValueError: Ray is not installed, or there is no such cluster.
  """
  try:
    import ray
  except ImportError as error:
    raise ValueError(
      "Ray is not installed; pip install 'jaxdl[ray]', or train without it"
    ) from error
  options: dict[str, Any] = {'address': address}
  if address == LOCAL:
    options['include_dashboard'] = False
  try:
    _knock(address)
    ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
  except (OSError, OverflowError, RuntimeError, ValueError) as error:
    raise ValueError(
      f'no Ray cluster at {address!r}: {str(error).splitlines()[0]}; start one '
      f'with `ray start --head`, or give {LOCAL!r}'
    ) from error
  try:
    yield
  finally:
    ray.shutdown()


def _knock(address: str) -> None:
  """Raises an OSError if nobody is at HOST:PORT; Ray would try for minutes."""
  host, _, port = address.rpartition(':')
  if host and '/' not in host and port.isdecimal():
    socket.create_connection((host, int(port)), _SECONDS_TO_ANSWER).close()


def _check(needs: Needs) -> None:
  """Raises a ValueError if no task would ever start."""
  try:
    import ray

    machines = ray.nodes() if ray.is_initialized() else None
  except ImportError:
    machines = None
  if machines is None:
    raise ValueError('there is no Ray cluster; enter `session` first')
  if needs.gpus != round(needs.gpus, 4 if needs.gpus < 1 else 0):
    raise ValueError(
      f'a task takes {needs.gpus:g} GPU; give a whole number or, to share one, '
      'a fraction in steps of 0.0001'
    )
  there = [machine['Resources'] for machine in machines if machine['Alive']]
  wanted = _wanted(needs)
  if not any(
    all(found.get(name, 0) >= number for name, number in wanted.items())
    for found in there
  ):
    most: Mapping[str, float] = max(
      there,
      key=lambda found: (found.get('GPU', 0), found.get('CPU', 0)),
      default={},
    )
    raise ValueError(
      f'a task takes {_resources(wanted)}, which no machine of the cluster '
      f'has; the largest has {_resources(most)}: give less'
    )


def _wanted(needs: Needs) -> dict[str, float]:
  return {'CPU': needs.cpus, 'GPU': needs.gpus}


def _resources(found: Mapping[str, float]) -> str:
  """Returns cores and accelerators in words."""
  return ' and '.join(f'{found.get(name, 0):g} {name}' for name in _RESOURCES)


def _train(needs, pending, recipe, data, follower, stop) -> bool:
  """Has the workers train; returns whether all have finished."""
  import ray

  stop_file = pathlib.Path(recipe.out) / tasks.STOP
  stop_file.unlink(missing_ok=True)
  shared = ray.put(data)
  work = ray.remote(
    num_cpus=needs.cpus,
    num_gpus=needs.gpus,
    max_retries=_MAX_RETRIES,
    runtime_env={'env_vars': _environment(needs)},
  )(_work)
  # The largest first, so that the last to end is a small one.
  running = {
    work.remote(_task(program), recipe, needs.prepare, shared): program
    for program in sorted(pending, key=lambda program: -len(program.cells))
  }
  finished = []
  try:
    while running:
      done, _ = ray.wait(list(running), timeout=_SECONDS_BETWEEN_LOOKS)
      follower.look()
      if stop is not None and stop():
        stop_file.touch()
      for reference in done:
        finished.append(_result(reference, running.pop(reference)))
  except BaseException:
    _cancel(list(running))
    raise
  finally:
    stop_file.unlink(missing_ok=True)
  follower.look_now()
  return all(finished)


def _cancel(references: list[Any]) -> None:
  """Ends tasks at once: the folder is theirs only while it is locked."""
  import ray

  for reference in references:
    ray.cancel(reference, force=True)
  if references:
    ray.wait(references, num_returns=len(references), timeout=_SECONDS_TO_END)


def _result(reference: Any, program: planning.Program) -> bool:
  """Returns whether a task is finished; raises what its worker raised."""
  import ray

  try:
    return ray.get(reference)
  except ray.exceptions.RayTaskError as error:
    if isinstance(error.cause, ValueError | store_lib.StorageError):
      raise type(error.cause)(*error.cause.args) from error
    raise
  except ray.exceptions.RayError as error:
    raise processes.ProcessLostError(
      f'the workers that train program {program.number} were lost '
      f'{_MAX_RETRIES + 1} times; what was recorded is whole: see to the '
      'machines, and go on with --resume'
    ) from error


def _environment(needs: Needs) -> dict[str, str]:
  """Returns what JAX in a worker reads."""
  if 0 < needs.gpus < 1:  # Else the first takes what is for others.
    share = f'{_MEMORY_SHARE * needs.gpus:.4f}'
    return {'XLA_PYTHON_CLIENT_MEM_FRACTION': share}
  if needs.gpus:
    return {}
  return {'JAX_PLATFORMS': 'cpu', 'JAX_NUM_CPU_DEVICES': str(needs.cpus)}


def _task(program: planning.Program) -> tasks.Task:
  return tasks.Task(program.number, program.cells, program.first_cell)


def _work(
  task: tasks.Task,
  recipe: tasks.Recipe,
  prepare: Callable[[], None] | None,
  data: experiment_lib.Data,
) -> bool:
  """Runs in a worker."""
  if prepare is not None:
    prepare()
  return tasks.train(task, recipe, data)
