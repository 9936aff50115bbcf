"""GoogLeNet: four branches side by side, and 1x1 convolutions to pay for them.

Claim: an inception block is the concatenation of its branches of 1x1, 3x3, 5x5
and pooling; it has six convolutions, of which no more than two lie in a row, so
that it is wide and not deep, and looks at an image at several sizes at once;
the 1x1 convolutions that reduce the channels before 3x3 and 5x5 save more than
half of the multiply-accumulates and of the parameters, at no loss of accuracy.

Source: Szegedy et al., 2015, arXiv:1409.4842 (table 1: the nine blocks);
parameters as torchvision documents them, and multiply-accumulates counted from
its convolutions, with batch norm and 3x3 in the place of 5x5.

Rule: in float64 the block's output and derivatives are those of the branches
computed apart, to 1e-12 of the largest; of six convolutions at most two lie on
a way; the branches see 1, 3, 5 and 3 pixels; without reductions each of the
nine blocks has at least twice the parameters and multiply-accumulates; those of
the network are the published ones, and VGG-16 has at least 10 times as many;
reductions lose at most 1 point of test accuracy in a small network after 120
steps, each at its best learning rate.
"""

from collections.abc import Mapping, Sequence
import functools
from typing import Any

import jax
import jax.numpy as jnp
from jaxdl import atlas
from jaxdl import geometry
from jaxdl import laboratory
from jaxdl import layers
from jaxdl import models
from jaxdl.data import preprocessing
from jaxdl.data import sources
from jaxdl.double_precision import double_precision
from jaxdl.layers import initializers
from jaxdl.models import googlenet
from jaxdl.models import units
from jaxdl.report import panels
from matplotlib import figure as figure_lib
import numpy as np
import xarray as xr

_PARTS = ('output', 'derivative by x', 'derivative by parameters')
_FEATURES = layers.InceptionFeatures(3, 2, 4, 2, 3, 2)
_COMPARED = layers.inception(_FEATURES, activation=layers.activation('tanh'))
_IMAGES = (4, 7, 7, 3)
_FIELDS = {'conv1': 1, 'conv3': 3, 'conv5': 5, 'pool': 3}
_SIDES = {'3': 28, '4': 14, '5': 7}  # Of the map, by the first sign of a name.
_REDUCED, _DIRECT = 'with reductions', 'without'
_FORMS = (_REDUCED, _DIRECT)
_IN_SHAPE, _CLASSES = (224, 224, 3), 1000
_NETWORKS: Mapping[str, Mapping[str, Any]] = {
  'googlenet': {'norm': 'batch', 'wide_kernel_size': 3},
  'vgg16': {},
}
_COSTS = ('parameters', 'macs')
_PUBLISHED = {'parameters': 6_624_904, 'macs': 1_498_376_192}
_SMALL = layers.InceptionFeatures(8, 8, 16, 4, 8, 8)


def measure(
  num_seeds: int,
  *,
  stem_width: int = 32,
  num_steps: int = 120,
  learning_rates: Sequence[float] = (0.03, 0.1, 0.3),
) -> xr.Dataset:
  """Compares blocks with their branches, counts, and trains small networks.

  Args:
    num_seeds: draws, and networks of each form.
    stem_width: channels before the block.
    num_steps: of training.
    learning_rates: each form is reported at its best one.

  Returns:
    `error`, over `part` and `seed`, over the largest; over `block`: `depth`,
    `convolutions`, and over `form` too `parameters` and `macs`; `field` in
    pixels, over `branch`; `network_parameters` and `network_macs`, over
    `network`; over `form` and `seed`: `test_accuracy`.
  """
  with double_precision():
    errors = np.array([_errors(seed) for seed in range(num_seeds)])
  dataset = preprocessing.downsample(
    preprocessing.preprocess(sources.load(), 'channel_standard'), 2
  )
  found = []
  for form in _FORMS:
    record = laboratory.train(
      {
        'width': [stem_width],
        'batch_size': [32],
        'learning_rate': learning_rates,
        'seed': range(num_seeds),
      },
      dataset,
      num_steps,
      make_model=functools.partial(_network, form),
      layerwise=False,
    )
    best = laboratory.at_best_rate(record, ())
    found.append(best[['test_accuracy', 'learning_rate']])
  return (
    xr.concat(found, 'form')
    .assign(error=(('seed', 'part'), errors))
    .merge(_count())
    .assign_coords(form=list(_FORMS), part=list(_PARTS))
  )


def _errors(seed: int) -> list[float]:
  """Compares a block with its branches on one draw; one number a part."""
  rng = np.random.default_rng(seed)
  draw = lambda shape: jnp.asarray(rng.normal(size=shape))
  shapes = _shapes(_COMPARED.init, _IMAGES[1:])
  params = jax.tree.map(lambda w: draw(w.shape) / np.sqrt(w.size), shapes)
  x = draw(_IMAGES)
  ct = draw((*x.shape[:-1], sum(_FEATURES[i] for i in (0, 2, 4, 5))))
  return [
    _difference(a, b)
    for a, b in zip(
      _pulled_back(_together, params, x, ct),
      _pulled_back(_apart, params, x, ct),
      strict=True,
    )
  ]


