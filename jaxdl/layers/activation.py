"""Activation functions as layers."""

from collections.abc import Callable
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxdl import activations
from jaxdl.layers import base


class PreluParams(NamedTuple):
  """Params of prelu."""

  slope: base.Array  # [features], or [] if shared by all channels


def activation(
  name_or_fn: str | Callable[..., base.Array],
  *,
  channel_shared: bool = False,
  **hyperparameters: base.Scalar,
) -> base.Layer:
  """The layer of an activation function, in a scope of the function's name.

  `prelu` learns its slope. A function with a parameter `key`, such as `rrelu`,
  is given one in training.

  Args:
    name_or_fn: a name of `jaxdl.activations`, or any elementwise function.
    channel_shared: of `prelu` alone: one slope rather than one a feature.
    **hyperparameters: of the function, by name; they may be traced.

  Raises:
    ValueError: if the activation is unknown, or lacks a hyperparameter.
  """
  if isinstance(name_or_fn, str):
    described = activations.get(name_or_fn)
  else:
    described = activations.describe(name_or_fn)
  complete = described.complete(**hyperparameters)
  if described.fn is activations.prelu:
    return _prelu(complete['slope'], channel_shared)
  if channel_shared:
    raise ValueError(f'channel_shared is for prelu, not for {described.name}.')
  return _elementwise(described, complete)


def _elementwise(
  described: activations.Activation,
  hyperparameters: dict[str, base.Scalar],
) -> base.Layer:
  def init(key, in_shape):
    del key
    return in_shape, (), ()

  def apply(params, state, x, *, train=False, key=None):
    del params
    fn = functools.partial(described.fn, **hyperparameters)
    if described.stochastic and train:
      fn = functools.partial(fn, key=base.require_key(key, described.name))
    with jax.named_scope(described.name):
      return fn(x), state

  return base.Layer(init, apply)


def _prelu(slope: base.Scalar, channel_shared: bool) -> base.Layer:
  def init(key, in_shape):
    del key
    shape = () if channel_shared else in_shape[-1:]
    return in_shape, PreluParams(jnp.full(shape, slope, float)), ()

  def apply(params, state, x, *, train=False, key=None):
    del train, key
    with jax.named_scope('prelu'):
      return activations.prelu(x, params.slope), state

  return base.Layer(init, apply)
