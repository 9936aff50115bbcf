"""What benchmarks know of time: of the wall and of the cores, and where."""

from collections.abc import Mapping
import os
import pathlib
import time

from benchmarks import results
from experiments import command_line
import numpy as np

Clock = np.ndarray  # [wall, cpu], seconds.


def now() -> Clock:
  """Returns the time of the wall and that of this process's cores."""
  return np.array([time.perf_counter(), time.process_time()])


def sides(
  readings: Mapping[str, list[Clock]],
  scale: float = 1.0,
  notes: Mapping[str, str] | None = None,
) -> tuple[results.Side, ...]:
  """Makes sides of both times; see `results.sides`.

  Args:
    readings: of each round, by name.
    scale: what seconds are multiplied by.
    notes: by name, of those that have one.
  """
  wall, cores = (
    {
      name: [float(clock[i]) for clock in side]
      for name, side in readings.items()
    }
    for i in (0, 1)
  )
  return results.sides(wall, scale, cores, notes)


def machine() -> results.Machine:
  """Returns what this machine is, and how busy it is already."""
  return results.Machine(
    _processor(),
    os.cpu_count() or 1,
    command_line.usable_cores(),
    round(os.getloadavg()[0], 2),
  )


def _processor() -> str:
  """Returns the name of the processor, empty where the system has no file."""
  file = pathlib.Path('/proc/cpuinfo')
  lines = file.read_text().splitlines() if file.is_file() else []
  names = [
    line.partition(':')[2].strip()
    for line in lines
    if line.startswith('model name')
  ]
  return names[0] if names else ''
