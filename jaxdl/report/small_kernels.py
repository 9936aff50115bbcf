"""What small kernels change: the table, the panels, the verdict.

Chosen here are the rows of `comparison.best`, one for each kind of block in the
order that was asked for, with these columns beside them: `parameters`, `macs`,
`field` (pixels, in theory), `effective_size`, `step_seconds` and its `_min` and
`_max`. The first kind is what the others are held against.
"""

from collections.abc import Mapping

from jaxdl.report import comparison
from jaxdl.report import panels
import numpy as np
import pandas as pd
import xarray as xr

AXIS = 'kernels'
# Columns that are left out first where the table would be too wide.
LEFT_OUT_FIRST = (
  'best\nrate',
  'decades\nat start',
  'train\nloss',
)
_TIMES = {'parameters': 'parameters', 'macs': 'MACs', 'step_seconds': 'time'}


def effective_size(profiles: np.ndarray) -> float:
  """Returns the width of a field, in which all pixels matter alike, as spread.

  A field of n pixels that all matter alike has the variance (n^2 - 1) / 12.

  Args:
    profiles: how much each pixel along an axis matters, `[seed, pixel]`.

  Returns:
    Pixels, from the mean profile.
  """
  share = profiles.mean(0) / profiles.mean(0).sum()
  pixel = np.arange(len(share))
  variance = np.sum(share * (pixel - np.sum(share * pixel)) ** 2)
  return float(np.sqrt(12 * variance + 1))


def table(
  chosen: pd.DataFrame, target_loss: float, num_steps: int
) -> dict[str, list[str]]:
  """Returns the columns of the table, one row a kind of block.

  Args:
    chosen: the rows.
    target_loss: the training loss to be reached.
    num_steps: of each network.
  """
  return {
    'kernels': [str(v) for v in chosen[AXIS]],
    'param-\neters': [f'{v:,}' for v in chosen['parameters']],
    'MACs\n1e6': [f'{v / 1e6:.2f}' for v in chosen['macs']],
    'step\nms': [f'{1e3 * v:.1f}' for v in chosen['step_seconds']],
    'field\npixels': [f'{v:g}' for v in chosen['field']],
    'in\neffect': [f'{v:.1f}' for v in chosen['effective_size']],
    'decades\nat start': [f'{v:+.2f}' for v in chosen['decades_start']],
    'best\nrate': [f'{v:g}' for v in chosen['learning_rate']],
    f'steps to\nloss {target_loss:g}': [
      f'{v:.0f}' if np.isfinite(v) else f'>{num_steps}'
      for v in chosen['steps_to_target']
    ],
    'train\nloss': [
      comparison.with_spread(mean, std, 3)
      for mean, std in zip(chosen['loss_mean'], chosen['loss_std'], strict=True)
    ],
    'test\nacc %': [_accuracy(row) for _, row in chosen.iterrows()],
  }


def figure_panels(
  record: xr.Dataset, chosen: pd.DataFrame, seen: Mapping[str, np.ndarray]
) -> list[panels.Panel]:
  """Returns the panels of the figure.

  Args:
    record: the record.
    chosen: the rows.
    seen: how much each pixel along an axis matters, `[seed, pixel]`, by kind.
  """
  rows = {row[AXIS]: row for _, row in chosen.iterrows()}
  return [
    _costs(chosen),
    panels.Panel(
      'Test accuracy',
      'kernels',
      'test accuracy',
      {
        kind: panels.over_seeds(
          np.array([i]), record['test_accuracy'].values[row['cells']][:, None]
        )
        for i, (kind, row) in enumerate(rows.items())
      },
      marked=True,
      ticks=tuple(rows),
    ),
    _curves(record, rows),
    panels.Panel(
      'Effective field at initialization',
      'pixels from the middle',
      'share of the largest',
      {kind: _centred(profiles) for kind, profiles in seen.items()},
    ),
    _profile(record, rows, 'cotangent_rms', 'dz/dx at the first step', 0),
    _profile(record, rows, 'cotangent_rms', 'dz/dx at the last step', -1),
  ]


def verdict(chosen: pd.DataFrame) -> list[str]:
  """Says in words what the numbers say.

  Args:
    chosen: the rows.
  """
  first = chosen.iloc[0]
  others = [row for _, row in chosen.iloc[1:].iterrows()]
  sentences = [_fields(chosen)]
  sentences += [_cost(first, other) for other in others]
  sentences += [_gain(first, other) for other in others]
  return [*sentences, _gradients(chosen)]


def _accuracy(row: pd.Series) -> str:
  return comparison.with_spread(
    100 * row['test_accuracy_mean'], 100 * row['test_accuracy_std']
  )


