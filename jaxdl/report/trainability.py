"""The map of trainability: accuracy over weight_std and depth, with theory.

Schoenholz et al., 2017, https://arxiv.org/abs/1611.01232, found that a network
trains if it is no deeper than about 6 xi_c, the layers in which the correlation
of two inputs comes to rest. A frame here has one row for each pair of standard
deviations and depth: `bias_std`, `weight_std`, `depth`, `accuracy` (on training
batches of the last steps, mean over seeds), `test_accuracy`, `loss`, `trained`,
and of theory `phase`, `xi_c`, `xi_gradient` and `note`.
"""

import math
from typing import NamedTuple

from jaxdl import theory
from jaxdl.report import words
import numpy as np
import pandas as pd
import xarray as xr

DEPTH_SCALES = 6.0  # Schoenholz et al., 2017.
_KEYS = ['bias_std', 'weight_std', 'depth']
_LAST_STEPS = 20


class Rule(NamedTuple):
  """The rule "a network trains if it is no deeper than k xi_c".

  Attributes:
    k: in the middle, on a scale of logarithms, of those that are right most
      often; NaN if none is right more often than the same word for all.
    low: the least of these; 0 if all networks that it is about failed.
    high: the largest of these; infinite if all of them trained.
    right: how many networks it is right about.
    right_at_6: how many it is right about at k = 6.
    known: networks for which theory has a xi_c.
  """

  k: float
  low: float
  high: float
  right: int
  right_at_6: int
  known: int


class Boundary(NamedTuple):
  """Where theory expects training to fail, at one bias_std.

  Attributes:
    weight_std: `[points]`.
    depth: 6 xi_c, `[points]`; infinite at criticality, NaN where there is none.
    critical: the weight_std where chi_1 = 1; NaN if there is none.
  """

  weight_std: np.ndarray
  depth: np.ndarray
  critical: float


def summary(record: xr.Dataset) -> pd.DataFrame:
  """Returns the frame of a record.

  Args:
    record: with `accuracy` and `loss` over cell and step, and `test_accuracy`
      over cell, of cells that differ in weight_std, bias_std, depth and seed.
  """
  last = record[['accuracy', 'loss']].isel(step=slice(-_LAST_STEPS, None))
  columns = {
    **{name: record[name].values for name in _KEYS},
    'accuracy': last['accuracy'].mean('step').values,
    'loss': last['loss'].mean('step', skipna=False).values,
    'test_accuracy': record['test_accuracy'].values,
  }
  frame = pd.DataFrame(columns).groupby(_KEYS, as_index=False).mean()
  frame['trained'] = frame['accuracy'] >= threshold(record, frame)
  activation = str(record['activation'].values[0])
  pairs = frame[['bias_std', 'weight_std']].drop_duplicates()
  predicted = pd.DataFrame(
    [_predicted(activation, *pair) for pair in pairs.itertuples(index=False)]
  )
  return frame.merge(predicted, on=['bias_std', 'weight_std'])


def threshold(record: xr.Dataset, frame: pd.DataFrame) -> float:
  """Returns the accuracy halfway from chance to the best.

  Args:
    record: its attribute `num_classes` tells what chance is.
    frame: with the accuracies.
  """
  chance = 1 / int(record.attrs['num_classes'])
  return (chance + float(frame['accuracy'].max())) / 2


def _predicted(
  activation: str, bias_std: float, weight_std: float
) -> dict[str, object]:
  field = theory.mean_field(activation, weight_std, bias_std)
  scales = {'xi_c': field.xi_c, 'xi_gradient': field.xi_gradient}
  return {
    'bias_std': bias_std,
    'weight_std': weight_std,
    'phase': field.phase or '',
    **{k: math.nan if v is None else v for k, v in scales.items()},
    'note': field.note,
  }


def boundary(
  activation: str, bias_std: float, weight_stds: np.ndarray, points: int = 40
) -> Boundary:
  """Returns 6 xi_c as a curve.

  Args:
    activation: its specification.
    bias_std: of the biases.
    weight_stds: the curve reaches from the least to the largest.
    points: of the curve, beside those at `weight_stds`.
  """
  try:
    critical = theory.critical_weight_std(activation, bias_std)
  except ValueError:  # There is none.
    critical = math.nan
  fine = np.linspace(min(weight_stds), max(weight_stds), points)
  # The curve is steepest beside the critical point.
  near = critical * (1 + np.outer([-1, 1], np.geomspace(1e-3, 0.1, 8))).ravel()
  near = near[(near > fine[0]) & (near < fine[-1])]
  places = np.unique(np.concatenate([weight_stds, fine, near]))
  scales = [theory.mean_field(activation, w, bias_std).xi_c for w in places]
  depth = [math.nan if xi is None else DEPTH_SCALES * xi for xi in scales]
  return Boundary(places, np.array(depth), critical)