@functools.partial(jax.jit, static_argnums=0)
def _pulled_back(fn: Any, params: Any, x: jax.Array, ct: jax.Array) -> Any:
  """The output, and the derivatives by x and by the parameters."""
  y, back = jax.vjp(fn, params, x)
  by_params, by_x = back(ct)
  return y, by_x, by_params


def _together(params: Any, x: jax.Array) -> jax.Array:
  no_state = jax.tree.map(lambda _: (), params, is_leaf=_is_conv)
  return _COMPARED.apply(params, no_state, x)[0]


def _apart(params: Any, x: jax.Array) -> jax.Array:
  """Each branch by itself, by windows of the image and products of matrices."""
  one, reduce3, three, reduce5, five, pooled = _convolutions(params)
  conv = lambda x, own: jnp.tanh(_convolve(x, *own))
  largest = jnp.max(_windows(x, 3, -jnp.inf), -2)
  return jnp.concatenate(
    [
      conv(x, one),
      conv(conv(x, reduce3), three),
      conv(conv(x, reduce5), five),
      conv(largest, pooled),
    ],
    axis=-1,
  )


def _is_conv(node: Any) -> bool:
  return isinstance(node, layers.ConvParams)


def _convolutions(params: Any) -> list[layers.ConvParams]:
  return jax.tree.leaves(params, is_leaf=_is_conv)


def _convolve(x: jax.Array, w: jax.Array, b: jax.Array) -> jax.Array:
  windows = _windows(x, w.shape[0], 0.0)
  return b + jnp.tensordot(windows, w.reshape(-1, *w.shape[2:]), 2)


def _windows(x: jax.Array, size: int, outside: float) -> jax.Array:
  """What each pixel has around it, `[..., place, channel]`."""
  height, width = x.shape[1:3]
  around = (size // 2, size // 2)
  pads = ((0, 0), around, around, (0, 0))
  padded = jnp.pad(x, pads, constant_values=outside)
  moved = [
    padded[:, i : i + height, j : j + width] for i, j in np.ndindex(size, size)
  ]
  return jnp.stack(moved, -2)


def _difference(found: Any, expected: Any) -> float:
  """The largest difference over the largest value, of any leaf."""
  pairs = zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True)
  return max(float(abs(a - b).max() / abs(b).max()) for a, b in pairs)


def _block(form: str, features: layers.InceptionFeatures) -> layers.Layer:
  """An inception block; without reductions, 3x3 and 5x5 take all channels."""
  relu = layers.activation('relu')
  he = initializers.he()
  if form == _REDUCED:
    return layers.inception(features, activation=relu, weight_init=he)
  conv = functools.partial(layers.conv, weight_init=he)
  pooled = {
    'pool': layers.max_pool(3, 1, 'SAME'),
    'conv': conv(features.pool, 1),
  }
  branches = layers.parallel(
    conv(features.conv1, 1),
    conv(features.conv3, 3),
    conv(features.conv5, 5),
    layers.named(pooled),
    names=tuple(_FIELDS),
  )
  return layers.named({'branches': branches, 'activation': relu})


def _count() -> xr.Dataset:
  """Counts the nine blocks in both forms, and the networks."""
  costs, depths, numbers, channels = [], [], [], 192
  for name, features in googlenet.BLOCKS.items():
    side = _SIDES[name[0]]
    in_shape = (side, side, channels)
    found = [geometry.summary(_block(f, features), in_shape) for f in _FORMS]
    costs.append([[each.parameters, each.macs] for each in found])
    depths.append(found[0].depth)
    init = _block(_REDUCED, features).init
    numbers.append(len(_convolutions(_shapes(init, in_shape))))
    channels = features.conv1 + features.conv3 + features.conv5 + features.pool
  fields = geometry.receptive_field(_block(_REDUCED, _SMALL), _IMAGES[1:])
  whole = [
    geometry.summary(
      models.build(name, num_classes=_CLASSES, in_shape=_IN_SHAPE, **options),
      _IN_SHAPE,
    )
    for name, options in _NETWORKS.items()
  ]
  seen = [fields.row(f'branches/{branch}').fields[0].size for branch in _FIELDS]
  counted = np.array(costs)
  return xr.Dataset(
    {
      **{
        name: (('block', 'form'), counted[..., i])
        for i, name in enumerate(_COSTS)
      },
      'depth': ('block', depths),
      'convolutions': ('block', numbers),
      'field': ('branch', np.array(seen, float)),
      'network_parameters': ('network', [each.parameters for each in whole]),
      'network_macs': ('network', [each.macs for each in whole]),
    },
    {
      'block': list(googlenet.BLOCKS),
      'branch': list(_FIELDS),
      'network': list(_NETWORKS),
    },
  )


