"""Elementwise activation functions, and how to find one by its name.

Each is `fn(x, **hyperparameters)`: it keeps the dtype of `x`, and its
hyperparameters may be traced scalars. Derivatives at kinks are one-sided, from
the left: relu'(0) = 0, leaky_relu'(0) = slope, elu'(0) = alpha. None yields a
NaN from a branch not taken, however large the finite input.

To add one, write one function under `@_activation()`. Its name is the name to
look it up by; its parameters with a float default are its hyperparameters, in
the order in which a specification such as `rrelu:0.125:0.333` states them.
"""

from collections.abc import Callable, Mapping
import functools
import inspect
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxdl import choice

Array = jax.Array
Scalar = float | jax.Array
FlatEnds = tuple[Scalar | None, Scalar | None]

_SELU_ALPHA = 1.6732632423543772848170429916717
_SELU_SCALE = 1.0507009873554804934193349852946


class Activation(NamedTuple):
  """What is known of an activation function beside its values.

  Attributes:
    name: the name of the function.
    fn: the function, `fn(x, **hyperparameters)`.
    hyperparameters: names and defaults, in order.
    ends: maps all hyperparameters to the finite horizontal asymptotes.
    stochastic: whether `fn` takes a `key`, and is random where it has one.
  """

  name: str
  fn: Callable[..., Array]
  hyperparameters: Mapping[str, float]
  ends: Callable[..., FlatEnds]
  stochastic: bool

  def complete(self, **hyperparameters: Scalar) -> dict[str, Scalar]:
    """Returns all hyperparameters: those given, the defaults of the others.

    Raises:
      ValueError: if the activation lacks one of those given.
    """
    for name in hyperparameters:
      if name not in self.hyperparameters:
        known = ', '.join(self.hyperparameters) or 'none'
        raise ValueError(
          f'{self.name} has no hyperparameter {name!r}; it has: {known}.'
        )
    return {**self.hyperparameters, **hyperparameters}

  def flat_ends(self, **hyperparameters: Scalar) -> FlatEnds:
    """Returns the values that `fn` tends to at -inf and at +inf.

    `None` stands for an end that isn't flat. Only ends at which a unit
    saturates count: the zero of `relu` and the tail of `gelu` and `silu`, which
    aren't monotone asymptotes of a bounded unit, are left out.
    """
    return self.ends(**self.complete(**hyperparameters))


_TABLE: dict[str, Activation] = {}


def describe(
  fn: Callable[..., Array],
  flat_ends: FlatEnds | Callable[..., FlatEnds] = (None, None),
) -> Activation:
  """Describes a function by its signature; `fn` may be anybody's.

  Args:
    fn: maps an array, and hyperparameters by keyword, to an array.
    flat_ends: the flat ends, or a function of the hyperparameters.
  """
  name = getattr(fn, '__name__', type(fn).__name__)
  parameters = list(inspect.signature(fn).parameters.values())[1:]
  hyperparameters = {
    p.name: p.default for p in parameters if isinstance(p.default, float)
  }
  ends: Callable[..., FlatEnds]
  ends = flat_ends if callable(flat_ends) else lambda **_: flat_ends
  stochastic = any(p.name == 'key' for p in parameters)
  return Activation(name, fn, hyperparameters, ends, stochastic)


def names() -> tuple[str, ...]:
  """Returns the names of all activations, in the order of this file."""
  return tuple(_TABLE)


def get(name: str) -> Activation:
  """Returns the activation called `name`.

  Raises:
    ValueError: if there is none.
  """
  return choice.choose('activation', name, _TABLE)


def _activation(
  flat_ends: FlatEnds | Callable[..., FlatEnds] = (None, None),
) -> Callable[[Callable[..., Array]], Callable[..., Array]]:
  """Enters the decorated function in the table."""

  def enter(fn):
    _TABLE[fn.__name__] = describe(fn, flat_ends)
    return fn

  return enter


def _with_slope(
  fn: Callable[[Array], tuple[Array, Array]],
) -> Callable[[Array], Array]:
  """Turns `x -> (y, dy/dx)` into `x -> y`, differentiated by the given slope.

  The slope is computed forward, beside the value and from the same terms, and
  is all that the backward pass keeps.
  """

  @jax.custom_jvp
  def value(x):
    return fn(x)[0]

  @value.defjvp
  def _(primals, tangents):
    y, slope = fn(*primals)
    return y, slope * tangents[0]

  return functools.update_wrapper(value, fn)


def _like(scalar: Scalar, x: Array) -> Array:
  """Casts a hyperparameter, lest a traced one widen the dtype of `x`."""
  return jnp.asarray(scalar, x.dtype)


@_activation()
def identity(x: Array) -> Array:
  """Returns x: what makes a deep network linear.

  The copy costs nothing when compiled. It leaves an equation in the jaxpr, so
  that a layer of this activation has an output to be measured.
  """
  return jnp.copy(x)


@_activation(flat_ends=(0.0, 1.0))
def sigmoid(x: Array) -> Array:
  """1 / (1 + exp(-x))."""
  return jax.nn.sigmoid(x)


@_activation(flat_ends=(-1.0, 1.0))
@_with_slope
def tanh(x: Array) -> tuple[Array, Array]:
  """The hyperbolic tangent, with derivative (1 - y) (1 + y)."""
  y = jnp.tanh(x)
  return y, (1 - y) * (1 + y)


