"""ResNet: a block is a highway block of constant gate, and keeps the gradient.

Claim: a residual block is a highway block whose gate stands at one half, times
two; the shortcut keeps the size of the gradient over depth, gated or not; and
while the training error of deep plain networks rises with depth, although they
are normalized, that of residual and highway networks does not.

Source: He et al., 2016, arXiv:1512.03385 (degradation, and the block: two
layers with batch norm, the ReLU of the second after the sum); Srivastava, Greff
and Schmidhuber, 2015, arXiv:1505.00387 (highway networks).

Rule: 2 y of a highway block with a gate of 0 before its sigmoid is x + H(x),
and its derivatives by x and by the parameters likewise, to 8 roundings of
float64, with dense and convolutional H; over 51 dense layers in blocks of two,
with ReLU and batch norm, dz/dx changes by at most 2 decades with a shortcut and
by at least 3 without; from 11 to 51 layers the training loss after 200 steps
rises by at least 0.2 without a shortcut and by at most 0.1 with one.
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
from jaxdl.layers import initializers
from jaxdl.models import stack
from jaxdl.report import panels
from matplotlib import figure as figure_lib
import numpy as np
import xarray as xr

_PLAIN = 'plain'
_SHORTCUTS = {_PLAIN: 'none', 'residual': 'identity', 'highway': 'highway'}
_WITH_SHORTCUT = ('residual', 'highway')
# What H is made of, and the shape of its input.
_TRANSFORMS = {
  'dense': (lambda: layers.dense(6), (6,)),
  'convolutional': (lambda: layers.conv(4, 3), (5, 5, 4)),
}
_BATCH = 8


def measure(
  num_seeds: int,
  *,
  blocks: Sequence[int] = (5, 12, 25),
  width: int = 48,
  num_steps: int = 200,
  learning_rates: Sequence[float] = (0.01, 0.05, 0.2),
) -> xr.Dataset:
  """Measures the identity of the blocks, and networks over depth.

  Args:
    num_seeds: draws, and networks of each kind.
    blocks: of two layers each, after a first layer; the gradient is measured
      at the last number.
    width: units of a layer.
    num_steps: of training.
    learning_rates: each kind at each depth is reported at its best one.

  Returns:
    `block_error`, in roundings, over `transform` and `seed`; `log_cotangent`,
    log10 of the rms of dz/dx at initialization, over `kind`, `seed` and `block`
    (0 is the first layer); over `kind`, `depth` in layers and `seed`:
    `end_loss`, of training, and `test_accuracy`.
  """
  dataset = preprocessing.preprocess(sources.load(), 'channel_standard')
  units = [number + 1 for number in blocks]  # With the first layer.
  common: dict[str, Any] = {'norm': 'batch', 'width': width, 'batch_size': 64}
  record = laboratory.train(
    {
      **{name: [value] for name, value in common.items()},
      'shortcut': list(_SHORTCUTS.values()),
      'depth': units,
      'learning_rate': learning_rates,
      'seed': range(num_seeds),
    },
    dataset,
    num_steps,
    make_model=_model,
    layerwise=False,
  )
  best = laboratory.at_best_rate(record, ('shortcut', 'depth'))
  trained = best[['end_loss', 'test_accuracy']].rename(shortcut='kind')
  logs = [
    laboratory.log_cotangents(
      {**common, 'shortcut': shortcut, 'depth': units[-1]},
      dataset,
      num_seeds,
      _model,
    )[:, :-1]
    for shortcut in _SHORTCUTS.values()
  ]
  return trained.assign(
    block_error=(('transform', 'seed'), _block_errors(num_seeds)),
    log_cotangent=(('kind', 'seed', 'block'), np.stack(logs)),
  ).assign_coords(
    kind=list(_SHORTCUTS),
    transform=list(_TRANSFORMS),
    block=range(units[-1]),
    depth=[2 * number + 1 for number in blocks],
  )


def _model(static: laboratory.Static, dynamic: Any, num_classes: int) -> Any:
  """Returns a first layer, blocks as He et al. have them, and a readout."""
  weight_init = initializers.get(static.init)()

  def linear(features: int) -> layers.Layer:
    return layers.dense(features, use_bias=False, weight_init=weight_init)

  relu = layers.activation('relu')
  branch = layers.named(
    {
      'dense1': linear(static.width),
      'norm1': layers.batch_norm(),
      'activation1': relu,
      'dense2': linear(static.width),
      'norm2': layers.batch_norm(),
    }
  )
  block = layers.named(
    {
      'branch': stack.with_shortcut(
        branch, static.shortcut, **laboratory.numbers('shortcut', dynamic)
      ),
      'activation': relu,
    }
  )
  stem = layers.named(
    {
      'flatten': layers.flatten(),
      'dense': linear(static.width),
      'norm': layers.batch_norm(),
      'activation': relu,
    }
  )
  return stack.stack(stem, block, layers.dense(num_classes), depth=static.depth)


def _block_errors(num_seeds: int) -> np.ndarray:
  """Returns how far twice the half-open highway is from the residual block."""
  with double_precision():
    return np.array(
      [
        [_block_error(make(), shape, seed) for seed in range(num_seeds)]
        for make, shape in _TRANSFORMS.values()
      ]
    )


def _block_error(
  transform: layers.Layer, shape: tuple[int, ...], seed: int
) -> float:
  inner = layers.serial(transform, layers.activation('tanh'))
  residual = layers.residual(inner)
  highway = layers.highway(inner, _half_open_gate())
  rng = np.random.default_rng(seed)
  x = jnp.asarray(rng.normal(size=(_BATCH, *shape)))
  ct = jnp.asarray(rng.normal(size=x.shape))
  _, params, _ = inner.init(jax.random.key(seed), shape)
  params = jax.tree.map(lambda w: jnp.asarray(rng.normal(size=w.shape)), params)

  def outputs(block: layers.Layer, factor: float, name: str) -> Any:
    _, all_params, state = block.init(jax.random.key(seed), shape)
    whole = lambda inner: all_params._replace(**{name: inner})
    apply = lambda inner, x: factor * block.apply(whole(inner), state, x)[0]
    y, pull = jax.vjp(apply, params, x)
    return y, pull(ct)

  errors = jax.tree.map(
    lambda a, b: float(jnp.abs(a - b).max() / jnp.abs(b).max()),
    outputs(highway, 2.0, 'transform'),
    outputs(residual, 1.0, 'branch'),
  )
  return max(jax.tree.leaves(errors)) / np.finfo(np.float64).eps


def _half_open_gate() -> layers.Layer:
  """A gate that is 0 before its sigmoid, whatever x: T = 1 - T = 1/2."""

  def init(key: jax.Array, in_shape: tuple[int, ...]) -> Any:
    del key
    return in_shape, (), ()

  def apply(params: Any, state: Any, x: jax.Array, **_: Any) -> Any:
    del params
    return jnp.zeros_like(x), state

  return layers.Layer(init, apply)


def claims(data: xr.Dataset) -> list[atlas.Claim]:
  """States what is claimed.

  Args:
    data: what `measure` returned.
  """
  logs = data['log_cotangent']
  changed = abs(logs.isel(block=-1) - logs.isel(block=0))
  rise = data['end_loss'].isel(depth=-1) - data['end_loss'].isel(depth=0)
  few, many = data['depth'].values[[0, -1]]
  with_shortcut = lambda values: {
    kind: values.sel(kind=kind).values for kind in _WITH_SHORTCUT
  }
  return [
    atlas.Claim(
      'a residual block is twice a highway block with a gate of one half',
      'largest difference, of the output and of its derivatives, in roundings',
      atlas.at_most(8),
      {
        str(name): data['block_error'].sel(transform=name).values
        for name in data['transform'].values
      },
      every=True,
    ),
    atlas.Claim(
      f'a shortcut keeps the size of the gradient over {many} layers',
      'decades by which dz/dx differs at both ends',
      atlas.at_most(2),
      with_shortcut(changed),
    ),
    atlas.Claim(
      'without one it does not, although the network is normalized',
      'decades by which dz/dx differs at both ends',
      atlas.at_least(3),
      {'': changed.sel(kind=_PLAIN).values},
    ),
    atlas.Claim(
      'early in training, the error of plain networks rises with depth',
      f'training loss gained from {few} to {many} layers, nats',
      atlas.at_least(0.2),
      {'': rise.sel(kind=_PLAIN).values},
    ),
    atlas.Claim(
      'with a shortcut it does not',
      f'training loss gained from {few} to {many} layers, nats',
      atlas.at_most(0.1),
      with_shortcut(rise),
    ),
  ]


def draw(data: xr.Dataset) -> figure_lib.Figure:
  """Draws the gradient over layers, and the training loss over depth.

  Args:
    data: what `measure` returned.
  """
  logs = data['log_cotangent'].transpose('kind', 'seed', 'block')
  loss = data['end_loss'].transpose('kind', 'seed', 'depth')
  accuracy = data['test_accuracy'].transpose('kind', 'seed', 'depth')
  over_depth = lambda values: {
    kind: panels.over_seeds(data['depth'].values, values.sel(kind=kind).values)
    for kind in _SHORTCUTS
  }
  return panels.draw(
    [
      panels.Panel(
        'At initialization',
        'block',
        'log10 rms of dz/dx, last = 0',
        {
          kind: panels.over_seeds(
            data['block'].values,
            (logs - logs.isel(block=-1)).sel(kind=kind).values,
          )
          for kind in _SHORTCUTS
        },
        whole_x=True,
      ),
      panels.Panel(
        'Degradation', 'layers', 'training loss', over_depth(loss), marked=True
      ),
      panels.Panel(
        'Test', 'layers', 'test accuracy', over_depth(accuracy), marked=True
      ),
    ],
    list(_SHORTCUTS),
  )


FACT = atlas.Fact(
  formulas=(
    r'y = H(x)\, T(x) + x\, (1 - T(x))',
    r'T = \frac{1}{2}\ \Rightarrow\ 2 y = x + H(x)',
    r'\frac{\partial z}{\partial x} = \frac{\partial z}{\partial y} '
    r'\left(1 + \frac{\partial H}{\partial x}\right)',
  ),
  measure=measure,
  claims=claims,
  draw=draw,
)
