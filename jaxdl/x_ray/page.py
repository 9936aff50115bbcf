"""An X-ray as one HTML page that needs nothing but itself, and in notebooks."""

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
import html
from importlib import resources
import io
import json
import math
import os
import pathlib
import re
from typing import Any

from jaxdl.x_ray import answer
from jaxdl.x_ray import dataset
from jaxdl.x_ray import figure
from jaxdl.x_ray import formatting
from jaxdl.x_ray import lines as lines_lib
from jaxdl.x_ray import selection
from jaxdl.x_ray import table

Line = lines_lib.Line

_MARK = re.compile(r'\{\{(\w+)\}\}')
_LONGEST_LABEL = 26
_LEFT = ' class="left"'
_COLOURS = {
  'forward_rms': 'forward',
  'backward_rms': 'backward',
  'dead': 'dead-share',
  'saturated': 'saturated-share',
  'gradient_norm': 'gradient',
  'parameter_norm': 'norm',
}
_FRAGMENT_STYLE = """
.jaxdl table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.jaxdl th, .jaxdl td { padding: 0.1em 0.6em; text-align: right; }
.jaxdl tbody th { text-align: left; font-weight: normal; }
.jaxdl .flagged { color: #c4262e; font-weight: bold; }
.jaxdl .left { text-align: left; }
.jaxdl .place { white-space: nowrap; opacity: 0.7; }
.jaxdl .again { opacity: 0.6; }
.jaxdl img { max-width: 100%; background: white; }
"""


def render(
  summary: str, diagnosis: answer.Diagnosis, lines: Sequence[Line]
) -> str:
  """Renders the page.

  Args:
    summary: what was examined, in a sentence.
    diagnosis: what was found.
    lines: all that was measured.

  Returns:
    The HTML of the page.
  """
  columns, flags = table.columns(lines), any(x.verdict for x in lines)
  parts = {
    'title': html.escape(f'X-ray: {diagnosis.title}'),
    'summary': html.escape(summary),
    'diagnosis': answer.to_html(diagnosis),
    'style': _read('report/page.css') + _read('x_ray/page.css'),
    'head': _head(columns, flags),
    'body': ''.join(_row(line, columns, flags) for line in lines),
    'explanations': ''.join(map(_explanation, columns)),
    'settings': _settings(lines),
    'data': to_json(_data(lines)),
    'script': _read('x_ray/page.js'),
  }
  # In one pass: what is filled in may itself look like a mark.
  return _MARK.sub(lambda match: parts[match[1]], _read('x_ray/page.html'))


def fragment(
  summary: str, diagnosis: answer.Diagnosis, lines: Sequence[Line], most: int
) -> str:
  """Renders what a notebook shows, without a script.

  Args:
    summary: what was examined, in a sentence.
    diagnosis: what was found.
    lines: all that was measured.
    most: number of rows to show.
  """
  columns, flags = table.columns(lines), any(x.verdict for x in lines)
  body = ''.join(
    _row(line, columns, flags)
    if isinstance(line, lines_lib.Line)
    else _rest(line, len(columns))
    for line in selection.choose(lines, most)
  )
  head = _still_head(columns, flags)
  return (
    f'<div class="jaxdl"><style>{_FRAGMENT_STYLE}</style>'
    f'<p>{html.escape(summary)}</p>{answer.to_html(diagnosis)}{_picture(lines)}'
    f'<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
  )


def save(document: str, path: str | os.PathLike[str]) -> None:
  """Writes a page.

  Raises:
    OSError: if it can't be written, in one line.
  """
  try:
    # A path in a traceback may hold bytes that are no text.
    encoded = document.encode('utf-8', 'backslashreplace')
    pathlib.Path(path).write_bytes(encoded)
  except OSError as error:
    raise OSError(
      f"the page can't be written to {os.fspath(path)!r}: {error.strerror}; "
      'give a file in a folder that exists and may be written to'
    ) from None


def to_json(value: Any) -> str:
  """Writes JSON that may stand inside a script element."""
  text = json.dumps(value, allow_nan=False, separators=(',', ':'))
  for character in '<>&':
    text = text.replace(character, f'\\u{ord(character):04x}')
  return text


