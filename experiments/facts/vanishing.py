"""Vanishing gradients: ReLU, batch norm and residual connections cure them.

Claim: from He's initialization, the gradient of a deep sigmoid network dies out
on its way back; each of the three cures brings it through, alone and together;
each lets a network of 20 layers train; together they reach deeper than any
alone.

Source: Hochreiter, 1991 (vanishing gradients); Glorot, Bordes and Bengio, 2011
(ReLU); Ioffe and Szegedy, 2015 (batch norm); He et al., 2016 (residual).

Rule: all networks start from He's weights, without which ReLU alone is no cure,
and train for 100 steps under a clip by norm at 1; uncured, dz/dx loses at least
4 decades over 50 layers; with any cure, at most 1; with none does it gain more
than 2; any cure adds at least 20 points of test accuracy at 20 layers, and each
alone does so at 50; all three have at least 5 points more than the best one
alone, of each seed, at 50.
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

_UNCURED, _ALL = 'none', 'all three'
_ALONE = ['ReLU', 'batch norm', 'residual']
CURES = {
  _UNCURED: {'activation': 'sigmoid', 'norm': 'none', 'shortcut': 'none'},
  'ReLU': {'activation': 'relu', 'norm': 'none', 'shortcut': 'none'},
  'batch norm': {'activation': 'sigmoid', 'norm': 'batch', 'shortcut': 'none'},
  'residual': {'activation': 'sigmoid', 'norm': 'none', 'shortcut': 'identity'},
  'ReLU + batch norm': {
    'activation': 'relu',
    'norm': 'batch',
    'shortcut': 'none',
  },
  'ReLU + residual': {
    'activation': 'relu',
    'norm': 'none',
    'shortcut': 'identity',
  },
  'batch norm + residual': {
    'activation': 'sigmoid',
    'norm': 'batch',
    'shortcut': 'identity',
  },
  _ALL: {'activation': 'relu', 'norm': 'batch', 'shortcut': 'identity'},
}
_CURED = [name for name in CURES if name != _UNCURED]


def measure(
  num_seeds: int,
  *,
  cures: Sequence[str] = tuple(CURES),
  depths: Sequence[int] = (20, 50),
  width: int = 48,
  num_steps: int = 100,
  learning_rates: Sequence[float] = (0.03, 0.3),
) -> xr.Dataset:
  """Measures every combination of cures.

  Args:
    num_seeds: networks of each kind.
    cures: of `CURES`.
    depths: layers before the readout.
    width: units of a layer.
    num_steps: of training.
    learning_rates: each kind is reported at its best one.

  Returns:
    `log_cotangent`, log10 of the rms of dz/dx at initialization, over `cure`,
    `layer` of the deepest networks, and `seed`; `test_accuracy` over `cure`,
    `depth` and `seed`.
  """
  dataset = preprocessing.preprocess(sources.load(), 'channel_standard')
  common: dict[str, Any] = {'init': 'he', 'width': width, 'batch_size': 64}
  record = laboratory.train(
    {
      **{name: [value] for name, value in common.items()},
      'activation': ['sigmoid', 'relu'],
      'norm': ['none', 'batch'],
      'shortcut': ['none', 'identity'],
      'clip': ['norm:1.0'],
      'learning_rate': learning_rates,
      'depth': depths,
      'seed': range(num_seeds),
    },
    dataset,
    num_steps,
    layerwise=False,
    where=lambda cell: any(
      CURES[cure].items() <= cell.items() for cure in cures
    ),
  )
  axes = ('activation', 'norm', 'shortcut', 'depth')
  accuracy = laboratory.at_best_rate(record, axes)['test_accuracy']
  cell = {**common, 'depth': max(depths)}
  logs = [
    laboratory.log_cotangents({**CURES[cure], **cell}, dataset, num_seeds)
    for cure in cures
  ]
  return xr.Dataset(
    {
      'log_cotangent': (('cure', 'seed', 'layer'), np.stack(logs)[..., :-1]),
      'test_accuracy': xr.concat(
        [accuracy.sel(CURES[cure], drop=True) for cure in cures], 'cure'
      ),
    },
    {
      'cure': list(cures),
      'layer': range(1, max(depths) + 1),
      'seed': range(num_seeds),
    },
  )


def claims(data: xr.Dataset) -> list[atlas.Claim]:
  """States what is claimed.

  Args:
    data: what `measure` returned.
  """
  logs = data['log_cotangent']
  lost = logs.isel(layer=-1) - logs.isel(layer=0)
  points = 100 * data['test_accuracy']
  shallow, deep = (points.isel(depth=i) for i in (0, -1))
  few, many = data['depth'].values[[0, -1]]
  best_alone = deep.sel(cure=_ALONE).max('cure')
  return [
    atlas.Claim(
      f'without a cure the gradient vanishes over {many} layers',
      'decades of dz/dx lost from the last hidden layer to the first',
      atlas.at_least(4),
      {'': lost.sel(cure=_UNCURED).values},
    ),
    atlas.Claim(
      f'with a cure it comes through {many} layers',
      'decades of dz/dx lost',
      atlas.at_most(1),
      {cure: lost.sel(cure=cure).values for cure in _CURED},
    ),
    atlas.Claim(
      'no cure makes it explode instead',
      f'decades of dz/dx gained over {many} layers',
      atlas.at_most(2),
      {cure: -lost.sel(cure=cure).values for cure in _CURED},
    ),
    atlas.Claim(
      f'a cure lets {few} layers train',
      'test accuracy gained over no cure, points',
      atlas.at_least(20),
      {
        cure: (shallow.sel(cure=cure) - shallow.sel(cure=_UNCURED)).values
        for cure in _CURED
      },
    ),
    atlas.Claim(
      f'a cure alone reaches {many} layers',
      'test accuracy gained over no cure, points',
      atlas.at_least(20),
      {
        cure: (deep.sel(cure=cure) - deep.sel(cure=_UNCURED)).values
        for cure in _ALONE
      },
    ),
    atlas.Claim(
      'all three reach deeper than the best of them alone',
      f'test accuracy gained at {many} layers, points',
      atlas.at_least(5),
      {'': (deep.sel(cure=_ALL) - best_alone).values},
    ),
  ]


def draw(data: xr.Dataset) -> figure_lib.Figure:
  """Draws the gradient over the layers, and what the networks learned.

  Args:
    data: what `measure` returned.
  """
  logs = data['log_cotangent'].transpose('cure', 'seed', 'layer')
  accuracy = data['test_accuracy'].transpose('cure', 'seed', 'depth')
  cures = [str(cure) for cure in data['cure'].values]
  depths = [str(depth) for depth in data['depth'].values]
  return panels.draw(
    [
      panels.Panel(
        'At initialization',
        'layer',
        'log10 rms of dz/dx, last = 0',
        {
          cure: panels.over_seeds(
            data['layer'].values,
            (logs - logs.isel(layer=-1)).sel(cure=cure).values,
          )
          for cure in cures
        },
        whole_x=True,
      ),
      panels.Panel(
        'After training',
        'layers',
        'test accuracy',
        {
          cure: panels.over_seeds(
            np.arange(len(depths)), accuracy.sel(cure=cure).values
          )
          for cure in cures
        },
        marked=True,
        ticks=depths,
      ),
    ],
    cures,
  )


FACT = atlas.Fact(
  formulas=(
    r'\frac{\partial z}{\partial x_i} = \frac{\partial z}{\partial x_L} '
    r'\prod_{l=i+1}^{L} \frac{\partial x_l}{\partial x_{l-1}}',
  ),
  measure=measure,
  claims=claims,
  draw=draw,
)
