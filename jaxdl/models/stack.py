"""The deep homogeneous stack: a stem, repeated hidden layers and a readout.

The MLP, the CNN of constant width and the highway networks are stacks, so a
study names their layers alike. Scopes, where `->` marks the scan over the
hidden layers, whose statistics have a leading layer axis:

  stem/linear, stem/norm, stem/activation          layer 1
  hidden -> layer/linear, layer/norm, layer/activation    layers 2..depth
  hidden -> layer                                  their outputs, after the
                                                   shortcut
  hidden -> layer/gate                             of highway
  readout                                          the logits

`linear` stands for `dense` in an MLP and `conv` in a CNN; `norm` is absent
without one. No shortcut adds a level: a branch keeps its scopes. A scope of the
layer's kind lies within: `stem/activation/relu`, `stem/dense/dense`.
"""

from collections.abc import Callable

from jaxdl import choice
from jaxdl import layers
from jaxdl.layers import base
from jaxdl.models import units

_NORMS: dict[str, Callable[[], base.Layer] | None] = {
  'none': None,
  'batch': layers.batch_norm,
  'batch_plain': lambda: layers.batch_norm(use_scale=False, use_bias=False),
  'layer': layers.layer_norm,
}

SHORTCUTS = ('none', 'identity', 'highway')
NORMS = tuple(_NORMS)


def block(
  linear_name: str,
  linear: base.Layer,
  norm: str,
  activation: base.Layer,
) -> base.Layer:
  """One layer of a stack: linear, then normalization, then activation.

  Args:
    linear_name: the scope of the linear layer.
    linear: the dense layer or convolution.
    norm: one of `NORMS`; 'batch_plain' has no scale and shift.
    activation: the layer of the activation.

  Raises:
    ValueError: if the normalization is unknown.
  """
  return layers.named(
    {linear_name: linear, **normalization(norm), 'activation': activation}
  )


def normalization(norm: str, name: str = 'norm') -> dict[str, base.Layer]:
  """A normalization by the name of its scope; empty for 'none'.

  Args:
    norm: one of `NORMS`; 'batch_plain' has no scale and shift.
    name: of its scope.

  Raises:
    ValueError: if the normalization is unknown.
  """
  norm_fn = choice.choose('norm', norm, _NORMS)
  return {} if norm_fn is None else {name: norm_fn()}


def with_shortcut(
  layer: base.Layer,
  shortcut: str,
  *,
  residual_scale: base.Scalar = 1.0,
  shortcut_scale: base.Scalar = 1.0,
  gate_bias: base.Scalar = -2.0,
) -> base.Layer:
  """Leads a shortcut past a layer that keeps the shape of its input.

  Args:
    layer: the branch.
    shortcut: 'none', 'identity' or 'highway'.
    residual_scale: of the branch beside an identity; it may be traced.
    shortcut_scale: of the identity, where 0 is none; it may be traced.
    gate_bias: initial bias of a highway's gate; it may be traced.

  Raises:
    ValueError: if the shortcut is unknown.
  """
  shortcuts = {
    'none': lambda: layer,
    'identity': lambda: layers.residual(
      layer, scale=residual_scale, shortcut_scale=shortcut_scale
    ),
    'highway': lambda: layers.highway(layer, gate_bias=gate_bias),
  }
  return choice.choose('shortcut', shortcut, shortcuts)()


def stack(
  stem: base.Layer,
  hidden: base.Layer,
  readout: base.Layer,
  *,
  depth: int,
  rematerialize: bool = False,
) -> base.Layer:
  """Joins a stem, `depth - 1` hidden layers and a readout.

  Params and state are `Units` of `stem`, `hidden` and `readout`.

  Args:
    stem: layer 1, from the input to the width of the hidden layers.
    hidden: the layer that is repeated.
    readout: from the last hidden layer to the logits.
    depth: layers before the readout; 1 means the stem alone.
    rematerialize: as of `layers.repeat`.

  Raises:
    ValueError: if the depth is less than 1.
  """
  base.require_positive('depth', depth)
  repeated = {}
  if depth > 1:
    repeated['hidden'] = layers.repeat(
      hidden, depth - 1, rematerialize=rematerialize
    )
  return units.chain({'stem': stem, **repeated, 'readout': readout})
