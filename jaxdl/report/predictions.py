"""Predictions: what theory says of the first step of a record.

Of each configuration the profile that `jaxdl.theory` predicts of infinitely
wide layers: the cotangent from what was measured at the last hidden layer, so
that the way back is compared, and the activation from that of the first one.
"""

from collections import Counter
import functools
from typing import NamedTuple

from jaxdl import diagnosis as diagnosis_lib
from jaxdl import theory
from jaxdl.report import configurations
from jaxdl.report import words
import numpy as np
import pandas as pd
import xarray as xr

LABEL = 'theory, infinite width'

_NAMED = (
  'model', 'activation', 'norm', 'shortcut', 'init', 'bias_std', 'depth',
  'batch_size',
)  # fmt: skip
_UNDERFLOW = diagnosis_lib.Thresholds().underflow
_LEAST_LAYERS = 3  # For a slope and what it leaves.


class Prediction(NamedTuple):
  """What theory says of a configuration at the first step.

  Attributes:
    profiles: by the name of a variable of the record, `[layer]` without the
      readout, NaN past the last hidden layer; empty where there is no theory.
    rate: slope of the logarithm of the cotangent's rms, in decades a layer,
      going backward, over the layers where that was measured; NaN if unknown.
    reason: why there is no theory, in words; empty if there is.
  """

  profiles: dict[str, np.ndarray]
  rate: float
  reason: str


def predictions(record: xr.Dataset, frame: pd.DataFrame) -> list[Prediction]:
  """Predicts the first step of each configuration.

  Args:
    record: a record (see `docs/architecture.md`).
    frame: its `tables.summary`.

  Returns:
    One for each row of the summary.
  """
  return [_prediction(record, row) for _, row in frame.iterrows()]


def comparison(
  diagnosis: xr.Dataset, frame: pd.DataFrame, predicted: list[Prediction]
) -> words.Passage:
  """Says how far the measured rates are from the predicted ones.

  Args:
    diagnosis: what `jaxdl.diagnose` returned.
    frame: its `tables.summary`.
    predicted: what `predictions` returned for it.

  Returns:
    A passage; its text is empty where nothing is predicted.
  """
  rates = np.array([each.rate for each in predicted])
  measured = frame['rate_start'].values
  off = np.abs(rates - measured)
  known = np.isfinite(off)
  if not known.any():
    return words.Passage('')
  worst = int(np.nanargmax(np.where(known, off, np.nan)))
  axes = configurations.varying_axes(diagnosis)
  name = configurations.label({axis: frame[axis].iloc[worst] for axis in axes})
  where = f' ({name})' if axes else ''
  text = (
    'Theory of infinitely wide layers predicts how the cotangent changes from '
    'layer to layer at the first step, going backward, in '
    f'{known.sum()} of {len(frame)} configurations. '
  )
  if known.sum() > 1:
    median = np.median(off[known])
    text += (
      f'The median difference is {median:.3f} decades a layer, the largest'
    )
  else:
    text += 'The difference, in decades a layer, is'
  text += (
    f' {off[worst]:.3f}{where}: {rates[worst]:+.3f} predicted, '
    f'{measured[worst]:+.3f} measured.'
  )
  reasons = Counter(each.reason for each in predicted if each.reason)
  return words.Passage(
    text, [f'Not in {count}: {reason}' for reason, count in reasons.items()]
  )


def _prediction(record: xr.Dataset, row: pd.Series) -> Prediction:
  profile, reason = _profile(record, row)
  if profile is None:
    return Prediction({}, np.nan, reason)
  depth = int(row['depth'])
  start = record.isel(cell=row['cells'], step=0)
  cotangent = _median(start['cotangent_rms'])[:depth]
  largest = _median(start['cotangent_max_abs'])[:depth]
  absolute = profile.cotangent_rms * cotangent[-1]
  past = np.full(record.sizes['layer'] - 1 - depth, np.nan)
  usable = np.isfinite(largest) & (largest >= _UNDERFLOW)
  rate = np.nan
  if usable.sum() >= _LEAST_LAYERS:
    layer = np.arange(depth)[usable]
    rate = -np.polyfit(layer, profile.log10_cotangent_rms[usable], 1)[0]
  profiles = {
    'cotangent_rms': absolute,
    'activation_std': profile.activation_std,
  }
  profiles = {k: np.concatenate([v, past]) for k, v in profiles.items()}
  return Prediction(profiles, rate, '')


def _profile(record: xr.Dataset, row: pd.Series) -> theory.Prediction:
  """Predicts the profile of a configuration, from its axes."""
  unnamed = [name for name in _NAMED if name not in row]
  if unnamed:
    return theory.Prediction(
      None, f'The record does not name its {words.listed(unnamed)}.'
    )
  if row['model'] != 'mlp':
    return theory.Prediction(
      None, f'There is no prediction of model={row["model"]}.'
    )
  if 'weight_std' in row:
    weight_std = float(row['weight_std'])
  else:
    weight_std = theory.hidden_weight_std(row['init'])
  variance = None
  if row['norm'] == 'none':
    first = record['activation_std'].isel(cell=row['cells'], step=0, layer=0)
    std = float(np.median(first))
    if not 0 < std < np.inf:
      return theory.Prediction(None, 'The first layer has no spread.')
    variance = _variance(row['activation'], std)
    if variance is None:
      return theory.Prediction(
        None, 'The first layer has a spread that no Gaussian explains.'
      )
  return _predict(
    depth=int(row['depth']),
    activation=row['activation'],
    norm=row['norm'],
    shortcut=row['shortcut'],
    weight_std=weight_std,
    bias_std=float(row['bias_std']),
    batch_size=int(row['batch_size']),
    first_variance=variance,
  )


# A report asks again for each of its parts, and configurations that differ in
# clipping alone ask for the same.
_predict = functools.lru_cache(maxsize=1024)(theory.predict)
_variance = functools.lru_cache(maxsize=1024)(theory.variance_of)


def _median(values: xr.DataArray) -> np.ndarray:
  """The median over cells, layer by layer."""
  return np.median(values.transpose('cell', 'layer').values, axis=0)
