"""Flags whose value is a list: what is asked of all of them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from absl import flags


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


def check_unique(flag: flags.FlagHolder[list[str]]) -> None:
  """Raises a ValueError if a list flag has a value twice.

  Args:
    flag: the flag.
  """
  for value in flag.value:
    if flag.value.count(value) > 1:
      raise ValueError(f'--{flag.name} has {value!r} twice; give each once')
