"""Leaky ReLU: a way out of the dead zone, at the price of a slope to choose.

Claim: a small slope for negative inputs lets a gradient through to units that
no example activates, so that fewer stay there and training survives rates at
which units of ReLU die; but what comes out is sensitive to the slope.

Source: Maas, Hannun and Ng, 2013 (slope 0.01); Xu et al., 2015,
arXiv:1505.00853 (other slopes).

Rule: at a rate that kills units of ReLU, at least 5 points fewer of the units
are inactive on the whole training set than with ReLU, and test accuracy is at
least 5 points higher, with slopes 0.01, 0.1 and 0.3, with and without clipping;
each slope at its best rate, the standard deviation of test accuracy over slopes
from 0.01 to 0.5 is at least twice that over seeds, and the best slope has at
least 2 points more than the worst, both chosen by the other half of the seeds.
The rate that kills is the smallest at which a quarter of the units of ReLU are
inactive, or else the largest, of those at which the median network of ReLU
stays finite. A network that diverged counts as inactive, and as guessing. (The
first run had no clipping: leaky networks diverged where those of ReLU died,
which is no answer about the dead zone. It chose slopes by the seeds that judged
them, which favours the choice, and rates at which no network diverged, which
are fewer the more seeds there are.)
"""

from collections.abc import Sequence
from typing import Any

from jaxdl import atlas
from jaxdl import laboratory
from jaxdl.data import preprocessing
from jaxdl.data import sources
from jaxdl.report import panels
from matplotlib import figure as figure_lib
import numpy as np
import xarray as xr

_RELU = 0.0  # The slope that makes a leaky ReLU a ReLU, in the same program.
_FOLLOWED = (_RELU, 0.01, 0.1, 0.3)
_LEAKY = _FOLLOWED[1:]
_CLIPS = {'none': 'no clipping', 'norm:1.0': 'clipped at norm 1'}
_KILLED = 0.25  # Share of units.


def measure(
  num_seeds: int,
  *,
  depth: int = 3,
  width: int = 48,
  num_steps: int = 250,
  num_watched_steps: int = 100,
  num_examples: int = 500,
  slopes: Sequence[float] = (0.01, 0.03, 0.1, 0.2, 0.3, 0.5),
  learning_rates: Sequence[float] = (0.03, 0.1, 0.3),
  large_rates: Sequence[float] = (0.1, 0.3, 1.0, 3.0),
) -> xr.Dataset:
  """Follows units at large rates, and trains a sweep of slopes.

  Args:
    num_seeds: networks of each kind.
    depth: hidden layers.
    width: units of a layer.
    num_steps: of training, at least ten.
    num_watched_steps: of training while units are followed.
    num_examples: of the training set while units are followed.
    slopes: of the sweep.
    learning_rates: of the sweep; each slope is reported at its best one.
    large_rates: while units are followed.

  Returns:
    Over `clip`, `followed`, the slopes that are followed, `large_rate` and
    `seed`: `finite`, whether the loss is in the end, `inactive`, the share of
    units then, 1 if not, and `survived`, the test accuracy, that of guessing if
    not. Over `slope` and `seed`: `test_accuracy`.
  """
  dataset = preprocessing.preprocess(sources.load(), 'channel_standard')
  sizes: dict[str, Sequence[Any]] = {
    'depth': [depth],
    'width': [width],
    'batch_size': [64],
    'seed': range(num_seeds),
  }
  few = sources.first(dataset, num_examples)
  watched = laboratory.train(
    {
      'activation': [_named(slope) for slope in _FOLLOWED],
      'clip': list(_CLIPS),
      'learning_rate': large_rates,
      **sizes,
    },
    few,
    num_watched_steps,
    layerwise=False,
    watched=few.train_images,
  )
  swept = laboratory.train(
    {
      'activation': [_named(slope) for slope in slopes],
      'learning_rate': learning_rates,
      **sizes,
    },
    dataset,
    num_steps,
    layerwise=False,
  )
  best = _over_slopes(laboratory.at_best_rate(swept, ['activation']), slopes)
  return _followed(watched, dataset.num_classes).assign(
    test_accuracy=best['test_accuracy']
  )


def _followed(record: xr.Dataset, num_classes: int) -> xr.Dataset:
  axes = ['activation', 'clip', 'learning_rate']
  last = _over_slopes(laboratory.over_axes(record, axes), _FOLLOWED).isel(
    step=-1, drop=True
  )
  finite = np.isfinite(last['loss'])
  return (
    xr.Dataset(
      {
        'finite': finite,
        'inactive': last['inactive'].mean('layer').where(finite, 1.0),
        'survived': last['test_accuracy'].where(finite, 1 / num_classes),
      }
    )
    .rename(slope='followed', learning_rate='large_rate')
    .sel(clip=list(_CLIPS))
  )


def _named(slope: float) -> str:
  return f'leaky_relu:{slope:g}'


def _over_slopes(record: xr.Dataset, slopes: Sequence[float]) -> xr.Dataset:
  """Puts slopes in place of the names of activations, in their order."""
  ordered = record.sel(activation=[_named(slope) for slope in slopes])
  return ordered.rename(activation='slope').assign_coords(slope=list(slopes))


