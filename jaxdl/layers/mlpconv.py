"""The mlpconv layer: a multilayer perceptron that slides over an image."""

from collections.abc import Sequence
import functools

from jaxdl.layers import base
from jaxdl.layers import combinators
from jaxdl.layers import initializers
from jaxdl.layers import linear


def mlpconv(
  features: Sequence[int],
  kernel_size: int | tuple[int, int] = 3,
  *,
  activation: base.Layer,
  norm: base.Layer | None = None,
  strides: int | tuple[int, int] = 1,
  padding: linear.Padding = 'SAME',
  weight_init: initializers.Initializer | None = None,
  bias_init: initializers.Initializer | None = None,
  use_bias: bool = True,
) -> base.Layer:
  """A convolution, then convolutions of 1x1, an activation after each.

  Equal to a multilayer perceptron that maps each window of the image to a
  pixel. The scopes are `conv`, `mlp1`, `mlp2`, ... and, after each, `norm1` if
  any and `activation1`, ...; those of the last are `norm` and `activation`. See
  Lin et al., 2014, "Network in network", https://arxiv.org/abs/1312.4400.

  Args:
    features: channels of the convolution, then of each that follows.
    kernel_size: of the first convolution.
    activation: the layer of the activation.
    norm: a normalization before each activation.
    strides: of the first convolution.
    padding: of the first convolution.
    weight_init: of all kernels; lecun by default.
    bias_init: of all biases; zeros by default.
    use_bias: whether the convolutions have a bias.

  Raises:
    ValueError: if there are no features, or the convolution is refused.
  """
  convolutions = mlpconv_convolutions(
    features,
    kernel_size,
    strides=strides,
    padding=padding,
    weight_init=weight_init,
    bias_init=bias_init,
    use_bias=use_bias,
  )
  children = {}
  for number, (name, conv) in enumerate(convolutions.items(), 1):
    suffix = '' if number == len(convolutions) else str(number)
    children[name] = conv
    if norm is not None:
      children[f'norm{suffix}'] = norm
    children[f'activation{suffix}'] = activation
  return combinators.named(children)


def mlpconv_convolutions(
  features: Sequence[int],
  kernel_size: int | tuple[int, int] = 3,
  *,
  strides: int | tuple[int, int] = 1,
  padding: linear.Padding = 'SAME',
  weight_init: initializers.Initializer | None = None,
  bias_init: initializers.Initializer | None = None,
  use_bias: bool = True,
) -> dict[str, base.Layer]:
  """The convolutions of `mlpconv`, in order, by the names of their scopes.

  The arguments are as there.

  Raises:
    ValueError: if there are no features, or a convolution is refused.
  """
  if not features:
    raise ValueError('mlpconv needs the features of one convolution or more.')
  conv = functools.partial(
    linear.conv,
    weight_init=weight_init,
    bias_init=bias_init,
    use_bias=use_bias,
  )
  first, *others = features
  return {
    'conv': conv(first, kernel_size, strides=strides, padding=padding),
    **{
      f'mlp{i}': conv(channels, 1, padding='VALID')
      for i, channels in enumerate(others, 1)
    },
  }
