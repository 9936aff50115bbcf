"""The labelled product of axes."""

from collections.abc import Mapping, Sequence
import dataclasses
import itertools
import math

import numpy as np

Value = str | int | float
Cell = dict[str, Value]


@dataclasses.dataclass(frozen=True)
class Grid:
  """A labelled product of axes.

  An axis of choices holds strings (`'relu'`, `'leaky_relu:0.2'`), an axis of
  numbers holds integers or floats; an axis held fixed has one value.

  Attributes:
    axes: the values of each axis, in the order given.

  Raises:
    ValueError: no axis, an axis without values, a value given twice, a value
      that is neither a string nor a number, or strings and numbers in one axis.
  """

  axes: Mapping[str, Sequence[Value]]

  def __post_init__(self):
    if not self.axes:
      raise ValueError('a grid needs at least one axis; none was given')
    axes = {name: _axis(name, values) for name, values in self.axes.items()}
    object.__setattr__(self, 'axes', axes)

  def cells(self) -> list[Cell]:
    """Returns every cell, in product order: the last axis varies fastest."""
    return [
      dict(zip(self.axes, values, strict=True))
      for values in itertools.product(*self.axes.values())
    ]


def _axis(name: str, values: Sequence[Value]) -> tuple[Value, ...]:
  """Returns the values of one axis, checked and as Python scalars."""
  if isinstance(values, str) or not isinstance(values, Sequence | np.ndarray):
    raise ValueError(
      f'axis {name!r} is {values!r}; give a list of values, as in [{values!r}]'
    )
  scalars = tuple(_scalar(name, value) for value in values)
  if not scalars:
    raise ValueError(f'axis {name!r} has no values; give at least one')
  if len({isinstance(value, str) for value in scalars}) > 1:
    raise ValueError(
      f'axis {name!r} mixes strings and numbers: {list(scalars)}; '
      'give one or the other'
    )
  for i, value in enumerate(scalars):
    if value in scalars[:i]:
      raise ValueError(
        f'axis {name!r} has the value {value!r} twice; give each value once'
      )
  return scalars


def _scalar(name: str, value: Value) -> Value:
  """Returns one value as a Python scalar."""
  if isinstance(value, np.generic):
    value = value.item()
  if isinstance(value, bool) or not isinstance(value, str | int | float):
    raise ValueError(
      f'axis {name!r} has the value {value!r}; '
      'a value is a string, an integer or a float'
    )
  if isinstance(value, float) and math.isnan(value):
    raise ValueError(f'axis {name!r} has the value nan, which labels nothing')
  return value
