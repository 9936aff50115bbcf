"""GoogLeNet, which is Inception v1: nine inception blocks.

Units: `conv1`, `conv2_reduce`, `conv2`, the blocks `inception3a` to
`inception5b` and `readout`; before the readout `auxiliary1` and `auxiliary2`,
if any. The scopes within are those of `jaxdl.models.sequential` and of
`layers.inception`, with `local_response_norm` and `pool` after some. An
auxiliary classifier has the scopes `pool`, `conv`, `norm`, `activation1`,
`flatten`, `dense`, `activation2`, `dropout` and `readout`: it is measured at
its output, its logits.
"""

from collections.abc import Mapping
from typing import NamedTuple

from jaxdl import layers
from jaxdl.layers import base
from jaxdl.layers import combinators
from jaxdl.layers import initializers
from jaxdl.models import sequential
from jaxdl.models import stack
from jaxdl.models import units

# Table 1 of the paper.
BLOCKS = {
  '3a': layers.InceptionFeatures(64, 96, 128, 16, 32, 32),
  '3b': layers.InceptionFeatures(128, 128, 192, 32, 96, 64),
  '4a': layers.InceptionFeatures(192, 96, 208, 16, 48, 64),
  '4b': layers.InceptionFeatures(160, 112, 224, 24, 64, 64),
  '4c': layers.InceptionFeatures(128, 128, 256, 24, 64, 64),
  '4d': layers.InceptionFeatures(112, 144, 288, 32, 64, 64),
  '4e': layers.InceptionFeatures(256, 160, 320, 32, 128, 128),
  '5a': layers.InceptionFeatures(256, 160, 320, 32, 128, 128),
  '5b': layers.InceptionFeatures(384, 192, 384, 48, 128, 128),
}
_POOLED = ('3b', '4e')  # Blocks that a pooling follows.


class Head(NamedTuple):
  """A branch of a chain that ends in an output of its own.

  Attributes:
    source: the unit whose output it takes.
    layer: the branch.
  """

  source: str
  layer: base.Layer


def googlenet(
  *,
  num_classes: int,
  activation: base.Layer,
  norm: str = 'none',
  wide_kernel_size: int = 5,
  local_response: bool | None = None,
  auxiliary: bool = False,
  dropout_rate: base.Scalar = 0.4,
  auxiliary_dropout_rate: base.Scalar = 0.7,
  weight_init: initializers.Initializer | None = None,
  bias_init: initializers.Initializer | None = None,
) -> base.Layer:
  """GoogLeNet, from `[height, width, channels]` to logits.

  See Szegedy et al., 2015, https://arxiv.org/abs/1409.4842. With batch norm and
  `wide_kernel_size=3` it has the convolutions of torchvision's. Convolutions
  have a bias unless there is a normalization.

  With auxiliary classifiers, `apply(..., train=True)` returns a tuple: the
  logits, and those of the classifiers on the blocks 4a and 4d. Without `train`
  it returns the logits alone, as always otherwise, and does not run them.

  Args:
    num_classes: number of logits.
    activation: layer of the activation, such as `layers.activation('relu')`.
    norm: one of `stack.NORMS`, of the convolutions.
    wide_kernel_size: of the widest branch of a block: 5 in the paper, 3 in
      torchvision.
    local_response: whether local response normalization surrounds the second
      convolution; by default if `norm` is 'none', as in the paper.
    auxiliary: whether there are auxiliary classifiers.
    dropout_rate: before the readout. At 0 for this and the next, training needs
      no key.
    auxiliary_dropout_rate: before the readouts of auxiliary classifiers.
    weight_init: of all layers; lecun by default.
    bias_init: of all layers; zeros by default.

  Raises:
    ValueError: if an argument is out of range, or a name unknown.
  """
  base.require_positive('num_classes', num_classes)
  if local_response is None:
    local_response = norm == 'none'
  style = sequential.Style(
    activation, norm, weight_init, bias_init, use_bias=norm == 'none'
  )
  trunk = {
    **_stem(style, local_response),
    **_blocks(style, wide_kernel_size),
    'readout': sequential.pooled_readout(
      style, num_classes, sequential.dropout(dropout_rate)
    ),
  }
  if not auxiliary:
    return units.chain(trunk)
  head = _head(style, num_classes, sequential.dropout(auxiliary_dropout_rate))
  return with_heads(
    trunk,
    {
      'auxiliary1': Head('inception4a', head),
      'auxiliary2': Head('inception4d', head),
    },
  )


