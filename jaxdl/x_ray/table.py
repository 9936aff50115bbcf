"""The table that `print(report)` shows."""

from collections.abc import Callable, Iterator, Sequence
import math
from typing import NamedTuple

from jaxdl.x_ray import formatting
from jaxdl.x_ray import lines as lines_lib
from jaxdl.x_ray import selection

Line = lines_lib.Line

_GAP = '  '
_LEAST_WIDTH = 40
_LEAST_PATH = 14
_DITTO = '"'


class Column(NamedTuple):
  """A column of numbers.

  Attributes:
    group: the heading above its own: `forward`, `backward`, `parameters`.
    title: its own.
    text: of a line; empty where there is nothing to say.
    value: of a line, to sort by.
    explanation: what it is, in a sentence.
    rank: the higher, the sooner it is left out where space is short.
  """

  group: str
  title: str
  text: Callable[[Line], str]
  value: Callable[[Line], float]
  explanation: str
  rank: int


def columns(lines: Sequence[Line]) -> tuple[Column, ...]:
  """The columns in which any of the lines has something to say."""
  return tuple(
    column for column in _COLUMNS if any(column.text(line) for line in lines)
  )


def render(lines: Sequence[Line], width: int, most: int) -> str:
  """Writes lines as a table.

  Args:
    lines: all of them.
    width: number of characters that fit; columns that matter least are left
      out, and paths shortened in their middle.
    most: number of lines to show of the many; see `selection.choose`.

  Raises:
    ValueError: if `width` or `most` is too small.
  """
  if width < _LEAST_WIDTH:
    raise ValueError(f'the table was given {width} columns; give 40 or more')
  chosen = selection.choose(lines, most)
  shown = [line for line in chosen if isinstance(line, lines_lib.Line)]
  verdicts = [_verdict(line) for line in shown]
  last = max(map(len, verdicts), default=0)
  last += len(_GAP) if last else 0
  kept = _fitting(columns(lines), shown, width - last)
  sizes = _sizes(kept, shown)
  numbers = sum(sizes) + len(_GAP) * len(sizes)
  longest = max((len(line.name) for line in shown), default=0)
  path = max(min(longest, width - last - numbers), len('module'))
  head = [' ' * path + _groups(kept, sizes), _titles(kept, sizes, path)]
  body = [
    _row(line, kept, sizes, path, width)
    if isinstance(line, lines_lib.Line)
    else summarized(line.lines, width)
    for line in chosen
  ]
  rule = '─' * min(max(map(len, head + body)), width)
  return '\n'.join([*head, rule, *body])


def _row(
  line: Line,
  kept: Sequence[Column],
  sizes: Sequence[int],
  path: int,
  width: int,
) -> str:
  name = formatting.shortened(line.name, path).ljust(path)
  if line.note:
    return (name + _GAP + line.note)[:width].rstrip()
  cells = (
    column.text(line).rjust(size)
    for column, size in zip(kept, sizes, strict=True)
  )
  return _GAP.join([name, *cells, _verdict(line)]).rstrip()


def summarized(lines: Sequence[Line], width: int = 1000) -> str:
  """Says of many lines how many they are, and what their range is."""
  text = f'{formatting.ELLIPSIS} {len(lines)} rows like these'
  for part in _ranges(lines):
    text += f', {part}' if len(text) + len(part) + 2 <= width else ''
  return text


def _ranges(lines: Sequence[Line]) -> Iterator[str]:
  flagged = sum(bool(line.verdict) for line in lines)
  if flagged:
    yield f'{flagged} of them flagged'
  for name, title in (('forward_rms', 'forward'), ('backward_rms', 'backward')):
    values = [getattr(line, name) for line in lines]
    finite = [x for x in values if math.isfinite(x)]
    if finite:
      low, high = map(formatting.number, (min(finite), max(finite)))
      yield f'{title} {low} to {high}' if low != high else f'{title} {low}'


def _groups(kept: Sequence[Column], sizes: Sequence[int]) -> str:
  """The headings of the groups, each above its first columns."""
  text = ''
  end = 0
  group = ''
  for column, size in zip(kept, sizes, strict=True):
    if column.group != group:
      group = column.group
      text = text.ljust(end) + _GAP + group
    end += len(_GAP) + size
  return text


