"""The inception block: convolutions of several sizes side by side."""

from collections.abc import Callable
import functools
from typing import NamedTuple

from jaxdl.layers import base
from jaxdl.layers import combinators
from jaxdl.layers import initializers
from jaxdl.layers import linear
from jaxdl.layers import pooling


class InceptionFeatures(NamedTuple):
  """Channels of an inception block, in the order of the paper's table 1.

  Attributes:
    conv1: of the branch of 1x1.
    reduce3: of the 1x1 before the convolution of 3x3.
    conv3: of the 3x3.
    reduce5: of the 1x1 before the wide convolution.
    conv5: of the wide convolution.
    pool: of the 1x1 after the pooling.
  """

  conv1: int
  reduce3: int
  conv3: int
  reduce5: int
  conv5: int
  pool: int


def inception(
  features: InceptionFeatures,
  *,
  activation: base.Layer,
  norm: base.Layer | None = None,
  wide_kernel_size: int = 5,
  pool: base.Layer | None = None,
  weight_init: initializers.Initializer | None = None,
  bias_init: initializers.Initializer | None = None,
  use_bias: bool = True,
) -> base.Layer:
  """Four branches of one image, concatenated: 1x1, 3x3, 5x5 and pooling.

  Convolutions of 1x1 reduce the channels before the larger ones, and follow the
  pooling. Height and width stay. The channels of the output are those of
  `conv1`, `conv3`, `conv5` and `pool`, in this order; these are the scopes
  within `branches`. The last activation of the branches is applied once, in the
  scope `activation`, to what was concatenated, which is the same. See Szegedy
  et al., 2015, "Going deeper with convolutions",
  https://arxiv.org/abs/1409.4842.

  Args:
    features: channels of each convolution.
    activation: the layer of the activation, after each convolution.
    norm: a normalization between each convolution and its activation.
    wide_kernel_size: of the branch `conv5`; 5 in the paper, 3 in some
      reimplementations.
    pool: what the output goes through, such as a pooling; in the scope `pool`.
    weight_init: of all kernels; lecun by default.
    bias_init: of all biases; zeros by default.
    use_bias: whether the convolutions have a bias.

  Raises:
    ValueError: if there are no features in a branch, or, in `init`, no image.
  """
  conv = functools.partial(
    linear.conv,
    weight_init=weight_init,
    bias_init=bias_init,
    use_bias=use_bias,
  )
  branches = _branches(features, conv, norm, activation, wide_kernel_size)
  return combinators.named(
    {
      'branches': combinators.parallel(
        *branches.values(), names=tuple(branches)
      ),
      'activation': activation,
      **({} if pool is None else {'pool': pool}),
    }
  )


def _branches(
  features: InceptionFeatures,
  conv: Callable[..., base.Layer],
  norm: base.Layer | None,
  activation: base.Layer,
  wide_kernel_size: int,
) -> dict[str, base.Layer]:
  """The branches by name, each without its last activation."""
  norm_before = {} if norm is None else {'reduce_norm': norm}
  norm_after = {} if norm is None else {'norm': norm}

  def reduced(reduce, channels, kernel_size):
    return combinators.named(
      {
        'reduce': conv(reduce, 1),
        **norm_before,
        'reduce_activation': activation,
        'conv': conv(channels, kernel_size),
        **norm_after,
      }
    )

  return {
    'conv1': combinators.named({'conv': conv(features.conv1, 1), **norm_after}),
    'conv3': reduced(features.reduce3, features.conv3, 3),
    'conv5': reduced(features.reduce5, features.conv5, wide_kernel_size),
    'pool': combinators.named(
      {
        'pool': pooling.max_pool(3, 1, 'SAME'),
        'conv': conv(features.pool, 1),
        **norm_after,
      }
    ),
  }
