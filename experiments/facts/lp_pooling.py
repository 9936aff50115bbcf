"""Pooling is a p-norm: from the average at p = 1 to the maximum at infinity.

Claim: of N numbers of a window, (sum |x|^p)^(1/p) is N times the average of |x|
at p = 1, and lies between the maximum and N^(1/p) times the maximum, so that it
tends to max pooling as p grows; with a mean in place of the sum it is the
average, and its distance to the maximum falls as 1/p. Scaled by the maximum
first, it neither over- nor underflows at p = 1,000. The exponent can be
learned.

Source: Sermanet, Chintala and LeCun, 2012, arXiv:1204.3968 (Lp pooling);
Gulcehre, Cho, Pascanu and Bengio, 2014, arXiv:1311.1780 (learned p).

Rule: in float64 the average at p = 1 and the bound at p from 1 to 1,024 hold to
1e-12; the distance of the mean form falls with p to a power between -1.05 and
-0.95 from p = 64 on; in float32 at p = 1,000 values agree with a float64
reference in logarithms to 1e-5 and derivatives to 1e-3 of the largest, for
inputs of about 1e-20, 1 and 1e20, where the plain formula fails in at least
half of all windows; dy/dp is that of central differences to 1e-6 of the
largest; a learned p moves by at least 0.1 while the training loss
falls by at least a quarter, and loses no more than 1 point of test accuracy to
max pooling and to average pooling, each at its best learning rate.
"""

from collections.abc import Mapping, Sequence
import functools
from typing import Any

import jax
import jax.numpy as jnp
from jaxdl import atlas
from jaxdl import laboratory
from jaxdl import layers
from jaxdl.data import preprocessing
from jaxdl.data import sources
from jaxdl.double_precision import double_precision
from jaxdl.laboratory import networks
from jaxdl.layers import initializers
from jaxdl.models import units
from jaxdl.report import panels
from matplotlib import figure as figure_lib
import numpy as np
from scipy import special
import xarray as xr

_WINDOW = 3
_COUNT = _WINDOW**2  # Numbers in a window.
_SHAPE = (8, 12, 12, 2)  # Of the random images.
_EXPONENTS = tuple(2.0**i for i in range(11))
_TAIL = 64  # From where the rate is fitted.
_LARGE = 1000.0
_LEARNABLE = (1.5, 2.0, 8.0)  # Exponents by which the norm is differentiated.
_DIFFERENCE = 1e-5  # Of the central differences.
_SCALES = {'1e-20': 1e-20, '1': 1.0, '1e20': 1e20}
_SUM, _MEAN = 'sum', 'mean'
_LEARNED = 'learned p'
_START = 2.0  # Of a learned p.
_POOLINGS: Mapping[str, Any] = {
  'max pooling': lambda: layers.max_pool(2),
  'average pooling': lambda: layers.avg_pool(2),
  _LEARNED: lambda: layers.lp_pool(2, p=_START, learned=True),
}
_FIXED = [name for name in _POOLINGS if name != _LEARNED]
_PLACES = {'exponent0': 'first pooling', 'exponent1': 'second pooling'}
_AT_ENDS = 10  # Batches over which a loss is averaged.


def measure(
  num_seeds: int,
  *,
  width: int = 8,
  num_steps: int = 120,
  learning_rates: Sequence[float] = (0.03, 0.1, 0.3),
) -> xr.Dataset:
  """Computes p-norms of random windows, and trains networks that pool by them.

  Args:
    num_seeds: draws, and networks of each kind.
    width: channels of the first of two convolutions.
    num_steps: of training.
    learning_rates: each kind is reported at its best one.

  Returns:
    Over `seed`, and `form` (`sum`, `mean`): `average_error`, relative, and over
    `p` too `gap` to the maximum, relative; over `p`: `bound_excess`, by how
    much the sum form leaves its bounds, relative; over `learnable`:
    `slope_error`, of dy/dp against central differences, over the largest; over
    `scale` at p = 1,000:
    `value_error`, `gradient_error` and `plain_failed`, a share; over `pooling`:
    `loss` over `step`, `test_accuracy`; over `place`: the learned `exponent`.
  """
  found = [_norms(seed) for seed in range(num_seeds)]
  data = xr.concat(found, 'seed').assign_coords(seed=range(num_seeds))
  return data.merge(_train(num_seeds, width, num_steps, learning_rates))


