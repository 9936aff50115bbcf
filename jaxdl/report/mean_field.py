"""Networks at initialization and mean field theory: table, verdict, figure.

A frame here is what `jaxdl.laboratory.agreement.compare` returns.
"""

import math

from jaxdl.report import figures
import matplotlib
from matplotlib import figure as figure_lib
from matplotlib import lines
from matplotlib import ticker
import numpy as np
import pandas as pd
import xarray as xr

WITHIN = 0.02  # Of theory's number, by which a measured one agrees.
_NOISE = 3.0  # Of a normal distribution, in standard deviations.
_LEAST_FACTOR = 1e-2  # Below, a number is written with an exponent.
_LEAST_DECADES = 2.0  # That a panel spans.
_PHASES = ('ordered', 'critical', 'chaotic')
_CONFIGURATION = ['activation', 'weight_std', 'bias_std']
_HEADINGS = {'variance': 'q', 'gradient': 'chi', 'correlation': 'c'}
# Columns that are left out first where the table would be too wide.
LEFT_OUT_FIRST = ('c\n%', 'chi\n%', 'q\n%', 'bias\nstd')


def table(frame: pd.DataFrame) -> dict[str, list[str]]:
  """Returns the columns of the table, one row a configuration.

  A variance that is compared by its growth is written as a factor, `×1.56`.

  Args:
    frame: at least one row.
  """
  first = frame.groupby(_CONFIGURATION, sort=False).first().reset_index()
  columns = {
    'acti-\nvation': [str(v) for v in first['activation']],
    'weight\nstd': [f'{v:.3f}' for v in first['weight_std']],
    'bias\nstd': [f'{v:g}' for v in first['bias_std']],
    'phase': [str(v) for v in first['phase']],
  }
  for quantity, heading in _HEADINGS.items():
    rows = frame[frame['quantity'] == quantity]
    marks = [
      '×' if v and quantity == 'variance' else '' for v in rows['growth']
    ]
    for name, column in (('theory', 'predicted'), ('meas.', 'measured')):
      columns[f'{heading}\n{name}'] = [
        f'{mark}{_number(v)}'
        for mark, v in zip(marks, rows[column], strict=True)
      ]
    columns[f'{heading}\n%'] = [f'{100 * v:+.1f}' for v in rows['relative']]
    columns[f'{heading}\nz'] = [f'{v:+.1f}' for v in rows['z']]
  return columns


def verdict(
  frame: pd.DataFrame, *, width: int, depth: int, num_seeds: int
) -> list[str]:
  """Says in words what the numbers say.

  Args:
    frame: the rows.
    width: of the networks.
    depth: of the networks.
    num_seeds: of each configuration.
  """
  sentences = [
    'q: the variance at rest, or where a network keeps to what it was given '
    'the factor (×) by which a layer multiplies it. chi: the factor of the '
    'squared gradient, back one layer. c: the factor of 1 - c for two inputs of'
    ' correlation c, or of c - c* where c* < 1; xi_c = -1 / ln of it. z: '
    f'standard errors over {num_seeds} seeds from theory.',
    _agreement(frame, num_seeds),
  ]
  return [
    *sentences,
    *_outside(frame, depth / width, num_seeds),
    *_no_chaos(frame),
  ]


def figure(measured: xr.Dataset, predicted: xr.Dataset) -> figure_lib.Figure:
  """Draws what was measured over depth, with theory dashed over it.

  A column a phase, a colour an activation: means over seeds, in a band from the
  16th to the 84th percentile. Gradients are in units of that of the last layer,
  deviations of correlations in units of their start.

  Args:
    measured: what `initialization.measure` returned, along `configuration`.
    predicted: what `mean_field.predict` returned.
  """
  phases = list(dict.fromkeys(predicted['phase'].values.tolist()))
  phases.sort(key=lambda p: _PHASES.index(p) if p in _PHASES else len(_PHASES))
  names = list(dict.fromkeys(predicted['activation'].values.tolist()))
  colors = {
    name: figures.PALETTE[(i + 1) % len(figures.PALETTE)]
    for i, name in enumerate(names)
  }
  with matplotlib.rc_context(figures.STYLE):
    drawn = figure_lib.Figure(
      figsize=(3.3 * len(phases) + 0.6, 7.6), layout='constrained'
    )
    grid = drawn.subplots(3, len(phases), squeeze=False, sharex=True)
    for column, phase in enumerate(phases):
      grid[0, column].set_title(phase)
      grid[2, column].set_xlabel('layer')
      for i in np.flatnonzero(predicted['phase'].values == phase):
        one = predicted.isel(configuration=i)
        name = str(one['activation'].values)
        seeds = measured.isel(configuration=i)
        for axes, profile in zip(
          grid[:, column], _profiles(seeds, one), strict=True
        ):
          _draw(axes, one['layer'].values, profile, colors[name])
    _finish(grid)
    _legend(drawn, colors)
  return drawn


def _number(value: float) -> str:
  if value and abs(value) < _LEAST_FACTOR:
    return f'{value:.1e}'
  digits = 3 - math.floor(math.log10(max(abs(value), 1)))
  return f'{value:.{max(digits, 0)}f}'


