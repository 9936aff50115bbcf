"""Tanh: a sigmoid stretched to zero mean, which still saturates.

Claim: tanh(x) = 2 sigmoid(2x) - 1, so tanh has the shape of the sigmoid, but
its outputs are centred at zero, each unit's over the data; both its ends are
flat all the same.

Source: LeCun, Bottou, Orr and Müller, 1998, "Efficient BackProp", sections 4.3
(the mean of each input of a layer over the data) and 4.4; Glorot and Bengio,
2010 (saturation of both).

Rule: in float64 the identity holds to 1e-15, and that of the derivatives,
tanh'(x) = 4 sigmoid'(2x), to 1e-14; at initialization the mean of a unit over
the data, root mean square over the units of a hidden layer, is at most a
quarter of the root mean square of their outputs, where that of sigmoid is at
least half, and the mean over the data and all units too, apart, is at most a
quarter (the first run had this alone, in which units of opposite sign cancel);
at 5 or more from 0 the derivative is at most 1/1000; with weights ten times as
large at least half of a layer's outputs lie within 1% of a flat end.
"""

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
from scipy import special
import xarray as xr

_FUNCTIONS = ('sigmoid', 'tanh')
_SIDES = {'left': -1.0, 'right': 1.0}
_FAR = 5.0
_ORDINARY, _LARGE = 1.0, 10.0  # Deviations of weights, times sqrt(fan_in).


def measure(num_seeds: int, *, depth: int = 3, width: int = 64) -> xr.Dataset:
  """Compares the curves at random points, and networks before training.

  Args:
    num_seeds: of random points, and networks of each kind.
    depth: hidden layers.
    width: units of a layer.

  Returns:
    Over `seed`, in float64: `value_error` and `derivative_error`, the largest
    absolute ones of the identity, and over `side` too `far_derivative`. Over
    `activation`, `weight_std`, `layer` and `seed`: `unit_shift` and
    `pooled_shift`, see `laboratory.shifts_by_layer`, and `saturated`, the share
    of a hidden layer's outputs within 1% of a flat end.
  """
  with double_precision():
    points = [_compare(seed) for seed in range(num_seeds)]
  record = laboratory.train(
    {
      'activation': _FUNCTIONS,
      'init': ['normal'],
      'weight_std': [_ORDINARY, _LARGE],
      'learning_rate': [0.0],
      'depth': [depth],
      'width': [width],
      'seed': range(num_seeds),
    },
    preprocessing.preprocess(sources.load(), 'channel_standard'),
    1,
    evaluate=laboratory.on_test_split_and_shifts,
  )
  first = laboratory.over_axes(record, ['activation', 'weight_std'])
  hidden = first.isel(step=0, layer=slice(0, depth), drop=True)
  return (
    xr.concat(points, 'seed')
    .assign(laboratory.shifts_by_layer(first, depth))
    .assign(saturated=hidden['activation_saturated'])
  )


def _compare(seed: int) -> xr.Dataset:
  rng = np.random.default_rng(seed)
  points = rng.normal(scale=5.0, size=10_000)
  x = jnp.asarray(points)
  far = jnp.asarray(_FAR + rng.exponential(scale=_FAR, size=1000))
  slope = lambda fn, x: jax.vmap(jax.grad(fn))(x)
  values = [
    2 * activations.sigmoid(2 * x) - 1,
    2 * special.expit(2 * points) - 1,  # SciPy's, which knows nothing of JAX.
    np.tanh(points),
  ]
  value_error = np.abs(np.stack(values) - np.asarray(activations.tanh(x)))
  derivative_error = jnp.abs(
    slope(activations.tanh, x) - 4 * slope(activations.sigmoid, 2 * x)
  )
  return xr.Dataset(
    {
      'value_error': value_error.max(),
      'derivative_error': float(derivative_error.max()),
      'far_derivative': (
        'side',
        [
          float(slope(activations.tanh, side * far).max())
          for side in _SIDES.values()
        ],
      ),
    },
    {'side': list(_SIDES)},
  )


