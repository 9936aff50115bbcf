"""Tables as text: aligned columns."""

from collections.abc import Collection, Sequence
from typing import Any


def aligned(
  header: Sequence[str],
  rows: Sequence[Sequence[str]],
  left: Collection[int] = (0,),
) -> str:
  """Returns a header and rows in columns, two blanks between them.

  Args:
    header: a name for each column.
    rows: as many cells each.
    left: columns whose cells are flush left; the others are flush right.
  """
  table = [list(header), *map(list, rows)]
  widths = [max(map(len, column)) for column in zip(*table, strict=True)]
  return '\n'.join(
    '  '.join(
      cell.ljust(width) if column in left else cell.rjust(width)
      for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ).rstrip()
    for row in table
  )


def product(sizes: Sequence[Any]) -> str:
  """Returns sizes as `224 x 224 x 3`."""
  return ' x '.join(map(str, sizes)) or '1'


def common(values: Sequence[Any]) -> str:
  """Returns what all values are, or each if they differ."""
  if not values:
    return '-'
  return str(values[0]) if len(set(values)) == 1 else product(values)
