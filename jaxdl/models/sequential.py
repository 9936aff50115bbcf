"""Units of the sequential architectures: convolutions and dense layers.

The scopes of a unit are `conv` or `dense`, `norm` if any, `activation`, and
those of what comes before or after them, such as `pool`.
"""

from collections.abc import Mapping
from typing import NamedTuple

from jaxdl import layers
from jaxdl.layers import base
from jaxdl.layers import initializers
from jaxdl.layers import linear
from jaxdl.models import stack


class Style(NamedTuple):
  """What all units of a network have in common.

  Attributes:
    activation: the layer of the activation.
    norm: one of `stack.NORMS`, of the convolutions.
    weight_init: of all weights; the layers' own if None.
    bias_init: of all biases; the layers' own if None.
    use_bias: whether the convolutions have a bias.
  """

  activation: base.Layer
  norm: str
  weight_init: initializers.Initializer | None
  bias_init: initializers.Initializer | None
  use_bias: bool = True

  def conv(
    self,
    features: int,
    kernel_size: int,
    *,
    strides: int = 1,
    padding: linear.Padding = 'SAME',
    groups: int = 1,
    then: Mapping[str, base.Layer] | None = None,
  ) -> base.Layer:
    """A unit: a convolution, its normalization and activation, and `then`."""
    conv = layers.conv(
      features,
      kernel_size,
      strides=strides,
      padding=padding,
      feature_group_count=groups,
      weight_init=self.weight_init,
      bias_init=self.bias_init,
      use_bias=self.use_bias,
    )
    return self.around(conv, then=then)

  def around(
    self, conv: base.Layer, *, then: Mapping[str, base.Layer] | None = None
  ) -> base.Layer:
    """A unit: the convolution given, its norm and activation, and `then`."""
    return layers.named(
      {
        'conv': conv,
        **stack.normalization(self.norm),
        'activation': self.activation,
        **(then or {}),
      }
    )

  def dense(
    self,
    features: int,
    *,
    first: Mapping[str, base.Layer] | None = None,
    then: Mapping[str, base.Layer] | None = None,
  ) -> base.Layer:
    """A unit: `first`, a dense layer, its activation, and `then`."""
    return layers.named(
      {
        **(first or {}),
        'dense': self.affine(features),
        'activation': self.activation,
        **(then or {}),
      }
    )

  def affine(self, features: int) -> base.Layer:
    """A dense layer alone, with a bias."""
    return layers.dense(
      features, weight_init=self.weight_init, bias_init=self.bias_init
    )


def dropout(rate: base.Scalar) -> dict[str, base.Layer]:
  """Dropout by the name of its scope; empty if the rate is 0.

  Raises:
    ValueError: if the rate is out of range.
  """
  drop = layers.dropout(rate)
  return {} if base.known(rate) == 0 else {'dropout': drop}


def pooled_readout(
  style: Style, num_classes: int, drop: Mapping[str, base.Layer]
) -> base.Layer:
  """A readout from the average over space, in `pool`, `dropout` and `dense`."""
  return layers.named(
    {
      'pool': layers.global_avg_pool(),
      **drop,
      'dense': style.affine(num_classes),
    }
  )
