"""Networks whose gradients explode or vanish, trained with and without a clip.

What the fact `exploding` measures.
"""

from collections.abc import Iterable, Mapping
import functools
from typing import Any

from jaxdl import laboratory
from jaxdl.data import preprocessing
from jaxdl.data import sources
from jaxdl.layers import initializers
from jaxdl.models import recurrent
import numpy as np
import xarray as xr

PROBLEMS = ('adding', 'temporal order')
CLIPS = {
  'no clip': 'none',
  'norm 1': 'norm:1.0',
  'value 1': 'value:1.0',
  'value 0.1': 'value:0.1',
}
NONE, NORM, VALUE = 'no clip', 'norm 1', 'value 1'
_LARGE, _SMALL = 1.5, 0.5  # recurrent_std
_RATES = (0.01, 0.03)
# Of one product, and apart by a power of two, so that no rounding differs.
_PAIRS = {'norm:0.0625': 0.03, 'norm:0.0078125': 0.24}

# Networks by what is varied: the cell, and the scale or the forget bias.
CELLS = {
  'RNN, std 0.5': ('rnn', 0.5),
  'RNN, std 1': ('rnn', 1.0),
  'RNN, std 3': ('rnn', 3.0),
  'LSTM, forget bias 0': ('lstm', 0.0),
  'LSTM, forget bias 1': ('lstm', 1.0),
  'LSTM, forget bias 3': ('lstm', 3.0),
  'GRU': ('gru', 1.0),
}
SMALL_CELL, LARGE_CELL = 'RNN, std 0.5', 'RNN, std 3'
GATED = [name for name, (kind, _) in CELLS.items() if kind != 'rnn']

_TOO_LARGE, _WELL_SCALED = 3.0, 2**0.5  # weight_std, of ReLU
DEEP_RATES = (1e-5, 1e-3, 1e-1)
_WELL_SCALED_RATES = (1e-2, 1e-1)


def measure(
  num_seeds: int,
  *,
  width: int = 32,
  length: int = 20,
  num_steps: Mapping[str, int] | None = None,
  probed_length: int = 51,
  depth: int = 10,
  num_deep_steps: int = 150,
) -> xr.Dataset:
  """Measures recurrent networks, their cells, and deep networks.

  Args:
    num_seeds: networks of each kind.
    width: of recurrent networks.
    length: of the sequences that are learned.
    num_steps: of training, by problem.
    probed_length: of the sequences over which dz/dh_t is followed, one more
      than the steps between its ends.
    depth: layers before the readout of a deep network.
    num_deep_steps: of training it.

  Returns:
    Over `seed`: `share`, the test loss of a recurrent network of large weights
    as a share of chance, over `problem`, `clip` and `rate`, and `best_share`
    that at each clip's best rate; of small weights `small_share` and
    `small_decades`, how many decades dz/dh_t loses after training, each at the
    best rate, over `problem` and `small_clip`; `log_cotangent`, over `cell` and
    `time`; of deep networks of large weights `accuracy`, over `deep_clip` and
    `deep_rate`, and `best_accuracy`; of well-scaled ones `scaled_accuracy`,
    over `scaled_clip` and `scaled_rate`, and `best_scaled_accuracy`;
    `pair_difference`, of the losses of two pairs of rate and threshold, and
    `pair_bound`, the share of steps at which both clips bind, over `problem`.
  """
  num_steps = num_steps or {'adding': 1200, 'temporal order': 400}
  learned = [
    _problem(problem, num_seeds, width, length, num_steps[problem])
    for problem in PROBLEMS
  ]
  return xr.merge(
    [
      xr.concat(learned, xr.Variable('problem', list(PROBLEMS))),
      _through_time(num_seeds, width, probed_length),
      _deep(num_seeds, depth, num_deep_steps),
    ],
    compat='no_conflicts',
    join='exact',
    combine_attrs='drop',
  )


def _problem(
  problem: str, num_seeds: int, width: int, length: int, num_steps: int
) -> xr.Dataset:
  """Trains recurrent networks on one problem."""
  few = [CLIPS[NONE], CLIPS[NORM]]

  def where(cell):
    clip, rate, std = (
      cell[axis] for axis in ('clip', 'learning_rate', 'recurrent_std')
    )
    if clip in _PAIRS:
      return rate == _PAIRS[clip] and std == _LARGE
    return rate in _RATES and (std == _LARGE or clip in few)

  record = laboratory.train_recurrent(
    problem,
    {
      'clip': [*CLIPS.values(), *_PAIRS],
      'learning_rate': sorted({*_RATES, *_PAIRS.values()}),
      'recurrent_std': [_SMALL, _LARGE],
      'width': [width],
      'seed': range(num_seeds),
    },
    length=length,
    num_steps=num_steps,
    where=where,
  )
  chance = laboratory.PROBLEMS[problem].chance
  losses = record['test_loss'].values
  share = np.where(np.isfinite(losses), losses / chance, np.inf)
  record = record.assign(share=('cell', share))
  large = _cells(record, CLIPS.values(), recurrent_std=_LARGE)
  small = _cells(record, few, recurrent_std=_SMALL)
  best_small = _named(laboratory.at_best_rate(small, ['clip']), 'small_clip')
  by_rate = laboratory.over_axes(large, ['clip', 'learning_rate'])
  return xr.merge(
    [
      _named(by_rate[['share']].rename(learning_rate='rate'), 'clip'),
      _named(laboratory.at_best_rate(large, ['clip']), 'clip')[
        ['share']
      ].rename(share='best_share'),
      best_small[['share', 'decades_lost']].rename(
        share='small_share', decades_lost='small_decades'
      ),
      _pairs(record),
    ],
    join='exact',
    compat='no_conflicts',
  )


