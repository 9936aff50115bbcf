"""Receptive fields: stacked 3x3 convolutions see 3, 5, 7, 9 pixels.

Claim: n stacked 3x3 convolutions of stride 1 see 2n + 1 pixels along each axis,
all of them; a layer of kernel k widens the field by (k - 1) j, where the jump j
is how far apart in the image two neighbouring outputs look; a convolution of
stride 1 leaves j as it is, a pooling of stride 2 doubles it.

Source: Araujo, Norris and Sim, 2019, "Computing receptive fields of
convolutional neural networks", Distill; Simonyan and Zisserman, 2015, section
2.3 (stacks of 3x3).

Rule: the pixels on which the derivative of an output is not zero, in random
networks with and without ReLU and max pooling, over random images, are a square
without holes, and its side, its growth and its jump are what is claimed, every
time; arithmetic on the graph gives the same first and last pixel.
"""

from collections.abc import Mapping
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxdl import atlas
from jaxdl import geometry
from jaxdl import layers
from jaxdl.layers import initializers
from jaxdl.report import figures
import matplotlib
from matplotlib import colors
from matplotlib import figure as figure_lib
import numpy as np
import xarray as xr


class Window(NamedTuple):
  """A layer: a convolution of stride 1, or a pooling of stride 2."""

  kernel: int
  pools: bool = False


_POOL = Window(2, pools=True)
STACK = 'stacked 3×3'
_POOLED = 'kernels and pooling'
CHAINS: Mapping[str, tuple[Window, ...]] = {
  STACK: 4 * (Window(3),),
  _POOLED: (
    Window(5),
    _POOL,
    Window(1),
    Window(4),
    _POOL,
    Window(3),
  ),
}
_LINEAR = 'linear, average pooling'
KINDS = {
  _LINEAR: (layers.identity(), layers.avg_pool(2)),
  'ReLU, max pooling': (layers.activation('relu'), layers.max_pool(2)),
}
_ENDS = ('first', 'last')
_SIDE = 32  # Of the images; larger than any of the fields.
_DRAWN = 13  # Pixels of the maps in the figure.


