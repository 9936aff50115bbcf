"""Timing of sides that compete for one machine."""

from collections.abc import Callable, Mapping
import time
from typing import Any

Times = dict[str, list[float]]


def interleaved(
  sides: Mapping[str, Callable[[], object]],
  rounds: int,
  clock: Callable[[], Any] = time.perf_counter,
) -> dict[str, list[Any]]:
  """Times each side once a round, so that all see the same busy machine.

  Args:
    sides: what is timed, by name; each call ends when its result is there.
    rounds: how often.
    clock: tells the time, in seconds; several clocks at once as an array.

  Returns:
    Seconds of each round, by name.
  """
  times: dict[str, list[Any]] = {name: [] for name in sides}
  for _ in range(rounds):
    for name, fn in sides.items():
      start = clock()
      fn()
      times[name].append(clock() - start)
  return times
