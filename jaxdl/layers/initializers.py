"""Initializers: `init(key, shape, dtype)`, as in `jax.nn.initializers`.

Kernels are `[in, out]` or `[height, width, in, out]`: the fan-in is the product
of all axes but the last. A standard deviation or a gain may be traced.
"""

from collections.abc import Callable
import math

import jax
import jax.numpy as jnp
from jaxdl import choice
from jaxdl.layers import base

Initializer = Callable[..., base.Array]


def glorot() -> Initializer:
  """Uniform, of variance 2 / (fan_in + fan_out).

  See Glorot & Bengio, 2010, "Understanding the difficulty of training deep
  feedforward neural networks", equation 16.
  """
  return jax.nn.initializers.glorot_uniform()


def he() -> Initializer:
  """Normal, of variance 2 / fan_in: keeps the signal of a ReLU network.

  See He et al., 2015, https://arxiv.org/abs/1502.01852, equation 10.
  """
  return normal_fan_in(math.sqrt(2))


def lecun() -> Initializer:
  """Normal, of variance 1 / fan_in.

  See LeCun et al., 1998, "Efficient BackProp", section 4.6.
  """
  return normal_fan_in(1.0)


def orthogonal(gain: base.Scalar = 1.0) -> Initializer:
  """A random orthogonal matrix (semi-orthogonal if not square) times `gain`.

  See Saxe et al., 2014, https://arxiv.org/abs/1312.6120.
  """
  unit = jax.nn.initializers.orthogonal()

  def init(key, shape, dtype=None):
    dtype = jnp.result_type(dtype or float)
    # There is no QR decomposition in half precision.
    wide = jnp.promote_types(dtype, jnp.float32)
    # Many at once on two CPU devices at a time wait for each other for ever, as
    # of jaxlib 0.10; so `vmap` takes one after the other.
    draw = jax.custom_batching.sequential_vmap(
      lambda key: unit(key, shape, wide)
    )
    return draw(key).astype(dtype) * jnp.asarray(gain, dtype)

  return init


def delta_orthogonal(gain: base.Scalar = 1.0) -> Initializer:
  """Kernels that are zero but in the middle, where they are orthogonal.

  A convolution with one keeps the norm of a signal as an orthogonal matrix
  does; of a dense layer it is that matrix. See Xiao et al., 2018,
  https://arxiv.org/abs/1806.05393.
  """
  matrix = orthogonal(gain)

  def init(key, shape, dtype=None):
    *window, fan_in, fan_out = shape
    w = matrix(key, (fan_in, fan_out), dtype)
    middle = tuple((size - 1) // 2 for size in window)
    return jnp.zeros(shape, w.dtype).at[middle].set(w) if window else w

  return init


def normal_fan_in(std: base.Scalar = 1.0) -> Initializer:
  """Normal, of variance std**2 / fan_in: the mean field's sigma_w.

  See Poole et al., 2016, https://arxiv.org/abs/1606.05340.
  """

  def init(key, shape, dtype=None):
    unit = jax.random.normal(key, shape, dtype or float)
    scale = jnp.asarray(std, unit.dtype) / math.sqrt(math.prod(shape[:-1]))
    return unit * scale

  return init


def normal(std: base.Scalar = 1.0) -> Initializer:
  """Normal, of variance std**2: the mean field's sigma_b, for biases."""

  def init(key, shape, dtype=None):
    unit = jax.random.normal(key, shape, dtype or float)
    return unit * jnp.asarray(std, unit.dtype)

  return init


def constant(value: base.Scalar) -> Initializer:
  """All elements equal `value`."""

  def init(key, shape, dtype=None):
    del key
    return jnp.full(shape, value, dtype or float)

  return init


def zeros() -> Initializer:
  """All elements are zero."""
  return constant(0.0)


_TABLE: dict[str, Callable[..., Initializer]] = {
  'glorot': glorot,
  'he': he,
  'lecun': lecun,
  'orthogonal': orthogonal,
  'delta_orthogonal': delta_orthogonal,
}


def names() -> tuple[str, ...]:
  """Returns the names of the initializers of weights."""
  return tuple(_TABLE)


def get(name: str) -> Callable[..., Initializer]:
  """Returns what makes the initializer of weights called `name`.

  Raises:
    ValueError: if there is none.
  """
  return choice.choose('initializer', name, _TABLE)
