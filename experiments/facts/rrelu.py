"""RReLU: random slopes in training, a fixed one at test.

Claim: RReLU draws the slope of each negative input at random in training and
takes their mean at test; the noise regularizes.

Source: Xu, Wang, Chen and Li, 2015, arXiv:1505.00853: negative inputs are
divided by a ~ U(3, 8) in training and by 11/2 at test. (Often told as slopes
that are uniform, and their mean, which is another function; PyTorch has that.)

Rule: in float64 what 100,000 negative inputs are divided by, and their slopes,
are at most 0.01 from uniform (the Kolmogorov-Smirnov distance) on (3, 8) and
(1/8, 1/3); at test the divisor differs by at most 1% from the mean divisor, and
the slope from the mean slope; on 500 examples, each at its best rate, the
training accuracy of RReLU at test exceeds its test accuracy by at least 1 point
less than that of leaky ReLU of the same slope, 2/11, does, and its test
accuracy is at most 1 point lower: a gap alone may be a worse fit.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxdl import activations
from jaxdl import atlas
from jaxdl import laboratory
from jaxdl.data import preprocessing
from jaxdl.data import sources
from jaxdl.double_precision import double_precision
from jaxdl.report import figures
from jaxdl.report import panels
import matplotlib
from matplotlib import figure as figure_lib
import numpy as np
from scipy import stats
import xarray as xr

_LEAST, _GREATEST = 3.0, 8.0  # Divisors.
_MEAN = (_LEAST + _GREATEST) / 2
_NAMES = {'rrelu': 'RReLU', f'leaky_relu:{1 / _MEAN:.6g}': 'leaky ReLU'}
_KINDS = ('divisor', 'slope')
_NUM_DRAWN = 100_000


def measure(
  num_seeds: int,
  *,
  depth: int = 6,
  width: int = 48,
  num_steps: int = 400,
  num_examples: int = 500,
  learning_rates: Sequence[float] = (0.01, 0.03, 0.1),
) -> xr.Dataset:
  """Draws slopes, and trains RReLU and leaky ReLU on little data.

  Args:
    num_seeds: of draws, and networks of each kind.
    depth: hidden layers.
    width: units of a layer.
    num_steps: of training, at least ten.
    num_examples: of the training set.
    learning_rates: each kind is reported at its best one.

  Returns:
    Over `kind` (the divisor and the slope of negative inputs) and `seed`:
    `distance`, that of Kolmogorov and Smirnov from the uniform distribution;
    `off_mean`, by how much what is taken at test is off the mean in training,
    relative; over `quantile` too, `quantiles`. Over `activation` and `seed`:
    `train_accuracy` and `test_accuracy`, both as at test.
  """
  dataset = preprocessing.preprocess(sources.load(), 'channel_standard')
  record = laboratory.train(
    {
      'activation': list(_NAMES),
      'optimizer': ['momentum'],
      'clip': ['norm:1.0'],  # So that no network diverges.
      'learning_rate': list(learning_rates),
      'depth': [depth],
      'width': [width],
      'batch_size': [64],
      'seed': range(num_seeds),
    },
    sources.first(dataset, num_examples),
    num_steps,
    layerwise=False,
    evaluate=laboratory.on_both_splits,
  )
  best = laboratory.at_best_rate(record, ['activation'])
  with double_precision():
    drawn = [_draw(seed) for seed in range(num_seeds)]
  accuracies = best[['train_accuracy', 'test_accuracy']].drop_attrs()
  return accuracies.sel(activation=list(_NAMES)).merge(
    xr.concat(drawn, 'seed').assign_coords(seed=range(num_seeds))
  )


def _draw(seed: int) -> xr.Dataset:
  rng = np.random.default_rng(seed)
  x = jnp.asarray(-rng.exponential(size=_NUM_DRAWN))
  slope, at_test = (
    np.asarray(activations.rrelu(x, key=key) / x)
    for key in (jax.random.key(seed), None)
  )
  taken = {'slope': (slope, at_test), 'divisor': (1 / slope, 1 / at_test)}
  ends = {'slope': (1 / _GREATEST, 1 / _LEAST), 'divisor': (_LEAST, _GREATEST)}
  quantile = np.linspace(0, 1, 101)
  found: dict[str, list[Any]] = {
    'distance': [],
    'off_mean': [],
    'quantiles': [],
  }
  for kind in _KINDS:
    training, test = taken[kind]
    low, high = ends[kind]
    unit = (training - low) / (high - low)
    found['distance'].append(stats.kstest(unit, 'uniform').statistic)
    found['off_mean'].append(np.abs(test / training.mean() - 1).max())
    found['quantiles'].append(np.quantile(unit, quantile))
  dims = {'quantiles': ('kind', 'quantile')}
  return xr.Dataset(
    {name: (dims.get(name, ('kind',)), x) for name, x in found.items()},
    {'kind': list(_KINDS), 'quantile': quantile},
  )


def claims(data: xr.Dataset) -> list[atlas.Claim]:
  """States what is claimed.

  Args:
    data: what `measure` returned.
  """
  by_kind = lambda name, scale: {
    f'the {kind}': scale * data[name].sel(kind=kind).values for kind in _KINDS
  }
  accuracies = 100 * data[['train_accuracy', 'test_accuracy']]
  random, fixed = (accuracies.sel(activation=name) for name in _NAMES)
  less = fixed - random
  gap = less['train_accuracy'] - less['test_accuracy']
  return [
    atlas.Claim(
      'what is drawn in training is uniform',
      'Kolmogorov-Smirnov distance from the uniform distribution, of 100,000 '
      'draws',
      atlas.at_most(0.01),
      by_kind('distance', 1),
      every=True,
    ),
    atlas.Claim(
      'at test its mean is taken',
      'what is taken at test, off the mean in training, percent',
      atlas.at_most(1),
      by_kind('off_mean', 100),
      every=True,
    ),
    atlas.Claim(
      'random slopes regularize',
      'gap of training and test accuracy, less than of leaky ReLU, points',
      atlas.at_least(1),
      {'': gap.values},
    ),
    atlas.Claim(
      'random slopes cost no test accuracy',
      'test accuracy, less than of leaky ReLU, points',
      atlas.at_most(1),
      {'': less['test_accuracy'].values},
    ),
  ]


def draw(data: xr.Dataset) -> figure_lib.Figure:
  """Draws both distributions, and accuracy on small data.

  Args:
    data: what `measure` returned.
  """
  splits = {'train': 'training set', 'test': 'test set'}
  with matplotlib.rc_context(figures.STYLE):
    figure = figure_lib.Figure(figsize=(7.0, 3.3), layout='constrained')
    drawn, accuracy = figure.subplots(1, 2)
    colors = iter(figures.PALETTE)
    for kind in _KINDS:
      quantiles = data['quantiles'].sel(kind=kind).median('seed')
      drawn.plot(
        quantiles, data['quantile'], color=next(colors), label=f'the {kind}'
      )
    drawn.plot([0, 1], [0, 1], color='#555555', ls='--', label='uniform')
    drawn.set_title('What is drawn in training')
    drawn.set_xlabel('place between least and greatest')
    drawn.set_ylabel('share of draws below')
    for i, (name, label) in enumerate(_NAMES.items()):
      values = [
        100 * data[f'{split}_accuracy'].sel(activation=name).values
        for split in splits
      ]
      series = panels.over_seeds(
        np.arange(2) + 0.2 * i - 0.1, np.array(values).T
      )
      accuracy.errorbar(
        series.x,
        series.middle,
        [series.middle - series.low, series.high - series.middle],
        fmt='o',
        markersize=4,
        color=next(colors),
        label=label,
      )
    accuracy.set_title('On a small training set')
    accuracy.set_ylabel('accuracy, %')
    accuracy.set_xticks(range(2), list(splits.values()))
    accuracy.set_xlim(-0.5, 1.5)
    figure.legend(loc='outside lower center', ncols=5)
  return figure


FACT = atlas.Fact(
  formulas=(
    r'f(x) = x \ (x > 0), \quad f(x) = x / a \ (x \leq 0)',
    r'a \sim U(3, 8) \ \mathrm{in\ training}, '
    r'\quad a = \frac{11}{2} \ \mathrm{at\ test}',
  ),
  measure=measure,
  claims=claims,
  draw=draw,
)
