"""Where an operation was written: the line, and the function of jax around it.

A jaxpr keeps the Python frames in which each of its equations was made. The
user's line is the innermost frame that is no library's; frames of `jax.nn`
inside it tell that a row of `exp`, `sub`, `div` is a softmax.
"""

from collections.abc import Iterable, Iterator
import functools
import os
import sys
import sysconfig
from typing import Any

# What networks are made with: its lines are not what a user looks for.
_LIBRARIES = (
  'jax', 'jaxlib', 'flax', 'equinox', 'haiku', 'optax', 'jaxdl',
  'beartype', 'chex', 'einops', 'jaxtyping',
)  # fmt: skip

_PYTHON = sysconfig.get_path('stdlib')

# The functions of `jax.nn` and `jax.numpy` between the layers of a network.
_ACTIVATIONS = frozenset({
  'celu', 'elu', 'gelu', 'glu', 'hard_sigmoid', 'hard_silu', 'hard_swish',
  'hard_tanh', 'identity', 'leaky_relu', 'log_sigmoid', 'log_softmax', 'mish',
  'relu', 'relu6', 'selu', 'sigmoid', 'silu', 'soft_sign', 'softmax',
  'softplus', 'sparse_plus', 'sparse_sigmoid', 'squareplus', 'swish', 'tanh',
})  # fmt: skip
# The horizontal asymptotes of those that have any, lower and upper.
FLAT_ENDS: dict[str, tuple[float | None, float | None]] = {
  'hard_sigmoid': (0.0, 1.0),
  'hard_tanh': (-1.0, 1.0),
  'relu6': (None, 6.0),
  'sigmoid': (0.0, 1.0),
  'soft_sign': (-1.0, 1.0),
  'tanh': (-1.0, 1.0),
}
_PRIMITIVES = {'tanh': 'tanh', 'logistic': 'sigmoid'}


def line(traceback: Any) -> str:
  """Names the innermost line that is no library's: `model.py:42 attention`.

  Args:
    traceback: of an equation, `eqn.source_info.traceback`.

  Returns:
    The name of the file, the number of the line and the function around it;
    empty where there is none.
  """
  for frame in _frames(traceback):
    if not _is_library(frame.file_name):
      name = os.path.basename(frame.file_name)
      # `Block.<locals>.apply` of Python 3.11 on: what a reader sees is `apply`.
      function = frame.function_name.rsplit('<locals>.', 1)[-1]
      return f'{name}:{frame.line_num} {function}'
  return ''


def instructions(traceback: Any) -> tuple[Any, ...]:
  """The user's Python instructions that an operation was made in.

  A line that is run again, in a loop, comes by the same ones again.

  Args:
    traceback: of an equation, or None.

  Returns:
    The code and the position in it of each, the innermost first; those of
    libraries are left out.
  """
  if traceback is None:
    return ()
  return tuple(
    (code, at)
    for code, at in zip(*traceback.raw_frames(), strict=True)
    if not _is_library(code.co_filename)
  )


def runs(
  operations: Iterable[tuple[str, tuple[Any, ...]]],
) -> Iterator[int]:
  """Numbers the runs of lines: a loop runs one again without leaving it.

  A line begins anew where it is called from elsewhere, and where it comes back
  to an instruction from another one.

  Args:
    operations: the line and the instructions of each, in order.
  """
  run, last_line, last = 0, '', ()
  passed: set[Any] = set()
  for line_, here in operations:
    is_again = here != last and here[:1] in passed
    if line_ != last_line or here[1:] != last[1:] or is_again:
      run += 1
      passed.clear()
    last_line, last = line_, here
    passed.add(here[:1])
    yield run


def activation(eqn: Any) -> str:
  """Names the activation function that an equation is a part of, or ''.

  Args:
    eqn: of a jaxpr.
  """
  found = _called(eqn)
  for frame in _frames(eqn.source_info.traceback):
    if not _is_library(frame.file_name):
      break
    if frame.function_name in _ACTIVATIONS and _is_of_jax(frame.file_name):
      found = frame.function_name  # Of several, the outermost.
  return found


def calls_jax(eqn: Any) -> bool:
  """Whether an equation calls a jitted function of jax itself.

  The lines in it are those of the first call anywhere, and not of this one.

  Args:
    eqn: of a jaxpr; any equation.
  """
  info = _debug_info(eqn)
  return info is not None and _is_of_jax(info.func_filename or '')


def _called(eqn: Any) -> str:
  """The activation function that an equation is a call of, or ''."""
  info = _debug_info(eqn)
  if info is not None and _is_of_jax(info.func_filename or ''):
    name = info.func_name
    return name if name in _ACTIVATIONS else ''
  if eqn.primitive.name == 'max' and _has_zero(eqn):
    # Libraries take the positive part of a variance in their norms.
    return 'relu' if _is_by_hand(eqn) else ''
  return _PRIMITIVES.get(eqn.primitive.name, '')


def _is_by_hand(eqn: Any) -> bool:
  """Whether the innermost line outside jax is no library's."""
  for frame in _frames(eqn.source_info.traceback):
    if not _is_of_jax(frame.file_name):
      return not _is_library(frame.file_name)
  return False


def _debug_info(eqn: Any) -> Any:
  called = eqn.params.get('jaxpr', eqn.params.get('call_jaxpr'))
  return getattr(getattr(called, 'jaxpr', called), 'debug_info', None)


def _has_zero(eqn: Any) -> bool:
  return any(
    getattr(atom, 'val', None) is not None
    and getattr(atom.val, 'ndim', 0) == 0
    and atom.val == 0
    for atom in eqn.invars
  )


def _frames(traceback: Any) -> Any:
  return () if traceback is None else traceback.frames


@functools.cache
def _is_library(file_name: str) -> bool:
  is_known = any(_lies_in(file_name, library) for library in _LIBRARIES)
  return is_known or _is_of_python(file_name)


def _is_of_python(file_name: str) -> bool:
  """Whether it belongs to Python's own library, such as `contextlib`."""
  is_inside = file_name.startswith(_PYTHON + os.sep)
  return is_inside and f'{os.sep}site-packages{os.sep}' not in file_name


@functools.cache
def _is_of_jax(file_name: str) -> bool:
  return _lies_in(file_name, 'jax')


def _lies_in(file_name: str, library: str) -> bool:
  module = sys.modules.get(library)
  folders = getattr(module, '__path__', ())
  return any(file_name.startswith(folder + os.sep) for folder in folders)
