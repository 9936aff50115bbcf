"""The page: a record as one HTML file that needs nothing but itself.

The file holds the plotting library, our own style and script, and the data. It
asks nothing of any server, so it can be mailed, archived, and opened offline.
"""

import html
from importlib import resources
import json
import re
from typing import Any

from jaxdl.report import configurations
from jaxdl.report import page_data
from jaxdl.report import predictions
from jaxdl.report import words
import pandas as pd
from plotly import offline
import xarray as xr

_SCRIPTS = ('data.js', 'state.js', 'table.js', 'plots.js', 'page.js')
_MARK = re.compile(r'\{\{(\w+)\}\}')


def render(
  record: xr.Dataset, diagnosis: xr.Dataset, frame: pd.DataFrame
) -> str:
  """Renders the page.

  Args:
    record: a record (see `docs/architecture.md`).
    diagnosis: what `jaxdl.diagnose` says of it.
    frame: its `tables.summary`.

  Returns:
    The HTML of the page.
  """
  predicted = predictions.predictions(record, frame)
  answer = [
    *words.answer(diagnosis, frame),
    predictions.comparison(diagnosis, frame, predicted),
  ]
  data = record.attrs.get('data', 'unnamed data')
  parts = {
    'title': _escaped(f'Gradient flow: {data}'),
    'answer': ''.join(_passage(passage) for passage in answer),
    'settings': _settings(record, diagnosis),
    'style': _read('page.css'),
    'plotly': _inline(offline.get_plotlyjs()),
    'data': to_json(page_data.collect(record, diagnosis, frame)),
    'script': _inline('\n'.join(_read(name) for name in _SCRIPTS)),
  }
  # In one pass: what is filled in may itself look like a mark.
  return _MARK.sub(lambda match: parts[match[1]], _read('page.html'))


def to_json(value: Any) -> str:
  """Writes JSON that may stand inside a script element."""
  text = json.dumps(value, allow_nan=False, separators=(',', ':'))
  for character in '<>&':
    text = text.replace(character, f'\\u{ord(character):04x}')
  return text


def _passage(passage: words.Passage) -> str:
  items = ''.join(f'<li>{_escaped(item)}</li>' for item in passage.items)
  text = f'<p>{_escaped(passage.text)}</p>' if passage.text else ''
  return text + (f'<ul>{items}</ul>' if items else '')


def _settings(record: xr.Dataset, diagnosis: xr.Dataset) -> str:
  """Lists the axes, attributes and thresholds as rows of a table."""
  axes = {
    name: ', '.join(
      configurations.text(value)
      for value in configurations.values_of(record, name)
    )
    for name in configurations.axes(record)
  }
  sizes = {f'{name}s recorded': size for name, size in record.sizes.items()}
  attributes = {k: v for k, v in record.attrs.items() if k != 'axes'}
  thresholds = {
    f'threshold: {name}': f'{value:g}'
    for name, value in json.loads(diagnosis.attrs['thresholds']).items()
  }
  rows = {**axes, **sizes, **attributes, **thresholds}
  return ''.join(
    f'<tr><th scope="row">{_escaped(name.replace("_", " "))}</th>'
    f'<td>{_escaped(str(value))}</td></tr>'
    for name, value in rows.items()
  )


def _escaped(text: str) -> str:
  return html.escape(text, quote=True)


def _inline(script: str) -> str:
  """Keeps a script's strings from closing its element."""
  return script.replace('</script', '<\\/script').replace('<!--', '<\\!--')


def _read(name: str) -> str:
  return resources.files('jaxdl.report').joinpath(name).read_text('utf-8')
