"""A Ray cluster: how it is found, and what a task takes of it.

See https://docs.ray.io.
"""

from collections.abc import Callable, Iterator, Mapping
import contextlib
import logging
import socket
from typing import Any, NamedTuple

LOCAL = 'local'
_SECONDS_TO_ANSWER = 10.0
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


def check(needs: Needs) -> None:
  """Checks that there is a cluster, with a machine that a task fits on.

  Args:
    needs: what a task takes.

  Raises:
    ValueError: no task would ever start.
  """
  try:
    import ray

    is_there = ray.is_initialized()
  except ImportError:
    is_there = False
  if not is_there:
    raise ValueError('there is no Ray cluster; enter `cluster.session` first')
  if needs.gpus != round(needs.gpus, 4 if needs.gpus < 1 else 0):
    raise ValueError(
      f'a task takes {needs.gpus:g} GPU; give a whole number or, to share one, '
      'a fraction in steps of 0.0001'
    )
  machines = _machines()
  if not any(_takes(machine, needs) for machine in machines):
    most: Mapping[str, float] = max(
      machines,
      key=lambda found: (found.get('GPU', 0), found.get('CPU', 0)),
      default={},
    )
    raise ValueError(
      f'a task takes {describe(needs)}, which no machine of the cluster '
      f'has; the largest has {_in_words(most)}: give less'
    )


def most_cpus(needs: Needs) -> int:
  """Returns the cores of the largest machine that a task fits on.

  Args:
    needs: what a task takes; its own cores, if it fits on none.
  """
  there = (
    int(machine['CPU']) for machine in _machines() if _takes(machine, needs)
  )
  return max(there, default=needs.cpus)


def describe(needs: Needs) -> str:
  """Returns the cores and accelerators of a task in words."""
  return _in_words(_wanted(needs))


def environment(needs: Needs) -> dict[str, str]:
  """Returns what JAX in a worker reads, by the name of the variable."""
  if 0 < needs.gpus < 1:  # Else the first takes what is for others.
    share = f'{_MEMORY_SHARE * needs.gpus:.4f}'
    return {'XLA_PYTHON_CLIENT_MEM_FRACTION': share}
  if needs.gpus:
    return {}
  return {'JAX_PLATFORMS': 'cpu', 'JAX_NUM_CPU_DEVICES': str(needs.cpus)}


def _machines() -> list[Mapping[str, float]]:
  """Returns what each machine of the cluster has that is there now."""
  import ray

  return [node['Resources'] for node in ray.nodes() if node['Alive']]


def _takes(machine: Mapping[str, float], needs: Needs) -> bool:
  """Returns whether a task fits on a machine that does nothing else."""
  wanted = _wanted(needs)
  return all(machine.get(name, 0) >= wanted[name] for name in _RESOURCES)


def _wanted(needs: Needs) -> dict[str, float]:
  return {'CPU': needs.cpus, 'GPU': needs.gpus}


def _in_words(found: Mapping[str, float]) -> str:
  return ' and '.join(f'{found.get(name, 0):g} {name}' for name in _RESOURCES)