def boundaries(frame: pd.DataFrame, activation: str) -> dict[float, Boundary]:
  """Returns the curve for each bias_std.

  Args:
    frame: what `summary` returned.
    activation: its specification.
  """
  return {
    bias: boundary(activation, bias, np.sort(rows['weight_std'].unique()))
    for bias, rows in frame.groupby('bias_std')
  }


def rule(frame: pd.DataFrame) -> Rule | None:
  """Fits k of "a network trains if it is no deeper than k xi_c".

  Args:
    frame: what `summary` returned.

  Returns:
    The rule; None if theory has no xi_c for any network.
  """
  known = frame[frame['xi_c'].notna()]
  if known.empty:
    return None
  ratio = (known['depth'] / known['xi_c']).to_numpy()  # 0 at criticality.
  trained = known['trained'].to_numpy()
  edges = np.concatenate([[0.0], np.unique(ratio[ratio > 0]), [np.inf]])
  right = np.array(
    [np.sum((ratio <= low) == trained) for low in edges[:-1]], int
  )
  best = np.flatnonzero(right == right.max())
  low, high = float(edges[best[0]]), float(edges[best[-1] + 1])
  tells = right.max() > max(trained.sum(), len(trained) - trained.sum())
  bounded = low > 0 and math.isfinite(high)
  return Rule(
    k=math.sqrt(low * high) if tells and bounded else math.nan,
    low=low,
    high=high,
    right=int(right.max()),
    right_at_6=int(np.sum((ratio <= DEPTH_SCALES) == trained)),
    known=len(known),
  )


def sentences(
  record: xr.Dataset, frame: pd.DataFrame, boundaries: dict[float, Boundary]
) -> list[str]:
  """Says what the map shows.

  Args:
    record: the record.
    frame: its `summary`.
    boundaries: by bias_std.
  """
  least = threshold(record, frame)
  found = [
    f'{frame["trained"].sum()} of {len(frame)} networks train: their accuracy '
    f'on the last {min(_LAST_STEPS, record.sizes["step"])} batches is at least '
    f'{least:.0%}, halfway from chance to the best.'
  ]
  found += [_agreement(frame)]
  found += [_deepest(frame, bias, each) for bias, each in boundaries.items()]
  if not _is_plain(record):
    found.append(
      'The curve is of the plain network: theory here knows of no '
      'normalization or shortcut, and what lies above it trains thanks to them.'
    )
  return [*found, *_notes(frame)]


def _notes(frame: pd.DataFrame) -> list[str]:
  """What is out of the ordinary in theory, and where."""
  noted = frame[frame['note'] != ''].groupby(['bias_std', 'note'])
  return [
    f'At bias_std {bias:.4g} and weight_std '
    f'{words.listed([f"{w:.4g}" for w in rows["weight_std"].unique()])}: {note}'
    for (bias, note), rows in noted
  ]


def _is_plain(record: xr.Dataset) -> bool:
  return {'none'} == {
    *record['norm'].values.astype(str),
    *record['shortcut'].values.astype(str),
  }


def _agreement(frame: pd.DataFrame) -> str:
  fitted = rule(frame)
  if fitted is None:
    return 'Theory has no depth scale xi_c for any of them.'
  share = fitted.right_at_6 / fitted.known
  text = (
    f'"No deeper than 6 xi_c" (Schoenholz et al., 2017) is right about '
    f'{fitted.right_at_6} of {fitted.known} ({share:.0%}).'
  )
  if math.isnan(fitted.k):
    return f'{text} They do not tell which number of xi_c is best.'
  return (
    f'{text} Right most often, about {fitted.right} '
    f'({fitted.right / fitted.known:.0%}), is {fitted.k:.2g} xi_c (from '
    f'{fitted.low:.2g} to {fitted.high:.2g}).'
  )


def _deepest(frame: pd.DataFrame, bias_std: float, curve: Boundary) -> str:
  rows = frame[(frame['bias_std'] == bias_std) & frame['trained']]
  if rows.empty:
    measured = 'none trains'
  else:
    depth = rows['depth'].max()
    stds = rows.loc[rows['depth'] == depth, 'weight_std']
    measured = (
      f'the deepest that trains has {depth} layers, at weight_std '
      f'{words.listed([f"{std:g}" for std in stds])}'
    )
  where = (
    'has no critical weight_std'
    if math.isnan(curve.critical)
    else f'is critical at weight_std {curve.critical:.4g}'
  )
  return f'At bias_std {bias_std:.4g} theory {where}; {measured}.'
