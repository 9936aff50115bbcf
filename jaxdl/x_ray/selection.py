"""Which of many lines are shown: the worst, the first and last of a kind."""

from collections.abc import Callable, Iterable, Mapping, Sequence
import math
import re
from typing import NamedTuple

from jaxdl.x_ray import lines as lines_lib

Line = lines_lib.Line

_NUMBER = re.compile(r'\d+')
# Lines that hold the least or the greatest of one of these are shown.
_EXTREMES = (
  'forward_rms',
  'backward_rms',
  'dead',
  'saturated',
  'gradient_norm',
  'update_ratio',
)


class Rest(NamedTuple):
  """Lines in a row that are left out.

  Attributes:
    lines: the lines.
  """

  lines: tuple[Line, ...]


def choose(lines: Sequence[Line], most: int) -> list[Line | Rest]:
  """Chooses lines, in their order, with the others as `Rest` between them.

  Args:
    lines: all of them.
    most: how many may be shown, of at least 1.

  Raises:
    ValueError: if `most` is less than 1.
  """
  if most < 1:
    raise ValueError(f'{most} rows were asked for; give 1 or more')
  if len(lines) <= most:
    return list(lines)
  ranks = _ranks(lines)
  best = sorted(ranks, key=lambda i: (ranks[i], min(i, len(lines) - 1 - i)))
  shown = set(best[:most])
  chosen: list[Line | Rest] = []
  rest: list[Line] = []
  for i, line in enumerate(lines):
    if i not in shown:
      rest.append(line)
      continue
    chosen += [*_folded(rest), line]
    rest = []
  return [*chosen, *_folded(rest)]


def _folded(rest: Sequence[Line]) -> Sequence[Line | Rest]:
  return rest if len(rest) < 2 else [Rest(tuple(rest))]


def _ranks(lines: Sequence[Line]) -> Mapping[int, int]:
  """0 for what is flagged or extreme, 1 for the first and last of a kind."""
  ends = _ends(lines, lambda line: _NUMBER.sub('*', line.name))
  flagged = _ends(
    lines, lambda line: (line.verdict, _NUMBER.sub('*', line.name))
  )
  worst = {i for i in flagged if lines[i].verdict} | _extremes(lines)
  return {
    i: 0 if i in worst else 1 if i in ends else 2 for i in range(len(lines))
  }


def _ends(lines: Iterable[Line], key: Callable[[Line], object]) -> set[int]:
  first: dict[object, int] = {}
  last: dict[object, int] = {}
  for i, line in enumerate(lines):
    first.setdefault(key(line), i)
    last[key(line)] = i
  return {*first.values(), *last.values()}


def _extremes(lines: Sequence[Line]) -> set[int]:
  found = set()
  for name in _EXTREMES:
    values = {i: getattr(line, name) for i, line in enumerate(lines)}
    finite = {i: x for i, x in values.items() if math.isfinite(x)}
    if finite:
      found |= {min(finite, key=finite.__getitem__)}
      found |= {max(finite, key=finite.__getitem__)}
    # The first that is infinite; of what is missing there is no first.
    found |= set([i for i, x in values.items() if math.isinf(x)][:1])
  broken = [i for i, line in enumerate(lines) if line.nonfinite]
  return found | {*broken[:1], *broken[-1:]}
