"""VGG: stages of 3x3 convolutions, each ended by a pooling.

Units: `conv1_1`, `conv1_2`, ..., then `dense1` and `dense2` in the form for
ImageNet, and `readout`; the scopes within are those of
`jaxdl.models.sequential`. A stage's last unit ends with `pool`.
"""

from jaxdl import choice
from jaxdl import layers
from jaxdl.layers import base
from jaxdl.layers import initializers
from jaxdl.models import sequential
from jaxdl.models import units

# Convolutions of each stage: the columns A, B, D and E of the paper's table 1.
_STAGES = {
  11: (1, 1, 2, 2, 2),
  13: (2, 2, 2, 2, 2),
  16: (2, 2, 3, 3, 3),
  19: (2, 2, 4, 4, 4),
}
_WIDTHS = (1, 2, 4, 8, 8)  # Of each stage, in multiples of the first.

DEPTHS = tuple(_STAGES)
FORMS = ('imagenet', 'cifar')


def vgg(
  *,
  depth: int,
  num_classes: int,
  activation: base.Layer,
  norm: str = 'none',
  form: str = 'imagenet',
  width: int = 64,
  dropout_rate: base.Scalar | None = None,
  weight_init: initializers.Initializer | None = None,
  bias_init: initializers.Initializer | None = None,
  use_bias: bool = True,
) -> base.Layer:
  """VGG, from `[height, width, channels]` to logits.

  Five stages, whose channels double while the resolution halves. See Simonyan &
  Zisserman, 2015, https://arxiv.org/abs/1409.1556.

  Args:
    depth: layers with weights, in the form for ImageNet; one of `DEPTHS`.
    num_classes: number of logits.
    activation: layer of the activation, such as `layers.activation('relu')`.
    norm: one of `stack.NORMS`, of the convolutions.
    form: 'imagenet', where two dense layers of 4096 lead to the readout, or
      'cifar', where the readout follows the convolutions, averaged over space;
      images of 32x32 leave but one pixel there.
    width: channels of the first stage.
    dropout_rate: of what each dense layer but the first takes; 0.5 by default
      for 'imagenet', 0 for 'cifar', where it is the readout that takes it. At 0
      training needs no key.
    weight_init: of all layers; lecun by default.
    bias_init: of all layers; zeros by default.
    use_bias: whether the convolutions have a bias, as published also with a
      normalization.

  Raises:
    ValueError: if an argument is out of range, or a name unknown.
  """
  base.require_positive('num_classes', num_classes)
  base.require_positive('width', width)
  if depth not in _STAGES:
    possible = ', '.join(map(str, DEPTHS))
    raise ValueError(f'VGG has no depth {depth}; possible: {possible}.')
  forms = {
    'imagenet': (0.5, _dense_head, 'VALID'),
    # So that images of 28x28 pass all five poolings too.
    'cifar': (0.0, _readout, 'SAME'),
  }
  default_rate, head_of, padding = choice.choose('form', form, forms)
  style = sequential.Style(activation, norm, weight_init, bias_init, use_bias)
  drop = sequential.dropout(
    default_rate if dropout_rate is None else dropout_rate
  )
  return units.chain(
    {
      **_convolutions(style, depth, width, padding),
      **head_of(style, num_classes, drop),
    }
  )


def _convolutions(
  style: sequential.Style, depth: int, width: int, padding: str
) -> dict[str, base.Layer]:
  pool = {'pool': layers.max_pool(2, padding=padding)}
  stages = zip(_STAGES[depth], _WIDTHS, strict=True)
  return {
    f'conv{stage}_{i}': style.conv(
      multiple * width, 3, then=pool if i == count else {}
    )
    for stage, (count, multiple) in enumerate(stages, 1)
    for i in range(1, count + 1)
  }


def _dense_head(
  style: sequential.Style, num_classes: int, drop: dict[str, base.Layer]
) -> dict[str, base.Layer]:
  return {
    'dense1': style.dense(4096, first={'flatten': layers.flatten()}, then=drop),
    'dense2': style.dense(4096, then=drop),
    'readout': layers.scope('dense', style.affine(num_classes)),
  }


def _readout(
  style: sequential.Style, num_classes: int, drop: dict[str, base.Layer]
) -> dict[str, base.Layer]:
  return {
    'readout': sequential.pooled_readout(style, num_classes, drop),
  }
