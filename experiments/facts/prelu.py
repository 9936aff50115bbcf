"""PReLU: slopes that are learned, and may overfit.

Claim: PReLU learns the slope for negative inputs, one for each unit; slopes
fall with depth; on small data what it can learn more it overfits.

Source: He, Zhang, Ren and Sun, 2015, arXiv:1502.01852 (slopes of 0.25 at first,
smaller in deeper layers in the end); Xu et al., 2015, arXiv:1505.00853
(overfitting on small data).

Rule: slopes move by at least 0.05 on average over units, each network at its
best rate; the rank correlation of a layer's mean slope with its depth is at
most -0.5; on 500 examples the training accuracy of PReLU exceeds its test
accuracy by at least 1 point more than that of ReLU does, and its test accuracy
is at least 1 point lower: a gap alone may be a better fit. (Trained with
momentum 0.9, as He et al. did. The first run had none, and slopes moved by 0.01
only, too little to ask where they went.)
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxdl import atlas
from jaxdl import laboratory
from jaxdl import layers
from jaxdl import sweep
from jaxdl import training
from jaxdl.data import preprocessing
from jaxdl.data import sources
from jaxdl.report import panels
from matplotlib import figure as figure_lib
import numpy as np
from scipy import stats
import xarray as xr

_INITIAL = 0.25
_RELU, _PRELU = 'relu', 'prelu'


def measure(
  num_seeds: int,
  *,
  depth: int = 6,
  width: int = 48,
  num_steps: int = 400,
  num_examples: int = 500,
  learning_rates: Sequence[float] = (0.01, 0.03, 0.1),
) -> xr.Dataset:
  """Trains PReLU on all data, and PReLU and ReLU on little.

  Args:
    num_seeds: networks of each kind.
    depth: hidden layers, at least two.
    width: units of a layer.
    num_steps: of training, at least ten.
    num_examples: of the small training set.
    learning_rates: each kind is reported at its best one.

  Returns:
    Of PReLU on all data, over `seed` and `layer`, at the end: `slope`, the mean
    over units, and `change`, that of |slope - 0.25|. On little data, over
    `activation` and `seed`: `train_accuracy` and `test_accuracy`.
  """
  dataset = preprocessing.preprocess(sources.load(), 'channel_standard')
  few = sources.first(dataset, num_examples)
  sizes: dict[str, Sequence[Any]] = {
    'depth': [depth],
    'width': [width],
    'batch_size': [64],
    'optimizer': ['momentum'],
    'clip': ['norm:1.0'],  # Else one of six diverges at the best rate.
    'learning_rate': list(learning_rates),
    'seed': range(num_seeds),
  }
  large = laboratory.train(
    {'activation': [_PRELU], **sizes},
    dataset,
    num_steps,
    layerwise=False,
    evaluate=_slopes,
  )
  small = laboratory.train(
    {'activation': [_RELU, _PRELU], **sizes},
    few,
    num_steps,
    layerwise=False,
    evaluate=laboratory.on_both_splits,
  )
  best = laboratory.at_best_rate(large, ())
  by_layer = lambda name: xr.concat(
    [best[f'{name}_{layer}'] for layer in range(1, depth + 1)], 'layer'
  ).transpose('seed', 'layer')
  found = laboratory.at_best_rate(small, ['activation'])
  accuracies = found[['train_accuracy', 'test_accuracy']]
  slopes = {name: by_layer(name) for name in ('slope', 'change')}
  return (
    accuracies.assign(slopes)
    .drop_attrs()
    .assign_coords(layer=range(1, depth + 1))
  )


def _slopes(
  trainer: training.Trainer, state: training.TrainState, data: sweep.Data
) -> dict[str, Any]:
  """Evaluates a network, and its slopes layer by layer."""
  is_prelu = lambda node: isinstance(node, layers.PreluParams)
  learned = [
    jnp.atleast_2d(node.slope)
    for node in jax.tree.leaves(state.params, is_leaf=is_prelu)
    if is_prelu(node)
  ]
  each = jnp.concatenate(learned)  # [layer, unit]
  found: Mapping[str, jax.Array] = {
    'slope': each.mean(-1),
    'change': jnp.abs(each - _INITIAL).mean(-1),
  }
  return laboratory.on_test_split(trainer, state, data) | {
    f'{name}_{i + 1}': value
    for name, values in found.items()
    for i, value in enumerate(values)
  }


def claims(data: xr.Dataset) -> list[atlas.Claim]:
  """States what is claimed.

  Args:
    data: what `measure` returned.
  """
  more = 100 * data[['train_accuracy', 'test_accuracy']]
  more = more.sel(activation=_PRELU) - more.sel(activation=_RELU)
  gap = more['train_accuracy'] - more['test_accuracy']
  slopes = data['slope'].transpose('seed', 'layer').values
  depth = np.arange(slopes.shape[1])
  correlations = [stats.spearmanr(depth, row).statistic for row in slopes]
  return [
    atlas.Claim(
      'PReLU learns its slopes',
      'change of a slope from 0.25, mean over units',
      atlas.at_least(0.05),
      {'': data['change'].mean('layer').values},
    ),
    atlas.Claim(
      'slopes fall with depth',
      "rank correlation of a layer's mean slope with its depth",
      atlas.at_most(-0.5),
      {'': np.array(correlations)},
    ),
    atlas.Claim(
      'PReLU overfits small data',
      'gap of training and test accuracy, more than of ReLU, points',
      atlas.at_least(1),
      {'': gap.values},
    ),
    atlas.Claim(
      'PReLU does worse than ReLU in the test',
      'test accuracy on small data, less than of ReLU, points',
      atlas.at_least(1),
      {'': -more['test_accuracy'].values},
    ),
  ]


def draw(data: xr.Dataset) -> figure_lib.Figure:
  """Draws slopes over layers, and accuracy on small data.

  Args:
    data: what `measure` returned.
  """
  splits = ['train', 'test']
  mean_slope = panels.over_seeds(
    data['layer'].values, data['slope'].transpose('seed', 'layer').values
  )
  accuracy = {
    name: panels.over_seeds(
      np.arange(2),
      np.stack(
        [
          100 * data[f'{split}_accuracy'].sel(activation=name).values
          for split in splits
        ],
        -1,
      ),
    )
    for name in (_PRELU, _RELU)
  }
  return panels.draw(
    [
      panels.Panel(
        'What is learned (0.25 at first)',
        'layer',
        'mean slope',
        {_PRELU: mean_slope},
        marked=True,
        whole_x=True,
      ),
      panels.Panel(
        'On a small training set',
        'split',
        'accuracy, %',
        accuracy,
        marked=True,
        ticks=splits,
      ),
    ],
    [_PRELU, _RELU],
  )


FACT = atlas.Fact(
  formulas=(
    r'f(x) = x \ (x > 0), \quad f(x) = a x \ (x \leq 0)',
    r'\frac{\partial z}{\partial a} = \sum_{x \leq 0} '
    r'\frac{\partial z}{\partial f(x)} \, x',
  ),
  measure=measure,
  claims=claims,
  draw=draw,
)
