"""The hosts of a study: processes, on one machine or many, that share a grid.

Each is the same command. Process 0 creates the record, shows the progress and
writes the report; all of them train, and write into the one record. `--out`
must be a folder that all of them see.
"""

import atexit
from collections.abc import Callable
import os
import subprocess
import sys
from typing import Any

from absl import flags
from experiments import command_line
from experiments import ray_cluster

_COORDINATOR = flags.DEFINE_string(
  'coordinator',
  None,
  'HOST:PORT of process 0, where several processes train together; PORT is any '
  'free one.',
)
_NUM_PROCESSES = flags.DEFINE_integer(
  'num_processes', None, 'How many there are.', lower_bound=1
)
_PROCESS_ID = flags.DEFINE_integer(
  'process_id', None, 'Which of them this is: 0, 1, ...', lower_bound=0
)
_DISTRIBUTED = flags.DEFINE_bool(
  'distributed',
  False,
  'Let JAX find the other processes by itself, as on a TPU pod. Under srun and '
  'mpirun it does so without being told.',
)

FLAGS = (_COORDINATOR, _NUM_PROCESSES, _PROCESS_ID, _DISTRIBUTED)

# Number of processes, by what starts them.
_STARTERS = ('SLURM_STEP_NUM_TASKS', 'OMPI_COMM_WORLD_SIZE')

# How long one may be silent before the others take it for lost.
_HEARTBEAT_SECONDS = 20

# Reads lines until its input ends, and then says the last one.
_WITNESS = """
import sys
words = ''
for words in sys.stdin: pass
sys.stderr.write(words.lstrip())
"""


def configure_jax() -> None:
  """Sets JAX up for a study, and joins other processes or a cluster if asked.

  Raises:
    ValueError: the flags do not say which process this is, of how many, and
      where they meet; or there is no such cluster.
  """
  command_line.configure_jax()
  given = [flag for flag in FLAGS[:3] if flag.value is not None]
  if given and len(given) < 3:
    names = ', '.join(f'--{flag.name}' for flag in FLAGS[:3])
    raise ValueError(
      f'--{given[0].name} needs the other two of {names}: give all three, or '
      '--distributed'
    )
  if given:
    _check(_COORDINATOR.value, _NUM_PROCESSES.value, _PROCESS_ID.value)
  joins = bool(given) or _DISTRIBUTED.value or _is_one_of_many()
  if ray_cluster.is_asked_for():
    if joins:
      raise ValueError(
        '--ray starts the processes by itself; leave out --coordinator, '
        '--distributed, srun and mpirun'
      )
    ray_cluster.start()
  if joins:
    _join()


def leads() -> bool:
  """Returns whether this process acts for all."""
  import jax

  return jax.process_index() == 0


def lead(decide: Callable[[], str]) -> str:
  """Returns what process 0 decides.

  Args:
    decide: called in process 0 alone; what it raises ends all.
  """
  from jaxdl.sweep import processes

  with processes.Processes() as group:
    return group.agree('decision', decide() if group.leads else '')[0]


def _check(coordinator: Any, num_processes: Any, process_id: Any) -> None:
  """Raises a ValueError if these cannot be."""
  if process_id >= num_processes:
    raise ValueError(
      f'--process_id={process_id} is none of --num_processes={num_processes}; '
      'they count from 0'
    )
  host, _, port = coordinator.rpartition(':')
  is_port = port.isascii() and port.isdigit() and 0 < int(port[:6]) < 2**16
  if not host or not is_port:
    raise ValueError(
      f'--coordinator={coordinator} is no address; give HOST:PORT, such as '
      '10.0.0.1:1234'
    )


def _is_one_of_many() -> bool:
  """Whether srun or mpirun started this process and others."""
  counts = (os.environ.get(name, '') for name in _STARTERS)
  return any(count.isdecimal() and int(count) > 1 for count in counts)


def _join() -> None:
  """Joins the other processes."""
  import jax
  from jaxdl.sweep import processes

  # Else JAX ends all processes, without a word of ours, when one is lost.
  jax.config.update('jax_enable_recoverability', True)
  try:
    jax.distributed.initialize(
      _COORDINATOR.value,
      _NUM_PROCESSES.value,
      _PROCESS_ID.value,
      heartbeat_timeout_seconds=_HEARTBEAT_SECONDS,
    )
  except (RuntimeError, ValueError) as error:
    raise ValueError(
      'the processes did not find each other: '
      f'{str(error).splitlines()[0]}; start as many as --num_processes, each '
      'with its own --process_id, and the same --coordinator'
    ) from error
  atexit.register(processes.leave)


class Witness:
  """Says a process's last words if it ends without any; a context manager.

  When process 0 is lost, JAX ends the others at once, as does the kernel when
  memory is short. So another program waits, and speaks for this one.
  """

  def __init__(self, words: str):
    """Takes what is said, one line."""
    self._words = words
    self._process: subprocess.Popen[Any] | None = None

  def __enter__(self) -> None:
    import jax

    if jax.process_count() == 1:
      return
    self._process = subprocess.Popen(
      [sys.executable, '-I', '-S', '-c', _WITNESS],
      stdin=subprocess.PIPE,
      start_new_session=True,  # It outlives a Ctrl-C.
    )
    self._write(self._words)

  def __exit__(self, *exception: object) -> None:
    if self._process is not None:
      self._write('')
      self._process.communicate()

  def _write(self, line: str) -> None:
    assert self._process is not None and self._process.stdin is not None
    self._process.stdin.write(f'{line}\n'.encode())
    self._process.stdin.flush()
