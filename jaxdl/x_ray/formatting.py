"""Numbers and paths as text: three digits, and no wider than is needed."""

import math

_SHORTEST_STEP = 2
ELLIPSIS = '…'


def number(x: float) -> str:
  """Writes a number with three significant digits: `0.123`, `12300`, `1e-30`.

  Args:
    x: any number; infinities and NaN are said as such.
  """
  if x == 0 or not math.isfinite(x):
    return f'{x:g}'
  text = f'{x:.2e}'
  mantissa, exponent = text.split('e')
  power = int(exponent)
  if -3 <= power < 5:
    return f'{float(text):.{max(2 - power, 0)}f}'
  return f'{mantissa.removesuffix(".00")}e{power}'


def share(x: float) -> str:
  """Writes a fraction as a percentage; none at all is empty, as is NaN."""
  if math.isnan(x) or x == 0:
    return ''
  if x == 1:
    return '100%'
  return f'{min(max(100 * x, 1), 99):.0f}%' if x >= 0.01 else '<1%'


def decades(x: float) -> str:
  """Writes powers of ten with their sign; NaN is empty."""
  if math.isnan(x):
    return ''
  if math.isinf(x):
    return f'{x:+g}'
  return f'{x:+.1f}' if abs(x) >= 0.05 else '0.0'


def shortened(path: str, width: int) -> str:
  """Shortens a path in its middle: `enc…/layers/11/att…/query`.

  Numbers stay, since they tell one block from another.

  Args:
    path: names with slashes between.
    width: number of characters that it may have.
  """
  steps = path.split('/')
  while (excess := len('/'.join(steps)) - width) > 0:
    lengths = [
      0 if step[-1:].isdigit() or step.endswith(ELLIPSIS) else len(step)
      for step in steps[:-1]
    ]
    longest = max(range(len(lengths)), key=lengths.__getitem__, default=0)
    if not lengths or lengths[longest] <= _SHORTEST_STEP + 1:
      break
    keep = max(lengths[longest] - excess - 1, _SHORTEST_STEP)
    steps[longest] = steps[longest][:keep] + ELLIPSIS
  text = '/'.join(steps)
  if len(text) <= width:
    return text
  head = (width - 1) // 3
  return text[:head] + ELLIPSIS + text[len(text) - (width - 1 - head) :]


def count(n: int, noun: str) -> str:
  """Writes a number of things: `1 module`, `12,345 parameters`."""
  return f'{n:,} {noun}' if n == 1 else f'{n:,} {noun}s'


def words(name: str) -> str:
  """Writes a name as words: `batch norm degenerate`."""
  return name.replace('_', ' ')
