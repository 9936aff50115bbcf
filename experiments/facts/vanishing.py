"""Vanishing gradients: ReLU, batch norm and residual connections cure them.

Claim: the gradient of a deep sigmoid network dies out on its way back; each of
the three cures brings it through, alone and together; each lets a network of 20
layers train; together they reach deeper than any alone.

Source: Hochreiter, 1991 (vanishing gradients); Glorot, Bordes and Bengio, 2011
(ReLU); Ioffe and Szegedy, 2015 (batch norm); He et al., 2016 (residual).

Rule: uncured, dz/dx loses at least 4 decades over 20 and over 50 layers; with
any cure, at most 1 decade over 50; any cure adds at least 20 points of test
accuracy at 20 layers; all three have at least 5 points more than the best one
alone at 50 layers; with no cure does dz/dx gain more than 2 decades over 50.
"""

from collections.abc import Sequence

from jaxdl import atlas
from jaxdl import laboratory
from jaxdl.data import preprocessing
from jaxdl.data import sources
from jaxdl.report import panels
from matplotlib import figure as figure_lib
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
  depths: Sequence[int] = (5, 20, 50),
  width: int = 48,
  num_steps: int = 150,
  learning_rates: Sequence[float] = (0.03, 0.3),
) -> xr.Dataset:
  """Measures every combination of cures at every depth.

  Args:
    num_seeds: networks of each kind.
    depths: layers before the readout; the claims speak of 20 and 50.
    width: units of a layer.
    num_steps: of training.
    learning_rates: each kind is reported at its best one.

  Returns:
    `decades_lost` at initialization, and `test_accuracy`, over `cure`, `depth`
    and `seed`.
  """
  dataset = preprocessing.preprocess(sources.load(), 'channel_standard')
  common = {'width': width, 'batch_size': 64}
  record = laboratory.train(
    {
      'activation': ['sigmoid', 'relu'],
      'norm': ['none', 'batch'],
      'shortcut': ['none', 'identity'],
      'clip': ['norm:1.0'],
      'learning_rate': learning_rates,
      'depth': depths,
      'seed': range(num_seeds),
      **{name: [value] for name, value in common.items()},
    },
    dataset,
    num_steps,
    layerwise=False,
  )
  axes = ('activation', 'norm', 'shortcut', 'depth')
  accuracy = laboratory.at_best_rate(record, axes)['test_accuracy']
  lost = [
    [
      laboratory.decades_lost(
        laboratory.log_cotangents(
          {**common, **cure, 'depth': depth}, dataset, num_seeds
        )
      )
      for depth in depths
    ]
    for cure in CURES.values()
  ]
  trained = xr.concat(
    [accuracy.sel(cure, drop=True) for cure in CURES.values()], 'cure'
  )
  dims = ('cure', 'depth', 'seed')
  return xr.Dataset(
    {
      'decades_lost': (dims, lost),
      'test_accuracy': (dims, trained.transpose(*dims).values),
    },
    {'cure': list(CURES), 'depth': list(depths), 'seed': range(num_seeds)},
  )


def claims(data: xr.Dataset) -> list[atlas.Claim]:
  """States what is claimed.

  Args:
    data: what `measure` returned.
  """
  lost = data['decades_lost']
  points = 100 * data['test_accuracy']
  uncured = points.sel(cure=_UNCURED, depth=20)
  best_alone = points.sel(cure=_ALONE, depth=50).max('cure')
  return [
    atlas.Claim(
      'without a cure the gradient vanishes',
      'decades of dz/dx lost from the last hidden layer to the first',
      atlas.at_least(4),
      {
        f'{depth} layers': lost.sel(cure=_UNCURED, depth=depth).values
        for depth in (20, 50)
      },
    ),
    atlas.Claim(
      'with a cure it comes through 50 layers',
      'decades of dz/dx lost',
      atlas.at_most(1),
      {cure: lost.sel(cure=cure, depth=50).values for cure in _CURED},
    ),
    atlas.Claim(
      'a cure lets 20 layers train',
      'test accuracy gained over no cure, points',
      atlas.at_least(20),
      {
        cure: (points.sel(cure=cure, depth=20) - uncured).values
        for cure in _CURED
      },
    ),
    atlas.Claim(
      'all three reach deeper than the best of them alone',
      'test accuracy gained at 50 layers, points',
      atlas.at_least(5),
      {'': (points.sel(cure=_ALL, depth=50) - best_alone).values},
    ),
    atlas.Claim(
      'no cure makes the gradient explode',
      'decades of dz/dx gained over 50 layers',
      atlas.at_most(2),
      {cure: -lost.sel(cure=cure, depth=50).values for cure in _CURED},
    ),
  ]


def draw(data: xr.Dataset) -> figure_lib.Figure:
  """Draws both over depth.

  Args:
    data: what `measure` returned.
  """
  return panels.draw(
    [
      _panel(
        data['decades_lost'], 'At initialization', 'decades of dz/dx lost'
      ),
      _panel(data['test_accuracy'], 'After training', 'test accuracy'),
    ],
    list(CURES),
  )


def _panel(values: xr.DataArray, title: str, label: str) -> panels.Panel:
  return panels.Panel(
    title,
    'layers',
    label,
    {
      cure: panels.over_seeds(
        values['depth'].values,
        values.sel(cure=cure).transpose('seed', 'depth').values,
      )
      for cure in CURES
    },
    marked=True,
    log_x=True,
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
