"""AlexNet and VGG: towers for two devices, small kernels and depth for reach.

Claim: VGG-16 sees as far with kernels of 3 as AlexNet does with 11 and 5, by
depth, and pays with multiply-accumulates; in both most parameters are in the
dense layers. AlexNet's groups cut the weights of a convolution in half, and
make of it two towers that never speak to each other, so that two devices can
compute them at the same time.

Source: Krizhevsky, Sutskever and Hinton, 2012, sections 3.2 and 3.5 (towers);
Krizhevsky, 2014, arXiv:1404.5997 (single tower); Simonyan and Zisserman, 2015,
arXiv:1409.1556 (VGG).

Rule: parameters are those published, exactly; the field of VGG-16 before its
dense layers is no smaller than AlexNet's; VGG-16 takes at least 10 times the
multiply-accumulates; at least 85% of the parameters are in dense layers; a
grouped convolution has exactly half the weights; two towers, each on a device
of its own where there are two, give the grouped layers' output to 8 roundings;
and computed at the same time they take at most 0.8 of the time of one after the
other.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
from jaxdl import atlas
from jaxdl import geometry
from jaxdl import layers
from jaxdl import models
from jaxdl import timing
from jaxdl.report import panels
from matplotlib import figure as figure_lib
import numpy as np
import xarray as xr

# Image size; parameters: the single tower and VGG as torchvision documents
# them, the two towers counted from the shapes of the paper.
_PUBLISHED = {
  'alexnet': (224, 61_100_840),
  'alexnet_grouped': (227, 60_965_224),
  'vgg11': (224, 132_863_336),
  'vgg16': (224, 138_357_544),
}
# The last two convolutions of the paper, which are grouped: 384, 256 of 3x3.
_FEATURES, _KERNEL = (384, 256), 3
_IN_SHAPE = (13, 13, 384)
_REPEATS = 5  # Of which a time is the median.


def measure(
  num_seeds: int, *, batch_size: int = 16, classes: int = 1000
) -> xr.Dataset:
  """Counts the models, and computes the towers together and apart.

  Args:
    num_seeds: draws of the towers, and rounds of timing.
    batch_size: of the towers.
    classes: of the models; the published have 1,000.

  Returns:
    Over `model`: `parameters`, `macs`, `field` (pixels, before the dense
    layers), `dense_share` of the parameters; `group_share`, of the weights of a
    grouped convolution in those of a plain one; over `seed`: `tower_error`, in
    roundings, and `together` and `in_turn`, seconds; the attribute
    `tower_devices` says where.
  """
  counted = xr.concat(
    [_count(name, size, classes) for name, (size, _) in _PUBLISHED.items()],
    'model',
  ).assign_coords(model=list(_PUBLISHED))
  devices = (jax.devices() * 2)[:2]
  towers = _build_towers()
  found = [
    _measure_towers(towers, seed, batch_size, devices)
    for seed in range(num_seeds)
  ]
  timed = xr.concat(found, 'seed').assign_coords(seed=range(num_seeds))
  count = len(set(devices))
  return xr.merge(
    [counted, timed.assign(group_share=_group_share())]
  ).assign_attrs(
    tower_devices=f'{count} {devices[0].platform} device' + 's' * (count > 1)
  )


def _count(name: str, size: int, classes: int) -> xr.Dataset:
  in_shape = (size, size, 3)
  net = models.build(name, num_classes=classes, in_shape=in_shape)
  summary = geometry.summary(net, in_shape)
  before_dense = [row for row in summary.rows if row.scope.endswith('/pool')]
  convolutions = [row for row in summary.rows if row.scope.endswith('/conv')]
  dense = summary.parameters - sum(row.parameters for row in convolutions)
  return xr.Dataset(
    {
      'parameters': summary.parameters,
      'macs': summary.macs,
      'field': float(before_dense[-1].fields[0].size),
      'dense_share': dense / summary.parameters,
    }
  )


def _chain(features: Sequence[int], groups: int) -> layers.Layer:
  """Returns convolutions with a ReLU after each."""
  return layers.serial(
    *(
      layer
      for number in features
      for layer in (
        layers.conv(number, _KERNEL, feature_group_count=groups),
        layers.activation('relu'),
      )
    )
  )


class _Towers(NamedTuple):
  """The grouped layers, and what computes them whole and one tower."""

  grouped: layers.Layer
  whole: Callable[[Any, Any], jax.Array]  # Of params and images.
  tower: Callable[[Any, Any], jax.Array]


def _build_towers() -> _Towers:
  grouped = _chain(_FEATURES, 2)
  tower = _chain([number // 2 for number in _FEATURES], 1)
  _, _, state = grouped.init(jax.random.key(0), _IN_SHAPE)
  whole, half = (
    jax.jit(lambda params, x, layer=layer: layer.apply(params, state, x)[0])
    for layer in (grouped, tower)
  )
  return _Towers(grouped, whole, half)


def _measure_towers(
  towers: _Towers, seed: int, batch_size: int, devices: Sequence[jax.Device]
) -> xr.Dataset:
  """Computes the grouped layers whole, and as two towers."""
  key, image_key = jax.random.split(jax.random.key(seed))
  x = jax.random.normal(image_key, (batch_size, *_IN_SHAPE))
  _, params, _ = towers.grouped.init(key, _IN_SHAPE)
  whole = np.asarray(towers.whole(params, x))
  at = lambda half, device: jax.device_put(
    (jax.tree.map(lambda w: _half(w, half), params), _half(x, half)), device
  )
  together = [at(half, device) for half, device in enumerate(devices)]
  in_turn = [at(half, devices[0]) for half in range(2)]
  parts = [np.asarray(towers.tower(*arguments)) for arguments in together]
  error = np.abs(np.concatenate(parts, -1) - whole).max()
  rounding = np.finfo(np.float32).eps * np.abs(whole).max()
  apart, one_by_one = _times(towers.tower, together, in_turn)
  return xr.Dataset(
    {
      'tower_error': error / rounding,
      'together': apart,
      'in_turn': one_by_one,
    }
  )


def _group_share() -> float:
  """Returns the weights with two groups over those without."""
  with_groups, without = (
    layers.conv(
      _FEATURES[0], _KERNEL, use_bias=False, feature_group_count=groups
    ).init(jax.random.key(0), _IN_SHAPE)[1]
    for groups in (2, 1)
  )
  return with_groups.w.size / without.w.size


def _half(x: jax.Array, half: int) -> np.ndarray:
  """Returns the first or second half of the channels, the last axis."""
  return np.split(np.asarray(x), 2, -1)[half]


def _times(
  apply: Callable[..., Any], together: Sequence[Any], in_turn: Sequence[Any]
) -> tuple[float, float]:
  """Returns median seconds, both ways taking turns."""

  def at_once():
    jax.block_until_ready([apply(*arguments) for arguments in together])

  def one_by_one():
    for arguments in in_turn:
      jax.block_until_ready(apply(*arguments))

  sides = {'together': at_once, 'in turn': one_by_one}
  timing.interleaved(sides, 1)  # Compiles, and warms up.
  times = timing.interleaved(sides, _REPEATS)
  together_seconds, in_turn_seconds = map(np.median, times.values())
  return float(together_seconds), float(in_turn_seconds)


def claims(data: xr.Dataset) -> list[atlas.Claim]:
  """States what is claimed.

  Args:
    data: what `measure` returned.
  """
  one = lambda name, model: data[name].sel(model=model).values.reshape(1)
  ratio = lambda name: one(name, 'vgg16') / one(name, 'alexnet')
  devices = data.attrs['tower_devices']
  return [
    atlas.Claim(
      'the models are those that were published',
      'parameters over those published',
      atlas.between(1, 1),
      {
        name: one('parameters', name) / published
        for name, (_, published) in _PUBLISHED.items()
      },
      every=True,
    ),
    atlas.Claim(
      'kernels of 3 in depth see as far as kernels of 11 and 5',
      'receptive field before the dense layers, VGG-16 over AlexNet',
      atlas.at_least(1),
      {'': ratio('field')},
      every=True,
    ),
    atlas.Claim(
      'depth is paid in multiply-accumulates',
      'multiply-accumulates of an image, VGG-16 over AlexNet',
      atlas.at_least(10),
      {'': ratio('macs')},
      every=True,
    ),
    atlas.Claim(
      'most parameters are in the dense layers',
      'share of the parameters',
      atlas.at_least(0.85),
      {name: one('dense_share', name) for name in ('alexnet', 'vgg16')},
      every=True,
    ),
    atlas.Claim(
      'two groups halve the weights of a convolution',
      'weights over those without groups',
      atlas.between(0.5, 0.5),
      {'': data['group_share'].values.reshape(1)},
      every=True,
    ),
    atlas.Claim(
      'two towers give what the grouped layers give',
      f'largest difference, on {devices}, in roundings',
      atlas.at_most(8),
      {'': data['tower_error'].values},
      every=True,
    ),
    atlas.Claim(
      'the towers run in parallel',
      f'time at once, on {devices}, over one after the other',
      atlas.at_most(0.8),
      {'': (data['together'] / data['in_turn']).values},
    ),
  ]


def draw(data: xr.Dataset) -> figure_lib.Figure:
  """Draws what each model costs and sees, and the time of the towers.

  Args:
    data: what `measure` returned.
  """
  names = [str(name) for name in data['model'].values]
  costs = {
    'parameters': data['parameters'],
    'multiply-accumulates': data['macs'],
  }
  times = {
    'at once': data['together'],
    'one after the other': data['in_turn'],
  }
  places = np.arange(len(names))
  return panels.draw(
    [
      panels.Panel(
        'Cost',
        '',
        'number',
        {
          label: panels.over_seeds(places, values.values[None])
          for label, values in costs.items()
        },
        log_y=True,
        marked=True,
        ticks=[name.replace('_', '\n') for name in names],
      ),
      panels.Panel(
        'Field before the dense layers',
        '',
        'pixels',
        {'field': panels.over_seeds(places, data['field'].values[None])},
        marked=True,
        ticks=[name.replace('_', '\n') for name in names],
      ),
      panels.Panel(
        'Two towers',
        f'on {data.attrs["tower_devices"]}',
        'milliseconds',
        {
          label: panels.over_seeds(np.array([i]), 1e3 * values.values[:, None])
          for i, (label, values) in enumerate(times.items())
        },
        marked=True,
        ticks=list(times),
      ),
    ],
    [*costs, 'field', *times],
  )


FACT = atlas.Fact(
  formulas=(
    r'r_{\mathrm{out}} = r_{\mathrm{in}} + (k - 1)\, j_{\mathrm{in}}',
    r'\frac{k^2 C_{\mathrm{in}} C_{\mathrm{out}}}{2} = 2\, k^2 '
    r'\frac{C_{\mathrm{in}}}{2} \frac{C_{\mathrm{out}}}{2}',
  ),
  measure=measure,
  claims=claims,
  draw=draw,
)