@functools.partial(jax.jit, static_argnums=2)
def _pool(x: Any, p: Any, form: str) -> jax.Array:
  pool = layers.lp_pool(_WINDOW, p=p, reduction=form)
  return pool.apply((), (), x)[0]


def _slope_error(x: np.ndarray, p: float) -> float:
  """Compares dy/dp with central differences, over the largest."""
  pool = lambda p: _pool(x, p, _MEAN)
  _, slope = jax.jvp(pool, (p,), (1.0,))
  h = _DIFFERENCE
  error = slope - (pool(p + h) - pool(p - h)) / (2 * h)
  return float(jnp.abs(error).max() / jnp.abs(slope).max())


def _norms(seed: int) -> xr.Dataset:
  """Measures on one draw of images, positive and negative."""
  rng = np.random.default_rng(seed)
  x = rng.normal(size=_SHAPE)
  windows = np.abs(_windows(x))
  largest = windows.max(-1)
  with double_precision():
    sums, means = (
      np.stack([np.asarray(_pool(x, p, form)) for p in _EXPONENTS])
      for form in (_SUM, _MEAN)
    )
    slope_errors = [_slope_error(x, p) for p in _LEARNABLE]
  relative = sums / largest
  bound = _COUNT ** (1 / np.array(_EXPONENTS))[:, None, None, None, None]
  excess = np.maximum(relative / bound - 1, 1 - relative)
  gaps = np.abs(np.stack([sums, means]) / largest - 1)
  at_one = {_SUM: sums[0] / _COUNT, _MEAN: means[0]}
  errors = [np.abs(y / windows.mean(-1) - 1).max() for y in at_one.values()]
  extreme = [_extreme(rng, scale) for scale in _SCALES.values()]
  return xr.Dataset(
    {
      'average_error': ('form', errors),
      'slope_error': ('learnable', slope_errors),
      'bound_excess': ('p', excess.max((1, 2, 3, 4))),
      'gap': (('form', 'p'), gaps.mean((2, 3, 4, 5))),
      **{k: ('scale', [each[k] for each in extreme]) for k in extreme[0]},
    },
    {
      'form': list(at_one),
      'p': list(_EXPONENTS),
      'learnable': list(_LEARNABLE),
      'scale': list(_SCALES),
    },
  )


def _windows(x: np.ndarray) -> np.ndarray:
  """The numbers of each window along a last axis."""
  batch, height, width, channels = x.shape
  sizes = height // _WINDOW, _WINDOW, width // _WINDOW, _WINDOW
  split = x.reshape(batch, *sizes, channels).transpose(0, 1, 3, 5, 2, 4)
  return split.reshape(*split.shape[:4], _COUNT)


def _extreme(rng: np.random.Generator, scale: float) -> dict[str, float]:
  """Compares values and derivatives in float32 at p = 1,000."""
  x = (scale * rng.normal(size=_SHAPE)).astype(np.float32)
  windows = _windows(x.astype(np.float64))
  with np.errstate(over='ignore', under='ignore'):
    plain = (np.abs(windows).astype(np.float32) ** _LARGE).mean(-1)
  logs = np.log(np.abs(windows))
  log_norm = special.logsumexp(_LARGE * logs, -1, b=1 / _COUNT) / _LARGE
  ct = rng.normal(size=log_norm.shape)
  derivative = np.exp((_LARGE - 1) * (logs - log_norm[..., None])) / _COUNT
  expected = ct[..., None] * np.sign(windows) * derivative
  y, back = jax.vjp(lambda x: _pool(x, _LARGE, _MEAN), x)
  (gradient,) = back(jnp.asarray(ct, jnp.float32))
  difference = np.abs(_windows(np.asarray(gradient, np.float64)) - expected)
  return {
    'value_error': np.abs(np.float64(y) / np.exp(log_norm) - 1).max(),
    'gradient_error': difference.max() / np.abs(expected).max(),
    'plain_failed': np.mean((plain == 0) | np.isinf(plain)),
  }