def _data(lines: Sequence[Line]) -> Mapping[str, Any]:
  """What the picture is drawn from; a row of the table each."""
  return {
    'names': [line.name for line in lines],
    'labels': [
      formatting.shortened(line.name, _LONGEST_LABEL) for line in lines
    ],
    'cuts': [line.is_cut for line in lines],
    'verdicts': [line.verdict for line in lines],
    'panels': [
      {
        'title': panel.title,
        'log': panel.is_log,
        'named': len(panel.names) > 1,
        'series': [
          {
            'title': panel.names[name],
            'colour': _COLOURS[name],
            'joined': name in figure.JOINED,
            'values': [_plain(figure.value(line, name)) for line in lines],
          }
          for name in names
        ],
      }
      for panel, names in figure.panels(lines)
    ],
  }


def _plain(x: float | None) -> float | str | None:
  """What JSON can hold; a text where it is not finite."""
  return x if x is None or math.isfinite(x) else str(x)


def _headings(
  columns: Iterable[table.Column], flags: bool
) -> Iterator[tuple[str, str, bool]]:
  """The title of each column, what it says, and whether that is a number."""
  yield 'module', 'In which the value is made.', False
  if flags:
    yield 'verdict', 'What starts here.', False
  for column in columns:
    yield _title(column), column.explanation, True
  yield 'shape', 'Of the value.', False
  yield 'source', 'The line of the program.', False


def _head(columns: Iterable[table.Column], flags: bool) -> str:
  """Headings that sort."""
  return ''.join(
    f'<th scope="col" data-kind="{"number" if is_number else "text"}" '
    f'data-title="{html.escape(title)}"{"" if is_number else _LEFT}>'
    f'<button type="button" title="{html.escape(why)}">{html.escape(title)}'
    '</button></th>'
    for title, why, is_number in _headings(columns, flags)
  )


def _still_head(columns: Iterable[table.Column], flags: bool) -> str:
  """Headings where there is no script."""
  return ''.join(
    f'<th title="{html.escape(why)}"{"" if is_number else _LEFT}>'
    f'{html.escape(title)}</th>'
    for title, why, is_number in _headings(columns, flags)
  )


def _row(line: Line, columns: Iterable[table.Column], flags: bool) -> str:
  """Numbers as they are for sorting, and with three digits to be read."""
  cells = ''.join(_cell(line, column) for column in columns)
  verdict = html.escape(formatting.words(line.verdict))
  shape = '×'.join(map(str, line.shape))
  note = line.note or ' '.join(filter(None, (shape, line.dtype)))
  # A long path is broken behind a slash.
  name = html.escape(line.name).replace('/', '/<wbr>')
  flag = f'<td class="left flagged">{verdict}</td>' if flags else ''
  return (
    f'<tr data-verdict="{verdict}"><th scope="row" class="left">'
    f'<code>{name}</code></th>{flag}{cells}'
    f'<td class="left place">{html.escape(note)}</td>'
    f'<td class="left place">{html.escape(line.source)}</td></tr>'
  )


def _cell(line: Line, column: table.Column) -> str:
  text = column.text(line._replace(is_repeated=False))
  is_again = line.is_repeated and column.text(line) != text
  kind = ' class="again"' if is_again else ''
  value = repr(column.value(line)).replace('inf', 'Infinity')
  return f'<td{kind} data-value="{value}">{html.escape(text)}</td>'


def _rest(rest: selection.Rest, num_columns: int) -> str:
  return (
    f'<tr><th class="left" colspan="{num_columns + 4}">'
    f'{html.escape(table.summarized(rest.lines))}</th></tr>'
  )


def _picture(lines: Sequence[Line]) -> str:
  if all(line.kind == 'hidden' for line in lines):
    return ''
  buffer = io.BytesIO()
  figure.draw(lines).savefig(buffer, format='png', dpi=80)
  encoded = base64.b64encode(buffer.getvalue()).decode('ascii')
  return f'<img alt="Over depth" src="data:image/png;base64,{encoded}">'


def _explanation(column: table.Column) -> str:
  return (
    f'<dt>{html.escape(_title(column))}</dt>'
    f'<dd>{html.escape(column.explanation)}</dd>'
  )


def _settings(lines: Sequence[Line]) -> str:
  count: Callable[[str], int] = lambda kind: sum(x.kind == kind for x in lines)
  settings = {
    'values measured': count('value'),
    'parameters apart': count('parameter'),
    'modules that could not be measured': count('hidden'),
    **dataset.versions(),
  }
  return ''.join(
    f'<tr><th scope="row">{html.escape(name)}</th>'
    f'<td>{html.escape(str(value))}</td></tr>'
    for name, value in settings.items()
  )


def _title(column: table.Column) -> str:
  return f'{column.group} {column.title}'


def _read(name: str) -> str:
  return resources.files('jaxdl').joinpath(name).read_text('utf-8')
