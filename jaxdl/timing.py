"""Timing of sides that compete for one machine."""

from collections.abc import Callable, Mapping
import time

Times = dict[str, list[float]]


def interleaved(
  sides: Mapping[str, Callable[[], object]], rounds: int
) -> Times:
  """Times each side once a round, so that all see the same busy machine.

  Args:
    sides: what is timed, by name; each call ends when its result is there.
    rounds: how often.

  Returns:
    Seconds of each round, by name.
  """
  times: Times = {name: [] for name in sides}
  for _ in range(rounds):
    for name, fn in sides.items():
      start = time.perf_counter()
      fn()
      times[name].append(time.perf_counter() - start)
  return times
