"""What the arguments of an architecture may be, by their names.

One table for all architectures: an argument of a name means the same in each.
A value is read as what its kind holds, so that the integer of NumPy is an
integer; one that its kind does not hold is refused by name.
"""

from collections.abc import Callable, Sequence
import inspect
import math
import operator
from typing import Any, NamedTuple

from jaxdl.layers import base
from jaxdl.layers import initializers
import numpy as np

_LONGEST = 60  # Characters of a value that a message shows.


class Kind(NamedTuple):
  """A kind of values.

  Attributes:
    possible: its values in words, after "possible: ".
    read: returns a value as the builders take it; raises a TypeError or a
      ValueError for what is none.
  """

  possible: str
  read: Callable[[Any], Any]


def read(
  architecture: str, name: str, value: Any, *, optional: bool = False
) -> Any:
  """Returns the value of an argument as the builders take it.

  Args:
    architecture: its name, for the message.
    name: of the argument.
    value: what is given.
    optional: whether None is possible, for what the architecture makes of it.

  Raises:
    ValueError: if the value is not possible; says which are.
  """
  if optional and value is None:
    return None
  kind = _KINDS[name]
  try:
    return kind.read(value)
  except (TypeError, ValueError):
    or_none = 'None for its own, ' if optional else ''
    raise ValueError(
      f'{name} of {architecture} is {_shown(value)}; '
      f'possible: {or_none}{kind.possible}'
    ) from None


def names() -> tuple[str, ...]:
  """Returns the names of all arguments whose kind is known."""
  return tuple(_KINDS)


def _shown(value: Any) -> str:
  is_function = callable(value) and hasattr(value, '__qualname__')
  text = value.__qualname__ if is_function else ' '.join(repr(value).split())
  return text if len(text) <= _LONGEST else f'{text[: _LONGEST - 3]}...'


def _integer(low: float = -math.inf) -> Callable[[Any], int]:
  def read(value):
    if isinstance(value, bool):
      raise TypeError('a boolean')
    integer = operator.index(value)
    if integer < low:
      raise ValueError('too small')
    return integer

  return read


def _shape(value: Any) -> tuple[int, ...]:
  if not isinstance(value, (Sequence, np.ndarray)) or len(value) == 0:
    raise TypeError('no sizes')
  return tuple(map(_integer(), value))


def _window(value: Any) -> int | tuple[int, int]:
  if np.ndim(value) == 0:
    return _integer(1)(value)
  height, width = map(_integer(1), value)
  return height, width


def _number(value: Any) -> base.Scalar:
  if not base.is_number(value):
    raise TypeError('no number')
  return value


def _rate(value: Any) -> base.Scalar:
  known = base.known(_number(value))
  if known is not None and not 0 <= known < 1:
    raise ValueError('out of range')
  return value


def _boolean(value: Any) -> bool:
  if not isinstance(value, (bool, np.bool_)):
    raise TypeError('no boolean')
  return bool(value)


def _activation(value: Any) -> Any:
  if not (isinstance(value, (str, base.Layer)) or callable(value)):
    raise TypeError('no function')
  return value


def _initializer(
  table: dict[str, Callable[[], initializers.Initializer]],
) -> Callable[[Any], initializers.Initializer]:
  def read(value):
    if isinstance(value, str):
      if value not in table:
        raise ValueError('unknown')
      return table[value]()
    signature = inspect.signature(value)
    signature.bind('key', 'shape')
    # What makes an initializer, as `he` does, needs no argument, or another.
    first, *_ = signature.parameters.values()
    if first.default is not inspect.Parameter.empty:
      raise TypeError('needs no key')
    return value

  return read


_SIZE = Kind('integers from 1', _integer(1))
_WINDOW = Kind('an integer from 1, or a pair of them', _window)
_NUMBER = Kind('a number, which may be traced', _number)
_RATE = Kind('a number from 0 to less than 1, which may be traced', _rate)
_BOOLEAN = Kind('True, False', _boolean)

_KINDS = {
  'num_classes': _SIZE,
  'in_shape': Kind(
    'the sizes of one input without a batch axis, each an integer from 1, as '
    'in (32, 32, 3)',
    _shape,
  ),
  'activation': Kind(
    'a name with numbers as in leaky_relu:0.2, a function, or a layer',
    _activation,
  ),
  'weight_init': Kind(
    f'{", ".join(initializers.names())}, or a function of (key, shape) such '
    'as initializers.normal(0.1)',
    _initializer(
      {name: initializers.get(name) for name in initializers.names()}
    ),
  ),
  'bias_init': Kind(
    'zeros, or a function of (key, shape) such as initializers.normal(0.1); '
    'the others scale with a fan-in, and a bias has none',
    _initializer({'zeros': initializers.zeros}),
  ),
  'depth': _SIZE,
  'width': _SIZE,
  'stem_width': _SIZE,
  'kernel_size': _WINDOW,
  'wide_kernel_size': _WINDOW,
  'stem_strides': _WINDOW,
  'stem_padding': Kind('integers from 0', _integer(0)),
  'use_bias': _BOOLEAN,
  'local_response': _BOOLEAN,
  'auxiliary': _BOOLEAN,
  'preactivation': _BOOLEAN,
  'rematerialize': _BOOLEAN,
  'stride_in_1x1': _BOOLEAN,
  'residual_scale': _NUMBER,
  'shortcut_scale': _NUMBER,
  'gate_bias': _NUMBER,
  'dropout_rate': _RATE,
  'auxiliary_dropout_rate': _RATE,
}