def measure(
  num_seeds: int, *, num_images: int = 32, width: int = 8
) -> xr.Dataset:
  """Differentiates an output of each layer by all pixels.

  Args:
    num_seeds: networks of each kind.
    num_images: over which what is seen is united: a single one does not pass
      each ReLU and each maximum.
    width: channels.

  Returns:
    Over `chain`, `layer` and `axis`, and over `kind` and `seed` too:
    `first` and `last`, the pixels along the axis on which the derivative of the
    output in the middle is not zero; `jump` to those of its neighbour;
    `predicted_first` and `predicted_last` by `jaxdl.geometry`. Without `axis`:
    `holes`, pixels in between of zero derivative. `derivative`, the mean
    |dy/dx| of the linear stack, over `layer`, `row` and `column`. NaN beyond
    the layers of a chain.
  """
  found = []
  for name, chain in CHAINS.items():
    by_kind = []
    for kind in KINDS:
      derivatives = _derivatives(chain, kind, num_seeds, num_images, width)
      by_kind.append(_measured(derivatives))
      if (name, kind) == (STACK, _LINEAR):
        maps = derivatives[:, :, 0].mean(0)
    whole = xr.concat(by_kind, 'kind').merge(_predicted(chain))
    found.append(whole)
  data = xr.concat(found, 'chain', join='outer').assign_coords(
    chain=list(CHAINS), kind=list(KINDS), seed=range(num_seeds)
  )
  around = slice(_SIDE // 2 - _DRAWN // 2, _SIDE // 2 + _DRAWN // 2 + 1)
  drawn = np.full((data.sizes['layer'], _DRAWN, _DRAWN), np.nan)
  drawn[: len(maps)] = maps[:, around, around]
  return data.assign(derivative=(('layer', 'row', 'column'), drawn))


def _layers(chain: tuple[Window, ...], kind: str, width: int) -> layers.Layer:
  """The chain as a network; nothing is padded, so each output has its field."""
  activation, pool = KINDS[kind]
  return layers.named(
    {
      f'layer{number}': pool
      if window.pools
      else layers.named(
        {
          'conv': layers.conv(
            width,
            window.kernel,
            padding='VALID',
            weight_init=initializers.he(),
          ),
          'activation': activation,
        }
      )
      for number, window in enumerate(chain, 1)
    }
  )


def _derivatives(
  chain: tuple[Window, ...],
  kind: str,
  num_seeds: int,
  num_images: int,
  width: int,
) -> np.ndarray:
  """|dy/dx|, averaged over images: `[seed, layer, output, row, column]`.

  The outputs are that in the middle, and its neighbour along the diagonal.
  """
  parts = [_layers((window,), kind, width) for window in chain]

  def outputs(params, x):
    found = []
    for part, (own, state) in zip(parts, params, strict=True):
      x, _ = part.apply(own, state, x)
      middle = x.shape[1] // 2
      found += [jnp.sum(x[0, i, i]) for i in (middle, middle + 1)]
    return jnp.stack(found)

  def differentiate(keys):
    key, image_key = keys
    params: list[Any] = []
    shape: tuple[int, ...] = (_SIDE, _SIDE, 1)
    for number, part in enumerate(parts):
      shape, *own = part.init(jax.random.fold_in(key, number), shape)
      params.append(own)
    x = jax.random.normal(image_key, (1, _SIDE, _SIDE, 1))
    return jnp.abs(jax.jacrev(outputs, 1)(params, x))[:, 0, ..., 0]

  seeds = jax.vmap(jax.random.key)(jnp.arange(num_seeds))
  images = jax.vmap(jax.random.key)(num_seeds + jnp.arange(num_images))
  average = lambda seed: jnp.mean(
    jax.lax.map(lambda image: differentiate((seed, image)), images), 0
  )
  found = jax.jit(lambda: jax.lax.map(average, seeds))()
  return np.asarray(found).reshape(num_seeds, len(chain), 2, _SIDE, _SIDE)


def _measured(derivatives: np.ndarray) -> xr.Dataset:
  """Reads first and last pixel, jump and holes off the derivatives."""
  seen = np.greater(derivatives, 0)
  ends = []
  for other in (-1, -2):  # The axis that is looked along.
    line = seen.any(other)  # [seed, layer, output, pixel]
    first = line.argmax(-1)
    last = line.shape[-1] - 1 - line[..., ::-1].argmax(-1)
    ends.append((first, last))
  first, last = (
    np.stack(each, -1).astype(float) for each in zip(*ends, strict=True)
  )
  area = np.prod(last - first + 1, axis=-1)
  dims = ('seed', 'layer', 'axis')
  return xr.Dataset(
    {
      'first': (dims, first[:, :, 0]),
      'last': (dims, last[:, :, 0]),
      'jump': (dims, first[:, :, 1] - first[:, :, 0]),
      'holes': (dims[:2], (area - seen.sum((-1, -2)))[:, :, 0]),
    },
    {'layer': range(1, derivatives.shape[1] + 1), 'axis': ['row', 'column']},
  )


def _predicted(chain: tuple[Window, ...]) -> xr.Dataset:
  """What arithmetic on the graph says of the output in the middle."""
  network = _layers(chain, _LINEAR, 1)
  rows = geometry.receptive_field(network, (_SIDE, _SIDE, 1))
  pixels = np.array(
    [
      [field.middle() for field in rows.row(f'layer{number}').fields]
      for number in range(1, len(chain) + 1)
    ],
    float,
  )
  dims = ('layer', 'axis')
  return xr.Dataset(
    {
      'predicted_first': (dims, pixels[..., 0]),
      'predicted_last': (dims, pixels[..., 1]),
    },
    {'layer': range(1, len(chain) + 1), 'axis': ['row', 'column']},
  )


def claims(data: xr.Dataset) -> list[atlas.Claim]:
  """States what is claimed.

  Args:
    data: what `measure` returned.
  """
  exactly = atlas.between(0, 0)
  of_chain = {
    name: data.sel(chain=name, layer=slice(1, len(chain)))
    for name, chain in CHAINS.items()
  }
  over_chains = lambda fn: {
    name: fn(one, CHAINS[name]).values for name, one in of_chain.items()
  }
  of_stack = _size(of_chain[STACK])
  return [
    atlas.Claim(
      'stacked 3×3 convolutions see 3, 5, 7, 9 pixels',
      'pixels along an axis on which the derivative is not zero, less 2n + 1',
      exactly,
      {
        f'n = {n}': (of_stack - (2 * n + 1)).sel(layer=n).values
        for n in of_stack['layer'].values
      },
      every=True,
    ),
    atlas.Claim(
      'they see every pixel of the square',
      'pixels within the field on which the derivative is zero',
      exactly,
      over_chains(lambda one, _: one['holes']),
      every=True,
    ),
    atlas.Claim(
      'a layer of kernel k widens the field by (k − 1) j',
      'growth of the field in pixels, less (k − 1) j',
      exactly,
      over_chains(_growth_error),
      every=True,
    ),
    atlas.Claim(
      'a convolution of stride 1 leaves the jump j as it is',
      'j after the layer over j before it',
      atlas.between(1, 1),
      over_chains(functools.partial(_jump_ratio, pools=False)),
      every=True,
    ),
    atlas.Claim(
      'a pooling of stride 2 doubles it',
      'j after the layer over j before it',
      atlas.between(2, 2),
      {'': _jump_ratio(of_chain[_POOLED], CHAINS[_POOLED], pools=True).values},
      every=True,
    ),
    atlas.Claim(
      'arithmetic on the graph finds the same field',
      'pixels between its ends and those by the derivative, the larger of both',
      exactly,
      over_chains(_prediction_error),
      every=True,
    ),
  ]


def _prediction_error(
  data: xr.Dataset, chain: tuple[Window, ...]
) -> xr.DataArray:
  del chain
  wrong = [abs(data[end] - data[f'predicted_{end}']) for end in _ENDS]
  return xr.concat(wrong, 'end').max('end')


def _size(data: xr.Dataset) -> xr.DataArray:
  return data['last'] - data['first'] + 1


def _before(values: xr.DataArray) -> xr.DataArray:
  """What each layer is given; an input sees itself, one pixel from the next."""
  return values.shift(layer=1, fill_value=1)


def _growth_error(data: xr.Dataset, chain: tuple[Window, ...]) -> xr.DataArray:
  size = _size(data)
  kernels = xr.DataArray([window.kernel for window in chain], dims='layer')
  return size - _before(size) - (kernels - 1) * _before(data['jump'])


def _jump_ratio(
  data: xr.Dataset, chain: tuple[Window, ...], *, pools: bool
) -> xr.DataArray:
  ratio = data['jump'] / _before(data['jump'])
  return ratio.isel(layer=[i for i, w in enumerate(chain) if w.pools == pools])


def draw(data: xr.Dataset) -> figure_lib.Figure:
  """Draws what each layer of the stack sees, and the growth of all fields.

  Args:
    data: what `measure` returned.
  """
  depth = len(CHAINS[STACK])
  maps = data['derivative'].values[:depth]
  with matplotlib.rc_context(figures.STYLE):
    figure = figure_lib.Figure(figsize=(9.6, 2.9), layout='constrained')
    (left, right), *_ = figure.subfigures(
      1, 2, squeeze=False, width_ratios=[2.1, 1]
    )
    all_axes = left.subplots(1, depth)
    scale = colors.LogNorm(np.nanmin(maps[maps > 0]), maps.max())
    palette = matplotlib.colormaps['viridis'].with_extremes(bad='#e6e6e6')
    half = _DRAWN // 2
    for n, axes in enumerate(all_axes, 1):
      shown = axes.imshow(
        np.ma.masked_equal(maps[n - 1], 0),
        norm=scale,
        cmap=palette,
        extent=(-half - 0.5, half + 0.5, half + 0.5, -half - 0.5),
      )
      axes.grid(False)
      side = _size(data).sel(chain=STACK, layer=n).max().item()
      axes.set_title(f'{n} × 3×3: {side:.0f} pixels')
      axes.set_xlabel('pixel')
      axes.set_xticks([-5, 0, 5])
      axes.set_yticks([-5, 0, 5])
    label = '|dy/dx|, 0 in grey'
    left.colorbar(shown, ax=list(all_axes), label=label, shrink=0.6)
    _draw_growth(right.subplots(), data)
  return figure


def _draw_growth(axes, data: xr.Dataset) -> None:
  """Draws field over layer: arithmetic as a line, the derivative as points."""
  for i, (name, chain) in enumerate(CHAINS.items()):
    one = data.sel(chain=name, layer=slice(1, len(chain)))
    predicted = one['predicted_last'] - one['predicted_first'] + 1
    layer = [0, *one['layer'].values]
    color = figures.PALETTE[i]
    axes.plot(
      layer, [1, *predicted.isel(axis=0).values], color=color, label=name
    )
    measured = _size(one).max(('kind', 'seed', 'axis'))
    axes.plot(one['layer'].values, measured.values, 'o', color=color, ms=4)
  axes.set_title('line: arithmetic; points: derivative')
  axes.set_xlabel('layer')
  axes.set_ylabel('field, pixels')
  axes.legend()


FACT = atlas.Fact(
  formulas=(
    r'r_{l} = r_{l-1} + (k_l - 1) \, j_{l-1}',
    r'j_{l} = s_l \, j_{l-1}, \quad r_0 = j_0 = 1',
  ),
  measure=measure,
  claims=claims,
  draw=draw,
)
