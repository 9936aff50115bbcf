"""The table of what benchmarks found, as Markdown."""

from collections.abc import Iterator, Sequence
import itertools
import statistics

from benchmarks import results
from benchmarks import running
from benchmarks import words

_COLUMNS = ('command', 'question', 'found', 'goal', '')
_QUICK = (
  '**A quick run, to see that all works: no figure here is to be trusted.**'
)


def render(record: running.Record, figures: Sequence[str]) -> str:
  """Renders where, the ratios with a goal, those without, and what else.

  Args:
    record: of a run.
    figures: addresses of figures to show, by the name of their file.

  Returns:
    Markdown without a title.
  """
  lines = [_QUICK, ''] if record.quick else []
  lines += [*_where(record), '']
  lines += [f'![{_caption(address)}]({address})\n' for address in figures]
  for title, with_goal in (('Goals', True), ('Without a goal', False)):
    rows = list(_rows(record, with_goal))
    if rows:
      lines += [f'## {title}', '', *_head(with_goal), *rows, '']
  for result in record.results:
    lines += _counts(result)
  for failure in record.failures:
    lines += [f'`{failure.command}` failed: {failure.message}', '']
  return '\n'.join(lines).rstrip() + '\n'


def _caption(address: str) -> str:
  stem = address.rpartition('/')[2].partition('.')[0]
  return {
    'overview': 'Each ratio with its spread, and its goal',
    'headline': 'Time of the study here and in PyTorch',
  }.get(stem, stem)


def _where(record: running.Record) -> Iterator[str]:
  """Yields a line for each day, machine and set of versions."""

  def key(result):
    return (
      result.date[:10],
      words.machine(result.machine._replace(usable=result.machine.cores)),
      words.versions(result.versions),
    )

  groups: dict[tuple[str, ...], list[results.Result]] = {}
  for result in record.results:
    groups.setdefault(key(result), []).append(result)
  for (date, machine, versions), group in groups.items():
    loads = max(result.machine.load for result in group)
    names = dict.fromkeys(result.benchmark for result in group)
    which = f' ({", ".join(names)})' if len(groups) > 1 else ''
    minutes = sum(result.seconds for result in group) / 60
    yield (
      f'Measured on {date}{which}: {machine}; {versions}. It took '
      f'{minutes:.0f} minutes; before a start other work wanted at most '
      f'{loads:.1f} cores.'
    )


def _width(with_goal: bool) -> int:
  return len(_COLUMNS) if with_goal else _COLUMNS.index('goal')


def _head(with_goal: bool) -> list[str]:
  columns = _COLUMNS[: _width(with_goal)]
  return ['| ' + ' | '.join(columns) + ' |', '|---' * len(columns) + '|']


def _rows(record: running.Record, with_goal: bool) -> Iterator[str]:
  for result in record.results:
    command = f'`{result.command}`'
    for measurement in result.measurements:
      for ratio in measurement.ratios:
        if (ratio.goal is not None) == with_goal:
          cells = (command, *_cells(measurement, ratio))[: _width(with_goal)]
          yield '| ' + ' | '.join(map(_escaped, cells)) + ' |'
          command = 'the same'


def _cells(
  measurement: results.Measurement, ratio: results.Ratio
) -> tuple[str, ...]:
  found = results.found(measurement, ratio)
  of_cores = results.found_of_cores(measurement, ratio)
  first, rest = words.ratio(found.median, ratio.kind), ''
  told = words.found(ratio.kind, found)
  rest = told.removeprefix(first)
  sides = ' against '.join(
    words.side(measurement.side(name), measurement.unit)
    for name in _ours_first(ratio)
  )
  text = f'**{first}**{rest}: {sides}'
  if of_cores is not None:
    text += f'; of the cores {words.ratio(of_cores.median, ratio.kind)}'
  return (
    ratio.question,
    text,
    words.goal(ratio),
    words.verdict(ratio, found),
  )


def _ours_first(ratio: results.Ratio) -> tuple[str, str]:
  pair = ratio.numerator, ratio.denominator
  return pair[::-1] if ratio.kind is results.Kind.SPEED else pair


def _counts(result: results.Result) -> Iterator[str]:
  """Yields tables of measurements that answer no ratio, by their sides."""
  plain = [each for each in result.measurements if not each.ratios]

  def names(measurement):
    return tuple(side.name for side in measurement.sides)

  if plain:
    yield f'## {_escaped(result.question)}'
    yield ''
    yield f'`{result.command}`'
    yield ''
  for columns, group in itertools.groupby(plain, names):
    yield '| | ' + ' | '.join(map(_escaped, columns)) + ' |'
    yield '|---' * (len(columns) + 1) + '|'
    for measurement in group:
      cells = [measurement.title]
      cells += [_count(side, measurement.unit) for side in measurement.sides]
      yield '| ' + ' | '.join(map(_escaped, cells)) + ' |'
    yield ''


def _count(side: results.Side, unit: str) -> str:
  text = words.side(side, unit)
  if len(side.values) > 1:
    text = words.spread(side.values, unit)
  if side.cores:
    text += f', of the cores {words.number(statistics.median(side.cores))}'
  return f'{text} ({side.note})' if side.note else text


def _escaped(text: str) -> str:
  return text.replace('|', '\\|')
