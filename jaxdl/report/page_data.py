"""The page's data: a record thinned and packed to a few megabytes.

An array becomes unsigned integers, little-endian, in base64. Three codes are
names: 0 for no value (past a cell's depth or its last step), 1 for zero, 2 for
a NaN or an infinity. The rest divide the array's range evenly, in the logarithm
where that is what is shown.
"""

import base64
from typing import Any

from jaxdl.report import configurations
from jaxdl.report import predictions
from jaxdl.report import tables
import numpy as np
import pandas as pd
import xarray as xr

_MOST_STEPS = 48
_MOST_VALUES = 3_000_000  # Over all statistics; two bytes each, then base64.
_MOST_CURVE_STEPS = 200
_NAMED_CODES = 3

# By name: a label, and whether its logarithm is shown.
STATISTICS = {
  'cotangent_rms': ('Cotangent rms', True),
  'gradient_norm': ('Gradient norm', True),
  'update_ratio': ('Update over weights', True),
  'activation_std': ('Activation std', True),
  'activation_max_abs': ('Activation largest', True),
  'activation_dead': ('Dead units', False),
  'activation_saturated': ('Saturated activations', False),
}
CURVES = {
  'loss': ('Training loss', True),
  'accuracy': ('Training accuracy', False),
  'global_gradient_norm': ('Gradient norm, all layers', True),
}


def collect(
  record: xr.Dataset, diagnosis: xr.Dataset, frame: pd.DataFrame
) -> dict[str, Any]:
  """Collects what the page's script reads, ready for JSON.

  Args:
    record: a record (see `docs/architecture.md`).
    diagnosis: what `jaxdl.diagnose` says of it.
    frame: its `tables.summary`.

  Raises:
    ValueError: the record lacks a variable that the page shows.
  """
  missing = sorted({*STATISTICS, *CURVES} - set(record.data_vars))
  if missing:
    raise ValueError(
      f'The record lacks {", ".join(missing)}; docs/architecture.md lists the '
      'variables of a record.'
    )
  steps = _thin_steps(record)
  axes = configurations.varying_axes(record)
  row_axis = configurations.panel_axis(record)
  bins = np.array_split(
    np.arange(record.sizes['step']),
    min(_MOST_CURVE_STEPS, record.sizes['step']),
  )
  per_layer = {name: _per_layer(record, name, steps) for name in STATISTICS}
  return {
    'axes': [
      {
        'name': axis,
        'values': [
          configurations.text(value)
          for value in configurations.values_of(record, axis)
        ],
      }
      for axis in axes
    ],
    'rowAxis': row_axis,
    'configurations': [
      _configuration(row, axes)
      | _theory(prediction)
      | {'ranges': _ranges(per_layer, row)}
      for (_, row), prediction in zip(
        frame.iterrows(), predictions.predictions(record, frame), strict=True
      )
    ],
    'theoryLabel': predictions.LABEL,
    'cells': _cells(record),
    'steps': record['step'].values[steps].tolist(),
    'curveSteps': [float(record['step'].values[b].mean()) for b in bins],
    'layers': record['layer'].values.tolist(),
    'statistics': [
      {'name': name, 'label': label, 'log': log} | pack(per_layer[name], log)
      for name, (label, log) in STATISTICS.items()
    ],
    'curves': [
      {'name': name, 'label': label, 'log': log}
      | pack(_per_step(record, name, bins), log)
      for name, (label, log) in CURVES.items()
    ],
  }


def pack(values: np.ma.MaskedArray, log: bool) -> dict[str, Any]:
  """Packs an array; masked entries are those without a value.

  Args:
    values: nonnegative numbers.
    log: whether to divide the range of the logarithm evenly, in 16 bits, or
      that of the values, in 8.

  Returns:
    `low`, `high`: the ends of the range; `bytes` of one integer; `data`, the
    integers in base64.
  """
  dtype = np.dtype('<u2' if log else 'u1')
  mask = np.ma.getmaskarray(values)
  raw = values.filled(np.nan)
  known = np.isfinite(raw) & ((raw > 0) if log else True)
  scaled = np.log10(raw, where=known, out=np.zeros_like(raw)) if log else raw
  low, high = (0.0, 1.0)
  if known.any():
    low, high = float(scaled[known].min()), float(scaled[known].max())
  most = np.iinfo(dtype).max - _NAMED_CODES
  unit = most / (high - low) if high > low else 0.0
  codes = np.full(raw.shape, 2, dtype)
  codes[known] = np.rint((scaled[known] - low) * unit) + _NAMED_CODES
  codes[raw == 0] = 1
  codes[mask] = 0
  data = base64.b64encode(codes.tobytes()).decode('ascii')
  return {'low': low, 'high': high, 'bytes': dtype.itemsize, 'data': data}


