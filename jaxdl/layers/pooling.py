"""Pooling of images, `[batch, height, width, channels]`."""

import math

import jax
import jax.numpy as jnp
from jaxdl.layers import base
from jaxdl.layers import linear
import numpy as np


def max_pool(
  window: int | tuple[int, int],
  strides: int | tuple[int, int] | None = None,
  padding: linear.Padding = 'VALID',
) -> base.Layer:
  """The maximum of each window; strides are the window's size by default."""

  def pool(x):
    return _reduce(x, -jnp.inf, jax.lax.max, window, strides, padding)

  return _pooling('max_pool', pool)


def avg_pool(
  window: int | tuple[int, int],
  strides: int | tuple[int, int] | None = None,
  padding: linear.Padding = 'VALID',
) -> base.Layer:
  """The mean of each window, over those elements that aren't padding."""

  def pool(x):
    total = _reduce(x, 0.0, jax.lax.add, window, strides, padding)
    if padding == 'VALID':
      return total / math.prod(linear.pair(window))
    ones = jnp.ones((1, *x.shape[1:]), x.dtype)
    return total / _reduce(ones, 0.0, jax.lax.add, window, strides, padding)

  return _pooling('avg_pool', pool)


def global_avg_pool() -> base.Layer:
  """The mean over space, to `[batch, channels]`.

  See Lin et al., 2014, https://arxiv.org/abs/1312.4400.
  """
  return _pooling('global_avg_pool', lambda x: jnp.mean(x, axis=(1, 2)))


def _reduce(x, start, operation, window, strides, padding):
  height, width = linear.pair(window)
  step = linear.pair(window if strides is None else strides)
  pads = linear.pads(padding)
  if not isinstance(pads, str):
    pads = [(0, 0), *pads, (0, 0)]
  return jax.lax.reduce_window(
    x,
    np.asarray(start, x.dtype),
    operation,
    (1, height, width, 1),
    (1, *step, 1),
    pads,
  )


def _pooling(name, pool):
  def init(key, in_shape):
    del key
    linear.require_image(name, in_shape)
    x = jax.ShapeDtypeStruct((1, *in_shape), jnp.float32)
    return jax.eval_shape(pool, x).shape[1:], (), ()

  def apply(params, state, x, *, train=False, key=None):
    del params, train, key
    with jax.named_scope(name):
      return pool(x), state

  return base.Layer(init, apply)
