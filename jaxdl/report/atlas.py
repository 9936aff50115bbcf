"""What the Atlas found: the table of all facts, in the terminal and as rows."""

from collections.abc import Iterator, Mapping, Sequence
import math
from typing import NamedTuple

from jaxdl import atlas
from jaxdl.atlas import facts
from jaxdl.atlas import judging
from matplotlib import figure as figure_lib
import pandas as pd
from rich import box
from rich import padding as rich_padding
from rich import table as rich_table
from rich import text as rich_text

_COLOURS = {
  atlas.Verdict.CONFIRMED: 'green',
  atlas.Verdict.REFUTED: 'red',
  atlas.Verdict.DEPENDS: 'yellow',
}
# Of all facts that train networks for which they say nothing else.
TRAINING = (
  'Networks are trained on the 10,000 images of fashion_mnist_small by plain '
  "SGD, from He's initialization, unless a fact says otherwise; each side of a "
  'comparison at its own best rate of those that are given.'
)
_MOST_DIGITS = 4  # Of a whole number that is written out.


class Result(NamedTuple):
  """One fact, measured.

  Attributes:
    name: of its module.
    statement: what its docstring says.
    formulas: in the mathematics of TeX.
    judgements: of its claims.
    verdict: on the fact.
    on: on what it depends; empty if it does not.
    figure: drawn from the data.
    measured_with: seeds, sizes, devices and versions, in words.
    seconds: that measuring took.
    command: that measures it again.
  """

  name: str
  statement: facts.Statement
  formulas: Sequence[str]
  judgements: Sequence[atlas.Judgement]
  verdict: atlas.Verdict
  on: str
  figure: figure_lib.Figure
  measured_with: str
  seconds: float
  command: str


def number(value: float) -> str:
  """Writes a number with three digits, a large one with its power of ten.

  Args:
    value: may be infinite.
  """
  if math.isinf(value):
    return '∞' if value > 0 else '−∞'
  whole = float(value).is_integer() and abs(value) < 10**_MOST_DIGITS
  text = f'{value:.0f}' if whole else f'{value:.3g}'
  return text.removeprefix('-' if text == '-0' else '').replace('-', '−')


def interval(condition: judging.Condition) -> str:
  """Writes the median, and the interval unless it is a point.

  Args:
    condition: a claim under one condition.
  """
  middle, low, high = condition.interval[:3]
  if low == high:
    return number(middle)
  return f'{number(middle)} [{number(low)}, {number(high)}]'


def verdict(result: Result | atlas.Judgement) -> str:
  """Writes the verdict, with what it depends on.

  Args:
    result: of a fact, or of a claim.
  """
  return f'{result.verdict}{f": {result.on}" if result.on else ""}'


def measured(judgement: atlas.Judgement) -> str:
  """Writes what was measured.

  Of several conditions: from the least to the largest median, and in brackets
  the least and the largest end of their intervals.

  Args:
    judgement: of a claim.
  """
  intervals = [found.interval for found in judgement.conditions.values()]
  if len(intervals) == 1:
    (only,) = judgement.conditions.values()
    return interval(only)
  middles = [found.middle for found in intervals]
  low = min(found.low for found in intervals)
  high = max(found.high for found in intervals)
  return (
    f'{number(min(middles))} to {number(max(middles))} '
    f'[{number(low)}, {number(high)}], of {len(intervals)} conditions'
  )


def table(results: Sequence[Result]) -> rich_table.Table:
  """Returns the table of the terminal: a block a fact, a row a claim.

  Args:
    results: of the facts, in order.
  """
  found = rich_table.Table(
    box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False, pad_edge=False
  )
  found.add_column('fact, its claims', ratio=5)
  found.add_column('quantity', ratio=5)
  found.add_column(rich_text.Text('median [interval]'), ratio=3)
  found.add_column('rule', ratio=2)
  found.add_column('verdict', ratio=4)
  for result in results:
    found.add_section()
    found.add_row(
      rich_text.Text(result.statement.title, 'bold'),
      '',
      '',
      '',
      _styled(result, 'bold '),
    )
    for judgement in result.judgements:
      claim = judgement.claim
      found.add_row(
        rich_padding.Padding(rich_text.Text(claim.statement), (0, 0, 0, 2)),
        rich_text.Text(claim.quantity),
        rich_text.Text(measured(judgement)),
        rich_text.Text(str(claim.rule)),
        _styled(judgement),
      )
  return found


def _styled(
  result: Result | atlas.Judgement, weight: str = ''
) -> rich_text.Text:
  return rich_text.Text(verdict(result), weight + _COLOURS[result.verdict])


def frame(results: Sequence[Result]) -> pd.DataFrame:
  """Returns every claim under every condition as a row.

  Args:
    results: of the facts, in order.
  """
  return pd.DataFrame(_rows(results))


def _rows(results: Sequence[Result]) -> Iterator[Mapping[str, object]]:
  for result in results:
    for judgement in result.judgements:
      for name, condition in judgement.conditions.items():
        yield {
          'fact': result.name,
          'verdict_on_fact': str(result.verdict),
          'claim': judgement.claim.statement,
          'verdict_on_claim': str(judgement.verdict),
          'condition': name,
          'quantity': judgement.claim.quantity,
          'median': condition.interval.middle,
          'low': condition.interval.low,
          'high': condition.interval.high,
          'confidence': condition.interval.confidence,
          'samples': condition.interval.num_samples,
          'agreeing_share': condition.agreeing,
          'rule': str(judgement.claim.rule),
          'verdict': str(condition.verdict),
        }