def _agreement(frame: pd.DataFrame, num_seeds: int) -> str:
  within = int((frame['relative'].abs() <= WITHIN).sum())
  error = (frame['standard_error'] / frame['predicted'].abs()).median()
  size = float(np.sqrt(np.mean(frame['z'] ** 2)))
  worst = frame.loc[frame['z'].abs().idxmax()]
  free = num_seeds - 1  # Degrees of freedom of Student's t, whose variance is:
  noise = f'{np.sqrt(free / (free - 2)):.2f}' if free > 2 else 'any size'
  return (
    f'{within} of {len(frame)} measured numbers are within {WITHIN:.0%} of '
    f'theory; the median standard error is {100 * error:.2g}% of it. The root '
    f'mean square of z is {size:.2f}, where {noise} is expected of noise '
    f'alone; the largest is {worst["z"]:+.1f} ({_named(worst)}).'
  )


def _named(row: pd.Series) -> str:
  return (
    f'{row["activation"]} {row["weight_std"]:.4g} {row["bias_std"]:g}, '
    f'{row["quantity"]}'
  )


def _outside(
  frame: pd.DataFrame, correction: float, num_seeds: int
) -> list[str]:
  """Says which numbers aren't within reach of theory's, and why."""
  off = frame[~(frame['relative'].abs() <= WITHIN)]
  largest = _most_by_noise(num_seeds - 1)
  noisy = off['z'].abs() <= largest
  sentences = []
  if noisy.any():
    sentences.append(
      f'Outside, but by no more than {largest:.1f} standard errors, as noise '
      f'may be; take more seeds: {_listed(off[noisy])}.'
    )
  if not noisy.all():
    sentences.append(
      'Outside, and not by noise: finite width, whose corrections are of the '
      f'order of depth / width = {correction:.2g}, or a fault; more width '
      f'tells: {_listed(off[~noisy])}.'
    )
  return sentences


def _most_by_noise(freedom: int) -> float:
  """Returns the z of few seeds that is as rare as 3 of a normal distribution.

  By the approximation of Wallace, 1959, "Bounds on normal approximations to
  Student's and the chi-square distributions".

  Args:
    freedom: degrees of freedom of the standard error.
  """
  normal = _NOISE * (8 * freedom + 3) / (8 * freedom + 1)
  return math.sqrt(freedom * math.expm1(normal**2 / freedom))


def _listed(rows: pd.DataFrame) -> str:
  return '; '.join(
    f'{_named(row)} {100 * row["relative"]:+.1f}%' for _, row in rows.iterrows()
  )


def _no_chaos(frame: pd.DataFrame) -> list[str]:
  """Says of which activations `chaotic` isn't what it is of others."""
  found = frame[(frame['phase'] == 'chaotic') & (frame['c_star'] == 1)]
  if found.empty:
    return []
  names = ', '.join(dict.fromkeys(found['activation']))
  return [
    f'Of {names}, chaotic says that gradients explode, with a variance that '
    'grows without bound; correlations tend to 1 all the same.'
  ]


_Profile = tuple[np.ndarray, np.ndarray]  # [seed, layer], [layer]


def _profiles(measured: xr.Dataset, predicted: xr.Dataset) -> list[_Profile]:
  """Returns what the three panels of a column show."""
  measured = measured.transpose('seed', 'layer', 'input')
  gradient = measured['squared_gradient'].values
  gap, expected = measured['gap'].values, predicted['gap'].values
  start = expected[0, 1] - expected[0, 0]
  return [
    (measured['variance'].values, predicted['variance'].values),
    (gradient / gradient[:, -1:], predicted['squared_gradient'].values),
    (
      (gap[..., 1] - gap[..., 0]) / start,
      (expected[:, 1] - expected[:, 0]) / start,
    ),
  ]


def _draw(axes, layer: np.ndarray, profile: _Profile, color: str) -> None:
  seeds, expected = profile
  low, high = np.percentile(seeds, (16, 84), axis=0)
  positive = lambda y: np.where(y > 0, y, np.nan)
  least = expected.min() / 10  # What lies far below would set the scale.
  axes.fill_between(
    layer,
    np.maximum(low, least),
    np.maximum(high, least),
    color=color,
    alpha=0.2,
    lw=0,
  )
  axes.plot(layer, positive(seeds.mean(0)), color=color)
  axes.plot(layer, expected, color='black', ls=(0, (4, 3)), lw=1)


def _finish(grid: np.ndarray) -> None:
  labels = (
    'variance q',
    'squared gradient',
    '|c - c*|, of the first',
  )
  for row, label in zip(grid, labels, strict=True):
    row[0].set_ylabel(label)
    for axes in row:
      axes.set_yscale('log')
      _widen(axes)
      axes.xaxis.set_major_locator(ticker.MaxNLocator(integer=True, nbins=6))


def _widen(axes) -> None:
  """Shows two decades at least, lest fluctuations look like trends."""
  low, high = np.log10(axes.get_ylim())
  missing = max(0.0, _LEAST_DECADES - (high - low)) / 2
  axes.set_ylim(10 ** (low - missing), 10 ** (high + missing))


def _legend(drawn: figure_lib.Figure, colors: dict[str, str]) -> None:
  handles = [
    lines.Line2D([], [], color=color, label=name)
    for name, color in colors.items()
  ]
  theory = lines.Line2D([], [], color='black', ls=(0, (4, 3)), label='theory')
  drawn.legend(
    handles=[*handles, theory],
    loc='outside lower center',
    ncols=min(len(handles) + 1, 6),
  )
