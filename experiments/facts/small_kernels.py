"""Small kernels: a stack of them replaces a large one at fewer parameters.

Claim: two 3x3 convolutions see what one of 5x5 sees and three what one of 7x7
sees, with 18/25 and 27/49 of its weights and multiply-accumulates and an
activation more after each; networks of the stacks are no less accurate.

Source: Simonyan and Zisserman, 2015, arXiv:1409.1556, section 2.3 (three of 3x3
for one of 7x7); Szegedy et al., 2016, arXiv:1512.00567, section 3.1 (two for
one of 5x5).

Rule: of a block the receptive fields are equal; weights and
multiply-accumulates are exactly 18/25 and 27/49 of the large kernel's, no more
than 3/4; it has at least two layers in place of one; test accuracy gained over
the large kernel in 150 steps, half an epoch, is no less than -1 point, with and
without batch norm, each at its best learning rate. (`./run.sh small_kernels`
trains longer.)
"""

from collections.abc import Mapping, Sequence
import functools
from typing import Any

from jaxdl import atlas
from jaxdl import geometry
from jaxdl import laboratory
from jaxdl import layers
from jaxdl.data import preprocessing
from jaxdl.data import sources
from jaxdl.models import kernel_stack
from jaxdl.report import panels
from matplotlib import figure as figure_lib
import numpy as np
import xarray as xr

KERNELS: Mapping[str, tuple[int, ...]] = {
  '5': (5,),
  '3+3': (3, 3),
  '7': (7,),
  '3+3+3': (3, 3, 3),
}
# What each stack replaces, and the share of its weights as a fraction.
_REPLACED = {'3+3': ('5', (18, 25)), '3+3+3': ('7', (27, 49))}
_NORMS = {'none': 'no norm', 'batch': 'batch norm'}
# Batch norm takes larger ones. (At first there was no batch norm, and two
# blocks: in 150 steps these had learned next to nothing.)
_RATES = {'none': (0.1, 0.3), 'batch': (0.3, 1.0)}
_WIDTHS = (1, 16, 64, 512)  # Channels of the blocks that are counted.
_SIDE = 14  # Of the images that the blocks take.
_STEM_STRIDES = 3  # What a pixel of the blocks sees of the image.
_WINDOW = 10  # Batches over which a loss is averaged.


def measure(
  num_seeds: int,
  *,
  width: int = 8,
  num_steps: int = 150,
  norms: Sequence[str] = tuple(_NORMS),
) -> xr.Dataset:
  """Counts blocks of each kind, and trains networks of them.

  Args:
    num_seeds: networks of each kind.
    width: channels of the networks, which have one block after a stem.
    num_steps: of training.
    norms: of `none` and `batch`.

  Returns:
    Over `kernels` and `channels`: `weights`, `macs`, `depth` in layers and
    `field` in pixels, of a block; over `kernels`, `norm` and `seed`:
    `test_accuracy`, and `loss` over `step`, each at its best learning rate.
  """
  counted = xr.concat([_count(sizes) for sizes in KERNELS.values()], 'kernels')
  dataset = preprocessing.preprocess(sources.load(), 'channel_standard')
  trained = []
  for sizes in KERNELS.values():
    record = laboratory.train(
      {
        'model': ['cnn'],
        'norm': norms,
        'depth': [1],
        'width': [width],
        'batch_size': [32],
        'learning_rate': sorted(
          {rate for norm in norms for rate in _RATES[norm]}
        ),
        'seed': range(num_seeds),
      },
      dataset,
      num_steps,
      make_model=functools.partial(_network, sizes),
      layerwise=False,
      where=lambda cell: cell['learning_rate'] in _RATES[str(cell['norm'])],
    )
    best = [_at_best_rate(record, norm) for norm in norms]
    trained.append(xr.concat(best, 'norm'))
  return counted.merge(xr.concat(trained, 'kernels')).assign_coords(
    kernels=list(KERNELS), norm=[_NORMS[norm] for norm in norms]
  )


def _at_best_rate(record: xr.Dataset, norm: str) -> xr.Dataset:
  of_norm = record.isel(cell=record['norm'].values == norm)
  best = laboratory.at_best_rate(of_norm, ())
  return best[['loss', 'test_accuracy', 'learning_rate']]


