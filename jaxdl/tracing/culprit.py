"""What is to blame for a NaN or an infinity, in words."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Operand(NamedTuple):
  """A summary of a value that an operation read.

  Attributes:
    shape: its shape.
    dtype: its dtype, as a word.
    min: the smallest finite number in it, of complex numbers their magnitude;
      None if there is none.
    max: the largest.
    value: what the first bad element was made of, where the operation is
      elementwise or the operand a scalar; else None.
    nonfinite: how many elements are NaN or infinite.
  """

  shape: tuple[int, ...]
  dtype: str
  min: float | None
  max: float | None
  value: Any
  nonfinite: int

  def __str__(self) -> str:
    sizes = ', '.join(map(str, self.shape))
    range_ = '' if self.min is None else f' in {self.min:.4g}..{self.max:.4g}'
    bad = f', {self.nonfinite} of them not finite' if self.nonfinite else ''
    return f'{self.dtype}[{sizes}]{range_}{bad}'


class Culprit(NamedTuple):
  """The operation, or the argument, that is to blame.

  Attributes:
    scope: the named scopes it lies in, `encoder/blocks/3`; of an argument, its
      name and place, `params/dense/kernel`.
    primitive: its name in jax, `sqrt`; `argument` if it came in from outside.
      In the backward pass that of which the derivative was taken, where known.
    source: the line it was written in, `model.py:42 attention`, or empty.
    kind: `nan` or `inf`, as the first bad element is.
    phase: `forward` or `backward`, as the operation is.
    iteration: of the scans and loops around it, outermost first; in the
      backward pass too they are counted as the layers are.
    inputs: a summary of each operand; in the backward pass of the operation of
      which the derivative was taken, where known.
    first_bad: the index of the first bad element of its result.
    num_bad: how many elements are bad.
    size: of how many.
    reason: the arithmetic in words, `0.0 / 0.0`.
    became: where an infinity became NaN, in words; or empty.
    is_constant: whether it only passed on a constant that is NaN or infinite.
  """

  scope: str
  primitive: str
  source: str
  kind: str
  phase: str
  iteration: tuple[int, ...]
  inputs: tuple[Operand, ...]
  first_bad: tuple[int, ...]
  num_bad: int
  size: int
  reason: str
  became: str = ''
  is_constant: bool = False

  def __str__(self) -> str:
    if self.primitive == 'argument':
      what = f'argument {self.scope} holds {self.kind}'
    else:
      place = location(self.scope, self.source, self.iteration)
      did = 'passed on a constant' if self.is_constant else 'made'
      what = (
        f'{self.primitive} {did} {self.kind} in the {self.phase} pass{place}'
      )
    reason = f': {self.reason}' if self.reason else ''
    extent = ''
    if self.size > 1:
      extent = f'; {self.num_bad} of {self.size} elements, first at '
      extent += str(list(self.first_bad))
    became = f'\n{self.became}' if self.became else ''
    return f'{what}{reason}{extent}{became}'


def location(scope: str, source: str, iteration: tuple[int, ...]) -> str:
  """Where something is: ` at encoder/norm, iteration 3 (model.py:42 norm)`."""
  where = f' at {scope}' if scope else ''
  if iteration:
    word = 'iteration' if len(iteration) == 1 else 'iterations'
    where += f', {word} {", ".join(map(str, iteration))}'
  return where + (f' ({source})' if source else '')


def operand(x: Any, value: Any) -> Operand:
  """Summarizes a value.

  Args:
    x: the value, concrete; None stands for one that is no number.
    value: of the element that matters, or None.
  """
  if x is None:
    return Operand((), 'key', None, None, None, 0)
  x = np.asarray(x)
  sizes = np.abs(x) if np.iscomplexobj(x) else x
  is_finite = np.isfinite(sizes.astype(np.float64))
  finite = sizes[is_finite]
  low, high = (None, None)
  if finite.size:
    low, high = float(finite.min()), float(finite.max())
  bad = int(x.size - is_finite.sum())
  return Operand(x.shape, str(x.dtype), low, high, value, bad)


def arithmetic(primitive: str, params: Any, inputs: tuple[Operand, ...]) -> str:
  """The operation at its first bad element: `log(0.0)`, `inf - inf`.

  Args:
    primitive: its name.
    params: of the primitive.
    inputs: its operands.

  Returns:
    The arithmetic; where the operation is not elementwise, what it read.
  """
  if not inputs:
    return ''
  if primitive == 'gather' and not any(x.nonfinite for x in inputs):
    table, positions = inputs
    return f'of {positions}, outside of {table} where jax gives nan'
  if any(x.value is None for x in inputs):
    return 'of ' + ' and '.join(map(str, inputs))
  values = [number(x.value) for x in inputs]
  if primitive in _INFIX and len(values) == 2:
    return f' {_INFIX[primitive]} '.join(values)
  if primitive in _SPELLED:
    return _SPELLED[primitive](values, params)
  return f'{primitive}({", ".join(values)})'


_INFIX = {
  'add': '+', 'add_any': '+', 'sub': '-', 'mul': '*', 'div': '/', 'pow': '**'
}  # fmt: skip
_SPELLED: dict[str, Callable[[list[str], Any], str]] = {
  'integer_pow': lambda values, params: f'{values[0]} ** {params["y"]}',
  'square': lambda values, params: f'{values[0]} ** 2',
  'convert_element_type': lambda values, params: (
    f'{values[0]} as {params["new_dtype"]}'
  ),
  'select_n': lambda values, params: f'chosen from {", ".join(values[1:])}',
}


def number(x: Any) -> str:
  """A number as a person would write it: `0.0`, `-inf`, `9e+04`."""
  value = np.asarray(x)
  if value.dtype == bool or np.issubdtype(value.dtype, np.integer):
    return str(value)
  if np.iscomplexobj(value):
    return f'{complex(value):.4g}'
  text = f'{float(value):.4g}'
  return text if any(c in text for c in '.enai') else f'{text}.0'
