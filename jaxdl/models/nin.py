"""Network in network: mlpconv layers, and an average over space for a readout.

Units: the convolutions of each `layers.mlpconv`, `mlpconv1_conv`,
`mlpconv1_mlp1`, `mlpconv1_mlp2` and so on; the last convolution of the last is
the `readout`, with scopes `conv`, `activation1` and `pool`, the average: it is
measured at its output. The scopes of the others are those of
`jaxdl.models.sequential`.
"""

from typing import NamedTuple

from jaxdl import choice
from jaxdl import layers
from jaxdl.layers import base
from jaxdl.layers import initializers
from jaxdl.layers import linear
from jaxdl.models import sequential
from jaxdl.models import units


class _Mlpconv(NamedTuple):
  """One mlpconv layer; its last convolution may lead to logits."""

  features: tuple[int, ...]
  kernel_size: int
  strides: int = 1
  padding: linear.Padding = 'SAME'
  pool: base.Layer | None = None
  dropout: bool = False


# Sizes are rounded up, as Caffe does: a window of 3 may stand out at the end.
_HALVING = ((0, 1), (0, 1))
_MAX_POOL = layers.max_pool(3, 2)

_FORMS = {
  'cifar': (
    _Mlpconv(
      (192, 160, 96), 5, pool=layers.max_pool(3, 2, _HALVING), dropout=True
    ),
    _Mlpconv(
      (192, 192, 192), 5, pool=layers.avg_pool(3, 2, _HALVING), dropout=True
    ),
    _Mlpconv((192, 192), 3),
  ),
  'imagenet': (
    _Mlpconv((96, 96, 96), 11, strides=4, padding='VALID', pool=_MAX_POOL),
    _Mlpconv((256, 256, 256), 5, pool=_MAX_POOL),
    _Mlpconv((384, 384, 384), 3, pool=_MAX_POOL, dropout=True),
    _Mlpconv((1024, 1024), 3),
  ),
}

FORMS = tuple(_FORMS)


def nin(
  *,
  num_classes: int,
  activation: base.Layer,
  norm: str = 'none',
  form: str = 'cifar',
  dropout_rate: base.Scalar = 0.5,
  weight_init: initializers.Initializer | None = None,
  bias_init: initializers.Initializer | None = None,
) -> base.Layer:
  """Network in network, from `[height, width, channels]` to logits.

  The last convolution of 1x1 has a channel for each class; the logits are its
  activation, averaged over space. See Lin et al., 2014,
  https://arxiv.org/abs/1312.4400; the form for ImageNet is that of the Caffe
  model zoo, with sizes rounded down after a pooling.

  Args:
    num_classes: number of logits.
    activation: layer of the activation, such as `layers.activation('relu')`.
    norm: one of `stack.NORMS`, of all convolutions but the readout's.
    form: 'cifar', of three mlpconv layers, for 32x32; or 'imagenet', of four,
      for 224x224.
    dropout_rate: after the first two poolings for CIFAR, after the last for
      ImageNet; at 0 training needs no key.
    weight_init: of all layers; lecun by default.
    bias_init: of all layers; zeros by default.

  Raises:
    ValueError: if an argument is out of range, or a name unknown.
  """
  base.require_positive('num_classes', num_classes)
  style = sequential.Style(activation, norm, weight_init, bias_init)
  drop = sequential.dropout(dropout_rate)
  chained: dict[str, base.Layer] = {}
  for number, mlpconv in enumerate(choice.choose('form', form, _FORMS), 1):
    chained |= _convolutions(style, f'mlpconv{number}', mlpconv, drop)
  return units.chain({**chained, 'readout': _readout(style, num_classes)})


def _convolutions(
  style: sequential.Style,
  name: str,
  mlpconv: _Mlpconv,
  drop: dict[str, base.Layer],
) -> dict[str, base.Layer]:
  """The convolutions of an mlpconv layer, each a unit."""
  convolutions = layers.mlpconv_convolutions(
    mlpconv.features,
    mlpconv.kernel_size,
    strides=mlpconv.strides,
    padding=mlpconv.padding,
    weight_init=style.weight_init,
    bias_init=style.bias_init,
  )
  *inner, last = convolutions
  pool = {} if mlpconv.pool is None else {'pool': mlpconv.pool}
  then = {**pool, **(drop if mlpconv.dropout else {})}
  return {
    **{f'{name}_{part}': style.around(convolutions[part]) for part in inner},
    f'{name}_{last}': style.around(convolutions[last], then=then),
  }


def _readout(style: sequential.Style, num_classes: int) -> base.Layer:
  conv = layers.conv(
    num_classes, 1, weight_init=style.weight_init, bias_init=style.bias_init
  )
  return layers.named(
    {
      'conv': conv,
      'activation1': style.activation,
      'pool': layers.global_avg_pool(),
    }
  )
