"""What benchmarks say of times: medians of rounds, and of which machine."""

import os
import statistics
import time

from jaxdl import timing
import numpy as np

Clock = np.ndarray  # [wall, cpu], seconds.


def now() -> Clock:
  """Returns the time of the wall and that of this process's cores."""
  return np.array([time.perf_counter(), time.process_time()])


def median_ratio(times: timing.Times, slow: str, fast: str) -> float:
  """Returns the median over rounds of how many times `fast` beats `slow`."""
  return statistics.median(
    a / b for a, b in zip(times[slow], times[fast], strict=True)
  )


def spread(values: list[float], unit: str = 's', scale: float = 1.0) -> str:
  """Returns `median unit (least to greatest of n)`."""
  scaled = [scale * value for value in values]
  text = f'{statistics.median(scaled):.3g} {unit}'
  if len(scaled) == 1:
    return text
  low, high = min(scaled), max(scaled)
  return f'{text} ({low:.3g} to {high:.3g} in {len(scaled)} rounds)'


def machine() -> str:
  """Returns a line on the machine: its cores, and how busy they are already."""
  load = os.getloadavg()[0]
  return f'{os.cpu_count()} cores, load {load:.1f} before the start'
