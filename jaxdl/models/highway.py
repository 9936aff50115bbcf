"""Highway networks: stacks whose hidden layers learn what to carry.

See Srivastava et al., 2015, https://arxiv.org/abs/1505.00387. Scopes, and the
layout of params, are those of `jaxdl.models.stack`.
"""

from jaxdl.layers import base
from jaxdl.layers import initializers
from jaxdl.models import cnn
from jaxdl.models import mlp


def highway(
  *,
  depth: int,
  width: int,
  num_classes: int,
  activation: base.Layer,
  norm: str = 'none',
  weight_init: initializers.Initializer | None = None,
  bias_init: initializers.Initializer | None = None,
  use_bias: bool = True,
  gate_bias: base.Scalar = -2.0,
) -> base.Layer:
  """The fully connected highway network, from inputs of any shape to logits.

  A dense layer to `width` features, then `depth - 1` highway layers: each mixes
  H(x), a dense layer with its activation, with x, by a gate that is dense too.

  Args:
    depth: number of layers before the readout, at least 1.
    width: features of each layer.
    num_classes: number of logits.
    activation: layer of the activation, such as `layers.activation('tanh')`.
    norm: one of `stack.NORMS`, before each activation.
    weight_init: of the dense layers, but not of a gate; lecun by default.
    bias_init: of the same layers; zeros by default.
    use_bias: whether the layers before the readout have a bias; the gates
      always do.
    gate_bias: initial bias of the gates, negative to carry x at first; it may
      be traced.

  Raises:
    ValueError: if a size is less than 1, or the normalization is unknown.
  """
  return mlp.mlp(
    depth=depth,
    width=width,
    num_classes=num_classes,
    activation=activation,
    norm=norm,
    shortcut='highway',
    weight_init=weight_init,
    bias_init=bias_init,
    use_bias=use_bias,
    gate_bias=gate_bias,
  )


def highway_cnn(
  *,
  depth: int,
  width: int,
  num_classes: int,
  activation: base.Layer,
  norm: str = 'none',
  stem_strides: int = 1,
  weight_init: initializers.Initializer | None = None,
  bias_init: initializers.Initializer | None = None,
  use_bias: bool = True,
  gate_bias: base.Scalar = -2.0,
) -> base.Layer:
  """The convolutional highway network, from images to logits.

  A convolution to `width` channels, then `depth - 1` highway layers of constant
  resolution, whose transforms and gates are convolutions of 3x3, as Srivastava
  et al., 2015, https://arxiv.org/abs/1507.06228, have between their poolings.

  Args:
    depth: number of convolutions, at least 1.
    width: channels of each.
    num_classes: number of logits.
    activation: layer of the activation, such as `layers.activation('relu')`.
    norm: one of `stack.NORMS`, before each activation.
    stem_strides: strides of the first convolution.
    weight_init: of the layers, but not of a gate; lecun by default.
    bias_init: of the same layers; zeros by default.
    use_bias: whether the convolutions have a bias; the gates always do.
    gate_bias: initial bias of the gates, negative to carry x at first; it may
      be traced.

  Raises:
    ValueError: if a size is less than 1, or the normalization is unknown.
  """
  return cnn.cnn(
    depth=depth,
    width=width,
    num_classes=num_classes,
    activation=activation,
    norm=norm,
    shortcut='highway',
    kernel_size=3,
    stem_strides=stem_strides,
    weight_init=weight_init,
    bias_init=bias_init,
    use_bias=use_bias,
    gate_bias=gate_bias,
  )
