"""The plan: which cells share a program, and which devices run it.

Cells with equal static parts share one compiled program; their dynamic parts
enter it as arrays `[cells]`. Devices form groups, each of which trains one cell
at a time, or as many as it maps over, with the batch spread over its devices: a
group is one device, unless more share a batch. Groups form lanes of equal
width. A program runs on one lane, its cells spread evenly over the groups of
the lane (the last cell is repeated where they do not divide; the copies are
left out of the record), and lanes run side by side. The width is the divisor of
the number of groups whose longest lane is shortest, counted in cells that a
group runs one after the other. Of equals, it is the widest, for then fewest
programs share the memory, but no wider than a process: each process compiles
the programs that it has a part in.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, NamedTuple

from jaxdl.sweep import grid
import numpy as np

ARRANGEMENTS = ('map', 'vmap', 'loop')

Split = Callable[[grid.Cell], tuple[Any, Mapping[str, int | float]]]


class Program(NamedTuple):
  """One compiled computation, and the cells that it trains."""

  number: int  # Its place in the plan.
  static: Any  # What `build` gets.
  cells: tuple[grid.Cell, ...]  # The recorded cells.
  first_cell: int  # Where they begin on the record's `cell` dimension.
  dynamic: dict[str, np.ndarray]  # Each [padded_cells].
  seeds: np.ndarray  # [padded_cells], int32.
  lane: int
  devices: tuple[Any, ...]  # The devices of the lane, group by group.
  group_size: int  # Devices that share a batch.

  @property
  def padded_cells(self) -> int:
    """The number of cells it computes, copies of the last one included."""
    return len(self.seeds)

  @property
  def width(self) -> int:
    """The number of groups of devices that its cells are spread over."""
    return len(self.devices) // self.group_size

  def part(self, start: int, stop: int, devices: Sequence[Any]) -> 'Program':
    """Returns the program of some of its cells, on some of its devices.

    Args:
      start: the first of the cells, counted in this program.
      stop: the end of the cells.
      devices: whole groups of devices.
    """
    width = len(devices) // self.group_size
    return self._replace(
      cells=self.cells[start:stop],
      first_cell=self.first_cell + start,
      dynamic={
        name: _padded(values[start:stop], width)
        for name, values in self.dynamic.items()
      },
      seeds=_padded(self.seeds[start:stop], width),
      devices=tuple(devices),
    )


class Plan(NamedTuple):
  """Programs, and how they lie on the devices; `str(plan)` explains it."""

  programs: tuple[Program, ...]
  arrangement: str  # Inside a device: 'map', 'vmap' or 'loop'.
  num_steps: int
  chunk_steps: int
  num_devices: int
  reason: str

  @property
  def cells(self) -> list[grid.Cell]:
    """Every cell, in the order of the record."""
    return [cell for program in self.programs for cell in program.cells]

  @property
  def num_lanes(self) -> int:
    """How many programs run side by side."""
    return len({program.lane for program in self.programs})

  def __str__(self) -> str:
    """Returns a few lines: the programs, their devices, and why."""
    lines = [
      f'{len(self.programs)} programs, {len(self.cells)} cells, '
      f'{self.num_steps} steps in chunks of {self.chunk_steps}',
      f'{self.reason}',
    ]
    for program in self.programs:
      padding = program.padded_cells - len(program.cells)
      lines.append(
        f'  program {program.number}: {len(program.cells)} cells'
        + (f' (+{padding} copies)' if padding else '')
        + f' on {len(program.devices)} devices, lane {program.lane}: '
        + _describe(program.static)
      )
    return '\n'.join(lines)


def plan(
  cells: Sequence[grid.Cell],
  split: Split,
  *,
  devices: Sequence[Any],
  num_steps: int,
  chunk_steps: int,
  arrangement: str | None = None,
  group_size: int = 1,
) -> Plan:
  """Decides which cells share a program and which devices run it.

  Args:
    cells: the cells; all name the same axes. The value of `seed`, 0 where there
      is no such axis, seeds the keys of a cell.
    split: maps a cell to its static part (hashable, or a mapping of hashable
      values: cells with equal ones share a program) and to its dynamic part
      (numbers, traced).
    devices: the devices to use, as from `jax.devices()`; also of several
      processes, all of which make the same plan.
    num_steps: training steps of each cell.
    chunk_steps: steps between two visits to the host: what is recorded at once.
    arrangement: how a device runs its cells. 'map' runs one after the other in
      a loop, which suits CPUs; 'vmap' runs all at once, which suits
      accelerators, but turns a convolution into a grouped one, often slower,
      and is 'map' where an operation of a program cannot be mapped; 'loop' is
      'map' unrolled: its compile time grows with the cells. None chooses 'map'
      on CPUs and 'vmap' elsewhere.
    group_size: how many devices of a process share each batch.

  Returns:
    The plan; programs are in the order in which their first cells come.

  Raises:
    ValueError: an argument out of its range, or cells that do not agree.
  """
  _check(cells, num_steps, chunk_steps, arrangement)
  devices = sorted(devices, key=lambda device: device.process_index)
  _check_groups(devices, group_size)
  statics, by_static = _by_static(cells, split)
  sizes = [len(group) for group in by_static.values()]
  num_groups = len(devices) // group_size
  width, reason = _choose_width(
    sizes, num_groups, num_groups // len(_process_sizes(devices)), group_size
  )
  arrangement, why = _choose_arrangement(arrangement, devices[0].platform)
  lanes, _ = _assign(sizes, width, num_groups // width)
  programs: list[Program] = []
  for number, (identity, members) in enumerate(by_static.items()):
    start = lanes[number] * width * group_size
    whole = Program(
      number=number,
      static=statics[identity],
      cells=tuple(members),
      first_cell=sum(sizes[:number]),
      dynamic=_stack([split(cell)[1] for cell in members]),
      seeds=np.array([_seed(cell) for cell in members], np.int32),
      lane=lanes[number],
      devices=tuple(devices[start : start + width * group_size]),
      group_size=group_size,
    )
    programs.append(whole.part(0, len(members), whole.devices))
  return Plan(
    programs=tuple(programs),
    arrangement=arrangement,
    num_steps=num_steps,
    chunk_steps=min(chunk_steps, num_steps),
    num_devices=len(devices),
    reason=f'{reason}; {why}',
  )


def _check(cells, num_steps, chunk_steps, arrangement):
  """Raises a ValueError where an argument of `plan` is out of its range."""
  if not cells:
    raise ValueError('there is no cell to plan; give at least one')
  for cell in cells:
    if list(cell) != list(cells[0]):
      raise ValueError(
        f'cells name different axes: {list(cells[0])} and {list(cell)}; '
        'give every cell the same'
      )
  for name, steps in (('num_steps', num_steps), ('chunk_steps', chunk_steps)):
    if steps < 1:
      raise ValueError(f'{name} is {steps}; it must be at least 1')
  if arrangement is not None and arrangement not in ARRANGEMENTS:
    raise ValueError(
      f'arrangement is {arrangement!r}; it can be '
      f'{", ".join(map(repr, ARRANGEMENTS))}, or None to choose by platform'
    )


def _check_groups(devices: Sequence[Any], group_size: int) -> None:
  """Raises a ValueError where devices do not form groups in processes."""
  if not devices:
    raise ValueError('there is no device to plan for; give jax.devices()')
  if group_size < 1:
    raise ValueError(f'group_size is {group_size}; it must be at least 1')
  for index, count in _process_sizes(devices).items():
    if count % group_size:
      raise ValueError(
        f'{_count(count, "device")} of process {index} cannot share batches in '
        f'groups of {group_size}; give a divisor of {count}'
      )


def _process_sizes(devices: Sequence[Any]) -> Counter[int]:
  """Returns the number of devices of each process."""
  return Counter(device.process_index for device in devices)


def _count(number: int, thing: str) -> str:
  return f'{number} {thing}{"" if number == 1 else "s"}'


def _padded(values: np.ndarray, width: int) -> np.ndarray:
  """Repeats the last value until the length is a multiple of the width."""
  return np.pad(values, (0, -len(values) % width), mode='edge')


def _by_static(
  cells: Sequence[grid.Cell], split: Split
) -> tuple[dict[Hashable, Any], dict[Hashable, list[grid.Cell]]]:
  """Returns the static parts, and the cells that share each."""
  statics: dict[Hashable, Any] = {}
  groups: dict[Hashable, list[grid.Cell]] = {}
  for cell in cells:
    static, _ = split(cell)
    identity = _identity(static)
    statics.setdefault(identity, static)
    groups.setdefault(identity, []).append(cell)
  return statics, groups


def _identity(static: Any) -> Hashable:
  """Returns what tells one static part from another."""
  if isinstance(static, Mapping):
    return tuple(sorted(static.items()))
  return static


def _describe(static: Any) -> str:
  if isinstance(static, Mapping):
    return ', '.join(f'{name}={value}' for name, value in static.items())
  return str(static)


def _seed(cell: grid.Cell) -> int:
  """Returns the seed of a cell."""
  seed = cell.get('seed', 0)
  if not isinstance(seed, int) or not 0 <= seed < 2**31:
    raise ValueError(f'seed is {seed!r}; it must be an integer in [0, 2**31)')
  return seed


def _stack(dynamics: Sequence[Mapping[str, int | float]]) -> dict:
  """Stacks scalars: int32 where all are integers, float32 otherwise."""
  names = list(dynamics[0])
  for dynamic in dynamics:
    if set(dynamic) != set(names):
      raise ValueError(
        f'cells of one program have different dynamic values: {names} and '
        f'{list(dynamic)}; split must name the same for equal static parts'
      )
  stacked = {}
  for name in names:
    values = [dynamic[name] for dynamic in dynamics]
    integers = all(isinstance(value, int | np.integer) for value in values)
    stacked[name] = np.array(values, np.int32 if integers else np.float32)
  return stacked


def _assign(
  sizes: Sequence[int], width: int, num_lanes: int
) -> tuple[list[int], int]:
  """Gives each program a lane, longest first to the shortest lane.

  This is the longest-processing-time rule of R. L. Graham, "Bounds on
  Multiprocessing Timing Anomalies", 1969.

  Returns:
    The lane of each program, and the length of the longest lane: the cells
    that a group runs one after the other.
  """
  loads = [0] * num_lanes
  lanes = [0] * len(sizes)
  for index in sorted(range(len(sizes)), key=lambda i: -sizes[i]):
    lanes[index] = loads.index(min(loads))
    loads[lanes[index]] += -(-sizes[index] // width)
  return lanes, max(loads)


def _choose_arrangement(asked: str | None, platform: str) -> tuple[str, str]:
  """Returns how a device runs its cells, and the reason in words."""
  chosen = asked or ('map' if platform == 'cpu' else 'vmap')
  why = 'as asked' if asked else f'as suits a {platform}'
  if chosen == 'vmap':
    why += ', or by map where an operation cannot be mapped'
  return chosen, f'cells inside a device by {chosen}, {why}'


def _choose_width(
  sizes: Sequence[int], num_groups: int, of_process: int, group_size: int
) -> tuple[int, str]:
  """Returns the groups that a program gets, and the reason in words."""
  widths = [w for w in range(1, num_groups + 1) if num_groups % w == 0]
  lengths = {w: _assign(sizes, w, num_groups // w)[1] for w in widths}
  width = min(widths, key=lambda w: (lengths[w], max(w - of_process, 0), -w))
  group, groups = 'device', 'devices'
  if group_size > 1:
    group, groups = 'group', f'groups of {group_size} devices'
  reason = (
    f'{width} of {num_groups} {groups} to a program: '
    f'a {group} then runs {lengths[width]} cells in turn'
  )
  others = [f'{lengths[w]} with {w}' for w in widths if w != width]
  return width, reason + (f' ({", ".join(others)})' if others else '')
