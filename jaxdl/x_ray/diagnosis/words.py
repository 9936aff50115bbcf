"""Numbers and names in words."""

from collections.abc import Sequence


def number(x: float) -> str:
  """Three digits, `1.25e-08` or `0.46`.

  Args:
    x: any number.
  """
  return f'{x:.3g}'


def percent(share: float) -> str:
  """A share in per cent.

  Args:
    share: between 0 and 1.
  """
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