@_activation(flat_ends=(-1.0, 1.0))
@_with_slope
def erf(x: Array) -> tuple[Array, Array]:
  """The error function, whose mean field theory has closed forms.

  See Williams, 1997, "Computing with infinite networks".
  """
  return jax.lax.erf(x), 2 * math.pi**-0.5 * jnp.exp(-x * x)


@_activation()
def relu(x: Array) -> Array:
  """max(x, 0), with derivative 0 at 0."""
  return jax.nn.relu(x)


@_activation()
def leaky_relu(x: Array, slope: Scalar = 0.01) -> Array:
  """Returns x where positive, else slope x; its derivative at 0 is `slope`.

  See Maas et al., 2013, "Rectifier nonlinearities improve neural network
  acoustic models". (The derivative of `jax.nn.leaky_relu` at 0 is 1.)
  """
  return jnp.where(x > 0, x, _like(slope, x) * x)


@_activation()
def prelu(x: Array, slope: Scalar = 0.25) -> Array:
  """As `leaky_relu`, but the slope is learned; this is its initial value.

  The slope may be an array that broadcasts against `x`. It takes no weight
  decay. See He et al., 2015, https://arxiv.org/abs/1502.01852.
  """
  return jnp.where(x > 0, x, _like(slope, x) * x)


@_activation()
def rrelu(
  x: Array,
  lower: Scalar = 0.125,
  upper: Scalar = 1 / 3,
  *,
  key: jax.Array | None = None,
) -> Array:
  """Returns x where positive, else x / a for a random divisor a.

  In training (with a key) a ~ U(1 / upper, 1 / lower) = U(3, 8), one draw an
  element; at test (no key) a is the mean divisor 11 / 2. See Xu et al., 2015,
  https://arxiv.org/abs/1505.00853. PyTorch's `rrelu` differs: it draws the
  slope 1 / a uniformly, and takes the mean slope at test.

  The draws have 16 bits, centred so that their mean is exact.

  Args:
    x: any shape.
    lower: the least slope.
    upper: the greatest slope.
    key: a PRNG key in training, None at test.
  """
  least, greatest = 1 / _like(upper, x), 1 / _like(lower, x)
  unit = 0.5 if key is None else _uniform_16_bit(key, x.shape).astype(x.dtype)
  divisor = least + unit * (greatest - least)
  return x * jnp.where(x > 0, 1, 1 / divisor)


def _uniform_16_bit(key: jax.Array, shape: tuple[int, ...]) -> Array:
  """Draws U(0, 1) on a grid of 65,536 points, two for each 32-bit word."""
  size = math.prod(shape)
  words = jax.random.bits(key, ((size + 1) // 2,), jnp.uint32)
  halves = jax.lax.bitcast_convert_type(words, jnp.uint16).ravel()[:size]
  return (halves.astype(jnp.float32) + 0.5).reshape(shape) / 2**16


@_activation(flat_ends=lambda alpha: (-alpha, None))
def elu(x: Array, alpha: Scalar = 1.0) -> Array:
  """Returns x where positive, else alpha (exp(x) - 1).

  See Clevert et al., 2015, https://arxiv.org/abs/1511.07289.
  """
  negative = jnp.where(x > 0, 0, x)  # No overflow in the branch not taken.
  return jnp.where(x > 0, x, _like(alpha, x) * jnp.expm1(negative))


@_activation(flat_ends=(-_SELU_SCALE * _SELU_ALPHA, None))
def selu(x: Array) -> Array:
  """The scaled elu whose fixed point has mean 0 and variance 1.

  See Klambauer et al., 2017, https://arxiv.org/abs/1706.02515.
  """
  return jax.nn.selu(x)


@_activation()
@_with_slope
def gelu(x: Array) -> tuple[Array, Array]:
  """Returns x Phi(x), Phi the exact normal distribution function.

  See Hendrycks & Gimpel, 2016, https://arxiv.org/abs/1606.08415.
  """
  cdf = 0.5 * jax.lax.erfc(-(0.5**0.5) * x)
  pdf = (2 * math.pi) ** -0.5 * jnp.exp(-0.5 * x * x)
  return x * cdf, cdf + x * pdf


@_activation()
@_with_slope
def silu(x: Array) -> tuple[Array, Array]:
  """Returns x sigmoid(x).

  See Elfwing et al., 2017, https://arxiv.org/abs/1702.03118.
  """
  gate = jax.nn.sigmoid(x)
  y = x * gate
  return y, gate + y * (1 - gate)


@_activation(flat_ends=(0.0, None))
@_with_slope
def softplus(x: Array) -> tuple[Array, Array]:
  """log(1 + exp(x)), with derivative sigmoid(x)."""
  tail = jnp.exp(-jnp.abs(x))
  y = jnp.maximum(x, 0) + jnp.log1p(tail)
  return y, jnp.where(x > 0, 1, tail) / (1 + tail)


@_activation(flat_ends=(-1.0, 1.0))
@_with_slope
def softsign(x: Array) -> tuple[Array, Array]:
  """Returns x / (1 + |x|), with derivative 1 / (1 + |x|)^2."""
  size = 1 + jnp.abs(x)
  inverse = 1 / size
  return x / size, inverse * inverse
