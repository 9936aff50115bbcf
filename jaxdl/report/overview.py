"""The overview: one coloured square a configuration."""

from jaxdl.report import configurations
from matplotlib import figure as figure_lib
import numpy as np
import pandas as pd
import xarray as xr

_MOST_COLUMNS = 16

LETTERS = {
  'healthy': 'H',
  'saturated': 'S',
  'vanishing': 'V',
  'exploding': 'E',
  'dead': 'D',
  'diverged': 'N',
  'unmeasured': '?',
}


def draw(record: xr.Dataset, frame: pd.DataFrame) -> figure_lib.Figure:
  """Draws a map of test accuracy, a letter for the verdict in each square.

  Args:
    record: the record, for its axes.
    frame: its `tables.summary`.

  Returns:
    A figure: rows for the panel axis of the other figures, columns for the
    combinations of the other axes.
  """
  axes = configurations.varying_axes(record)
  row_axis = configurations.panel_axis(record)
  rest = [axis for axis in axes if axis != row_axis]
  rows = configurations.values_of(record, row_axis) if row_axis else ['']
  combinations = configurations.combinations(record, rest)
  names = [configurations.treatment(values) for values in combinations]
  accuracy = np.full((len(rows), len(names)), np.nan)
  verdicts = np.full(accuracy.shape, '', object)
  for _, row in frame.iterrows():
    i = rows.index(row[row_axis]) if row_axis else 0
    j = names.index(configurations.treatment({a: row[a] for a in rest}))
    accuracy[i, j] = row['test_accuracy']
    verdicts[i, j] = row['verdict']
  labels = [configurations.text(value) for value in rows]
  values = [
    [configurations.text(values[axis]) for axis in rest]
    for values in combinations
  ]
  if len(values) > _MOST_COLUMNS:  # Down the page rather than across.
    down = [' · '.join(texts) for texts in values]
    across = [row_axis] if row_axis else []
    return _map(
      accuracy.T, verdicts.T, (down, labels), (' · '.join(rest), across)
    )
  columns = ['\n'.join(texts) for texts in values]
  return _map(accuracy, verdicts, (labels, columns), (row_axis, rest))


def _map(accuracy, verdicts, labels, axis_names) -> figure_lib.Figure:
  rows, columns = ([*map(configurations.verbatim, x)] for x in labels)
  row_axis, rest = axis_names
  widest = max(len(line) for name in columns for line in name.split('\n'))
  width = max(max(0.55, 0.085 * widest + 0.1) * len(columns) + 2.6, 5.0)
  height = 0.4 * len(rows) + 0.16 * len(rest) + 1.2
  figure = figure_lib.Figure(figsize=(width, height), layout='constrained')
  axes = figure.subplots()
  image = axes.imshow(accuracy, cmap='cividis', vmin=0, vmax=1, aspect='auto')
  for (i, j), verdict in np.ndenumerate(verdicts):
    if verdict:
      _write(axes, i, j, accuracy[i, j], LETTERS[verdict])
  axes.set_xticks(range(len(columns)), columns, fontsize=8)
  axes.set_yticks(range(len(rows)), rows)
  axes.tick_params(length=0, pad=4)
  axes.annotate(
    '\n'.join(rest),
    (0, 0),
    (-6, -4),
    'axes fraction',
    'offset points',
    ha='right',
    va='top',
    fontsize=8,
    fontweight='bold',
  )
  axes.set_ylabel(row_axis)
  _rule(axes, accuracy.shape)
  figure.colorbar(image, label='test accuracy', format='{x:.0%}', pad=0.02)
  present = [v for v in LETTERS if v in verdicts]
  key = ', '.join(f'{LETTERS[v]} {v}' for v in present)
  figure.suptitle(f'Test accuracy in %, and verdict: {key}', fontsize=10)
  return figure


def _write(axes, i: int, j: int, accuracy: float, letter: str) -> None:
  known = not np.isnan(accuracy)
  axes.text(
    j,
    i,
    f'{100 * accuracy:.0f} {letter}' if known else letter,
    ha='center',
    va='center',
    fontsize=9,
    color='white' if known and accuracy < 0.55 else 'black',
  )


def _rule(axes, shape: tuple[int, ...]) -> None:
  """Draws white lines between the squares."""
  axes.set_xticks(np.arange(1, shape[1]) - 0.5, minor=True)
  axes.set_yticks(np.arange(1, shape[0]) - 0.5, minor=True)
  axes.grid(which='minor', color='white', linewidth=2)
  axes.grid(which='major', visible=False)
  axes.tick_params(which='minor', length=0)
  axes.spines[:].set_visible(False)
