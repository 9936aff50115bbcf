"""Blocks of stacked small kernels, in the place of one large kernel each.

Two convolutions of 3x3 see what one of 5x5 sees and three what one of 7x7 sees,
with fewer weights and an activation after each: see Simonyan & Zisserman, 2015,
https://arxiv.org/abs/1409.1556, section 2.3, and Szegedy et al., 2016,
https://arxiv.org/abs/1512.00567, section 3.1. Units: a block is one, whatever
its kernels, so that networks of different kernels have the same layers. Scopes,
where `->` marks the scan over blocks:

  stem/conv, stem/norm, stem/activation             layer 1
  blocks -> layer/conv1, .../norm1, .../activation1
  blocks -> layer/conv2, .../norm2, .../activation  layers 2..blocks + 1
  readout/pool, readout/dense                       the logits

`norm*` is absent without one.
"""

from collections.abc import Sequence

from jaxdl import layers
from jaxdl.layers import base
from jaxdl.layers import initializers
from jaxdl.models import stack
from jaxdl.models import units


def kernel_stack(
  *,
  kernels: Sequence[int],
  blocks: int,
  width: int,
  num_classes: int,
  activation: base.Layer,
  norm: str = 'none',
  stem_strides: int = 1,
  weight_init: initializers.Initializer | None = None,
) -> base.Layer:
  """A stem, equal blocks of convolutions, and a readout from the average.

  Args:
    kernels: sizes of the convolutions of a block, in order; odd.
    blocks: how many blocks.
    width: channels of every convolution.
    num_classes: number of logits.
    activation: layer of the activation, such as `layers.activation('relu')`.
    norm: one of `stack.NORMS`, after each convolution.
    stem_strides: the stem is a convolution of this kernel size and stride: what
      a pixel of the blocks sees of the image, beside its neighbours.
    weight_init: of all weights; he by default.

  Raises:
    ValueError: if a size is less than 1, a kernel is even, or a name is
      unknown.
  """
  base.require_positive('num_classes', num_classes)
  weight_init = weight_init or initializers.he()
  readout = {
    'pool': layers.global_avg_pool(),
    'dense': layers.dense(num_classes, weight_init=weight_init),
  }
  trunk = _trunk(
    kernels, blocks, width, activation, norm, stem_strides, weight_init
  )
  return units.chain({**trunk, 'readout': layers.named(readout)})


def features(
  *,
  kernels: Sequence[int],
  blocks: int,
  width: int,
  activation: base.Layer,
  norm: str = 'none',
  stem_strides: int = 1,
  weight_init: initializers.Initializer | None = None,
) -> base.Layer:
  """What `kernel_stack` is before its readout; arguments are as there."""
  weight_init = weight_init or initializers.he()
  return units.chain(
    _trunk(kernels, blocks, width, activation, norm, stem_strides, weight_init)
  )


def _trunk(
  kernels, blocks, width, activation, norm, stem_strides, weight_init
) -> dict[str, base.Layer]:
  """The stem and the blocks, by name."""
  base.require_positive('blocks', blocks)
  base.require_positive('width', width)
  base.require_positive('stem_strides', stem_strides)
  _require_odd(kernels)

  def conv(kernel_size, strides=1, padding: str = 'SAME'):
    return layers.conv(
      width,
      kernel_size,
      strides=strides,
      padding=padding,
      # Batch norm takes the mean away again, and with it any bias.
      use_bias=not norm.startswith('batch'),
      weight_init=weight_init,
    )

  children: dict[str, base.Layer] = {}
  for number, kernel_size in enumerate(kernels, 1):
    is_last = number == len(kernels)
    children |= {
      f'conv{number}': conv(kernel_size),
      **stack.normalization(norm, f'norm{number}'),
      'activation' if is_last else f'activation{number}': activation,
    }
  stem = conv(stem_strides, stem_strides, 'VALID')
  return {
    'stem': stack.block('conv', stem, norm, activation),
    'blocks': layers.repeat(layers.named(children), blocks),
  }


def _require_odd(kernels: Sequence[int]) -> None:
  if not kernels:
    raise ValueError('kernels is empty; give at least one size, such as 3.')
  for size in kernels:
    if size < 1 or size % 2 == 0:
      raise ValueError(
        f'kernels are odd sizes, so that a pixel has a centre; got {size}.'
      )
