"""Flags whose value is a list: what is asked of all of them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from absl import flags

_LONGEST_RANGE = 10_000


def numbers(
  flag: flags.FlagHolder[list[str]], kind: Callable[[str], Any]
) -> list[Any]:
  """Returns the numbers of a list flag.

  Args:
    flag: the flag.
    kind: `int` or `float`.
  """
  try:
    return [kind(text) for text in flag.value]
  except ValueError:
    what = 'integers' if kind is int else 'numbers'
    raise ValueError(
      f'--{flag.name}={",".join(flag.value)}: give {what}, with commas between'
    ) from None


def spaced(
  flag: flags.FlagHolder[list[str]], kind: Callable[[Any], Any]
) -> list[Any]:
  """Returns the numbers of a list flag, in which a range is one `1:2:5`.

  Args:
    flag: the flag; of a range, first and last belong to it, and the third is
      how many there are. Integers are rounded.
    kind: `int` or `float`.

  Raises:
    ValueError: if a part is no number and no range, or a number is there twice.
  """
  check({flag.name: flag.value})
  found = []
  for text in flag.value:
    ends = text.split(':')
    try:
      if len(ends) == 3:
        first, last, count = float(ends[0]), float(ends[1]), int(ends[2])
        if count > _LONGEST_RANGE:
          raise OverflowError
        gap = (last - first) / max(count - 1, 1)
        steps = [first + i * gap for i in range(count)]
        found += [kind(round(x, 0 if kind is int else 6)) for x in steps]
      else:
        found.append(kind(text))
    except (ValueError, OverflowError):
      raise ValueError(
        f'--{flag.name} has {text!r}; give numbers, or first:last:count, a '
        f'count of {_LONGEST_RANGE} at most'
      ) from None
  if not found or len(set(found)) < len(found):
    raise ValueError(
      f'--{flag.name}={",".join(flag.value)} has {len(found)} numbers, '
      f'{len(set(found))} of them different; give each once'
    )
  return found


def check(axes: Mapping[str, Sequence[Any]]) -> None:
  """Raises a ValueError if a list flag has no value, or an empty one.

  Args:
    axes: the values of each flag, by its name.
  """
  for name, values in axes.items():
    if not values:
      raise ValueError(f'--{name} is empty; give at least one value')
    if '' in values:
      raise ValueError(
        f'--{name}={",".join(values)} has a comma too many: no value stands '
        'beside it'
      )


def check_unique(flag: flags.FlagHolder[Any]) -> None:
  """Raises a ValueError if a list flag has a value twice.

  Args:
    flag: the flag.
  """
  for value in flag.value:
    if flag.value.count(value) > 1:
      raise ValueError(f'--{flag.name} has {value!r} twice; give each once')
