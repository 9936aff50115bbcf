"""The multilayer perceptron of constant width."""

from jaxdl import layers
from jaxdl.layers import base
from jaxdl.layers import initializers
from jaxdl.models import stack


def mlp(
  *,
  depth: int,
  width: int,
  num_classes: int,
  activation: base.Layer,
  norm: str = 'none',
  shortcut: str = 'none',
  weight_init: initializers.Initializer | None = None,
  bias_init: initializers.Initializer | None = None,
  use_bias: bool = True,
  residual_scale: base.Scalar = 1.0,
  shortcut_scale: base.Scalar = 1.0,
  gate_bias: base.Scalar = -2.0,
  rematerialize: bool = False,
) -> base.Layer:
  """A stack of dense layers, from inputs of any shape to logits.

  Each of the `depth` layers is dense, then normalization, then activation. A
  shortcut leads past each but the first, which changes the width. Scopes, and
  the layout of params, are those of `jaxdl.models.stack`.

  Args:
    depth: number of layers before the readout, at least 1.
    width: features of each layer.
    num_classes: number of logits.
    activation: layer of the activation, such as `layers.activation('relu')`.
    norm: one of `stack.NORMS`.
    shortcut: one of `stack.SHORTCUTS`.
    weight_init: of all dense layers, the readout included, but not of a
      highway's gate; lecun by default.
    bias_init: of the same layers; zeros by default.
    use_bias: whether the layers before the readout have a bias.
    residual_scale: of the branch beside an identity shortcut.
    shortcut_scale: of that identity.
    gate_bias: initial bias of a highway's gate.
    rematerialize: as of `layers.repeat`.

  Raises:
    ValueError: if a size is less than 1, or a name is unknown.
  """
  base.require_positive('width', width)
  base.require_positive('num_classes', num_classes)

  def dense(features, use_bias=use_bias):
    return layers.dense(
      features,
      weight_init=weight_init,
      bias_init=bias_init,
      use_bias=use_bias,
    )

  def block(linear):
    return stack.block('dense', linear, norm, activation)

  hidden = stack.with_shortcut(
    block(dense(width)),
    shortcut,
    residual_scale=residual_scale,
    shortcut_scale=shortcut_scale,
    gate_bias=gate_bias,
  )
  readout = layers.scope('dense', dense(num_classes, use_bias=True))
  return stack.stack(
    block(_flattened(dense(width))),
    hidden,
    readout,
    depth=depth,
    rematerialize=rematerialize,
  )


def _flattened(dense: base.Layer) -> base.Layer:
  """A dense layer that takes inputs of any shape; its params are the same."""
  flatten = layers.flatten()

  def init(key, in_shape):
    return dense.init(key, flatten.init(key, in_shape)[0])

  def apply(params, state, x, *, train=False, key=None):
    x, _ = flatten.apply((), (), x)
    return dense.apply(params, state, x, train=train, key=key)

  return base.Layer(init, apply)
