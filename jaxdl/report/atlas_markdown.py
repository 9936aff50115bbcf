"""What the Atlas found as Markdown, for the documentation's site."""

from collections.abc import Sequence
import html
import re

from jaxdl import atlas
from jaxdl.report import atlas as atlas_report

# What Markdown would read as a mark, and what would end a cell of a table.
_SPECIAL = re.compile(r'([\\`*_{}\[\]#|~])')


def render(results: Sequence[atlas_report.Result]) -> str:
  """Renders a page that expects the figures beside it.

  Args:
    results: of the facts, in order.

  Returns:
    Markdown, with links to `<fact>/<fact>.svg`.
  """
  lines = [
    '# What the Atlas found',
    '',
    'Written by `./run.sh atlas`. A verdict is drawn from the data alone, by '
    'the rule that is given.',
    '',
    _escaped(atlas_report.TRAINING),
    '',
    '| | fact | verdict | claims |',
    '|---|---|---|---|',
    *(_row(i, result) for i, result in enumerate(results, 1)),
  ]
  for i, result in enumerate(results, 1):
    lines += ['', *_section(i, result)]
  return '\n'.join(lines) + '\n'


def _row(index: int, result: atlas_report.Result) -> str:
  counts = [
    f'{count} {kind}'
    for kind in atlas.Verdict
    if (count := sum(j.verdict is kind for j in result.judgements))
  ]
  title = _escaped(result.statement.title)
  return (
    f'| {index} | [{title}](#{result.name}) | **{result.verdict}** '
    f'| {", ".join(counts)} |'
  )


def _section(index: int, result: atlas_report.Result) -> list[str]:
  statement = result.statement
  title = _escaped(statement.title)
  lines = [
    f'<a id="{result.name}"></a>',
    '',
    f'## {index}. {title}',
    '',
    f'**{_escaped(atlas_report.verdict(result))}**',
    '',
    _escaped(statement.claim),
    '',
    f'**Rule.** {_escaped(statement.rule)}',
    '',
    '| claim: quantity | under | median [interval] | rule | agree | verdict |',
    '|---|---|---|---|---|---|',
  ]
  for judgement in result.judgements:
    lines += _claim(judgement)
  return [
    *lines,
    '',
    f'![Figure of {title}]({result.name}/{result.name}.svg)',
    '',
    f'**Source.** {_escaped(statement.source)}',
    '',
    f'**Again.** `{result.command}` ({result.seconds:.0f} s). Measured with '
    f'{_escaped(result.measured_with)}.',
  ]


def _claim(judgement: atlas.Judgement) -> list[str]:
  claim = judgement.claim
  rows = []
  told = f'{claim.statement}: {claim.quantity}'  # Once, in the first row.
  for name, condition in judgement.conditions.items():
    samples = condition.interval.num_samples
    cells = (
      told,
      name,
      atlas_report.interval(condition),
      str(claim.rule),
      f'{round(condition.agreeing * samples)}/{samples}',
      str(condition.verdict),
    )
    told = ''
    rows.append('| ' + ' | '.join(map(_escaped, cells)) + ' |')
  return rows


def _escaped(text: str) -> str:
  # Not every reader of Markdown takes a backslash before `<` for a mark.
  text = html.escape(' '.join(text.split()), quote=False)
  return _SPECIAL.sub(r'\\\1', text)
