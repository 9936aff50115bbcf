"""Normalization: batch norm, whose running statistics are state; layer norm;
local response normalization.

The first two standardize with the closed form of the derivative, which needs
two sums where differentiating the mean and the variance takes more.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxdl.layers import base
import numpy as np


class NormParams(NamedTuple):
  """Params of a normalization."""

  scale: base.Array | tuple[()]  # [features], or ()
  bias: base.Array | tuple[()]  # [features], or ()


class BatchNormState(NamedTuple):
  """Running statistics of batch norm."""

  mean: base.Array  # [features], running
  var: base.Array  # [features], running, unbiased


def batch_norm(
  momentum: base.Scalar = 0.9,
  eps: base.Scalar = 1e-5,
  *,
  use_scale: bool = True,
  use_bias: bool = True,
  axis_name: str | None = None,
) -> base.Layer:
  """Normalizes each feature over the batch, and over space if any.

  In training, by the batch's mean and (biased) variance, which also enter the
  running statistics; the running variance takes the unbiased estimate. At test,
  by the running statistics. See Ioffe & Szegedy, 2015,
  https://arxiv.org/abs/1502.03167.

  Args:
    momentum: running = momentum * running + (1 - momentum) * batch's.
    eps: added to the variance; takes no derivative.
    use_scale: whether a learned scale follows, initially 1.
    use_bias: whether a learned shift follows, initially 0.
    axis_name: a mapped axis that also holds examples of the batch.
  """

  def init(key, in_shape):
    del key
    shape = in_shape[-1:]
    state = BatchNormState(jnp.zeros(shape), jnp.ones(shape))
    return in_shape, _init_params(shape, use_scale, use_bias), state

  def apply(params, state, x, *, train=False, key=None):
    del key
    with jax.named_scope('batch_norm'):
      if not train:
        inverse = jax.lax.rsqrt(state.var + eps)
        unit = (_wide(x) - state.mean) * inverse
        return _affine(params, unit).astype(x.dtype), state
      axes = tuple(range(x.ndim - 1))
      unit, mean, var = _standardize(
        axes, axis_name, _wide(x), jax.lax.stop_gradient(eps)
      )
      state = _running(state, mean, var, momentum, _count(x, axis_name))
      return _affine(params, unit).astype(x.dtype), state

  return base.Layer(init, apply)


def layer_norm(
  eps: base.Scalar = 1e-5,
  *,
  use_scale: bool = True,
  use_bias: bool = True,
) -> base.Layer:
  """Normalizes each example over its last axis.

  See Ba et al., 2016, https://arxiv.org/abs/1607.06450.

  Args:
    eps: added to the variance; takes no derivative.
    use_scale: whether a learned scale follows, initially 1.
    use_bias: whether a learned shift follows, initially 0.
  """

  def init(key, in_shape):
    del key
    return in_shape, _init_params(in_shape[-1:], use_scale, use_bias), ()

  def apply(params, state, x, *, train=False, key=None):
    del train, key
    with jax.named_scope('layer_norm'):
      eps_fixed = jax.lax.stop_gradient(eps)
      unit, _, _ = _standardize((x.ndim - 1,), None, _wide(x), eps_fixed)
      return _affine(params, unit).astype(x.dtype), state

  return base.Layer(init, apply)


def local_response_norm(
  size: int = 5,
  alpha: base.Scalar = 1e-4,
  beta: base.Scalar = 0.75,
  k: base.Scalar = 2.0,
) -> base.Layer:
  """`y_i = x_i / (k + alpha * sum_j x_j^2)^beta`, over `size` channels about i.

  The channels are the last axis, and those beyond its ends count as zero. As in
  the paper, alpha multiplies the sum; Caffe and PyTorch multiply the mean, so
  their alpha is `size` times ours. See Krizhevsky et al., 2012, "ImageNet
  classification with deep convolutional neural networks", section 3.3.

  Args:
    size: how many neighbouring channels are summed, an odd number.
    alpha: weight of the sum of squares.
    beta: the exponent.
    k: what is added to the sum; positive.

  Raises:
    ValueError: if `size` isn't odd and positive, or k isn't positive.
  """
  if size < 1 or size % 2 == 0:
    raise ValueError(f'size must be odd and at least 1, got {size}.')
  if isinstance(k, (int, float)) and not k > 0:
    raise ValueError(f'k must be positive, or zeros divide by zero; got {k}.')

  def init(key, in_shape):
    del key
    return in_shape, (), ()

  def apply(params, state, x, *, train=False, key=None):
    del params, train, key
    with jax.named_scope('local_response_norm'):
      wide = _wide(x)
      sums = _neighbour_sums(jnp.square(wide), size)
      return (wide * (k + alpha * sums) ** -beta).astype(x.dtype), state

  return base.Layer(init, apply)


def _neighbour_sums(x, size):
  """Sums `size` neighbours along the last axis, which keeps its length."""
  ones = (1,) * (x.ndim - 1)
  pads = [(0, 0)] * (x.ndim - 1) + [(size // 2, size // 2)]
  zero = np.zeros((), x.dtype)
  return jax.lax.reduce_window(
    x, zero, jax.lax.add, (*ones, size), (*ones, 1), pads
  )


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _standardize(axes, axis_name, x, eps):
  """Returns (x - mean) / sqrt(var + eps), the mean and the variance.

  The variance is the mean of squares about the mean: the difference of two
  mean squares would cancel.
  """
  return _moments(axes, axis_name, x, eps)[:3]


@_standardize.defjvp
def _standardize_jvp(axes, axis_name, primals, tangents):
  """The derivative is a symmetric map, so that its transpose is as cheap."""
  unit, mean, var, inverse = _moments(axes, axis_name, *primals)
  average = functools.partial(_average, axes=axes, axis_name=axis_name)
  tangent = inverse * tangents[0]
  tangent = tangent - average(tangent) - unit * average(unit * tangent)
  zeros = jnp.zeros_like(mean)
  return (unit, mean, var), (tangent, zeros, zeros)


def _moments(axes, axis_name, x, eps):
  mean = _average(x, axes, axis_name)
  centred = x - mean
  var = _average(jnp.square(centred), axes, axis_name)
  inverse = jax.lax.rsqrt(var + eps)
  return centred * inverse, mean, var, inverse


def _average(x, axes, axis_name):
  mean = jnp.mean(x, axes, keepdims=True)
  return mean if axis_name is None else jax.lax.pmean(mean, axis_name)


def _running(state, mean, var, momentum, count):
  """Mixes the batch's statistics into the running ones."""
  unbiased = var * (count / jnp.maximum(count - 1, 1))
  mix = lambda old, new: jax.lax.stop_gradient(
    momentum * old + (1 - momentum) * new.reshape(old.shape)
  ).astype(old.dtype)
  return BatchNormState(mix(state.mean, mean), mix(state.var, unbiased))


def _count(x, axis_name):
  """Returns how many values are averaged for each feature."""
  count = math.prod(x.shape[:-1])
  return count if axis_name is None else jax.lax.psum(count, axis_name)


def _init_params(shape, use_scale, use_bias):
  scale = jnp.ones(shape) if use_scale else ()
  bias = jnp.zeros(shape) if use_bias else ()
  return NormParams(scale, bias)


def _affine(params, unit):
  if not isinstance(params.scale, tuple):
    unit = unit * params.scale
  if not isinstance(params.bias, tuple):
    unit = unit + params.bias
  return unit


def _wide(x):
  """Widens half precision, whose sums over a batch would be too coarse."""
  return x.astype(jnp.promote_types(x.dtype, jnp.float32))