def _pairs(record: xr.Dataset) -> xr.Dataset:
  """Compares two pairs of rate and threshold of one product."""
  pairs = [
    laboratory.over_axes(_cells(record, [clip], learning_rate=rate), [])
    for clip, rate in _PAIRS.items()
  ]
  apart = abs(pairs[0]['loss'] / pairs[1]['loss'] - 1)
  bound = pairs[0]['clip_bound'] * pairs[1]['clip_bound']
  return xr.Dataset(
    {
      'pair_difference': apart.max('step', skipna=False),
      'pair_bound': bound.mean('step'),
    }
  )


def _cells(
  record: xr.Dataset, clips: Iterable[str], **values: float
) -> xr.Dataset:
  """Returns the cells of some clips, and of the values of other axes."""
  keep = np.isin(record['clip'].values, list(clips))
  for axis, value in values.items():
    keep &= record[axis].values == value
  return record.isel(cell=keep)


def _named(wide: xr.Dataset, axis: str) -> xr.Dataset:
  """Calls clips as they are called here, along an axis of that name."""
  names = {clip: name for name, clip in CLIPS.items()}
  found = [names[clip] for clip in wide['clip'].values]
  renamed = wide if axis == 'clip' else wide.rename(clip=axis)
  return renamed.assign_coords({axis: found}).sel(
    {axis: [name for name in CLIPS if name in found]}
  )


def _through_time(num_seeds: int, width: int, length: int) -> xr.Dataset:
  """Follows dz/dh_t through time in networks that are not trained."""

  def make_model(kind, scale, num_outputs):
    scaled: dict[str, Any] = {
      'rnn': {'recurrent_init': initializers.normal_fan_in(scale)},
      'lstm': {'forget_bias': scale},
      'gru': {},
    }
    return recurrent.recurrent(
      cell=kind, width=width, num_outputs=num_outputs, **scaled[kind]
    )

  found: dict[str, np.ndarray] = {}
  for kind in dict.fromkeys(kind for kind, _ in CELLS.values()):
    own = {name: scale for name, (k, scale) in CELLS.items() if k == kind}
    logs = laboratory.log_cotangents_in_time(
      'temporal order',
      kind,
      functools.partial(make_model, kind),
      list(own.values()),
      length=length,
      num_seeds=num_seeds,
    )
    found |= dict(zip(own, logs, strict=True))
  return xr.Dataset(
    {'log_cotangent': (('cell', 'seed', 'time'), [found[c] for c in CELLS])},
    {
      'cell': list(CELLS),
      'seed': range(num_seeds),
      'time': np.arange(1, length + 1),
    },
  )


def _deep(num_seeds: int, depth: int, num_steps: int) -> xr.Dataset:
  """Trains deep ReLU networks, of too large and of well-scaled weights."""
  dataset = preprocessing.preprocess(sources.load(), 'channel_standard')
  tried = {
    _TOO_LARGE: ((NONE, NORM, VALUE), DEEP_RATES),
    _WELL_SCALED: ((NONE, NORM), _WELL_SCALED_RATES),
  }

  def where(cell):
    clips, rates = tried[cell['weight_std']]
    is_tried = cell['clip'] in [CLIPS[clip] for clip in clips]
    return is_tried and cell['learning_rate'] in rates

  record = laboratory.train(
    {
      'init': ['normal'],
      'weight_std': list(tried),
      'clip': [CLIPS[clip] for clip in (NONE, NORM, VALUE)],
      'learning_rate': sorted({*DEEP_RATES, *_WELL_SCALED_RATES}),
      'depth': [depth],
      'width': [48],
      'batch_size': [64],
      'seed': range(num_seeds),
    },
    dataset,
    num_steps,
    layerwise=False,
    where=where,
  )
  large, scaled = (
    _cells(record, CLIPS.values(), weight_std=std) for std in tried
  )
  axes = ['clip', 'learning_rate']
  by_rate = laboratory.over_axes(large, axes)[['test_accuracy']]
  by_rate_scaled = laboratory.over_axes(scaled, axes)[['test_accuracy']]
  return xr.merge(
    [
      _named(by_rate, 'deep_clip').rename(
        learning_rate='deep_rate', test_accuracy='accuracy'
      ),
      _named(_most_accurate(large), 'deep_clip').rename(
        test_accuracy='best_accuracy'
      ),
      _named(by_rate_scaled, 'scaled_clip').rename(
        learning_rate='scaled_rate', test_accuracy='scaled_accuracy'
      ),
      _named(_most_accurate(scaled), 'scaled_clip').rename(
        test_accuracy='best_scaled_accuracy'
      ),
    ],
    join='exact',
    compat='no_conflicts',
  )


def _most_accurate(record: xr.Dataset) -> xr.Dataset:
  """Takes each clip at the rate that is most accurate in training, at its end.

  By the loss, a network that has died and answers the same to all would be
  better than one that is right, and as sure where it is wrong.
  """
  wide = laboratory.over_axes(record, ['clip', 'learning_rate'])
  end = wide['accuracy'].isel(step=slice(-10, None)).mean('step')
  choice = end.median('seed').argmax('learning_rate')
  return (
    wide[['test_accuracy']]
    .isel(learning_rate=choice)
    .drop_vars('learning_rate')
  )