def _train(
  num_seeds: int, width: int, num_steps: int, learning_rates: Sequence[float]
) -> xr.Dataset:
  """Trains two convolutions with each pooling, on images of half the size."""
  dataset = preprocessing.downsample(
    preprocessing.preprocess(sources.load(), 'channel_standard'), 2
  )
  found = []
  for pooling in _POOLINGS:
    record = laboratory.train(
      {
        'width': [width],
        'batch_size': [32],
        'learning_rate': learning_rates,
        'seed': range(num_seeds),
      },
      dataset,
      num_steps,
      make_model=functools.partial(_network, pooling),
      layerwise=False,
      evaluate=_evaluate,
    )
    best = laboratory.at_best_rate(record, ())
    found.append(best[['loss', 'test_accuracy', 'learning_rate']])
    if pooling == _LEARNED:
      exponent = xr.concat([best[name] for name in _PLACES], 'place')
  trained = xr.concat(found, 'pooling').assign(exponent=exponent)
  return trained.assign_coords(
    pooling=list(_POOLINGS), place=list(_PLACES.values())
  )


def _network(
  pooling: str, static: Any, dynamic: Any, num_classes: int
) -> layers.Layer:
  del dynamic
  relu = layers.activation('relu')
  conv = lambda features: layers.named(
    {
      'conv': layers.conv(features, 3, weight_init=initializers.he()),
      'activation': relu,
      'pool': _POOLINGS[pooling](),
    }
  )
  readout = {'flatten': layers.flatten(), 'dense': layers.dense(num_classes)}
  return units.chain(
    {
      'conv1': conv(static.width),
      'conv2': conv(2 * static.width),
      'readout': layers.named(readout),
    }
  )


def _evaluate(trainer: Any, state: Any, data: Any) -> dict[str, Any]:
  """Evaluates at test, and reads the exponents that were learned."""
  is_pool = lambda node: isinstance(node, layers.LpPoolParams)
  nodes = jax.tree.leaves(state.params, is_leaf=is_pool)
  exponents = [node.p for node in nodes if is_pool(node)]
  named = {f'exponent{i}': jnp.asarray(p) for i, p in enumerate(exponents)}
  return networks.on_test_split(trainer, state, data) | named


def claims(data: xr.Dataset) -> list[atlas.Claim]:
  """States what is claimed.

  Args:
    data: what `measure` returned.
  """
  return _claims_of_norms(data) + _claims_of_training(data)


def _claims_of_norms(data: xr.Dataset) -> list[atlas.Claim]:
  each = functools.partial(_each, data)
  return [
    atlas.Claim(
      'at p = 1 it is the scaled average of |x|',
      'largest relative error of lp_pool against it',
      atlas.at_most(1e-12),
      each('average_error', 'form', '{} form'),
      every=True,
    ),
    atlas.Claim(
      'it lies between the maximum and N^(1/p) times the maximum',
      'by how much the sum form leaves these bounds, relative',
      atlas.at_most(1e-12),
      each('bound_excess', 'p', 'p = {:g}'),
      every=True,
    ),
    atlas.Claim(
      'it tends to max pooling as 1/p',
      'power of p with which the distance of the mean form to the maximum goes',
      atlas.between(-1.05, -0.95),
      {'': _power(data['gap'].sel(form=_MEAN, p=slice(_TAIL, None)))},
    ),
    atlas.Claim(
      'the plain formula over- or underflows at p = 1,000',
      'share of windows in which it gives 0 or infinity, float32',
      atlas.at_least(0.5),
      each('plain_failed', 'scale', '|x| about {}'),
    ),
    *(
      atlas.Claim(
        f'scaled by the maximum, its {what} are right there',
        'error in float32, over the largest of them',
        atlas.at_most(bound),
        each(name, 'scale', '|x| about {}'),
        every=True,
      )
      for what, name, bound in (
        ('values', 'value_error', 1e-5),
        ('derivatives', 'gradient_error', 1e-3),
      )
    ),
  ]