def _pool() -> base.Layer:
  """Halves the resolution, rounded up."""
  return layers.max_pool(3, 2, ((0, 1), (0, 1)))


def _stem(
  style: sequential.Style, local_response: bool
) -> dict[str, base.Layer]:
  pool = {'pool': _pool()}
  response = {'local_response_norm': layers.local_response_norm()}
  response = response if local_response else {}
  return {
    'conv1': style.conv(64, 7, strides=2, padding=3, then={**pool, **response}),
    'conv2_reduce': style.conv(64, 1),
    'conv2': style.conv(192, 3, then={**response, **pool}),
  }


def _blocks(
  style: sequential.Style, wide_kernel_size: int
) -> dict[str, base.Layer]:
  return {
    f'inception{name}': layers.inception(
      features,
      activation=style.activation,
      norm=stack.normalization(style.norm).get('norm'),
      wide_kernel_size=wide_kernel_size,
      pool=_pool() if name in _POOLED else None,
      weight_init=style.weight_init,
      bias_init=style.bias_init,
      use_bias=style.use_bias,
    )
    for name, features in BLOCKS.items()
  }


def _head(
  style: sequential.Style, num_classes: int, drop: Mapping[str, base.Layer]
) -> base.Layer:
  """An auxiliary classifier, from a block of 14x14 to logits."""
  conv = layers.conv(
    128,
    1,
    weight_init=style.weight_init,
    bias_init=style.bias_init,
    use_bias=style.use_bias,
  )
  return layers.named(
    {
      'pool': layers.avg_pool(5, 3),
      'conv': conv,
      **stack.normalization(style.norm),
      'activation1': style.activation,
      'flatten': layers.flatten(),
      'dense': style.affine(1024),
      'activation2': style.activation,
      **drop,
      'readout': style.affine(num_classes),
    }
  )


def with_heads(
  trunk: Mapping[str, base.Layer], heads: Mapping[str, Head]
) -> base.Layer:
  """A chain of units, of which some also lead to heads.

  In training its output is a tuple: that of the chain, then those of the heads.
  Otherwise the heads don't run. In params and state they come after the last
  unit, so that they are no part of the depth. The keys of the chain's units are
  those that `units.chain` gives, so it starts as it would without heads.

  Args:
    trunk: the chain; its last unit is the readout.
    heads: the branches by name.
  """
  *before, last = trunk
  sources: dict[str, str | None] = dict(
    zip(trunk, (None, *before), strict=True)
  )
  sources |= {name: head.source for name, head in heads.items()}
  every = {**trunk, **{name: head.layer for name, head in heads.items()}}

  def init(key, in_shape):
    shapes: dict[str | None, base.Shape] = {None: in_shape}
    params, state = {}, {}
    for index, (name, layer) in enumerate(every.items()):
      shapes[name], params[name], state[name] = combinators.init_child(
        name, layer, index, key, shapes[sources[name]]
      )
    return shapes[last], units.Units(params), units.Units(state)

  def apply(params, state, x, *, train=False, key=None):
    outputs: dict[str | None, base.Array] = {None: x}
    new_state = dict(state)
    for index, (name, layer) in enumerate(every.items()):
      if name in heads and not train:
        continue
      outputs[name], new_state[name] = combinators.apply_child(
        name,
        layer,
        index,
        params[name],
        state[name],
        outputs[sources[name]],
        train=train,
        key=key,
      )
    leaving = (last, *heads) if train else (last,)
    ys = tuple(outputs[name] for name in leaving)
    return ys if train else ys[0], units.Units(new_state)

  return base.Layer(init, apply)