def claims(data: xr.Dataset) -> list[atlas.Claim]:
  """States what is claimed.

  Args:
    data: what `measure` returned.
  """
  ordinary = data.sel(weight_std=_ORDINARY)
  saturated = data['saturated'].sel(weight_std=_LARGE)
  by_layer = lambda values: {
    f'layer {layer}': values.sel(layer=layer).values
    for layer in values['layer'].values
  }
  of_unit = (
    'mean of a unit over the data, root mean square over units, over that of '
    "a layer's outputs"
  )
  return [
    atlas.Claim(
      'tanh(x) is 2 sigmoid(2x) − 1',
      'largest difference at 10,000 random points',
      atlas.at_most(1e-15),
      {'': data['value_error'].values},
      every=True,
    ),
    atlas.Claim(
      'its derivative is 4 times that of the sigmoid at 2x',
      'largest difference at 10,000 random points',
      atlas.at_most(1e-14),
      {'': data['derivative_error'].values},
      every=True,
    ),
    atlas.Claim(
      'the outputs of each unit of tanh are centred at zero',
      of_unit,
      atlas.at_most(0.25),
      by_layer(ordinary['unit_shift'].sel(activation='tanh')),
    ),
    atlas.Claim(
      'those of all units of a layer together are',
      "|mean over the data and all units| over root mean square of a layer's "
      'outputs',
      atlas.at_most(0.25),
      by_layer(ordinary['pooled_shift'].sel(activation='tanh')),
    ),
    atlas.Claim(
      'those of each unit of sigmoid are not',
      of_unit,
      atlas.at_least(0.5),
      by_layer(ordinary['unit_shift'].sel(activation='sigmoid')),
    ),
    atlas.Claim(
      'both ends of tanh are flat',
      'largest derivative at 5 or more from 0',
      atlas.at_most(1e-3),
      {side: data['far_derivative'].sel(side=side).values for side in _SIDES},
      every=True,
    ),
    atlas.Claim(
      'so a layer of tanh saturates where weights are large',
      'share of outputs within 1% of a flat end, weights ten times as large',
      atlas.at_least(0.5),
      by_layer(saturated.sel(activation='tanh')),
    ),
  ]


def draw(data: xr.Dataset) -> figure_lib.Figure:
  """Draws the curves, and both quantities layer by layer.

  Args:
    data: what `measure` returned.
  """
  x = np.linspace(-6, 6, 201)
  curve = lambda fn: panels.over_seeds(x, np.asarray(fn(x))[None])
  return panels.draw(
    [
      panels.Panel(
        'The curves',
        'x',
        'y',
        {name: curve(activations.get(name).fn) for name in _FUNCTIONS},
      ),
      panels.Panel(
        'At initialization',
        'layer',
        'mean of a unit / root mean square',
        _over_layers(data['unit_shift'].sel(weight_std=_ORDINARY)),
        marked=True,
        whole_x=True,
      ),
      panels.Panel(
        'With weights ten times as large',
        'layer',
        'share within 1% of a flat end',
        _over_layers(data['saturated'].sel(weight_std=_LARGE)),
        marked=True,
        whole_x=True,
      ),
    ],
    list(_FUNCTIONS),
  )


def _over_layers(values: xr.DataArray) -> dict[str, panels.Series]:
  return {
    name: panels.over_seeds(
      values['layer'].values,
      values.sel(activation=name).transpose('seed', 'layer').values,
    )
    for name in _FUNCTIONS
  }


FACT = atlas.Fact(
  formulas=(
    r'\tanh(x) = 2 \sigma(2x) - 1',
    r"\tanh'(x) = 1 - \tanh^2(x) = 4 \sigma'(2x)",
  ),
  measure=measure,
  claims=claims,
  draw=draw,
)
