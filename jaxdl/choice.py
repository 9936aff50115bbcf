"""Choices: a name from a table, with numbers: `leaky_relu:0.2`, `norm:1.0`."""

from collections.abc import Mapping
import difflib
import math
from typing import NamedTuple, TypeVar

_Value = TypeVar('_Value')
# Of float32: what is beyond is infinite, and what is below counts as 0.
_LARGEST, _SMALLEST = 2.0**128 - 2.0**104, 2.0**-126


class Choice(NamedTuple):
  """A name and the numbers that belong to it.

  Attributes:
    name: what is chosen.
    numbers: its numbers by their names, in order.
  """

  name: str
  numbers: dict[str, float]


def choose(kind: str, name: str, table: Mapping[str, _Value]) -> _Value:
  """Returns `table[name]`.

  Raises:
    ValueError: if the name isn't in the table; lists those that are.
  """
  if name in table:
    return table[name]
  close = difflib.get_close_matches(name, table, n=1)
  hint = f' Did you mean {close[0]!r}?' if close else ''
  raise ValueError(
    f'Unknown {kind} {name!r}; choose one of: {", ".join(table)}.{hint}'
  )


def split_name(text: str) -> str:
  """Returns the name in `text`, what stands before the first colon."""
  return text.partition(':')[0]


def parse(kind: str, text: str, defaults: Mapping[str, float | None]) -> Choice:
  """Parses `name:number:...`.

  Args:
    kind: what is chosen, for messages, such as `activation`.
    text: the choice as written.
    defaults: the numbers that this name takes, in order, each with its default;
      None where one has to be given.

  Returns:
    The choice, with all of its numbers.

  Raises:
    ValueError: too many numbers, too few, or one that is not a finite number
      of float32.
  """
  name, *given = text.split(':')
  form = ':'.join([name, *(n.upper() for n in defaults)])
  if len(given) > len(defaults):
    takes = f'write {form}' if defaults else f'{name} takes no number'
    raise ValueError(f'{kind} {text!r} has too many numbers; {takes}')
  numbers = {}
  for i, (number, default) in enumerate(defaults.items()):
    if i < len(given):
      numbers[number] = _number(kind, text, given[i], form)
    elif default is None:
      raise ValueError(
        f'{kind} {text!r} lacks a number; write {form}, as in {name}:1.0'
      )
    else:
      numbers[number] = default
  return Choice(name, numbers)


def _number(kind: str, text: str, given: str, form: str) -> float:
  try:
    value = float(given)
  except ValueError:
    value = math.nan
  if not math.isfinite(value):
    raise ValueError(
      f'{kind} {text!r}: {given!r} is not a finite number; write {form}'
    )
  if value and not _SMALLEST <= abs(value) <= _LARGEST:
    raise ValueError(
      f'{kind} {text!r}: {given!r} is {"0" if abs(value) < 1 else "infinite"} '
      f'in float32; write {form} with another number'
    )
  return value