def killing_rate(data: xr.Dataset) -> float:
  """Returns the smallest rate that kills a quarter of the units of ReLU.

  Args:
    data: with `finite` and `inactive`, over `followed`, `large_rate`, `seed`.

  Returns:
    The rate, by the median over seeds, among those at which the median network
    of ReLU stays finite; the largest of these if none kills as many; the
    smallest of all if it diverges at each.
  """
  relu = data.sel(followed=_RELU)
  rates = relu['large_rate']
  stable = rates.where(relu['finite'].mean('seed') > 0.5)
  if stable.isnull().all():
    return rates.min().item()
  kills = stable.where(relu['inactive'].median('seed') >= _KILLED)
  return (stable.max() if kills.isnull().all() else kills.min()).item()


def best_over_worst(accuracy: np.ndarray) -> np.ndarray:
  """Returns how much more the best slope has than the worst, seed by seed.

  Args:
    accuracy: `[seed, slope]`, of two seeds or more.

  Returns:
    The difference, `[seed]`. Slopes are chosen for every second seed by the
    medians over the others, and the other way round: a seed that chose would
    favour its choice.
  """
  gained = np.empty(len(accuracy))
  half = np.arange(len(accuracy)) % 2
  for own in (0, 1):
    middle = np.median(accuracy[half != own], 0)
    judged = accuracy[half == own]
    gained[half == own] = (
      judged[:, middle.argmax()] - judged[:, middle.argmin()]
    )
  return gained


def claims(data: xr.Dataset) -> list[atlas.Claim]:
  """States what is claimed.

  Args:
    data: what `measure` returned.
  """
  fewer, gained = {}, {}
  for clip, words in _CLIPS.items():
    clipped = data.sel(clip=clip)
    at_rate = 100 * clipped[['inactive', 'survived']].sel(
      large_rate=killing_rate(clipped)
    )
    relu = at_rate.sel(followed=_RELU)
    for slope in _LEAKY:
      name = f'slope {slope:g}, {words}'
      leaky = at_rate.sel(followed=slope)
      fewer[name] = (relu['inactive'] - leaky['inactive']).values
      gained[name] = (leaky['survived'] - relu['survived']).values
  points = 100 * data['test_accuracy']
  # The noise is one number, of all seeds; the spread is one of each.
  over_seeds = points.std('seed', ddof=1).mean('slope')
  over_slopes = points.std('slope', ddof=1)
  return [
    atlas.Claim(
      'a slope eases the dead zone',
      'units inactive on the whole training set, fewer than with ReLU, points, '
      'at a rate that kills those',
      atlas.at_least(5),
      fewer,
    ),
    atlas.Claim(
      'it lets a network learn at a rate that kills units of ReLU',
      'test accuracy gained over ReLU, points',
      atlas.at_least(5),
      gained,
    ),
    atlas.Claim(
      'results are sensitive to the slope, more than to the seed',
      'standard deviation of test accuracy over slopes, over that over seeds',
      atlas.at_least(2),
      {'': (over_slopes / over_seeds).values},
    ),
    atlas.Claim(
      'the choice of the slope matters',
      'test accuracy of the best slope, more than of the worst, both chosen by '
      'the other half of the seeds, points',
      atlas.at_least(2),
      {'': best_over_worst(points.transpose('seed', 'slope').values)},
    ),
  ]


def draw(data: xr.Dataset) -> figure_lib.Figure:
  """Draws units and accuracy over large rates, and accuracy over slopes.

  Args:
    data: what `measure` returned.
  """
  names = {
    slope: 'ReLU' if slope == _RELU else f'slope {slope:g}'
    for slope in _FOLLOWED
  }
  swept = 'each slope at its best rate'
  rates = [f'{rate:g}' for rate in data['large_rate'].values]
  over_rates = lambda values: {
    name: panels.over_seeds(
      np.arange(len(rates)),
      100 * values.sel(followed=slope).transpose('seed', 'large_rate').values,
    )
    for slope, name in names.items()
  }
  figures = [
    panels.Panel(
      f'{title}, {words}',
      'learning rate',
      label,
      over_rates(data[name].sel(clip=clip)),
      marked=True,
      ticks=rates,
    )
    for name, title, label in (
      ('inactive', 'Dead zone', '% inactive or diverged'),
      ('survived', 'Result', 'test accuracy, %'),
    )
    for clip, words in _CLIPS.items()
  ]
  sweep = panels.over_seeds(
    data['slope'].values,
    100 * data['test_accuracy'].transpose('seed', 'slope').values,
  )
  figures.append(
    panels.Panel(
      'Sensitivity to the slope',
      'slope',
      'test accuracy, %',
      {swept: sweep},
      marked=True,
    )
  )
  return panels.draw(figures, [*names.values(), swept])


FACT = atlas.Fact(
  formulas=(r'f(x) = x \ (x > 0), \quad f(x) = a x \ (x \leq 0)',),
  measure=measure,
  claims=claims,
  draw=draw,
)
