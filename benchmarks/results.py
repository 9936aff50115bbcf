"""What a benchmark found: its sides, round by round, and their ratios.

Text, table and figures are all made from a `Result`, and a `Result` is what a
benchmark writes as JSON, so they cannot disagree.
"""

from collections.abc import Mapping, Sequence
import enum
import statistics
from typing import Any, NamedTuple

FORMAT = 1


class Kind(enum.StrEnum):
  """What a ratio says, and so which way is better."""

  SPEED = 'speed'  # How many times as fast: more is better.
  COST = 'cost'  # How many times as much: less is better.
  SHARE = 'share'  # How much of what is possible: more is better.


class Side(NamedTuple):
  """One of those that are compared.

  Attributes:
    name: of the side.
    values: one of each round, in the unit of the measurement; none where there
      is nothing to tell.
    cores: where they are times of the wall, those of all cores, in the same
      unit; else none.
    note: what else there is to say of it.
    at_least: whether the values are lower bounds.
  """

  name: str
  values: tuple[float, ...]
  cores: tuple[float, ...] = ()
  note: str = ''
  at_least: bool = False


class Ratio(NamedTuple):
  """A question whose answer is one side over another.

  Attributes:
    question: what is compared with what.
    numerator: the name of a side.
    denominator: the name of a side.
    kind: what the quotient says.
    goal: that it should reach, if there is one.
  """

  question: str
  numerator: str
  denominator: str
  kind: Kind
  goal: float | None = None


class Found(NamedTuple):
  """A ratio over the rounds."""

  median: float
  least: float
  greatest: float
  num_rounds: int


class Measurement(NamedTuple):
  """Sides that were measured together.

  Attributes:
    title: what was measured.
    unit: of the values; empty for plain numbers.
    sides: in the order to tell them.
    ratios: the questions that they answer.
    note: what else there is to say, in lines.
  """

  title: str
  unit: str
  sides: tuple[Side, ...]
  ratios: tuple[Ratio, ...] = ()
  note: str = ''

  def side(self, name: str) -> Side:
    """Returns a side by its name.

    Args:
      name: of the side.

    Raises:
      ValueError: there is none.
    """
    for side in self.sides:
      if side.name == name:
        return side
    names = ', '.join(side.name for side in self.sides)
    raise ValueError(f'{self.title}: no side {name!r}; there are {names}')


class Machine(NamedTuple):
  """Where a benchmark ran.

  Attributes:
    processor: its name, empty if the system does not tell.
    cores: of the machine.
    usable: how many of them the benchmark could use.
    load: processes that wanted a core, on average, before the start.
  """

  processor: str
  cores: int
  usable: int
  load: float


class Result(NamedTuple):
  """What one run of a benchmark found.

  Attributes:
    benchmark: its name.
    question: that it asks, in a sentence.
    command: that runs it again.
    date: of the start, UTC, in ISO 8601.
    seconds: that it took.
    machine: where.
    versions: of Python and libraries, by name.
    measurements: in the order taken.
  """

  benchmark: str
  question: str
  command: str
  date: str
  seconds: float
  machine: Machine
  versions: Mapping[str, str]
  measurements: tuple[Measurement, ...]


def sides(
  times: Mapping[str, Sequence[float]],
  scale: float = 1.0,
  cores: Mapping[str, Sequence[float]] | None = None,
  notes: Mapping[str, str] | None = None,
) -> tuple[Side, ...]:
  """Makes sides of times.

  Args:
    times: of the wall, of each round, by name.
    scale: what they are multiplied by to be in the unit of the measurement.
    cores: times of all cores, likewise.
    notes: by name, of those that have one.
  """
  return tuple(
    Side(
      name,
      tuple(scale * float(value) for value in values),
      tuple(scale * float(value) for value in (cores or {}).get(name, ())),
      (notes or {}).get(name, ''),
    )
    for name, values in times.items()
  )


def found(measurement: Measurement, ratio: Ratio) -> Found:
  """Returns a ratio, taken round by round.

  Args:
    measurement: that has the ratio.
    ratio: one of its own.

  Raises:
    ValueError: a side is missing, or the two have not as many rounds.
  """
  above, below = _both_sides(measurement, ratio)
  return _over_rounds(ratio, above.values, below.values)


def found_of_cores(measurement: Measurement, ratio: Ratio) -> Found | None:
  """Returns `found` of the time of the cores, or None where none was taken."""
  above, below = _both_sides(measurement, ratio)
  if not above.cores or not below.cores:
    return None
  return _over_rounds(ratio, above.cores, below.cores)


def _both_sides(measurement: Measurement, ratio: Ratio) -> tuple[Side, Side]:
  return (
    measurement.side(ratio.numerator),
    measurement.side(ratio.denominator),
  )


def _over_rounds(
  ratio: Ratio, above: Sequence[float], below: Sequence[float]
) -> Found:
  if len(above) != len(below) or not above:
    raise ValueError(
      f'{ratio.question}: {ratio.numerator} has {len(above)} rounds and '
      f'{ratio.denominator} {len(below)}; sides take turns, once a round each'
    )
  quotients = [a / b for a, b in zip(above, below, strict=True)]
  return Found(
    statistics.median(quotients),
    min(quotients),
    max(quotients),
    len(quotients),
  )


def is_met(ratio: Ratio, value: float) -> bool | None:
  """Whether a value of a ratio reaches its goal; None where it has none.

  Args:
    ratio: with or without a goal.
    value: of it.
  """
  if ratio.goal is None:
    return None
  return value <= ratio.goal if ratio.kind is Kind.COST else value >= ratio.goal


def to_json(result: Result) -> dict[str, Any]:
  """Returns what `json.dump` takes; what each ratio came to is told too."""

  def ratio_to_json(measurement, ratio):
    found_here = found(measurement, ratio)
    return {
      **ratio._asdict(),
      'found': found_here._asdict(),
      'met': is_met(ratio, found_here.median),
    }

  measurements = [
    {
      **measurement._asdict(),
      'sides': [side._asdict() for side in measurement.sides],
      'ratios': [ratio_to_json(measurement, r) for r in measurement.ratios],
    }
    for measurement in result.measurements
  ]
  return {
    'format': FORMAT,
    **result._asdict(),
    'machine': result.machine._asdict(),
    'measurements': measurements,
  }


def from_json(tree: Mapping[str, Any]) -> Result:
  """Returns the result that `to_json` was given.

  Args:
    tree: what `json.load` returns.

  Raises:
    ValueError: it is of another format.
  """
  if tree.get('format') != FORMAT:
    raise ValueError(
      f'a result of format {tree.get("format")!r}, where {FORMAT} is read; '
      'run the benchmark again'
    )
  fields = {name: tree[name] for name in Result._fields}
  fields['machine'] = Machine(**tree['machine'])
  fields['measurements'] = tuple(
    Measurement(
      title=each['title'],
      unit=each['unit'],
      sides=tuple(_side(side) for side in each['sides']),
      ratios=tuple(_ratio(ratio) for ratio in each['ratios']),
      note=each['note'],
    )
    for each in tree['measurements']
  )
  return Result(**fields)


def _side(tree: Mapping[str, Any]) -> Side:
  fields = {name: tree[name] for name in Side._fields}
  return Side(
    **{**fields, 'values': tuple(tree['values']), 'cores': tuple(tree['cores'])}
  )


def _ratio(tree: Mapping[str, Any]) -> Ratio:
  fields = {name: tree[name] for name in Ratio._fields}
  return Ratio(**{**fields, 'kind': Kind(tree['kind'])})
