"""The type that every layer has, and what layers share."""

from collections.abc import Callable, Iterator
import contextlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array
Key = jax.Array  # A typed PRNG key, from `jax.random.key`.
Scalar = float | jax.Array  # A number, or a traced array of shape [].
Shape = tuple[int, ...]
Params = Any  # A nest of arrays; `()` where there is none.
State = Any  # A nest of arrays; `()` where there is none.


class Layer(NamedTuple):
  """A layer, as a pair of pure functions.

  Attributes:
    init: `init(key, in_shape) -> (out_shape, params, state)`; the shapes are
      without the batch axis.
    apply: `apply(params, state, x, *, train=False, key=None) -> (y, state)`;
      `x` has a leading batch axis.
  """

  init: Callable[[Key, Shape], tuple[Shape, Params, State]]
  apply: Callable[..., tuple[Array, State]]


class LayerError(ValueError):
  """A layer of a network that cannot take what it is given.

  Attributes:
    path: the names of the layers around it, outermost first.
    reason: what is wrong.
  """

  def __init__(self, path: tuple[str, ...], reason: str):
    super().__init__(f'{"/".join(path)}: {reason}')
    self.path = path
    self.reason = reason


@contextlib.contextmanager
def naming(name: str) -> Iterator[None]:
  """Says of a ValueError in which layer it arose.

  Raises:
    LayerError: in place of the ValueError.
  """
  try:
    yield
  except LayerError as error:
    raise LayerError((name, *error.path), error.reason) from None
  except ValueError as error:
    raise LayerError((name,), str(error)) from None


def require_key(key: Key | None, name: str) -> Key:
  """Returns the key of a layer that is random in training.

  Raises:
    ValueError: if there is none.
  """
  if key is None:
    raise ValueError(
      f'{name} is random in training: pass apply(..., train=True, key=key) a '
      'key from jax.random.key(seed).'
    )
  return key


def require_positive(name: str, value: int) -> int:
  """Returns a size.

  Raises:
    ValueError: if it is less than 1.
  """
  if value < 1:
    raise ValueError(f'{name} must be at least 1, got {value}.')
  return value


def is_number(value: Any) -> bool:
  """Whether a value is a real number, or an array of shape [] of one.

  Those of NumPy and of JAX are, traced or not; a boolean is none.
  """
  if isinstance(value, (jax.Array, np.ndarray, np.generic)):
    is_real = any(
      jnp.issubdtype(value.dtype, kind) for kind in (jnp.floating, jnp.integer)
    )
    return is_real and value.shape == ()
  return isinstance(value, (int, float)) and not isinstance(value, bool)


def known(number: Scalar) -> float | None:
  """Returns a number as Python's, which can be checked; None if it is traced.

  Args:
    number: of which `is_number` holds.
  """
  return None if isinstance(number, jax.core.Tracer) else float(number)


def is_zero_tangent(tangent: Any) -> bool:
  """Whether a tangent in a rule with symbolic zeros is known to be zero."""
  return isinstance(tangent, jax.custom_derivatives.SymbolicZero)
