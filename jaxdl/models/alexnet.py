"""AlexNet: five convolutions and three dense layers.

Units: `conv1` to `conv5`, `dense1`, `dense2` and `readout`; the scopes within
are those of `jaxdl.models.sequential`, with `local_response_norm` and `pool`
after some convolutions, and `dropout` after the dense layers.
"""

from typing import NamedTuple

from jaxdl import layers
from jaxdl.layers import base
from jaxdl.layers import initializers
from jaxdl.models import sequential
from jaxdl.models import units


class _Form(NamedTuple):
  """A published form of the network."""

  features: tuple[int, int, int, int, int]  # Of the convolutions.
  stem_padding: int
  local_response: bool


_FORMS = {
  1: _Form((64, 192, 384, 256, 256), 2, False),
  2: _Form((96, 256, 384, 384, 256), 0, True),
}


def alexnet(
  *,
  num_classes: int,
  activation: base.Layer,
  norm: str = 'none',
  groups: int = 1,
  stem_padding: int | None = None,
  local_response: bool | None = None,
  dropout_rate: base.Scalar = 0.5,
  weight_init: initializers.Initializer | None = None,
  bias_init: initializers.Initializer | None = None,
) -> base.Layer:
  """AlexNet, from `[height, width, channels]` to logits.

  The original has two groups of channels, one for each of its two GPUs, which
  meet in the third convolution and in the dense layers; local response
  normalization; and images of 227x227. See Krizhevsky et al., 2012, "ImageNet
  classification with deep convolutional neural networks". The single tower is
  that of Krizhevsky, 2014, https://arxiv.org/abs/1404.5997, for 224x224. Both
  pool by overlapping windows.

  Args:
    num_classes: number of logits.
    activation: layer of the activation, such as `layers.activation('relu')`.
    norm: one of `stack.NORMS`, of the convolutions.
    groups: 2 for the original, 1 for the single tower.
    stem_padding: of the first convolution; as published by default, 0 for two
      groups and 2 for one. With 2, the original takes images of 224x224.
    local_response: whether the first two convolutions have it; by default, the
      original has if `norm` is 'none'.
    dropout_rate: of the two hidden dense layers; at 0 training needs no key.
    weight_init: of all layers; lecun by default.
    bias_init: of all layers; zeros by default.

  Raises:
    ValueError: if an argument is out of range, or a name unknown.
  """
  base.require_positive('num_classes', num_classes)
  if groups not in _FORMS:
    raise ValueError(
      f'groups is {groups}; possible: 1, the single tower, and 2, the original.'
    )
  form = _FORMS[groups]
  if local_response is None:
    local_response = form.local_response and norm == 'none'
  style = sequential.Style(activation, norm, weight_init, bias_init)
  drop = sequential.dropout(dropout_rate)
  return units.chain(
    {
      **_convolutions(
        style,
        groups,
        form.stem_padding if stem_padding is None else stem_padding,
        local_response,
      ),
      'dense1': style.dense(
        4096, first={'flatten': layers.flatten()}, then=drop
      ),
      'dense2': style.dense(4096, then=drop),
      'readout': layers.scope('dense', style.affine(num_classes)),
    }
  )


def _convolutions(
  style: sequential.Style,
  groups: int,
  stem_padding: int,
  local_response: bool,
) -> dict[str, base.Layer]:
  pool = {'pool': layers.max_pool(3, 2)}
  response = {'local_response_norm': layers.local_response_norm()}
  then = {**response, **pool} if local_response else pool
  one, two, three, four, five = _FORMS[groups].features
  return {
    'conv1': style.conv(one, 11, strides=4, padding=stem_padding, then=then),
    'conv2': style.conv(two, 5, groups=groups, then=then),
    'conv3': style.conv(three, 3),
    'conv4': style.conv(four, 3, groups=groups),
    'conv5': style.conv(five, 3, groups=groups, then=pool),
  }
