"""Recurrent layers over sequences, `[batch, time, features]`.

Each scans over time from a state of zeros, and returns the hidden states of all
time steps. What a step makes lies in the scope `step` in that of the layer:
`lstm/step/hidden` is the hidden state h_t that leaves it, `lstm/step/cell` the
cell state c_t. A probe gives their statistics with a leading time axis: the
cotangent of h_t is that of all that reads it, the next step and the layer's
reader, so what flows through time is seen at each time. The cotangent of c_t
has that of h_t within; that of h_t lacks what flows from one cell state to the
next.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
from jaxdl.layers import base
from jaxdl.layers import initializers
from jaxdl.layers import product
from jaxdl.layers.activation import activation as activation_layer


class RecurrentParams(NamedTuple):
  """Params of a recurrent layer, gates one after the other on the last axis.

  The gates of an LSTM are input, forget, candidate and output; those of a GRU
  reset, update and candidate; an RNN has one block.
  """

  w: base.Array  # Of the input, [in, gates * width]
  u: base.Array  # Of the hidden state, [width, gates * width]
  b: base.Array  # [gates * width]
  activation: base.Params  # Of an RNN's activation; () otherwise


# Maps params, the state, a time step's x w + b `[batch, gates * width]`, and
# by name `train` and `key`, to the next state: a tuple whose last entry is h.
_Step = Callable[..., tuple[base.Array, ...]]


def rnn(
  width: int,
  *,
  activation: base.Layer | None = None,
  weight_init: initializers.Initializer | None = None,
  recurrent_init: initializers.Initializer | None = None,
  bias_init: initializers.Initializer | None = None,
) -> base.Layer:
  """`h_t = activation(x_t W + h_{t-1} U + b)`.

  See Elman, 1990, "Finding structure in time", whose activation is the sigmoid;
  with the tanh of Pascanu et al., 2013, https://arxiv.org/abs/1211.5063, whose
  W_rec is U.

  Args:
    width: size of the hidden state.
    activation: a layer without state; tanh by default.
    weight_init: of W, `[in, width]`; lecun by default.
    recurrent_init: of U, `[width, width]`: for instance `orthogonal(gain)`, the
      default with gain 1, or `normal_fan_in(std)`, whose spectral radius is
      about `std`. Gains may be traced.
    bias_init: of b, `[width]`; zeros by default.

  Returns:
    A layer from `[batch, time, in]` to `[batch, time, width]`.

  Raises:
    ValueError: if the width is less than 1, or, in `init`, the input is no
      sequence, or the activation has a state.
  """
  activation = activation or activation_layer('tanh')

  def step(params, state, z, *, train, key):
    (h,) = state
    z = z + product.matmul(h, params.u)
    with jax.named_scope('hidden'):
      h, _ = activation.apply(params.activation, (), z, train=train, key=key)
    return (h,)

  return _recurrent(
    'rnn',
    step,
    width,
    num_gates=1,
    num_states=1,
    weight_init=weight_init,
    recurrent_init=recurrent_init,
    bias_init=bias_init,
    activation=activation,
  )


def lstm(
  width: int,
  *,
  forget_bias: base.Scalar = 1.0,
  weight_init: initializers.Initializer | None = None,
  recurrent_init: initializers.Initializer | None = None,
  bias_init: initializers.Initializer | None = None,
) -> base.Layer:
  """Long short-term memory: a cell state that gates add to and forget.

  `c_t = f c_{t-1} + i g` and `h_t = o tanh(c_t)`, where i, f and o are sigmoids
  and g the tanh of x_t W + h_{t-1} U + b, each with its own W, U and b. See
  Hochreiter & Schmidhuber, 1997, "Long short-term memory", and for the forget
  gate f Gers et al., 2000, "Learning to forget". The tanh stand for the first's
  4 sigmoid(z) - 2 and 2 sigmoid(z) - 1, tanh of other scales; gradients are not
  truncated; there are no peepholes.

  Args:
    width: size of the hidden state and of the cell state.
    forget_bias: is added to the initial bias of the forget gate, so that it
      starts open; may be traced. Jozefowicz et al., 2015, recommend 1.
    weight_init: of each gate's W, `[in, width]`; lecun by default.
    recurrent_init: of each gate's U, `[width, width]`; orthogonal by default.
    bias_init: of each gate's b, `[width]`; zeros by default.

  Returns:
    A layer from `[batch, time, in]` to `[batch, time, width]`.

  Raises:
    ValueError: if the width is less than 1, or, in `init`, the input is no
      sequence.
  """

  def step(params, state, z, *, train, key):
    del train, key
    c, h = state
    gates = jnp.split(z + product.matmul(h, params.u), 4, axis=-1)
    i, f, g, o = _gates(
      gates,
      input_gate=jax.nn.sigmoid,
      forget_gate=jax.nn.sigmoid,
      candidate=jnp.tanh,
      output_gate=jax.nn.sigmoid,
    )
    with jax.named_scope('cell'):
      c = f * c + i * g
    with jax.named_scope('hidden'):
      h = o * jnp.tanh(c)
    return c, h

  def with_forget_bias(params):
    forget = jnp.asarray(forget_bias, params.b.dtype)
    return params._replace(b=params.b.at[width : 2 * width].add(forget))

  return _recurrent(
    'lstm',
    step,
    width,
    num_gates=4,
    num_states=2,
    weight_init=weight_init,
    recurrent_init=recurrent_init,
    bias_init=bias_init,
    then=with_forget_bias,
  )


def gru(
  width: int,
  *,
  weight_init: initializers.Initializer | None = None,
  recurrent_init: initializers.Initializer | None = None,
  bias_init: initializers.Initializer | None = None,
) -> base.Layer:
  """The gated recurrent unit: a hidden state that is kept or replaced.

  `h_t = z h_{t-1} + (1 - z) g`, where the reset gate r and the update gate z
  are sigmoids of x_t W + h_{t-1} U + b, and the candidate g is the tanh of
  x_t W + (r h_{t-1}) U + b, each with its own W, U and b. See Cho et al., 2014,
  https://arxiv.org/abs/1406.1078, equations 5 to 8. Flax's `GRUCell`, as cuDNN
  does, multiplies by r behind U: r (h_{t-1} U + b'), another function unless
  the candidate's U is diagonal.

  Args:
    width: size of the hidden state.
    weight_init: of each gate's W, `[in, width]`; lecun by default.
    recurrent_init: of each gate's U, `[width, width]`; orthogonal by default.
    bias_init: of each gate's b, `[width]`; zeros by default.

  Returns:
    A layer from `[batch, time, in]` to `[batch, time, width]`.

  Raises:
    ValueError: if the width is less than 1, or, in `init`, the input is no
      sequence.
  """

  def step(params, state, z, *, train, key):
    del train, key
    (h,) = state
    of_gates, of_candidate = jnp.split(params.u, [2 * width], axis=-1)
    z, z_candidate = jnp.split(z, [2 * width], axis=-1)
    reset, update = _gates(
      jnp.split(z + product.matmul(h, of_gates), 2, axis=-1),
      reset_gate=jax.nn.sigmoid,
      update_gate=jax.nn.sigmoid,
    )
    with jax.named_scope('candidate'):
      candidate = jnp.tanh(
        z_candidate + product.matmul(reset * h, of_candidate)
      )
    with jax.named_scope('hidden'):
      h = update * h + (1 - update) * candidate
    return (h,)

  return _recurrent(
    'gru',
    step,
    width,
    num_gates=3,
    num_states=1,
    weight_init=weight_init,
    recurrent_init=recurrent_init,
    bias_init=bias_init,
  )


def last_step() -> base.Layer:
  """The last time step: `[batch, time, ...]` to `[batch, ...]`.

  Raises:
    ValueError: in `init`, if there is no time axis, or no step.
  """

  def init(key, in_shape):
    del key
    if not in_shape or in_shape[0] < 1:
      raise ValueError(
        f'last_step takes sequences [time, ...] of at least one step, got '
        f'shape {in_shape}.'
      )
    return in_shape[1:], (), ()

  def apply(params, state, x, *, train=False, key=None):
    del params, train, key
    with jax.named_scope('last_step'):
      return x[:, -1], state

  return base.Layer(init, apply)


def _gates(
  preactivations: list[base.Array], **functions: Callable[..., Any]
) -> list[base.Array]:
  """Applies the function of each gate in the scope of its name."""
  gates = []
  for z, (name, fn) in zip(preactivations, functions.items(), strict=True):
    with jax.named_scope(name):
      gates.append(fn(z))
  return gates


def _recurrent(
  name: str,
  step: _Step,
  width: int,
  *,
  num_gates: int,
  num_states: int,
  weight_init: initializers.Initializer | None,
  recurrent_init: initializers.Initializer | None,
  bias_init: initializers.Initializer | None,
  activation: base.Layer | None = None,
  then: Callable[[RecurrentParams], RecurrentParams] = lambda params: params,
) -> base.Layer:
  """Scans a step over time.

  Args:
    name: the scope of the layer.
    step: of one time step.
    width: of each entry of the state.
    num_gates: blocks of `width` in the params.
    num_states: entries of the state; the last one is the hidden state.
    weight_init: of each gate.
    recurrent_init: of each gate.
    bias_init: of each gate.
    activation: whose params the step wants, if any.
    then: maps the initial params to those that are used.
  """
  base.require_positive('width', width)
  draw_w = _by_gate(weight_init or initializers.lecun(), num_gates)
  draw_u = _by_gate(recurrent_init or initializers.orthogonal(), num_gates)
  draw_b = _by_gate(bias_init or initializers.zeros(), num_gates)

  def init(key, in_shape):
    time, features = _require_sequence(name, in_shape)
    w_key, u_key, b_key, key = jax.random.split(key, 4)
    params = RecurrentParams(
      draw_w(w_key, (features, width)),
      draw_u(u_key, (width, width)),
      draw_b(b_key, (width,)),
      _activation_params(activation, key, width),
    )
    return (time, width), then(params), ()

  def apply(params, state, x, *, train=False, key=None):
    with jax.named_scope(name):
      # One product for all time steps, which are scanned along the first axis.
      z = jnp.moveaxis(product.matmul(x, params.w) + params.b, 1, 0)
      zeros = jnp.zeros((x.shape[0], width), z.dtype)
      keys = None if key is None else jax.random.split(key, len(z))

      def scan_step(carry, of_time):
        z, step_key = of_time
        with jax.named_scope('step'):
          carry = step(params, carry, z, train=train, key=step_key)
        return carry, carry[-1]

      _, hs = lax.scan(scan_step, (zeros,) * num_states, (z, keys))
      return jnp.moveaxis(hs, 0, 1), state

  return base.Layer(init, apply)


def _by_gate(
  initializer: initializers.Initializer, num_gates: int
) -> initializers.Initializer:
  """Draws each gate on its own, and joins them along the last axis."""

  def init(key, shape):
    keys = jax.random.split(key, num_gates)
    return jnp.concatenate([initializer(k, shape) for k in keys], axis=-1)

  return init


def _activation_params(
  activation: base.Layer | None, key: base.Key, width: int
) -> base.Params:
  if activation is None:
    return ()
  shape, params, state = activation.init(key, (width,))
  if jax.tree.leaves(state) or shape != (width,):
    raise ValueError(
      'The activation of a recurrent layer keeps the shape and has no state; '
      "give one like layers.activation('tanh')."
    )
  return params


def _require_sequence(name: str, in_shape: base.Shape) -> tuple[int, int]:
  """Returns the number of time steps, and of features."""
  if len(in_shape) != 2 or in_shape[0] < 1:
    raise ValueError(
      f'{name} takes sequences [time, features] of at least one step, got '
      f'shape {in_shape}.'
    )
  time, features = in_shape
  return time, features
