"""Batch norm's scale and shift can restore the representation it took away.

Claim: with scale = sqrt(var + eps) and shift = mean of a batch, batch norm is
exactly the identity on it, though not on another; the gradient of the loss by x
is not restored with it, since it also goes through mean and variance: of n
values it loses two directions, a share of sqrt(2 / n); and networks trained
without scale and shift lose accuracy.

Source: Ioffe and Szegedy, 2015, arXiv:1502.03167, section 3: with the two
learned parameters the layer can represent the identity transform.

Rule: with these two the output is x to 8 roundings of the largest |x|, in
float64 and in float32, after dense and after convolutional layers, in training
and at test; without them, and on another batch in training, it is off by at
least 10% of the rms of x; what a random gradient loses in training is 0.8 to
1.2 times that share, and at test nothing (8 roundings); training 200 steps
without them costs at least 1 point of test accuracy, with sigmoid, tanh, ReLU.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxdl import atlas
from jaxdl import laboratory
from jaxdl import layers
from jaxdl.data import preprocessing
from jaxdl.data import sources
from jaxdl.double_precision import double_precision
from jaxdl.layers import normalization
from jaxdl.report import panels
from matplotlib import figure as figure_lib
import numpy as np
import xarray as xr

_EPS = 1e-5
# The inputs of batch norm: features of vectors, channels of images.
_INPUTS = {'dense': (32, 16), 'convolutional': (32, 5, 5, 4)}
_DTYPES: dict[str, Any] = {'float64': np.float64, 'float32': np.float32}
_LEARNED = 'with scale and shift'
_PLAIN = 'without'
_NORMS = {'batch': _LEARNED, 'batch_plain': _PLAIN}


def measure(
  num_seeds: int,
  *,
  activations: Sequence[str] = ('sigmoid', 'tanh', 'relu'),
  depth: int = 8,
  width: int = 48,
  num_steps: int = 200,
  learning_rates: Sequence[float] = (0.03, 0.1, 0.3),
) -> xr.Dataset:
  """Measures the identity, and what networks lose without scale and shift.

  Args:
    num_seeds: draws, and networks of each kind.
    activations: of the networks.
    depth: of the networks.
    width: of the networks.
    num_steps: of training.
    learning_rates: each kind is reported at its best one.

  Returns:
    Over `place`, `dtype`, `mode` (`train`, `test`) and `seed`, in roundings:
    `restored_error` and `gradient_error`, the largest over the largest |x|;
    over `place` and `seed`, relative to the rms: `plain_error`, of the output
    without scale and shift, `other_error`, of another batch in training, and
    `gradient_lost`, in training, over sqrt(2 / n); over
    `activation`, `norm` and `seed`: `test_accuracy`.
  """
  found = [_identity(seed) for seed in range(num_seeds)]
  exact = xr.concat(found, 'seed').assign_coords(seed=range(num_seeds))
  dataset = preprocessing.preprocess(sources.load(), 'channel_standard')
  record = laboratory.train(
    {
      'activation': activations,
      'norm': list(_NORMS),
      'depth': [depth],
      'width': [width],
      'batch_size': [64],
      'learning_rate': learning_rates,
      'seed': range(num_seeds),
    },
    dataset,
    num_steps,
    layerwise=False,
  )
  best = laboratory.at_best_rate(record, ('activation', 'norm'))
  accuracy = best['test_accuracy'].assign_coords(norm=list(_NORMS.values()))
  return exact.assign(test_accuracy=accuracy)


def _identity(seed: int) -> xr.Dataset:
  """Measures on one draw of inputs, neither centred nor of unit size."""
  shape = (len(_INPUTS), len(_DTYPES), 2)
  restored, gradient = np.empty(shape), np.empty(shape)
  plain, other, lost = (np.empty(len(_INPUTS)) for _ in range(3))
  with double_precision():
    for i, size in enumerate(_INPUTS.values()):
      rng = np.random.default_rng(seed)
      spread = rng.lognormal(size=size[-1])
      mean = 3 * rng.normal(size=size[-1])
      x, x_other = (spread * (rng.normal(size=size) + mean) for _ in range(2))
      ct = rng.normal(size=size)
      for j, dtype in enumerate(_DTYPES.values()):
        for k, train in enumerate((True, False)):
          y, back = _normalized(x.astype(dtype), ct.astype(dtype), train)
          rounding = np.finfo(dtype).eps
          restored[i, j, k] = _largest(y - x.astype(dtype)) / _largest(x)
          gradient[i, j, k] = _largest(back - ct.astype(dtype)) / _largest(ct)
          restored[i, j, k] /= rounding
          gradient[i, j, k] /= rounding
          if dtype is np.float64 and train:
            values = x.size // x.shape[-1]
            lost[i] = _rms(back - ct) / _rms(ct) / np.sqrt(2 / values)
      plain[i] = _rms((x - _mean(x)) / _std(x) - x) / _rms(x)
      unit = (x_other - _mean(x_other)) / _std(x_other)
      other[i] = _rms(unit * _std(x) + _mean(x) - x_other) / _rms(x_other)
  dims = ('place', 'dtype', 'mode')
  return xr.Dataset(
    {
      'restored_error': (dims, restored),
      'gradient_error': (dims, gradient),
      'plain_error': ('place', plain),
      'other_error': ('place', other),
      'gradient_lost': ('place', lost),
    },
    {'place': list(_INPUTS), 'dtype': list(_DTYPES), 'mode': ['train', 'test']},
  )


def _normalized(
  x: np.ndarray, ct: np.ndarray, train: bool
) -> tuple[np.ndarray, np.ndarray]:
  """Returns the restored x, and what becomes of a gradient on its way back."""
  layer = layers.batch_norm(eps=_EPS)
  # The sums are taken in float64: what is tested is the layer.
  mean, std = (fn(x.astype(np.float64)) for fn in (_mean, _std))
  params = normalization.NormParams(
    jnp.asarray(std, x.dtype), jnp.asarray(mean, x.dtype)
  )
  state = normalization.BatchNormState(
    jnp.asarray(mean, x.dtype), jnp.asarray(std**2 - _EPS, x.dtype)
  )
  y, pull = jax.vjp(
    lambda x: layer.apply(params, state, x, train=train)[0], jnp.asarray(x)
  )
  return np.asarray(y), np.asarray(pull(jnp.asarray(ct))[0])


def _mean(x: np.ndarray) -> np.ndarray:
  return x.mean(tuple(range(x.ndim - 1)))


def _std(x: np.ndarray) -> np.ndarray:
  return np.sqrt(x.var(tuple(range(x.ndim - 1))) + _EPS)


def _largest(x: np.ndarray) -> float:
  return float(np.abs(x).max())


def _rms(x: np.ndarray) -> float:
  return float(np.sqrt(np.mean(x**2)))


def claims(data: xr.Dataset) -> list[atlas.Claim]:
  """States what is claimed.

  Args:
    data: what `measure` returned.
  """
  accuracy = 100 * data['test_accuracy']
  gained = accuracy.sel(norm=_LEARNED) - accuracy.sel(norm=_PLAIN)
  at_test = data['gradient_error'].sel(mode='test', dtype='float64')
  return [
    atlas.Claim(
      'scale sqrt(var + eps) and shift mean restore x exactly',
      'largest error over the largest |x|, in roundings',
      atlas.at_most(8),
      {
        f'{place}, {dtype}, {mode}': data['restored_error']
        .sel(place=place, dtype=dtype, mode=mode)
        .values
        for place in _INPUTS
        for dtype in _DTYPES
        for mode in ('train', 'test')
      },
      every=True,
    ),
    atlas.Claim(
      'without them x is not restored',
      'rms of the output less x, over the rms of x',
      atlas.at_least(0.1),
      {place: data['plain_error'].sel(place=place).values for place in _INPUTS},
      every=True,
    ),
    atlas.Claim(
      'nor is another batch by the scale and shift of the first',
      'rms of the output less x, over the rms of x, in training',
      atlas.at_least(0.1),
      {place: data['other_error'].sel(place=place).values for place in _INPUTS},
    ),
    atlas.Claim(
      'the gradient is not restored in training: it loses two directions',
      'share of a random gradient that is lost, over sqrt(2 / n)',
      atlas.between(0.8, 1.2),
      {
        place: data['gradient_lost'].sel(place=place).values
        for place in _INPUTS
      },
    ),
    atlas.Claim(
      'at test, by running statistics, it is',
      'largest error over the largest |gradient|, in roundings',
      atlas.at_most(8),
      {place: at_test.sel(place=place).values for place in _INPUTS},
      every=True,
    ),
    atlas.Claim(
      'training without scale and shift loses accuracy',
      'test accuracy gained by scale and shift, points',
      atlas.at_least(1),
      {
        str(name): gained.sel(activation=name).values
        for name in data['activation'].values
      },
    ),
  ]


def draw(data: xr.Dataset) -> figure_lib.Figure:
  """Draws the errors of the identity, and accuracy with and without.

  Args:
    data: what `measure` returned.
  """
  errors = data['restored_error'].max('place')
  names = [str(name) for name in data['activation'].values]
  accuracy = data['test_accuracy'].transpose('norm', 'seed', 'activation')
  modes = ['train', 'test']
  return panels.draw(
    [
      panels.Panel(
        'Restored by sqrt(var + eps) and mean',
        'mode',
        'largest error, roundings',
        {
          dtype: panels.over_seeds(
            np.arange(2),
            errors.sel(dtype=dtype).transpose('seed', 'mode').values,
          )
          for dtype in _DTYPES
        },
        marked=True,
        ticks=modes,
      ),
      panels.Panel(
        'Trained',
        'activation',
        'test accuracy',
        {
          kind: panels.over_seeds(
            np.arange(len(names)), accuracy.sel(norm=kind).values
          )
          for kind in _NORMS.values()
        },
        marked=True,
        ticks=names,
      ),
    ],
    [*_DTYPES, *_NORMS.values()],
  )


FACT = atlas.Fact(
  formulas=(
    r'y = \gamma \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta',
    r'\gamma = \sqrt{\sigma^2 + \epsilon},\ \beta = \mu '
    r'\ \Rightarrow\ y = x',
  ),
  measure=measure,
  claims=claims,
  draw=draw,
)
