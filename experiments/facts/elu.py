"""ELU: activations nearer zero mean than ReLU's, and dearer.

Claim: the negative outputs of ELU pull the mean of each unit over the data
towards zero, which ReLU cannot; the exponential costs time.

Source: Clevert, Unterthiner and Hochreiter, 2015, arXiv:1511.07289 (section 2:
the mean activation of a unit).

Rule: the mean of a unit over the data, root mean square over the units of a
hidden layer, over that of their outputs, is at least 0.2 less than with ReLU,
before and after training, each at its best rate; and so is, apart, |mean over
the data and all units| (the first run had this alone, in which units of
opposite sign cancel, which those of ReLU cannot); ELU takes at least 1.1 times
as long as ReLU, the function alone, forward and backward on a million numbers,
and a whole step of training (8 layers of 128 units, 128 examples). Times are
medians of interleaved runs on this machine, repeated in as many rounds as there
are seeds.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxdl import activations
from jaxdl import atlas
from jaxdl import laboratory
from jaxdl import timing
from jaxdl.data import preprocessing
from jaxdl.data import sources
from jaxdl.report import panels
from matplotlib import figure as figure_lib
import numpy as np
import xarray as xr

_NAMES = {'relu': 'ReLU', 'elu': 'ELU'}
_WHEN = ('before training', 'after training')
_FUNCTION, _STEP = 'the function alone', 'a step of training'

Run = Callable[[], Any]


def measure(
  num_seeds: int,
  *,
  depth: int = 3,
  width: int = 48,
  num_steps: int = 200,
  learning_rates: Sequence[float] = (0.03, 0.1, 0.3),
  num_values: int = 1_000_000,
  timed: tuple[int, int, int] = (8, 128, 128),
  num_repeats: int = 40,
) -> xr.Dataset:
  """Trains both functions, and times them.

  Args:
    num_seeds: networks of each kind, and rounds of timing.
    depth: hidden layers.
    width: units of a layer.
    num_steps: of training, at least ten.
    learning_rates: each function is reported at its best one.
    num_values: that the function is timed on.
    timed: depth, width and batch size of the network whose step is timed.
    num_repeats: of each function in a round.

  Returns:
    Over `activation`, `when`, `layer` and `seed`: `unit_shift` and
    `pooled_shift`, see `laboratory.shifts_by_layer`. Over `timed`,
    `activation` and `seed`, which are rounds: `seconds`.
  """
  dataset = preprocessing.preprocess(sources.load(), 'channel_standard')
  sizes: dict[str, Sequence[Any]] = {
    'activation': list(_NAMES),
    'clip': ['norm:1.0'],  # So that no network diverges.
    'depth': [depth],
    'width': [width],
    'batch_size': [64],
    'seed': range(num_seeds),
  }
  shifts = []
  for steps, rates in ((1, [0.0]), (num_steps, list(learning_rates))):
    record = laboratory.train(
      {'learning_rate': rates, **sizes},
      dataset,
      steps,
      layerwise=False,
      evaluate=laboratory.on_test_split_and_shifts,
    )
    best = laboratory.at_best_rate(record, ['activation'])
    shifts.append(laboratory.shifts_by_layer(best, depth))
  runs = {
    _FUNCTION: {name: _function(name, num_values) for name in _NAMES},
    _STEP: {name: _step(name, timed, dataset) for name in _NAMES},
  }
  seconds = [
    [_interleaved(each, num_repeats) for _ in range(num_seeds)]
    for each in runs.values()
  ]
  return (
    xr.concat(shifts, 'when')
    .sel(activation=list(_NAMES))
    .assign(seconds=(('timed', 'seed', 'activation'), seconds))
    .assign_coords(when=list(_WHEN), timed=list(runs))
  )


def _function(name: str, num_values: int) -> Run:
  """An activation, forward and backward."""
  x_key, ct_key = jax.random.split(jax.random.key(0))
  x = jax.random.normal(x_key, (num_values,))
  ct = jax.random.normal(ct_key, (num_values,))

  def both(x, ct):
    y, backward = jax.vjp(activations.get(name).fn, x)
    return y, backward(ct)

  compiled = jax.jit(both).lower(x, ct).compile()
  return lambda: compiled(x, ct)


def _step(name: str, sizes: tuple[int, int, int], dataset: Any) -> Run:
  """A step of training a network."""
  depth, width, batch_size = sizes
  static, numbers = laboratory.split(
    {
      **laboratory.DEFAULTS,
      'activation': name,
      'depth': depth,
      'width': width,
      'batch_size': batch_size,
    }
  )
  dynamic = {key: jnp.asarray(value) for key, value in numbers.items()}
  experiment = laboratory.builder(
    dataset.train_images.shape[1:], dataset.num_classes, layerwise=False
  )(static)
  key = jax.random.key(0)
  batch = (
    jnp.asarray(dataset.train_images[:batch_size]),
    jnp.asarray(dataset.train_labels[:batch_size]),
  )
  state = jax.jit(experiment.init)(dynamic, key)
  compiled = jax.jit(experiment.step).lower(state, batch, dynamic, key)
  run = compiled.compile()
  return lambda: run(state, batch, dynamic, key)


def _interleaved(runs: Mapping[str, Run], num_repeats: int) -> list[float]:
  """Times runs in turn, so that what disturbs one disturbs all; medians."""
  sides = {
    name: lambda run=run: jax.block_until_ready(run())
    for name, run in runs.items()
  }
  timing.interleaved(sides, 1)  # Compiles, and warms up.
  times = timing.interleaved(sides, num_repeats)
  return [float(np.median(times[name])) for name in runs]


def claims(data: xr.Dataset) -> list[atlas.Claim]:
  """States what is claimed.

  Args:
    data: what `measure` returned.
  """
  shift = data[['unit_shift', 'pooled_shift']].mean('layer')
  nearer = shift.sel(activation='relu') - shift.sel(activation='elu')
  by_when = lambda name: {
    when: nearer[name].sel(when=when).values for when in _WHEN
  }
  seconds = data['seconds']
  ratio = seconds.sel(activation='elu') / seconds.sel(activation='relu')
  return [
    atlas.Claim(
      'the outputs of each unit of ELU are nearer zero mean',
      'mean of a unit over the data, root mean square over units, over that of '
      "a hidden layer's outputs, less than of ReLU",
      atlas.at_least(0.2),
      by_when('unit_shift'),
    ),
    atlas.Claim(
      'those of all units of a layer together are',
      '|mean over the data and all units| over root mean square of a hidden '
      "layer's outputs, less than of ReLU",
      atlas.at_least(0.2),
      by_when('pooled_shift'),
    ),
    atlas.Claim(
      'ELU takes more time',
      'time over that of ReLU, on this machine',
      atlas.at_least(1.1),
      {name: ratio.sel(timed=name).values for name in data['timed'].values},
    ),
  ]


def draw(data: xr.Dataset) -> figure_lib.Figure:
  """Draws the shift layer by layer, and the times.

  Args:
    data: what `measure` returned.
  """
  kinds = list(data['timed'].values)
  shifts = [
    panels.Panel(
      f'Outputs {when}',
      'layer',
      'mean of a unit / root mean square',
      {
        label: panels.over_seeds(
          data['layer'].values,
          data['unit_shift']
          .sel(activation=name, when=when)
          .transpose('seed', 'layer')
          .values,
        )
        for name, label in _NAMES.items()
      },
      marked=True,
      whole_x=True,
    )
    for when in _WHEN
  ]
  times = panels.Panel(
    'Time on this machine',
    '',
    'milliseconds',
    {
      label: panels.over_seeds(
        np.arange(len(kinds)),
        1e3
        * data['seconds']
        .sel(activation=name)
        .transpose('seed', 'timed')
        .values,
      )
      for name, label in _NAMES.items()
    },
    marked=True,
    ticks=kinds,
  )
  return panels.draw([*shifts, times], list(_NAMES.values()))


FACT = atlas.Fact(
  formulas=(r'f(x) = x \ (x > 0), \quad f(x) = \alpha (e^x - 1) \ (x \leq 0)',),
  measure=measure,
  claims=claims,
  draw=draw,
)
