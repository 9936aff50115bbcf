"""Numbers and names in words."""

from collections.abc import Sequence
from typing import Any


def number(x: Any) -> str:
  """Three digits, `1.25e-08` or `0.46`.

  Args:
    x: any real number.
  """
  return f'{float(x):.3g}'


def percent(share: Any) -> str:
  """A share in per cent.

  Args:
    share: between 0 and 1.
  """
  share = float(share)
  shown = f'{100 * share:.0f}'
  return f'{100 * share:.1f}%' if shown == '100' and share < 1 else f'{shown}%'


def listed(names: Sequence[str], shown: int = 3) -> str:
  """Names in quotes; of many, the first.

  Args:
    names: at least one.
    shown: how many are written out.
  """
  text = ', '.join(f'`{name}`' for name in names[:shown])
  rest = len(names) - shown
  return f'{text} and {rest} more' if rest > 0 else text