def _costs(chosen: pd.DataFrame) -> panels.Panel:
  series = {}
  x = np.arange(len(_TIMES))
  for _, row in chosen.iterrows():
    ratios, low, high = (
      np.array([row[c] / chosen[c].iloc[0] for c in _TIMES]) for _ in range(3)
    )
    step = chosen['step_seconds'].iloc[0]
    low[-1] = row['step_seconds_min'] / step
    high[-1] = row['step_seconds_max'] / step
    series[row[AXIS]] = panels.Series(x, ratios, low, high)
  return panels.Panel(
    'Cost',
    'of a network, a forward pass, a training step',
    f'times that of {chosen[AXIS].iloc[0]}',
    series,
    marked=True,
    ticks=tuple(_TIMES.values()),
  )


def _curves(record, rows) -> panels.Panel:
  loss = record['loss'].transpose('cell', 'step').values
  bins = np.array_split(np.arange(loss.shape[1]), min(loss.shape[1], 40))
  centers = np.array([b.mean() for b in bins])
  binned = np.stack([loss[:, b].mean(1) for b in bins], 1)
  return panels.Panel(
    'Training at the best rate',
    'step',
    'training loss',
    {
      kind: panels.over_seeds(centers, binned[row['cells']])
      for kind, row in rows.items()
    },
    log_y=True,
  )


def _centred(profiles: np.ndarray) -> panels.Series:
  """Offsets from the middle of what is seen, in shares of the largest."""
  share = profiles / np.max(profiles.mean(0))
  pixel = np.arange(profiles.shape[1])
  seen = np.flatnonzero(profiles.mean(0))
  offset = pixel - (seen[0] + seen[-1]) / 2
  return panels.over_seeds(offset, share)


def _profile(record, rows, variable, title: str, step: int) -> panels.Panel:
  layer = record['layer'].values[:-1]
  values = record[variable].transpose('cell', 'step', 'layer')[:, step, :-1]
  return panels.Panel(
    title,
    'layer (the stem, then the blocks)',
    variable.replace('_', ' '),
    {
      kind: panels.over_seeds(layer, values[row['cells']])
      for kind, row in rows.items()
    },
    log_y=True,
    marked=len(layer) < 12,
    whole_x=True,
  )


def _fields(chosen: pd.DataFrame) -> str:
  effects = ', '.join(
    f'{row["effective_size"]:.1f} ({row[AXIS]})' for _, row in chosen.iterrows()
  )
  if chosen['field'].nunique() == 1:
    theory = f'Every kind sees {chosen["field"].iloc[0]:g} pixels in theory'
  else:
    theory = 'The kinds see unequal fields in theory, ' + ', '.join(
      f'{row["field"]:g} ({row[AXIS]})' for _, row in chosen.iterrows()
    )
  return (
    f'{theory}; at initialization they matter as evenly as these many would if '
    f'all mattered alike: {effects}.'
  )


def _cost(first: pd.Series, other: pd.Series) -> str:
  parameters, macs, step = (other[c] / first[c] for c in _TIMES)
  speed = macs / step
  faster = 'as fast'
  if speed > 1.1:
    faster = f'{speed:.2f} times faster'
  elif speed < 0.9:
    faster = f'{1 / speed:.2f} times slower'
  return (
    f'{other[AXIS]} has {parameters:.2f} times the parameters of {first[AXIS]} '
    f'and {macs:.2f} times the multiply-accumulates; a step takes {step:.2f} '
    f'times as long: a multiply-accumulate is {faster}.'
  )


def _gain(first: pd.Series, other: pd.Series) -> str:
  gap = other['test_accuracy_mean'] - first['test_accuracy_mean']
  sentence = (
    f'{other[AXIS]} has a test accuracy of {_accuracy(other)}%, {first[AXIS]} '
    f'of {_accuracy(first)}%'
  )
  spreads = [first['test_accuracy_std'], other['test_accuracy_std']]
  if np.isnan(spreads).any():
    return f'{sentence}; one seed says nothing of the spread.'
  if abs(gap) <= 2 * np.sqrt(np.mean(np.square(spreads))):
    return f'{sentence}: no more than twice the spread of the seeds apart.'
  return f'{sentence}: {"better" if gap > 0 else "worse"} beyond the spread.'


def _gradients(chosen: pd.DataFrame) -> str:
  decades = ', '.join(
    f'{row["decades_start"]:+.2f} ({row[AXIS]})' for _, row in chosen.iterrows()
  )
  return (
    'Decades that the gradient gains from the last block back to the stem at '
    f'the first step: {decades}; a block of more convolutions has more factors.'
  )
