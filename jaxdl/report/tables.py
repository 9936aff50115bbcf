"""Tables: one row a configuration, medians over its seeds, best first."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from jaxdl import diagnosis as diagnosis_lib
from jaxdl.report import configurations
import numpy as np
import pandas as pd
from rich import box
from rich import table as rich_table
from rich import text as rich_text
import xarray as xr

_Cell = str | rich_text.Text

NUMBERS = (
  'test_accuracy',
  'test_loss',
  'accuracy',
  'loss',
  'decades_start',
  'decades_end',
  'rate_start',
  'rate_error_start',
  'rate_end',
  'rate_error_end',
  'underflow_start',
  'underflow_end',
  'dead_mean',
  'dead_worst',
  'saturated_mean',
  'saturated_worst',
  'clip_bound',
  'clip_removed',
  'layer',
  'since',
  'nonfinite_step',
  'nonfinite_layer',
)

# Over the seeds with the verdict of most alone.
_OF_VERDICT = ('layer', 'since')
# Whose median of two is the lower: there is no step 37.5.
_WHOLE = (*_OF_VERDICT, 'nonfinite_step', 'nonfinite_layer')

STYLES = {
  'healthy': 'green',
  'saturated': 'yellow',
  'vanishing': 'blue',
  'exploding': 'red',
  'dead': 'magenta',
  'diverged': 'bold red',
  'unmeasured': 'dim',
}


def summary(diagnosis: xr.Dataset) -> pd.DataFrame:
  """Summarizes a diagnosis, one row a configuration, best first.

  Configurations that learned and are healthy come first, then by median test
  accuracy.

  Args:
    diagnosis: what `jaxdl.diagnose` returned.

  Returns:
    A column for each axis but the seed, those that vary first; `seeds`, their
    number; `verdict`, `verdict_start`: what most seeds are (of equally many,
    the worse); `verdict_seeds`, `learned_seeds`: how many are, and how many
    learned; `bound_start`, `bound_end`; for each of `NUMBERS` its median, and
    `..._min` and `..._max` over the seeds; `cells`, positions as a list.
  """
  rows = [
    _row(diagnosis, configuration)
    for configuration in configurations.configurations(diagnosis)
  ]
  frame = pd.DataFrame(rows)
  good = (frame['verdict'] == 'healthy') & (
    frame['learned_seeds'] * 2 > frame['seeds']
  )
  order = np.lexsort((-frame['test_accuracy'].fillna(-1.0), ~good))
  return frame.iloc[order].reset_index(drop=True)


def csv(frame: pd.DataFrame) -> str:
  """Writes a summary as comma-separated values, numbers to 6 digits."""
  return frame.drop(columns='cells', errors='ignore').to_csv(
    index=False, float_format='%.6g'
  )


def _row(diagnosis, configuration) -> dict[str, Any]:
  one = diagnosis.isel(cell=configuration.cells)
  held = {
    name: one[name].values.tolist()[0]
    for name in configurations.held_axes(diagnosis)
  }
  verdict, count = _majority(one['verdict'].values)
  row = {
    **configuration.values,
    **held,
    'seeds': len(configuration.cells),
    'verdict': verdict,
    'verdict_seeds': count,
    'verdict_start': _majority(one['verdict_start'].values)[0],
    'learned_seeds': int(one['learned'].sum()),
    'bound_start': _is_bound(one, 'start'),
    'bound_end': _is_bound(one, 'end'),
  }
  same = one['verdict'].values == verdict
  for name in NUMBERS:
    values = one[name].values[same] if name in _OF_VERDICT else one[name].values
    values = values[~np.isnan(values)]
    has = len(values) > 0
    row[name] = np.median(values) if has else np.nan
    if has and name in _WHOLE:
      row[name] = np.sort(values)[(len(values) - 1) // 2]
    row[f'{name}_min'] = values.min() if has else np.nan
    row[f'{name}_max'] = values.max() if has else np.nan
  directions = [d for d in one['nonfinite_direction'].values if d]
  row['nonfinite_direction'] = directions[0] if directions else ''
  row['cells'] = configuration.cells.tolist()
  return row


def _is_bound(one: xr.Dataset, when: str) -> bool:
  """Whether the median is a bound: one that is may belong below it."""
  decades = one[f'decades_{when}'].values
  known = decades[~np.isnan(decades)]
  if not len(known):
    return False
  bound = one[f'bound_{when}'].values
  return bool((bound & (decades >= np.median(known))).any())


def _majority(verdicts: np.ndarray) -> tuple[str, int]:
  counts = Counter(verdicts.tolist())
  badness = diagnosis_lib.VERDICTS.index
  return max(counts.items(), key=lambda item: (item[1], badness(item[0])))


def terminal(
  diagnosis: xr.Dataset, frame: pd.DataFrame, width: int
) -> rich_table.Table:
  """Draws a summary for a terminal, of the columns that say something.

  Configurations are grouped by the first axis that varies if there are two or
  more; the group with the best configuration comes first. Where the table
  would be wider than `width`, columns are left out, the least telling first,
  and the caption says which.
  """
  axes = configurations.varying_axes(diagnosis)
  frame = _grouped(frame, axes)
  columns: dict[str, list[_Cell]] = {
    axis: [configurations.text(value) for value in frame[axis]] for axis in axes
  }
  for name, write in _COLUMNS.items():
    cells = [write(row) for _, row in frame.iterrows()]
    if any(str(cell) != '-' for cell in cells):
      columns[name] = cells
  left_out: list[str] = []
  for name in (name for name in _LEFT_OUT_FIRST if name in columns):
    if sum(1 + _width(name, cells) for name, cells in columns.items()) <= width:
      break
    left_out.append(name)
    del columns[name]
  return _draw(columns, axes, left_out)


def _width(name: str, cells: Sequence[_Cell]) -> int:
  return max(len(line) for line in (*name.split('\n'), *map(str, cells)))


def _draw(columns, axes: list[str], left_out: list[str]) -> rich_table.Table:
  names = ', '.join(name.replace('\n', ' ') for name in left_out)
  table = rich_table.Table(
    box=box.SIMPLE_HEAD,
    padding=0,
    show_edge=False,
    caption=f'Left out for width: {names}.' if names else None,
    caption_justify='left',
  )
  for name in columns:
    left = name in axes or name == 'verdict'
    table.add_column(name, justify='left' if left else 'right', no_wrap=True)
  group = columns[axes[0]] if len(axes) > 1 else [''] * len(columns['verdict'])
  for i, row in enumerate(zip(*columns.values(), strict=True)):
    if i > 0 and group[i] != group[i - 1]:
      table.add_section()
    table.add_row(*(_unmarked(cell) for cell in row))
  return table


def _grouped(frame: pd.DataFrame, axes: list[str]) -> pd.DataFrame:
  if len(axes) < 2:
    return frame
  rank = {value: i for i, value in enumerate(frame[axes[0]].unique())}
  return frame.iloc[
    np.argsort(frame[axes[0]].map(rank).to_numpy(), kind='stable')
  ]


def _unmarked(cell: _Cell) -> rich_text.Text:
  return rich_text.Text(cell) if isinstance(cell, str) else cell


def _verdict(row) -> rich_text.Text:
  agree = row['verdict_seeds'] == row['seeds']
  share = '' if agree else f' {row["verdict_seeds"]}/{row["seeds"]}'
  return rich_text.Text(row['verdict'] + share, STYLES[row['verdict']])


def signed_decades(value: float, bound: bool) -> str:
  """Writes decades, as `<-30.1` where at least so much is lost."""
  if np.isnan(value):
    return '-'
  value = 0.0 if abs(value) < 0.05 else value  # Not -0.0.
  return ('<' if bound and np.isfinite(value) else '') + f'{value:.1f}'


def _decades(row) -> str:
  start = signed_decades(row['decades_start'], row['bound_start'])
  end = signed_decades(row['decades_end'], row['bound_end'])
  return f'{start} > {end}' if (start, end) != ('-', '-') else '-'


def _rate(row) -> str:
  rate = row['rate_end']
  rate = row['rate_start'] if np.isnan(rate) else rate
  return '-' if np.isnan(rate) else f'{rate:+.2f}'


def percent(value: float, digits: int = 0) -> str:
  """Writes a share as a percentage without the sign; `-` where it is NaN."""
  return '-' if np.isnan(value) else f'{100 * value:.{digits}f}'


def _accuracy(row) -> str:
  half = (row['test_accuracy_max'] - row['test_accuracy_min']) / 2
  spread = '' if row['seeds'] == 1 or np.isnan(half) else f'±{100 * half:.1f}'
  return percent(row['test_accuracy'], 1) + spread


def _nonfinite(row) -> str:
  if np.isnan(row['nonfinite_step']):
    return '-'
  return f'{row["nonfinite_step"]:.0f}:{row["nonfinite_layer"]:.0f}'


def _loss(row) -> str:
  return '-' if np.isnan(row['loss']) else f'{row["loss"]:.3g}'


_COLUMNS: dict[str, Callable[[pd.Series], _Cell]] = {
  'verdict': _verdict,
  'test\nacc %': _accuracy,
  'decades\nstart > end': _decades,
  'per\nlayer': _rate,
  'dead\n%': lambda row: percent(row['dead_worst']),
  'sat\n%': lambda row: percent(row['saturated_worst']),
  'clip\n%': lambda row: percent(row['clip_bound']),
  'final\nloss': _loss,
  'NaN at\nstep:layer': _nonfinite,
}

_LEFT_OUT_FIRST = (
  'final\nloss',
  'sat\n%',
  'NaN at\nstep:layer',
  'clip\n%',
  'per\nlayer',
)