def _shapes(init: Any, in_shape: tuple[int, ...]) -> Any:
  """The shapes of the parameters; nothing is allocated."""
  return jax.eval_shape(lambda key: init(key, in_shape)[1], jax.random.key(0))


def _network(
  form: str, static: Any, dynamic: Any, num_classes: int
) -> layers.Layer:
  """A convolution, a block at 7x7, and a dense readout.

  Of all pixels, not of their average, which learns little in few steps.
  """
  del dynamic
  stem = {
    'conv': layers.conv(static.width, 3, weight_init=initializers.he()),
    'activation': layers.activation('relu'),
    'pool': layers.max_pool(2),
  }
  readout = {'flatten': layers.flatten(), 'dense': layers.dense(num_classes)}
  return units.chain(
    {
      'stem': layers.named(stem),
      'inception': _block(form, _SMALL),
      'readout': layers.named(readout),
    }
  )


def claims(data: xr.Dataset) -> list[atlas.Claim]:
  """States what is claimed.

  Args:
    data: what `measure` returned.
  """
  of_blocks = lambda name: (
    (data[name].sel(form=_DIRECT) / data[name].sel(form=_REDUCED)).values
  )
  points = 100 * data['test_accuracy']
  of_network = lambda network, cost: (
    data[f'network_{cost}'].sel(network=network).values.reshape(1)
  )
  google = {cost: of_network('googlenet', cost) for cost in _COSTS}
  return [
    atlas.Claim(
      'an inception block is its four branches, concatenated',
      'largest difference in float64, over the largest value',
      atlas.at_most(1e-12),
      {part: data['error'].sel(part=part).values for part in _PARTS},
      every=True,
    ),
    atlas.Claim(
      'it is wide and not deep',
      'convolutions on the longest way through it, of six',
      atlas.at_most(2),
      {'': np.where(data['convolutions'] == 6, data['depth'], np.inf)},
      every=True,
    ),
    atlas.Claim(
      'its branches look at the image at several sizes at once',
      'pixels seen by 1×1, 3×3, 5×5 and pooling, less 1, 3, 5 and 3',
      atlas.between(0, 0),
      {
        branch: data['field'].sel(branch=branch).values.reshape(1) - pixels
        for branch, pixels in _FIELDS.items()
      },
      every=True,
    ),
    atlas.Claim(
      'reductions pay for it',
      'cost of a block without reductions over that with them, of nine blocks',
      atlas.at_least(2),
      {cost: of_blocks(cost) for cost in _COSTS},
      every=True,
    ),
    atlas.Claim(
      'GoogLeNet costs what is published',
      'cost over the published one, with batch norm, 3×3 in the place of 5×5',
      atlas.between(1, 1),
      {cost: google[cost] / _PUBLISHED[cost] for cost in _COSTS},
      every=True,
    ),
    atlas.Claim(
      'that is a tenth of VGG-16',
      'cost of VGG-16 over that of GoogLeNet',
      atlas.at_least(10),
      {cost: of_network('vgg16', cost) / google[cost] for cost in _COSTS},
      every=True,
    ),
    atlas.Claim(
      'reductions cost no accuracy',
      'test accuracy gained by reductions, points',
      atlas.at_least(-1),
      {'': (points.sel(form=_REDUCED) - points.sel(form=_DIRECT)).values},
    ),
  ]


def draw(data: xr.Dataset) -> figure_lib.Figure:
  """Draws what reductions save in each block, and what they do to accuracy.

  Args:
    data: what `measure` returned.
  """
  blocks = [str(name) for name in data['block'].values]
  over_blocks = lambda name: {
    form: panels.over_seeds(
      np.arange(len(blocks)), data[name].sel(form=form).values[None]
    )
    for form in _FORMS
  }
  accuracy = {
    form: panels.over_seeds(
      np.array([place]),
      data['test_accuracy'].sel(form=form).values[:, None],
    )
    for place, form in enumerate(_FORMS)
  }
  cost = functools.partial(panels.Panel, log_y=True, marked=True, ticks=blocks)
  return panels.draw(
    [
      cost('Parameters', 'block', 'parameters', over_blocks('parameters')),
      cost('Arithmetic', 'block', 'multiply-accumulates', over_blocks('macs')),
      panels.Panel(
        'A small network, trained',
        '',
        'test accuracy',
        accuracy,
        marked=True,
        ticks=list(_FORMS),
      ),
    ],
    list(_FORMS),
  )


FACT = atlas.Fact(
  formulas=(
    r'y = [\,C_1 x,\; C_3 C_1 x,\; C_5 C_1 x,\; C_1 \max x\,]',
    r'k^2 C_{in} C_{out} \;\to\; C_{in} R + k^2 R \, C_{out}',
  ),
  measure=measure,
  claims=claims,
  draw=draw,
)
