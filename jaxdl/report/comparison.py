"""Comparisons: one network under several treatments, over seeds.

A treatment that is no axis of a sweep, such as the preprocessing of the data,
has a record of its own; `join` makes one record of them, with the treatment as
an axis. `summary` has one row a configuration, with mean and spread over seeds;
`best` keeps the learning rate that suits each treatment, without which a
comparison at one rate says more of the rate than of the treatment.
"""

from collections.abc import Mapping, Sequence
import json
import pathlib

from jaxdl import evidence
from jaxdl import report
from jaxdl.report import figures
from jaxdl.report import tables
import numpy as np
import pandas as pd
from rich import box
from rich import table as rich_table
from rich import text as rich_text
import rich.console
import xarray as xr

_WINDOW = 10  # Steps whose mean training loss must reach the target.
_LEAST_WIDTH = 100  # Columns where the output is no terminal.


def join(records: Mapping[str, xr.Dataset], axis: str) -> xr.Dataset:
  """Joins records of one grid into one, along cells.

  Args:
    records: records (see `docs/architecture.md`) by the value of the new axis.
    axis: its name.

  Returns:
    A record; layers that some networks lack are NaN there.
  """
  parts, levels = [], []
  for value, record in records.items():
    levels = list(record.indexes['cell'].names)
    part = record.reset_index('cell')
    parts.append(part.assign_coords({axis: ('cell', [value] * part.cell.size)}))
  joined = xr.concat(
    parts,
    'cell',
    data_vars='all',
    coords='minimal',
    join='outer',
    combine_attrs='override',
    compat='override',
  )
  varying = json.loads(joined.attrs['axes'])
  joined.attrs['axes'] = json.dumps([axis, *(v for v in varying if v != axis)])
  return joined.set_index(cell=[axis, *(n for n in levels if n != axis)])


def summary(
  record: xr.Dataset, diagnosis: xr.Dataset, target_loss: float
) -> pd.DataFrame:
  """Summarizes a record, one row a configuration, best first.

  Args:
    record: a record (see `docs/architecture.md`).
    diagnosis: what `jaxdl.diagnose` says of it.
    target_loss: a training loss to be reached.

  Returns:
    The columns of `tables.summary`, and: `test_accuracy_mean`,
    `test_accuracy_std`, `loss_mean`, `loss_std` (of the training loss at the
    end; sample standard deviations, NaN for one seed); `steps_to_target`, the
    median over seeds, infinite where most do not reach it, and `reached`, how
    many do; `saturated_first`, `saturated_start`, `dead_start`: shares at the
    first step, in layer 1 and in the worst hidden layer, means over seeds.
  """
  frame = tables.summary(diagnosis)
  steps = steps_to_loss(record['loss'].transpose('cell', 'step'), target_loss)
  extra = []
  for cells in frame['cells']:
    one, start = diagnosis.isel(cell=cells), record.isel(cell=cells, step=0)
    row = {
      'steps_to_target': np.sort(steps[cells])[len(cells) // 2],
      'reached': int(np.isfinite(steps[cells]).sum()),
      'saturated_first': float(start['activation_saturated'][:, 0].mean()),
      'saturated_start': _worst(start, 'activation_saturated'),
      'dead_start': _worst(start, 'activation_dead'),
    }
    for name in ('test_accuracy', 'loss'):
      row[f'{name}_mean'], row[f'{name}_std'] = spread(one[name].values)
    extra.append(row)
  return frame.join(pd.DataFrame(extra, index=frame.index))


def best(frame: pd.DataFrame, axis: str) -> pd.DataFrame:
  """Keeps the row with the lowest training loss of each value of an axis.

  The training loss, so that nothing is chosen by the test images. Where a seed
  has no finite loss, the mean has none either, and any other row is better.

  Args:
    frame: what `summary` returned.
    axis: the treatment.

  Returns:
    One row a value, lowest training loss first.
  """
  loss = frame['loss_mean'].fillna(np.inf).to_numpy()
  order = np.lexsort((-frame['test_accuracy_mean'].fillna(-1), loss))
  return frame.iloc[order].drop_duplicates(axis).reset_index(drop=True)


def steps_to_loss(loss: xr.DataArray, target: float) -> np.ndarray:
  """Counts the steps until the training loss reaches a target.

  Args:
    loss: of each batch, `[cell, step]`; NaN where none is recorded.
    target: it is reached where the mean of the last ten batches is at most it.

  Returns:
    Steps, `[cell]`; infinite where it is not reached.
  """
  window = min(_WINDOW, loss.shape[1])
  return evidence.steps_until(loss.values, target, window=window)


def spread(values: np.ndarray) -> tuple[float, float]:
  """Returns mean and sample standard deviation; NaN of fewer than two."""
  with np.errstate(invalid='ignore'):
    std = float(np.std(values, ddof=1)) if len(values) > 1 else np.nan
    return float(np.mean(values)), std


def with_spread(mean: float, std: float, digits: int = 1) -> str:
  """Writes `81.3±0.4`; the mean alone where there is no spread."""
  if np.isnan(mean):
    return '-'
  return f'{mean:.{digits}f}' + ('' if np.isnan(std) else f'±{std:.{digits}f}')


def show(
  columns: Mapping[str, Sequence[str]],
  sentences: Sequence[str],
  console: rich.console.Console,
  left_out_first: Sequence[str] = (),
) -> None:
  """Prints a table, the first column to the left, and sentences below it.

  Args:
    columns: the cells of each column by its heading.
    sentences: each goes on a line of its own.
    console: where to; of one that is no terminal, 100 columns are used.
    left_out_first: the headings that are left out where the table would be too
      wide, in this order.
  """
  if not console.is_terminal:
    console.width = max(console.width, _LEAST_WIDTH)
  width = console.width
  kept = dict(columns)
  missing = []
  for name in (name for name in left_out_first if name in columns):
    if sum(1 + _width(*column) for column in kept.items()) <= width:
      break
    del kept[name]
    missing.append(name.replace('\n', ' '))
  table = rich_table.Table(
    box=box.SIMPLE_HEAD,
    padding=0,
    show_edge=False,
    caption=f'Left out for width: {", ".join(missing)}.' if missing else None,
    caption_justify='left',
  )
  for index, name in enumerate(kept):
    table.add_column(name, justify='right' if index else 'left', no_wrap=True)
  for row in zip(*kept.values(), strict=True):
    table.add_row(*map(rich_text.Text, row))
  console.print(table, width=width, crop=False)
  for sentence in sentences:
    console.print()
    console.print(sentence, width=width, markup=False, highlight=False)


def _width(heading: str, cells: Sequence[str]) -> int:
  return max(len(line) for line in (*heading.split('\n'), *cells))


def write(
  out_dir: pathlib.Path, name: str, frame: pd.DataFrame, figure: figures.Figure
) -> None:
  """Writes `name.csv`, `name.png` and `name.svg`, each whole or not at all.

  Args:
    out_dir: the folder, which exists.
    name: of the files.
    frame: the rows of the table.
    figure: the figure.
  """
  report.write_text(out_dir / f'{name}.csv', tables.csv(frame))
  for suffix in ('.png', '.svg'):
    report.replace(
      out_dir / f'{name}{suffix}', lambda path: figures.save(figure, path)
    )


def _worst(start: xr.Dataset, name: str) -> float:
  """The largest share of a hidden layer, mean over cells; NaN if it has none.

  Args:
    start: a record at one step.
    name: of a variable over cell and layer.
  """
  hidden = start[name].where(start['layer'] <= start['depth'])
  return float(hidden.max('layer').mean())