def _titles(kept: Sequence[Column], sizes: Sequence[int], path: int) -> str:
  titles = (
    column.title.rjust(size) for column, size in zip(kept, sizes, strict=True)
  )
  return _GAP.join(['module'.ljust(path), *titles])


def _sizes(every: Sequence[Column], lines: Sequence[Line]) -> list[int]:
  """Widths of columns; the first of a group has room for what that misses."""
  sizes = [
    max(len(column.title), *(len(column.text(line)) for line in lines), 0)
    for column in every
  ]
  for group in dict.fromkeys(column.group for column in every):
    members = [i for i, column in enumerate(every) if column.group == group]
    taken = sum(sizes[i] + len(_GAP) for i in members) - len(_GAP)
    sizes[members[0]] += max(len(group) - taken, 0)
  return sizes


def _fitting(
  every: Sequence[Column], lines: Sequence[Line], width: int
) -> list[Column]:
  """Leaves out columns until the rest fits beside paths of a liked length."""
  longest = max((len(line.name) for line in lines), default=0)
  path = min(longest, max(3 * width // 10, _LEAST_PATH))
  kept = list(every)
  taken = lambda: sum(len(_GAP) + size for size in _sizes(kept, lines))
  while kept and path + taken() > width:
    kept.remove(max(kept, key=lambda column: column.rank))
  return kept


def _verdict(line: Line) -> str:
  return f'← {formatting.words(line.verdict)}' if line.verdict else ''


def _number(name: str) -> Callable[[Line], str]:
  """Of a value; NaN is said, since it was measured."""

  def text(line):
    return (
      formatting.number(getattr(line, name)) if line.kind == 'value' else ''
    )

  return text


def _of_parameters(name: str) -> Callable[[Line], str]:
  def text(line):
    if not line.parameters:
      return ''
    return (
      _DITTO if line.is_repeated else formatting.number(getattr(line, name))
    )

  return text


def _update(line: Line) -> str:
  """Empty where no optimizer was given."""
  return '' if math.isnan(line.update_ratio) else _ratio(line)


_ratio = _of_parameters('update_ratio')


def _column(
  group: str,
  title: str,
  name: str,
  text: Callable[[Line], str],
  explanation: str,
  rank: int,
) -> Column:
  value = lambda line: float(getattr(line, name))
  return Column(group, title, text, value, explanation, rank)


_COLUMNS = (
  _column(
    'forward',
    'rms',
    'forward_rms',
    _number('forward_rms'),
    'Root mean square of the value that leaves the module.',
    1,
  ),
  _column(
    'forward',
    'std',
    'forward_std',
    _number('forward_std'),
    'Its standard deviation, over the batch and all units.',
    8,
  ),
  _column(
    'forward',
    'dead',
    'dead',
    lambda line: formatting.share(line.dead),
    'Share of units that are zero on the whole batch.',
    5,
  ),
  _column(
    'forward',
    'sat',
    'saturated',
    lambda line: formatting.share(line.saturated),
    'Share of entries within 1% of a flat end of the activation function.',
    6,
  ),
  _column(
    'backward',
    'rms',
    'backward_rms',
    _number('backward_rms'),
    'Root mean square of the derivative of the loss with respect to the value.',
    2,
  ),
  _column(
    'backward',
    'decades',
    'decades',
    lambda line: formatting.decades(line.decades),
    'log10 of it over that at the last cut: at -3 a thousandth arrives.',
    0,
  ),
  _column(
    'parameters',
    'norm',
    'parameter_norm',
    _of_parameters('parameter_norm'),
    'Euclidean norm of the parameters that the module uses itself.',
    7,
  ),
  _column(
    'parameters',
    'grad',
    'gradient_norm',
    _of_parameters('gradient_norm'),
    'Euclidean norm of their gradients.',
    3,
  ),
  _column(
    'parameters',
    'update',
    'update_ratio',
    _update,
    "Norm of the optimizer's update over that of the parameters.",
    4,
  ),
)