def _count(sizes: tuple[int, ...]) -> xr.Dataset:
  """Counts a block of convolutions without biases."""
  summaries, fields = [], []
  for channels in _WIDTHS:
    block = layers.serial(
      *(layers.conv(channels, size, use_bias=False) for size in sizes)
    )
    in_shape = (_SIDE, _SIDE, channels)
    summaries.append(geometry.summary(block, in_shape))
    row = geometry.receptive_field(block, in_shape).row('output')
    fields.append(float(row.fields[0].size))
  return xr.Dataset(
    {
      'weights': ('channels', [found.parameters for found in summaries]),
      'macs': ('channels', [found.macs for found in summaries]),
      'depth': ('channels', [found.depth for found in summaries]),
      'field': ('channels', fields),
    },
    {'channels': list(_WIDTHS)},
  )


def _network(
  sizes: tuple[int, ...], static: Any, dynamic: Any, num_classes: int
) -> layers.Layer:
  del dynamic
  return kernel_stack.kernel_stack(
    kernels=sizes,
    blocks=static.depth,
    norm=static.norm,
    width=static.width,
    num_classes=num_classes,
    activation=layers.activation('relu'),
    stem_strides=_STEM_STRIDES,
  )


def claims(data: xr.Dataset) -> list[atlas.Claim]:
  """States what is claimed.

  Args:
    data: what `measure` returned.
  """

  def compared(fn):
    """`fn` of the stack, the large kernel and the share, by what they are."""
    return {
      f'{small} for {large}': fn(
        data.sel(kernels=small), data.sel(kernels=large), share
      ).values
      for small, (large, share) in _REPLACED.items()
    }

  steps = data.sizes['step']
  ratio = lambda name: lambda small, large, share: small[name] / large[name]
  return [
    atlas.Claim(
      'the stack sees what the large kernel sees',
      'pixels along an axis more than those of the large kernel',
      atlas.between(0, 0),
      compared(lambda small, large, _: small['field'] - large['field']),
      every=True,
    ),
    *(
      atlas.Claim(
        f'with {what}',
        f'{name} of the stack over those of the large kernel',
        atlas.at_most(0.75),
        compared(ratio(variable)),
        every=True,
      )
      for what, name, variable in (
        ('fewer weights', 'weights', 'weights'),
        ('less arithmetic', 'multiply-accumulates', 'macs'),
      )
    ),
    atlas.Claim(
      'exactly 18/25 and 27/49 of them',
      'the share that was counted, over this one',
      atlas.between(1, 1),
      compared(_share_error),
      every=True,
    ),
    atlas.Claim(
      'it is deeper',
      'layers, and activations, in place of one',
      atlas.at_least(2),
      compared(ratio('depth')),
      every=True,
    ),
    atlas.Claim(
      'networks of it are no less accurate',
      f'test accuracy gained over the large kernel in {steps} steps, points',
      atlas.at_least(-1),
      {
        f'{name}, {norm}': values
        for norm in data['norm'].values
        for name, values in compared(
          lambda small, large, _, norm=norm: (
            100 * (small['test_accuracy'] - large['test_accuracy'])
          ).sel(norm=norm)
        ).items()
      },
    ),
  ]


def _share_error(
  small: xr.Dataset, large: xr.Dataset, share: tuple[int, int]
) -> xr.DataArray:
  """Over the products of integers, which divide without rounding."""
  numerator, denominator = share
  return denominator * small['weights'] / (numerator * large['weights'])


def draw(data: xr.Dataset) -> figure_lib.Figure:
  """Draws how networks of each block train, and where they end.

  Args:
    data: what `measure` returned.
  """
  losses = data['loss'].rolling(step=_WINDOW).mean().dropna('step')
  accuracy = data['test_accuracy']
  norms = [str(norm) for norm in data['norm'].values]
  return panels.draw(
    [
      *(
        panels.Panel(
          f'Training, {norm}',
          'step',
          'training loss',
          {
            name: panels.over_seeds(
              losses['step'].values + 1,
              losses.sel(kernels=name, norm=norm)
              .transpose('seed', 'step')
              .values,
            )
            for name in KERNELS
          },
        )
        for norm in norms
      ),
      panels.Panel(
        f'After {data.sizes["step"]} steps',
        '',
        'test accuracy',
        {
          name: panels.over_seeds(
            np.arange(len(norms)),
            accuracy.sel(kernels=name).transpose('seed', 'norm').values,
          )
          for name in KERNELS
        },
        marked=True,
        ticks=norms,
      ),
    ],
    list(KERNELS),
  )


FACT = atlas.Fact(
  formulas=(
    r'n\,(3 - 1) + 1 = k \;\Rightarrow\; n = \frac{k - 1}{2}',
    r'\frac{9 n C^2}{k^2 C^2} = \frac{18}{25}\ (k = 5), \quad '
    r'\frac{27}{49}\ (k = 7)',
  ),
  measure=measure,
  claims=claims,
  draw=draw,
)
