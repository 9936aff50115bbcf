"""Regularization by noise."""

import math

import jax
import jax.numpy as jnp
from jaxdl.layers import base


def dropout(rate: base.Scalar) -> base.Layer:
  """Zeroes each element with probability `rate` in training.

  Those kept are divided by `1 - rate`, so that the mean stays. See Srivastava
  et al., 2014, "Dropout: a simple way to prevent neural networks from
  overfitting".

  Args:
    rate: the probability to drop, not to keep, in [0, 1); it may be traced.

  Raises:
    ValueError: if the rate is out of range, or training lacks a key.
  """
  known = base.known(rate) if base.is_number(rate) else math.nan
  if known is not None and not 0 <= known < 1:
    raise ValueError(
      f'rate is the probability to drop, in [0, 1); got {rate!r}.'
    )

  def init(key, in_shape):
    del key
    return in_shape, (), ()

  def apply(params, state, x, *, train=False, key=None):
    del params
    if not train:
      return x, state
    key = base.require_key(key, 'dropout')
    with jax.named_scope('dropout'):
      kept = jax.random.bernoulli(key, 1 - rate, x.shape)
      return jnp.where(kept, x / jnp.asarray(1 - rate, x.dtype), 0), state

  return base.Layer(init, apply)
