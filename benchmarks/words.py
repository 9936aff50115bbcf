"""Results in words: the same in a benchmark's text, its table and figures."""

from collections.abc import Iterator, Mapping, Sequence
import statistics

from benchmarks import results

_NAMES = {'python': 'Python', 'torch': 'PyTorch', 'flax': 'Flax'}


def number(value: float) -> str:
  """Returns three significant digits, or all of those before the point."""
  return f'{value:,.0f}' if abs(value) >= 100 else f'{value:.3g}'


def quantity(value: float, unit: str) -> str:
  """Returns a number with its unit."""
  return f'{number(value)} {unit}'.rstrip()


def spread(values: Sequence[float], unit: str) -> str:
  """Returns `median unit (least to greatest in n rounds)`."""
  text = quantity(statistics.median(values), unit)
  if len(values) == 1:
    return text
  low, high = number(min(values)), number(max(values))
  return f'{text} ({low} to {high} in {len(values)} rounds)'


def side(measured: results.Side, unit: str) -> str:
  """Returns the median of a side: `24 steps`, `over 600 steps`, `-`."""
  if not measured.values:
    return '-'
  text = quantity(statistics.median(measured.values), unit)
  return f'over {text}' if measured.at_least else text


def ratio(value: float, kind: results.Kind) -> str:
  """Returns `1.130x`, `1.56x` of a speed, `66%` of a share."""
  if kind is results.Kind.SHARE:
    return f'{value:.0%}'
  decimals = 3 if kind is results.Kind.COST else 2
  is_near_one = 0.1 <= value < 10
  return f'{value:.{decimals}f}x' if is_near_one else f'{number(value)}x'


def found(
  kind: results.Kind, value: results.Found, with_rounds: bool = True
) -> str:
  """Returns `1.56x as fast (1.50x to 1.61x in 9 rounds)`.

  Args:
    kind: of the ratio.
    value: of it.
    with_rounds: whether to say how many there were.
  """
  text = ratio(value.median, kind)
  if kind is results.Kind.SPEED:
    text += ' as fast'
  if value.num_rounds == 1:
    return text
  low, high = ratio(value.least, kind), ratio(value.greatest, kind)
  rounds = f' in {value.num_rounds} rounds' if with_rounds else ''
  return f'{text} ({low} to {high}{rounds})'


def goal(asked: results.Ratio) -> str:
  """Returns `at most 1.07x`, `at least 75%`, or nothing."""
  if asked.goal is None:
    return ''
  side_of = 'most' if asked.kind is results.Kind.COST else 'least'
  is_share = asked.kind is results.Kind.SHARE
  return f'at {side_of} ' + (
    f'{asked.goal:.0%}' if is_share else f'{asked.goal:g}x'
  )


def verdict(asked: results.Ratio, value: results.Found) -> str:
  """Returns `met`, `not met`, or nothing."""
  is_met = results.is_met(asked, value.median)
  return '' if is_met is None else 'met' if is_met else 'not met'


def machine(where: results.Machine) -> str:
  """Returns `AMD EPYC, 2 cores`."""
  cores = '1 core' if where.cores == 1 else f'{where.cores} cores'
  if where.usable != where.cores:
    cores = f'{where.usable} of {cores}'
  return f'{where.processor}, {cores}'.removeprefix(', ')


def versions(known: Mapping[str, str]) -> str:
  """Returns `Python 3.11.2, jax 0.10.2, ...`."""
  return ', '.join(
    f'{_NAMES.get(name, name)} {version}' for name, version in known.items()
  )


def head(where: results.Machine, known: Mapping[str, str]) -> str:
  """Returns the line that a benchmark's text begins with."""
  return (
    f'{machine(where)}, load {where.load:.1f} before the start; '
    f'{versions(known)}.'
  )


def text(measurement: results.Measurement) -> str:
  """Returns a measurement in lines: its ratios, then its sides."""
  return '\n'.join(_lines(measurement))


def _lines(measurement: results.Measurement) -> Iterator[str]:
  sides, unit = measurement.sides, measurement.unit
  several = any(len(each.values) > 1 for each in sides)
  if measurement.ratios or several:
    yield f'{measurement.title}:'
    for asked in measurement.ratios:
      yield f'  {_ratio_line(measurement, asked)}'
    width = max(len(each.name) for each in sides)
    for each in sides:
      yield f'    {each.name:{width}}  {_side_line(each, unit)}'
  else:
    told = '; '.join(f'{each.name} {_one(each, unit)}' for each in sides)
    yield f'{measurement.title}: {told}'
  if measurement.note:
    yield measurement.note


def _one(each: results.Side, unit: str) -> str:
  return side(each, unit) + (f' ({each.note})' if each.note else '')


def _ratio_line(measurement: results.Measurement, asked: results.Ratio) -> str:
  value = results.found(measurement, asked)
  of_cores = results.found_of_cores(measurement, asked)
  question = asked.question.removeprefix(f'{measurement.title}: ')
  line = f'{found(asked.kind, value)}: {question}'
  if of_cores is not None:
    line += f'; of the cores {ratio(of_cores.median, asked.kind)}'
  if asked.goal is not None:
    line += f'; goal {goal(asked)}: {verdict(asked, value)}'
  return line


def _side_line(each: results.Side, unit: str) -> str:
  if len(each.values) > 1:
    line = spread(each.values, unit)
  else:
    line = side(each, unit)
  if each.cores:
    line += f', of the cores {quantity(statistics.median(each.cores), unit)}'
  return f'{line}: {each.note}' if each.note else line
