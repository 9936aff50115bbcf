"""The convolutional network of constant width and resolution.

With delta-orthogonal or normal weights it is the setting of Xiao et al., 2018,
https://arxiv.org/abs/1806.05393.
"""

from jaxdl import layers
from jaxdl.layers import base
from jaxdl.layers import initializers
from jaxdl.models import stack


def cnn(
  *,
  depth: int,
  width: int,
  num_classes: int,
  activation: base.Layer,
  norm: str = 'none',
  shortcut: str = 'none',
  kernel_size: int = 3,
  stem_strides: int = 1,
  weight_init: initializers.Initializer | None = None,
  bias_init: initializers.Initializer | None = None,
  use_bias: bool = True,
  residual_scale: base.Scalar = 1.0,
  shortcut_scale: base.Scalar = 1.0,
  gate_bias: base.Scalar = -2.0,
  rematerialize: bool = False,
) -> base.Layer:
  """A stack of convolutions, from `[height, width, channels]` to logits.

  Each of the `depth` layers is a convolution with 'SAME' padding, then
  normalization, then activation. A shortcut leads past each but the first. The
  readout averages over space, then is dense. Scopes and params are those of
  `jaxdl.models.stack`; the readout's are `readout/pool` and `readout/dense`.

  Args:
    depth: number of convolutions, at least 1.
    width: channels of each layer.
    num_classes: number of logits.
    activation: layer of the activation, such as `layers.activation('relu')`.
    norm: one of `stack.NORMS`.
    shortcut: one of `stack.SHORTCUTS`.
    kernel_size: height and width of each kernel.
    stem_strides: strides of the first convolution.
    weight_init: of all weights but a highway gate's; lecun by default.
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

  def block(strides):
    conv = layers.conv(
      width,
      kernel_size,
      strides=strides,
      use_bias=use_bias,
      weight_init=weight_init,
      bias_init=bias_init,
    )
    return stack.block('conv', conv, norm, activation)

  scales = {'residual_scale': residual_scale, 'shortcut_scale': shortcut_scale}
  hidden = stack.with_shortcut(
    block(1), shortcut, gate_bias=gate_bias, **scales
  )
  last = layers.dense(num_classes, weight_init=weight_init, bias_init=bias_init)
  readout = layers.named({'pool': layers.global_avg_pool(), 'dense': last})
  stem = block(stem_strides)
  return stack.stack(
    stem, hidden, readout, depth=depth, rematerialize=rematerialize
  )
