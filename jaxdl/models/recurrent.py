"""Recurrent networks: one recurrent layer, and a readout of its last state.

Not in the zoo, whose networks are from images to logits: these are from
sequences to numbers of any meaning.
"""

from collections.abc import Callable

from jaxdl import choice
from jaxdl import layers
from jaxdl.layers import base
from jaxdl.layers import initializers
from jaxdl.models import units

_CELLS: dict[str, Callable[..., base.Layer]] = {
  'rnn': layers.rnn,
  'lstm': layers.lstm,
  'gru': layers.gru,
}

CELLS = tuple(_CELLS)


def recurrent(
  *,
  cell: str,
  width: int,
  num_outputs: int,
  activation: base.Layer | None = None,
  weight_init: initializers.Initializer | None = None,
  recurrent_init: initializers.Initializer | None = None,
  bias_init: initializers.Initializer | None = None,
  forget_bias: base.Scalar | None = None,
) -> base.Layer:
  """A recurrent layer and a dense readout of its last hidden state.

  Params are `Units` of `recurrent` and `readout`. The scopes are those of the
  layer (see `jaxdl.layers.recurrent`), such as `recurrent/lstm/step/hidden`,
  whose statistics have a leading time axis, and `readout/last_step`,
  `readout/dense`. With the adding and the temporal-order problem of
  `jaxdl.data.sequences`, `num_outputs` is 1 and 4.

  Args:
    cell: one of `CELLS`.
    width: size of the hidden state.
    num_outputs: what the readout returns.
    activation: of an RNN; tanh by default.
    weight_init: of the weights from the input, and of the readout's; lecun by
      default.
    recurrent_init: of the weights from the hidden state; orthogonal by default.
    bias_init: of all biases; zeros by default.
    forget_bias: of an LSTM, 1 by default.

  Returns:
    A chain of units, from `[batch, time, features]` to `[batch, num_outputs]`.

  Raises:
    ValueError: if a size is less than 1, the cell is unknown, or it has no such
      choice.
  """
  make = choice.choose('cell', cell, _CELLS)
  base.require_positive('num_outputs', num_outputs)
  own = {}
  for name, value, owner in (
    ('activation', activation, 'rnn'),
    ('forget_bias', forget_bias, 'lstm'),
  ):
    if value is not None:
      if cell != owner:
        raise ValueError(f'{name} is for the cell {owner}, not for {cell}.')
      own[name] = value
  layer = make(
    width,
    weight_init=weight_init,
    recurrent_init=recurrent_init,
    bias_init=bias_init,
    **own,
  )
  dense = layers.dense(
    num_outputs, weight_init=weight_init, bias_init=bias_init
  )
  # `last_step` opens a scope of its own.
  readout = layers.serial(layers.last_step(), dense, names=(None, None))
  return units.chain({'recurrent': layer, 'readout': readout})
