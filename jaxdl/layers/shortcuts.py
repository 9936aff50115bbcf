"""Shortcuts past a layer: residual and highway connections."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxdl.layers import base
from jaxdl.layers import combinators
from jaxdl.layers import initializers
from jaxdl.layers import linear


class Residual(NamedTuple):
  """Params, or state, of a residual layer."""

  branch: base.Params
  shortcut: base.Params


class Highway(NamedTuple):
  """Params, or state, of a highway layer."""

  transform: base.Params
  gate: base.Params


def residual(
  layer: base.Layer,
  shortcut: base.Layer | None = None,
  *,
  scale: base.Scalar = 1.0,
  shortcut_scale: base.Scalar = 1.0,
) -> base.Layer:
  """`y = shortcut_scale * shortcut(x) + scale * layer(x)`.

  The shortcut is x by default; then the branch draws its parameters, and its
  numbers in training, as `layer` does by itself. The scopes of `layer` stay as
  they are; those of a shortcut that isn't the identity lie in `shortcut`. See
  He et al., 2016, https://arxiv.org/abs/1603.05027; the scale of the shortcut
  is the lambda of its section 3.

  Args:
    layer: the branch.
    shortcut: a layer whose output has the shape of the branch's.
    scale: of the branch; it may be traced.
    shortcut_scale: of the shortcut; it may be traced. At 0 there is none, also
      for what is not finite.

  Raises:
    ValueError: if the shapes of branch and shortcut differ.
  """
  skip_name = 'shortcut' if shortcut else None
  # Without a layer beside it, the branch has the key for itself.
  index = 0 if shortcut else None
  shortcut = shortcut or combinators.identity()

  def init(key, in_shape):
    out, params, state = combinators.init_child(
      None, layer, index, key, in_shape
    )
    shape, shortcut_params, shortcut_state = combinators.init_child(
      skip_name, shortcut, 1, key, in_shape
    )
    combinators.require_equal_shapes('the branch and its shortcut', out, shape)
    return (
      out,
      Residual(params, shortcut_params),
      Residual(state, shortcut_state),
    )

  def apply(params, state, x, *, train=False, key=None):
    given = dict(train=train, key=key)
    y, branch_state = combinators.apply_child(
      None, layer, index, params.branch, state.branch, x, **given
    )
    skip, shortcut_state = combinators.apply_child(
      skip_name, shortcut, 1, params.shortcut, state.shortcut, x, **given
    )
    y = _scaled(skip, shortcut_scale) + jnp.asarray(scale, y.dtype) * y
    return y, Residual(branch_state, shortcut_state)

  return base.Layer(init, apply)


def _scaled(x: base.Array, scale: base.Scalar) -> base.Array:
  """`scale * x`; at a scale of 0 nothing of x is left, NaN neither."""
  if isinstance(scale, float) and scale == 1:
    return x
  scale = jnp.asarray(scale, x.dtype)
  return jnp.where(scale == 0, 0, scale * x)


def highway(
  transform: base.Layer,
  gate: base.Layer | None = None,
  *,
  gate_bias: base.Scalar = -2.0,
) -> base.Layer:
  """`y = H(x) T(x) + x (1 - T(x))`, where T = sigmoid(gate).

  The scopes of `transform` stay as they are; those of the gate lie in `gate`.
  See Srivastava et al., 2015, https://arxiv.org/abs/1505.00387.

  Args:
    transform: H; it keeps the shape of its input.
    gate: computes T before the sigmoid, of the same shape. By default a dense
      layer for vectors, a convolution of 3x3 for images.
    gate_bias: initial bias of the default gate; where it is negative, the layer
      starts by carrying x. It may be traced.

  Raises:
    ValueError: if `transform` or `gate` changes the shape.
  """
  gate = gate or _default_gate(gate_bias)

  def init(key, in_shape):
    out, params, state = combinators.init_child(
      None, transform, 0, key, in_shape
    )
    shape, gate_params, gate_state = combinators.init_child(
      'gate', gate, 1, key, in_shape
    )
    combinators.require_equal_shapes(
      'input and output of the transform', in_shape, out
    )
    combinators.require_equal_shapes(
      'input and output of the gate', in_shape, shape
    )
    return out, Highway(params, gate_params), Highway(state, gate_state)

  def apply(params, state, x, *, train=False, key=None):
    given = dict(train=train, key=key)
    h, transform_state = combinators.apply_child(
      None, transform, 0, params.transform, state.transform, x, **given
    )
    logit, gate_state = combinators.apply_child(
      'gate', gate, 1, params.gate, state.gate, x, **given
    )
    y = x + jax.nn.sigmoid(logit) * (h - x)
    return y, Highway(transform_state, gate_state)

  return base.Layer(init, apply)


def _default_gate(bias: base.Scalar) -> base.Layer:
  bias_init = initializers.constant(bias)

  def gate(shape):
    if len(shape) == 1:
      return linear.dense(shape[-1], bias_init=bias_init)
    return linear.conv(shape[-1], 3, bias_init=bias_init)

  def init(key, in_shape):
    return gate(in_shape).init(key, in_shape)

  def apply(params, state, x, *, train=False, key=None):
    return gate(x.shape[1:]).apply(params, state, x, train=train, key=key)

  return base.Layer(init, apply)
