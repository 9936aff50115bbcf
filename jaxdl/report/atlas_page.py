"""The page of the Atlas: a section a fact, in one file that needs no other."""

import base64
from collections.abc import Sequence
import html
from importlib import resources
import io
import re
from typing import Any

from jaxdl import atlas
from jaxdl.report import atlas as atlas_report
from jaxdl.report import figures
import matplotlib
from matplotlib import figure as figure_lib
from matplotlib import font_manager
from matplotlib import mathtext

_FORMULA_SIZE = 15  # Points.
_FORMULA_STYLE: dict[Any, Any] = {
  'svg.fonttype': 'path',
  'mathtext.fontset': 'cm',
  'savefig.facecolor': 'none',
}
_MARK = re.compile(r'\{\{(\w+)\}\}')


def render(results: Sequence[atlas_report.Result]) -> str:
  """Renders the page.

  Args:
    results: of the facts, in order.

  Returns:
    The HTML of the page.
  """
  parts = {
    'style': _read('atlas.css'),
    'summary': _summary(results),
    'training': _escaped(atlas_report.TRAINING),
    'rows': ''.join(_row(i, result) for i, result in enumerate(results, 1)),
    'sections': ''.join(
      _section(i, result) for i, result in enumerate(results, 1)
    ),
  }
  # In one pass: what is filled in may itself look like a mark.
  return _MARK.sub(lambda match: parts[match[1]], _read('atlas.html'))


def _summary(results: Sequence[atlas_report.Result]) -> str:
  counts = {kind: 0 for kind in atlas.Verdict}
  for result in results:
    counts[result.verdict] += 1
  return ', '.join(
    f'{count} {_badge(kind)}' for kind, count in counts.items() if count
  )


def _row(index: int, result: atlas_report.Result) -> str:
  confirmed = sum(
    judgement.verdict is atlas.Verdict.CONFIRMED
    for judgement in result.judgements
  )
  return (
    f'<tr><td>{index}</td>'
    f'<th scope="row"><a href="#{_escaped(result.name)}">'
    f'{_escaped(result.statement.title)}</a></th>'
    f'<td>{_badge(result.verdict)}</td>'
    f'<td>{confirmed} of {len(result.judgements)}</td>'
    f'<td>{result.seconds:.0f} s</td></tr>'
  )


def _section(index: int, result: atlas_report.Result) -> str:
  statement = result.statement
  formulas = ''.join(map(formula_image, result.formulas))
  on = f' <span class="on">{_escaped(result.on)}</span>' if result.on else ''
  claims = ''.join(map(_claim, result.judgements))
  return f"""
<section id="{_escaped(result.name)}">
<h2>{index}. {_escaped(statement.title)}</h2>
<p>{_badge(result.verdict)}{on}</p>
<p><b>Claim.</b> {_escaped(statement.claim)}</p>
<div class="formulas">{formulas}</div>
<p><b>Rule.</b> {_escaped(statement.rule)}</p>
<div class="wide"><table class="claims">
<thead><tr><th>claim</th><th>under</th><th>verdict</th>
<th>median [interval]</th><th>rule</th><th>agree</th></tr></thead>
{claims}</table></div>
<figure>{_image(result.figure, f'Figure of {statement.title}')}</figure>
<p><b>Source.</b> {_escaped(statement.source)}</p>
<p><b>Again.</b> <code>{_escaped(result.command)}</code>
<span class="on">{result.seconds:.0f} s</span></p>
<p class="on">Measured with {_escaped(result.measured_with)}.</p>
</section>"""


def _claim(judgement: atlas.Judgement) -> str:
  """A body of the table: the claim beside a row for each condition."""
  claim = judgement.claim
  rows = []
  for i, (name, condition) in enumerate(judgement.conditions.items()):
    head = ''
    if i == 0:
      head = (
        f'<th scope="rowgroup" rowspan="{len(judgement.conditions)}">'
        f'{_escaped(claim.statement)}<br><span class="on">'
        f'{_escaped(claim.quantity)}</span></th>'
      )
    share = round(condition.agreeing * condition.interval.num_samples)
    rows.append(
      f'<tr>{head}<td>{_escaped(name)}</td>'
      f'<td>{_badge(condition.verdict)}</td>'
      f'<td class="number">{_escaped(atlas_report.interval(condition))}</td>'
      f'<td class="number">{_escaped(str(claim.rule))}</td>'
      f'<td class="number">{share}/{condition.interval.num_samples}</td></tr>'
    )
  return f'<tbody>{"".join(rows)}</tbody>'


def _badge(verdict: atlas.Verdict) -> str:
  return f'<span class="verdict {verdict}">{verdict}</span>'


def formula_image(formula: str) -> str:
  """Draws a formula as an `img` element; a screen reader gets its TeX.

  Args:
    formula: in the mathematics of TeX that matplotlib knows, without dollars.
  """
  stream = io.BytesIO()
  with matplotlib.rc_context(_FORMULA_STYLE):
    mathtext.math_to_image(
      f'${formula}$',
      stream,
      prop=font_manager.FontProperties(size=_FORMULA_SIZE),
      format='svg',
    )
  return _inline_image(stream.getvalue(), formula)


def _image(figure: figure_lib.Figure, description: str) -> str:
  stream = io.BytesIO()
  with matplotlib.rc_context(figures.STYLE):
    figure.savefig(stream, format='svg', metadata={'Date': None})
  return _inline_image(stream.getvalue(), description)


def _inline_image(svg: bytes, description: str) -> str:
  source = f'data:image/svg+xml;base64,{base64.b64encode(svg).decode()}'
  return f'<img src="{source}" alt="{_escaped(description)}">'


def _escaped(text: str) -> str:
  return html.escape(text, quote=True)


def _read(name: str) -> str:
  return resources.files('jaxdl.report').joinpath(name).read_text('utf-8')
