"""What preprocessing does to a network: the table, the panels, the verdict.

A frame here is what `comparison.summary` returned of the joined record, with
the axes `preprocessing` and `learning_rate`. Chosen is its best row for each
preprocessing, with the numbers of `jaxdl.data.conditioning` beside it:
`covariance_ratio`, `moment_ratio`, `effective_rank`, `mean_share`,
`largest_eigenvalue`.
"""

from collections.abc import Mapping

from jaxdl.report import comparison
from jaxdl.report import panels
from jaxdl.report import words
import numpy as np
import pandas as pd
import xarray as xr

AXIS = 'preprocessing'
# Columns that are left out first where the table would be too wide.
LEFT_OUT_FIRST = (
  'effective\nrank',
  'dead\n%',
  'largest\neigenvalue',
  'decades\nat start',
  'train\nloss',
  'mean\n%',
)
_RATE = 'learning_rate'
_FEWEST_RANKED = 4  # Preprocessings from which a rank correlation is stated.


def name(value: str) -> str:
  """Returns how a preprocessing is called in tables and figures."""
  return 'none (raw)' if value == 'none' else value


def table(
  chosen: pd.DataFrame, target_loss: float, num_steps: int
) -> dict[str, list[str]]:
  """Returns the columns of the table, one row a preprocessing.

  Args:
    chosen: the best rows.
    target_loss: the training loss to be reached.
    num_steps: of each network.
  """
  columns = {
    'preprocessing': [name(value) for value in chosen[AXIS]],
    'eigenvalue\nratio': [f'{v:.1e}' for v in chosen['moment_ratio']],
    'largest\neigenvalue': [f'{v:.3g}' for v in chosen['largest_eigenvalue']],
    'effective\nrank': [f'{v:.1f}' for v in chosen['effective_rank']],
    'mean\n%': [f'{100 * v:.0f}' for v in chosen['mean_share']],
    'sat\nlayer 1 %': _percents(chosen['saturated_first']),
    'dead\n%': _percents(chosen['dead_start']),
    'decades\nat start': [f'{v:+.1f}' for v in chosen['decades_start']],
    'best\nrate': [f'{v:g}' for v in chosen[_RATE]],
    f'steps to\nloss {target_loss:g}': [
      f'{v:.0f}' if np.isfinite(v) else f'>{num_steps}'
      for v in chosen['steps_to_target']
    ],
    'train\nloss': [
      comparison.with_spread(mean, std, 3)
      for mean, std in zip(chosen['loss_mean'], chosen['loss_std'], strict=True)
    ],
    'test\nacc %': _accuracies(chosen),
  }
  return {k: v for k, v in columns.items() if set(v) - {'-'}}


def figure_panels(
  record: xr.Dataset,
  frame: pd.DataFrame,
  chosen: pd.DataFrame,
  eigenvalues: Mapping[str, np.ndarray],
) -> list[panels.Panel]:
  """Returns the panels of the figure.

  Args:
    record: the joined record.
    frame: every row.
    chosen: the best rows.
    eigenvalues: of the second moment of the first layer's input, descending,
      by preprocessing.
  """
  rows = {row[AXIS]: row for _, row in chosen.iterrows()}
  found = [
    panels.Panel(
      "Second moment of layer 1's input",
      'eigenvalue',
      'share of the largest',
      {name(key): _spectrum(values) for key, values in eigenvalues.items()},
      log_x=True,
      log_y=True,
    ),
    _profile(record, rows, 'cotangent_rms', 'dz/dx at the first step'),
    _profile(record, rows, 'gradient_rms', 'dz/dw at the first step'),
    _saturation(record, rows),
    _curves(record, rows),
  ]
  if frame[_RATE].nunique() > 1:
    found.append(_rates(record, frame, rows, 'test_accuracy'))
  return found


def verdict(
  frame: pd.DataFrame, chosen: pd.DataFrame, target_loss: float
) -> list[str]:
  """Says in words what the numbers say.

  Args:
    frame: every row.
    chosen: the best rows.
    target_loss: the training loss to be reached.
  """
  sentences = [
    _conditioning(chosen),
    _scales(chosen),
    _saturated(chosen),
    _accuracy(chosen),
    _speed(chosen, target_loss),
    _correlation(chosen),
    _shared_rate(frame, chosen),
    _edges(frame, chosen),
  ]
  return [sentence for sentence in sentences if sentence]


def _percents(shares: pd.Series) -> list[str]:
  return ['-' if np.isnan(v) else f'{100 * v:.0f}' for v in shares]


def _accuracies(rows: pd.DataFrame) -> list[str]:
  return [
    comparison.with_spread(100 * mean, 100 * std)
    for mean, std in zip(
      rows['test_accuracy_mean'], rows['test_accuracy_std'], strict=True
    )
  ]