def _thin_steps(record: xr.Dataset) -> np.ndarray:
  """Chooses steps: the first and the last, and closer together at first."""
  total = record.sizes['step']
  per_step = record.sizes['cell'] * record.sizes['layer'] * len(STATISTICS)
  count = min(_MOST_STEPS, max(_MOST_VALUES // per_step, 4), total)
  # Half of them evenly spaced, half in the logarithm.
  even = np.linspace(0, total - 1, count - count // 2)
  early = np.geomspace(1, total, count // 2 + 1) - 1
  return np.unique(np.rint(np.concatenate([even, early])).astype(int))


def _recorded(record: xr.Dataset) -> np.ndarray:
  step = np.arange(record.sizes['step'])
  return step < record['steps_done'].values[:, None]


def _per_layer(
  record: xr.Dataset, name: str, steps: np.ndarray
) -> np.ma.MaskedArray:
  values = record[name].transpose('cell', 'step', 'layer').values[:, steps]
  recorded = _recorded(record)[:, steps, None]
  depth = record['depth'].values[:, None, None]
  exists = record['layer'].values <= depth + 1
  absent = ~(recorded & exists)
  if name == 'activation_saturated':
    absent = absent | np.isnan(values)  # The activation has no flat end.
  return np.ma.array(values.astype(float), mask=absent)


def _per_step(
  record: xr.Dataset, name: str, bins: list[np.ndarray]
) -> np.ma.MaskedArray:
  values = record[name].transpose('cell', 'step').values.astype(float)
  values = np.ma.array(values, mask=~_recorded(record))
  return np.ma.stack([values[:, b].mean(axis=1) for b in bins], axis=1)


def _configuration(row: pd.Series, axes: list[str]) -> dict[str, Any]:
  numbers = {}
  for name in tables.NUMBERS:
    values = [row[name], row[f'{name}_min'], row[f'{name}_max']]
    numbers[name] = [_number(value) for value in values]
  return {
    'values': {axis: configurations.text(row[axis]) for axis in axes},
    'cells': row['cells'],
    'seeds': int(row['seeds']),
    'verdict': row['verdict'],
    'verdictSeeds': int(row['verdict_seeds']),
    'verdictStart': row['verdict_start'],
    'learnedSeeds': int(row['learned_seeds']),
    'boundStart': bool(row['bound_start']),
    'boundEnd': bool(row['bound_end']),
    'direction': row['nonfinite_direction'],
    'numbers': numbers,
  }


def _theory(prediction: predictions.Prediction) -> dict[str, Any]:
  """Writes what is predicted of the first step; nothing of the readout."""
  profiles = {
    name: [_number(value) for value in values]
    for name, values in prediction.profiles.items()
    if name in STATISTICS
  }
  return {'theory': profiles, 'theoryRate': _number(prediction.rate)}


def _ranges(
  per_layer: dict[str, np.ma.MaskedArray], row: pd.Series
) -> dict[str, list[float]]:
  """The ends of what is shown in the logarithm, as powers of ten.

  One that diverged is drawn to scale at the first step alone, lest it flatten
  all others.
  """
  steps = slice(0, 1 if row['verdict'] == 'diverged' else None)
  ranges = {}
  for name, (_, log) in STATISTICS.items():
    values = per_layer[name][row['cells'], steps].compressed()
    values = values[(values > 0) & np.isfinite(values)]
    if log and len(values):
      ends = np.log10([values.min(), values.max()])
      ranges[name] = [round(float(end), 3) for end in ends]
  return ranges


def _number(value: float) -> float | str | None:
  """JSON has no infinity: its sign is written as text."""
  if np.isnan(value):
    return None
  if np.isinf(value):
    return '-inf' if value < 0 else 'inf'
  return float(f'{value:.5g}')


def _cells(record: xr.Dataset) -> list[str]:
  """Names each cell among those of its configuration."""
  if configurations.SEED not in record.coords:
    return [f'cell {i}' for i in range(record.sizes['cell'])]
  return [f'seed {configurations.text(v)}' for v in record['seed'].values]
