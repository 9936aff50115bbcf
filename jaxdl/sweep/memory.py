"""How much memory a plan needs, and how much there is."""

import os
import pathlib
from typing import Any

import jax
from jaxdl.sweep import planning
from jaxdl.sweep import program as program_lib

_MEMINFO = pathlib.Path('/proc/meminfo')
_CGROUP = pathlib.Path('/sys/fs/cgroup')


def tree_bytes(tree: Any) -> int:
  """Returns the bytes of all arrays, or shapes, of a nest."""
  return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(tree))


def predict_memory(
  program: planning.Program,
  shapes: program_lib.Shapes,
  data: Any,
  compiled: Any = None,
) -> int:
  """Predicts the bytes that a program needs on one of its devices.

  From XLA's own analysis where there is one; else a lower bound from shapes:
  the data, the states, and the metrics of a chunk. On CPUs the host's copies of
  the states, made to write a checkpoint, are added: array and bytes.

  Args:
    program: the program.
    shapes: the shapes of what it returns.
    data: the data, or its shapes.
    compiled: the compiled chunk function, if there is one.

  Returns:
    The bytes.
  """
  states = tree_bytes(shapes.states) // program.width
  analysis = compiled.memory_analysis() if compiled is not None else None
  if analysis is None:
    need = (
      tree_bytes(data) + states + tree_bytes(shapes.metrics) // program.width
    )
  else:
    need = (
      analysis.argument_size_in_bytes
      + analysis.output_size_in_bytes
      + analysis.temp_size_in_bytes
      - analysis.alias_size_in_bytes
    )
  return need + (2 * states if _on_host(program) else 0)


def available_memory(device: Any) -> int:
  """Returns the bytes that a device has left; of the host, for a CPU."""
  stats = device.memory_stats()
  if device.platform != 'cpu' and stats:
    return stats['bytes_limit'] - stats['bytes_in_use']
  limits = [os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')]
  if _MEMINFO.exists():
    fields = dict(line.split(':') for line in _MEMINFO.read_text().splitlines())
    limits.append(int(fields['MemAvailable'].split()[0]) * 1024)
  limit, used = _CGROUP / 'memory.max', _CGROUP / 'memory.current'
  if limit.exists() and limit.read_text().strip() != 'max':
    limits.append(int(limit.read_text()) - int(used.read_text()))
  return min(limits)


def check_memory(
  plan: planning.Plan, program: planning.Program, need: int
) -> None:
  """Raises a ValueError if a program does not fit.

  Args:
    plan: the plan; on CPUs its lanes, and their devices, share the memory.
    program: the program.
    need: the bytes it needs on one device.

  Raises:
    ValueError: it needs more than there is; the line says what to do.
  """
  place = f'each {program.devices[0].platform} device'
  if _on_host(program):
    need *= len(program.devices) * plan.num_lanes
    place = 'this machine'
  available = available_memory(program.devices[0])
  if need > available:
    raise ValueError(
      f'program {program.number} ({len(program.cells)} cells) needs about '
      f'{need / 2**30:.2f} GiB on {place}, which has '
      f'{available / 2**30:.2f} GiB left; lower depth, width or batch size, '
      'or give an axis fewer values'
    )


def _on_host(program: planning.Program) -> bool:
  return program.devices[0].platform == 'cpu'