def _spectrum(eigenvalues: np.ndarray) -> panels.Series:
  share = eigenvalues / max(eigenvalues[0], np.finfo(float).tiny)
  share = np.where(share > len(share) * np.finfo(float).eps, share, np.nan)
  return panels.Series(np.arange(1, len(share) + 1), share, share, share)


def _profile(record, rows, variable: str, title: str) -> panels.Panel:
  layer = record['layer'].values[:-1]
  values = record[variable].transpose('cell', 'step', 'layer')[:, 0, :-1]
  return panels.Panel(
    title,
    'layer',
    variable.replace('_', ' '),
    {
      name(key): panels.over_seeds(layer, values[row['cells']])
      for key, row in rows.items()
    },
    log_y=variable.endswith('_rms'),
    marked=len(layer) < 12,
    whole_x=True,
  )


def _saturation(record, rows) -> panels.Panel:
  """Shares of saturated activations; of dead units, where none saturates."""
  if np.isfinite(record['activation_saturated'].values).any():
    return _profile(
      record, rows, 'activation_saturated', 'Saturated at the first step'
    )
  return _profile(record, rows, 'activation_dead', 'Dead at the first step')


def _curves(record, rows) -> panels.Panel:
  loss = record['loss'].transpose('cell', 'step').values
  bins = np.array_split(np.arange(loss.shape[1]), min(loss.shape[1], 60))
  centers = np.array([b.mean() for b in bins])
  binned = np.stack([loss[:, b].mean(1) for b in bins], 1)
  return panels.Panel(
    'Training at the best rate',
    'step',
    'training loss',
    {
      name(key): panels.over_seeds(centers, binned[row['cells']])
      for key, row in rows.items()
    },
    log_y=True,
  )


def _rates(record, frame, rows, variable: str) -> panels.Panel:
  values = record[variable].values
  series = {}
  for key in rows:
    own = frame[frame[AXIS] == key].sort_values(_RATE)
    by_seed = np.stack([values[cells] for cells in own['cells']], 1)
    series[name(key)] = panels.over_seeds(own[_RATE].to_numpy(), by_seed)
  return panels.Panel(
    'Which rates train',
    'learning rate',
    variable.replace('_', ' '),
    series,
    log_x=True,
    marked=True,
  )


def _conditioning(chosen: pd.DataFrame) -> str:
  ratios = chosen['moment_ratio']
  subject = "the second moment of the first layer's input"
  if len(chosen) == 1:
    return (
      f'Under {name(chosen[AXIS].iloc[0])} {subject} has an eigenvalue ratio '
      f'of {ratios.iloc[0]:.1e}.'
    )
  mean = chosen['mean_share'].max()
  return (
    f'{subject.capitalize()} is least uneven under '
    f'{_equal(chosen, ratios, ratios.min())}, with a ratio of largest to '
    f'smallest nonzero eigenvalue of {ratios.min():.1e}, and most under '
    f'{_equal(chosen, ratios, ratios.max())}, with {ratios.max():.1e}. The '
    f"mean has the largest share of the input's power under "
    f'{_equal(chosen, chosen["mean_share"], mean)}: {100 * mean:.0f}%.'
  )


def _scales(chosen: pd.DataFrame) -> str:
  """Names preprocessings whose inputs differ in scale alone."""
  rows = [row for _, row in chosen.iterrows()]
  for i, one in enumerate(rows):
    for other in rows[i + 1 :]:
      large, small = sorted(
        (one, other), key=lambda row: -row['largest_eigenvalue']
      )
      times = np.sqrt(large['largest_eigenvalue'] / small['largest_eigenvalue'])
      same = all(
        np.isclose(one[column], other[column], rtol=1e-3)
        for column in ('moment_ratio', 'effective_rank', 'mean_share')
      )
      if same and times > 1.01:
        return (
          f'The inputs under {name(large[AXIS])} and {name(small[AXIS])} are '
          f'equal up to a factor of {times:.0f}, and so is their conditioning: '
          'only the step size and saturation can tell them apart.'
        )
  return ''


def _equal(chosen: pd.DataFrame, values: pd.Series, value: float) -> str:
  """Lists the preprocessings that have a value, to a percent."""
  same = np.isclose(values, value, rtol=0.01, atol=0)
  return words.listed([name(v) for v in chosen[AXIS][same]])


def _saturated(chosen: pd.DataFrame) -> str:
  shares = chosen['saturated_first']
  if shares.isna().all() or len(chosen) == 1:
    return ''
  most, least = chosen.loc[shares.idxmax()], chosen.loc[shares.idxmin()]
  if most['saturated_first'] < 0.01:
    return 'No preprocessing saturates the first layer at initialization.'
  return (
    f'At initialization {100 * most["saturated_first"]:.0f}% of the first '
    f"layer's activations are saturated under {name(most[AXIS])}, "
    f'{100 * least["saturated_first"]:.1f}% under {name(least[AXIS])}.'
  )