def _each(
  data: xr.Dataset, name: str, axis: str, label: str
) -> dict[str, np.ndarray]:
  """The samples at each value of an axis."""
  return {
    label.format(value): data[name].sel({axis: value}).values
    for value in data[axis].values
  }


def _power(gap: xr.DataArray) -> np.ndarray:
  """The slope of the logarithm over that of p, by least squares; `[seed]`."""
  ordered = gap.transpose('p', 'seed')
  return np.polyfit(np.log(ordered['p']), np.log(ordered.values), 1)[0]


def _claims_of_training(data: xr.Dataset) -> list[atlas.Claim]:
  points = 100 * data['test_accuracy']
  gained = points.sel(pooling=_LEARNED) - points.sel(pooling=_FIXED)
  loss = data['loss'].sel(pooling=_LEARNED)
  first = loss.isel(step=slice(_AT_ENDS)).mean('step')
  last = loss.isel(step=slice(-_AT_ENDS, None)).mean('step')
  moved = abs(data['exponent'] - _START)
  return [
    atlas.Claim(
      'p has a derivative, so that it can be learned',
      'largest error of dy/dp against central differences, over the largest',
      atlas.at_most(1e-6),
      _each(data, 'slope_error', 'learnable', 'p = {:g}'),
      every=True,
    ),
    atlas.Claim(
      'a learned p moves',
      '|p after training − p before|',
      atlas.at_least(0.1),
      {place: moved.sel(place=place).values for place in moved['place'].values},
    ),
    atlas.Claim(
      'while the network learns',
      'training loss of the last ten batches over that of the first ten',
      atlas.at_most(0.75),
      {'': (last / first).values},
    ),
    atlas.Claim(
      'a learned p is as good as max and as average pooling',
      'test accuracy gained over it, points',
      atlas.at_least(-1),
      {name: gained.sel(pooling=name).values for name in _FIXED},
    ),
  ]


def draw(data: xr.Dataset) -> figure_lib.Figure:
  """Draws the way to the maximum, and how networks train and end.

  Args:
    data: what `measure` returned.
  """
  data = data.rolling(step=_AT_ENDS, min_periods=1).mean()
  p = data['p'].values
  bound = 'bound N^(1/p) − 1'
  over = lambda x, name, dim, **at: panels.over_seeds(
    x, data[name].sel(at).transpose('seed', dim).values
  )
  lines = {
    f'{f} form': over(p, 'gap', 'p', form=f) for f in data['form'].values
  }
  lines[bound] = panels.over_seeds(p, (_COUNT ** (1 / p) - 1)[None])
  steps = data['step'].values + 1
  learned = over(np.arange(data.sizes['place']), 'exponent', 'place')
  return panels.draw(
    [
      panels.Panel(
        'The way to the maximum',
        'p',
        '|y − max| / max',
        lines,
        log_x=True,
        log_y=True,
      ),
      panels.Panel(
        'Training',
        'step',
        'training loss',
        {n: over(steps, 'loss', 'step', pooling=n) for n in _POOLINGS},
      ),
      panels.Panel(
        f'Learned p, from {_START:g}',
        '',
        'p after training',
        {_LEARNED: learned},
        marked=True,
        ticks=list(data['place'].values),
      ),
    ],
    [*lines, *_POOLINGS],
  )


FACT = atlas.Fact(
  formulas=(
    r'y_p = \left( \sum_{i=1}^{N} |x_i|^p \right)^{1/p}',
    r'\max_i |x_i| \leq y_p \leq N^{1/p} \max_i |x_i|',
  ),
  measure=measure,
  claims=claims,
  draw=draw,
)
