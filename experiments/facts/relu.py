"""ReLU: no saturation, fast, and fragile.

Claim: ReLU does not saturate for positive inputs, and so a network of it learns
faster than one of sigmoid or tanh; but a large step can push a unit to where no
example activates it, and there it stays, since no gradient reaches it.

Source: Nair and Hinton, 2010; Glorot, Bordes and Bengio, 2011; Krizhevsky,
Sutskever and Hinton, 2012, section 3.1 (steps to a training error of 25%).

Rule: the derivative at positive inputs is 1 exactly; sigmoid and tanh take at
least 1.5 times as many steps to a training error of 25%, each at the rate that
gets there first; at the largest rate at which the median network of ReLU stays
finite at least 10 points more of the units are dead on the whole training set
than at the smallest, a network that diverged counting as dead; at the rates up
to that, of the units that ever were dead on it in a network that stayed finite,
at most 1% are ever active again in the median seed. (The first run took the
largest rate at which no network diverges, which falls as seeds are added.) A
seed without dead units shows nothing of their fate: it counts as infinite, and
a layer in which no seed has any is left out.
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
from jaxdl.report import panels
from matplotlib import figure as figure_lib
import numpy as np
import xarray as xr

_RELU = 'relu'
# To each its own: He's keep the signal of ReLU, LeCun's that of the others.
_INITIALIZERS = {_RELU: 'he', 'tanh': 'lecun', 'sigmoid': 'lecun'}
_OTHERS = [name for name in _INITIALIZERS if name != _RELU]
_ERROR = 0.25  # Training error to be reached.


def measure(
  num_seeds: int,
  *,
  depth: int = 3,
  width: int = 48,
  num_steps: int = 400,
  num_watched_steps: int = 150,
  num_examples: int = 1000,
  learning_rates: Sequence[float] = (0.03, 0.1, 0.3, 1.0, 3.0),
) -> xr.Dataset:
  """Trains the three functions, and follows each unit of ReLU.

  Args:
    num_seeds: of random points, and networks of each kind.
    depth: hidden layers.
    width: units of a layer.
    num_steps: of training, at least ten.
    num_watched_steps: of training while units are followed.
    num_examples: of the training set while units are followed.
    learning_rates: each function is reported at its fastest one; dead units at
      each.

  Returns:
    Over `seed`: `derivative_error`, the largest deviation from 1 at positive
    inputs. Over `activation` and `seed`: `steps`, and over `step` the training
    `error`, a mean of ten batches, at the fastest rate. Over `learning_rate`,
    `seed` and `layer`: `dead` and `returned`, shares of the units that are dead
    at the end, and that have been and were active later, `ever_dead`, and
    `finite`, whether the loss is, over `learning_rate` and `seed`.
  """
  dataset = preprocessing.preprocess(sources.load(), 'channel_standard')
  sizes: dict[str, Sequence[Any]] = {
    'depth': [depth],
    'width': [width],
    'batch_size': [64],
    'learning_rate': list(learning_rates),
    'seed': range(num_seeds),
  }
  speeds = [
    _speed(
      laboratory.train(
        {'activation': [name], 'init': [init], **sizes},
        dataset,
        num_steps,
        layerwise=False,
      )
    )
    for name, init in _INITIALIZERS.items()
  ]
  points = [_derivative_error(seed) for seed in range(num_seeds)]
  few = sources.first(dataset, num_examples)
  record = laboratory.train(
    {'activation': [_RELU], **sizes},
    few,
    num_watched_steps,
    layerwise=False,
    watched=few.train_images,
  )
  return xr.merge(
    [
      xr.Dataset({'derivative_error': ('seed', points)}),
      xr.concat(speeds, 'activation').assign_coords(
        activation=list(_INITIALIZERS)
      ),
      dead_units(record),
    ]
  )


def _speed(record: xr.Dataset) -> xr.Dataset:
  """The steps to the error and its course, at the fastest rate."""
  error = 1 - laboratory.over_axes(record, ['learning_rate'])['accuracy']
  steps = laboratory.fewest_steps(laboratory.steps_until(error, _ERROR))
  course = error.sel(learning_rate=steps['learning_rate'])
  return xr.Dataset(
    {
      'steps': steps,
      'error': course.rolling(step=10).mean().isel(step=slice(9, None)),
    }
  ).reset_coords('learning_rate', drop=True)


def dead_units(record: xr.Dataset) -> xr.Dataset:
  """Returns what became of the units after the last step, by rate.

  Args:
    record: of networks whose units were watched.
  """
  last = laboratory.over_axes(record, ['learning_rate']).isel(
    step=-1, drop=True
  )
  names = {'inactive': 'dead', 'ever_inactive': 'ever_dead'}
  kept = last[[*names, 'returned']].rename(names)
  return kept.assign(finite=np.isfinite(last['loss']))


def _derivative_error(seed: int) -> float:
  rng = np.random.default_rng(seed)
  with double_precision():
    x = jnp.asarray(10 ** rng.uniform(-6, 6, size=10_000))
    slope = jax.vmap(jax.grad(activations.relu))(x)
    return float(jnp.abs(slope - 1).max())


def largest_finite_rate(data: xr.Dataset) -> float:
  """Returns the largest rate at which the median network does not diverge.

  Args:
    data: with `finite`, over `learning_rate` and `seed`.

  Returns:
    The rate; the smallest of all if the median network diverges at each.
  """
  stable = data['finite'].mean('seed') > 0.5
  rates = data['learning_rate']
  return (rates.where(stable).max() if stable.any() else rates.min()).item()


def share_returned(data: xr.Dataset) -> dict[str, np.ndarray]:
  """Returns the percentage of dead units that came back, by layer and seed.

  Args:
    data: what `measure` returned.

  Returns:
    Of the networks that stayed finite, at rates up to the largest finite one,
    `[seed]`; infinite of a seed without dead units. Layers in which no seed has
    any are left out.
  """
  kept = data.where(data['finite'])[['returned', 'ever_dead']]
  upto = kept.sel(
    learning_rate=data['learning_rate'] <= largest_finite_rate(data)
  ).sum('learning_rate')
  ever = upto['ever_dead']
  share = (100 * upto['returned'] / ever.where(ever > 0)).fillna(np.inf)
  return {
    f'layer {layer}': share.sel(layer=layer).values
    for layer in data['layer'].values
    if ever.sel(layer=layer).any()
  }


def claims(data: xr.Dataset) -> list[atlas.Claim]:
  """States what is claimed.

  Args:
    data: what `measure` returned.
  """
  steps = data['steps']
  large = largest_finite_rate(data)
  points = 100 * data['dead'].mean('layer').where(data['finite'], 1.0)
  small = data['learning_rate'].min().item()
  back = share_returned(data)
  found = [
    atlas.Claim(
      'ReLU does not saturate for positive inputs',
      'largest deviation of the derivative from 1, inputs from 1e-6 to 1e6',
      atlas.between(0, 0),
      {'': data['derivative_error'].values},
      every=True,
    ),
    atlas.Claim(
      'a network of ReLU learns faster',
      'steps to a training error of 25%, over those of ReLU',
      atlas.at_least(1.5),
      {
        other: laboratory.times_as_many(
          steps.sel(activation=other), steps.sel(activation=_RELU)
        ).values
        for other in _OTHERS
      },
    ),
    atlas.Claim(
      'large steps kill units',
      'units dead on the whole training set at the largest rate at which the '
      'median network stays finite, more than at the smallest rate, points',
      atlas.at_least(10),
      {
        '': (
          points.sel(learning_rate=large) - points.sel(learning_rate=small)
        ).values
      },
    ),
  ]
  if back:
    found.append(
      atlas.Claim(
        'a dead unit does not come back',
        'share of units once dead on the whole training set that are active '
        'later, percent, of the median seed',
        atlas.at_most(1),
        back,
      )
    )
  return found


def draw(data: xr.Dataset) -> figure_lib.Figure:
  """Draws the training error, and dead units over the rate.

  Args:
    data: what `measure` returned.
  """
  layers = [f'layer {layer}' for layer in data['layer'].values]
  rates = [f'{rate:g}' for rate in data['learning_rate'].values]
  stable = data.where(data['finite'])  # What diverged is not drawn.
  over_rates = lambda values: {
    name: panels.over_seeds(
      np.arange(data.sizes['learning_rate']),
      100 * values.sel(layer=layer).transpose('seed', 'learning_rate').values,
    )
    for name, layer in zip(layers, data['layer'].values, strict=True)
  }
  return panels.draw(
    [
      panels.Panel(
        'Each at its fastest rate',
        'step',
        'training error',
        {
          name: panels.over_seeds(
            data['step'].values + 1,
            data['error'].sel(activation=name).transpose('seed', 'step').values,
          )
          for name in _INITIALIZERS
        },
      ),
      panels.Panel(
        'ReLU: units that died',
        'learning rate',
        '% dead at the end',
        over_rates(stable['dead']),
        marked=True,
        ticks=rates,
      ),
      panels.Panel(
        'ReLU: units that came back',
        'learning rate',
        '% of those once dead',
        over_rates(stable['returned'] / stable['ever_dead']),
        marked=True,
        ticks=rates,
      ),
    ],
    [*_INITIALIZERS, *layers],
  )


FACT = atlas.Fact(
  formulas=(
    r'f(x) = \max(0, x)',
    r"f'(x) = 1 \ (x > 0), \quad f'(x) = 0 \ (x \leq 0)",
  ),
  measure=measure,
  claims=claims,
  draw=draw,
)