def _accuracy(chosen: pd.DataFrame) -> str:
  ordered = chosen.sort_values('test_accuracy_mean', ascending=False)
  best, worst = ordered.iloc[0], ordered.iloc[-1]
  first, last = _accuracies(ordered)[0], _accuracies(ordered)[-1]
  if len(chosen) == 1:
    return f'Test accuracy: {first}%.'
  gap = best['test_accuracy_mean'] - worst['test_accuracy_mean']
  sentence = (
    f'At the best rate of each, {name(best[AXIS])} has the highest test '
    f'accuracy, {first}%, and {name(worst[AXIS])} the lowest, {last}%'
  )
  spreads = [best['test_accuracy_std'], worst['test_accuracy_std']]
  if np.isnan(spreads).any():
    return f'{sentence}; one seed says nothing of the spread.'
  pooled = float(np.sqrt(np.mean(np.square(spreads))))
  if gap > 2 * pooled:
    return f'{sentence}: more than twice the spread of the seeds apart.'
  return f'{sentence}: no more than twice the spread of the seeds apart.'


def _speed(chosen: pd.DataFrame, target_loss: float) -> str:
  reached = chosen[np.isfinite(chosen['steps_to_target'])]
  reached = reached.sort_values('steps_to_target')
  never = [name(v) for v in chosen[AXIS] if v not in set(reached[AXIS])]
  if reached.empty:
    return (
      f'No preprocessing reaches a training loss of {target_loss:g}; train '
      'longer, or give a larger --target_loss.'
    )
  fastest, slowest = reached.iloc[0], reached.iloc[-1]
  sentence = (
    f'A training loss of {target_loss:g} takes '
    f'{fastest["steps_to_target"]:.0f} steps under {name(fastest[AXIS])}'
  )
  if len(reached) > 1:
    times = slowest['steps_to_target'] / fastest['steps_to_target']
    sentence += f' and {times:.1f} times as many under {name(slowest[AXIS])}'
  if not never:
    return f'{sentence}.'
  verb = 'does' if len(never) == 1 else 'do'
  return f'{sentence}; {words.listed(never)} {verb} not reach it.'


def _correlation(chosen: pd.DataFrame) -> str:
  if len(chosen) < _FEWEST_RANKED:
    return ''
  ranks = chosen[['moment_ratio', 'loss_mean']].rank()
  if (ranks.nunique() < 2).any():
    return ''
  value = ranks.corr().iloc[0, 1]
  follows = (
    'follows the eigenvalue ratio closely'
    if value > 0.8
    else 'follows the eigenvalue ratio in part'
    if value > 0.4
    else 'does not follow the eigenvalue ratio'
  )
  return (
    f'Their order in training loss {follows}: the rank correlation is '
    f'{value:+.2f} over {len(chosen)} preprocessings.'
  )


def _shared_rate(frame: pd.DataFrame, chosen: pd.DataFrame) -> str:
  """Compares the best rates, and says what one rate for all would have said."""
  rates = chosen[_RATE]
  if frame[_RATE].nunique() == 1:
    return (
      f'All were trained at the rate {rates.iloc[0]:g}, which suits some '
      'scales of the input better than others: give --learning_rate a list.'
    )
  if rates.nunique() == 1:
    return f'The best rate is {rates.iloc[0]:g} for all.'
  low, high = chosen.loc[rates.idxmin()], chosen.loc[rates.idxmax()]
  same = frame[(frame[_RATE] == high[_RATE]) & (frame[AXIS] == low[AXIS])]
  accuracy = _accuracies(same)[0]
  return (
    f'The best rate of {name(low[AXIS])} is {low[_RATE]:g}, that of '
    f'{name(high[AXIS])} {high[_RATE]:g}: {high[_RATE] / low[_RATE]:.0f} times '
    f'larger. At {high[_RATE]:g}, {name(low[AXIS])} would have had a test '
    f'accuracy of {accuracy}%: at one rate for all, the rate is compared, not '
    'the preprocessing.'
  )


def _edges(frame: pd.DataFrame, chosen: pd.DataFrame) -> str:
  tried = sorted(frame[_RATE].unique())
  if len(tried) < 2:
    return ''
  lowest = [name(r[AXIS]) for _, r in chosen.iterrows() if r[_RATE] == tried[0]]
  highest = [
    name(r[AXIS]) for _, r in chosen.iterrows() if r[_RATE] == tried[-1]
  ]
  sentences = [
    f'The best rate of {words.listed(who)} is the {which} tried, so a better '
    'one may lie beyond.'
    for who, which in ((lowest, 'least'), (highest, 'largest'))
    if who
  ]
  return ' '.join(sentences)
