"""What is compiled here, lowered for a TPU too, which takes no TPU.

A step that asks the host for something does not lower for a device that is not
there; what has no static shape, or computes in float64, shows it in the text.
"""

from collections.abc import Callable, Iterator
import contextlib
import functools
import re
from typing import Any
from unittest import mock

import jax

_TPU = 'tpu'
_MOST_ELEMENTS = 16  # Of a constant that are written out: data may be one.
_REFUSED = {
  'a callback': 'callback',
  'an infeed or outfeed': r'stablehlo\.(infeed|outfeed|send|recv)\b',
  'a dynamic shape': r'tensor<[^>]*\?',
  'float64': r'[<x]f64>',
}


def check(traced: jax.stages.Traced, platform: str = _TPU) -> None:
  """Lowers a function for a platform.

  Args:
    traced: the function.
    platform: which; it need not be here.

  Raises:
    AssertionError: the lowered function has what no step may have.
    ValueError: it asks the host for something.
  """
  module = traced.lower(lowering_platforms=(platform,)).compiler_ir()
  text = module.operation.get_asm(large_elements_limit=_MOST_ELEMENTS)
  assert 'func.func public @main' in text, text
  for what, pattern in _REFUSED.items():
    for line in text.splitlines():
      assert not re.search(pattern, line), f'{what} for {platform}: {line}'


@contextlib.contextmanager
def too() -> Iterator[list[str]]:
  """Within it, what is compiled is lowered for a TPU first, and checked.

  That is what `jax.jit` makes, and what is lowered and compiled by hand; but
  not what is in float64, since that is for the host.

  Yields:
    The names of the functions that were checked, in turn.
  """
  checked: list[str] = []
  with (
    mock.patch.object(jax, 'jit', functools.partial(_jit, jax.jit, checked)),
    mock.patch.object(
      jax.stages.Traced, 'lower', _lower(jax.stages.Traced.lower, checked)
    ),
  ):
    yield checked


def _check_once_more(traced: jax.stages.Traced, checked: list[str]) -> None:
  if not jax.config.jax_enable_x64:
    check(traced)
    checked.append(traced.fun_name)


def _lower(lower: Callable[..., Any], checked: list[str]) -> Callable[..., Any]:
  """Stands in for `Traced.lower`."""

  def stand_in(traced, *, lowering_platforms=None, **options):
    if lowering_platforms is None:
      _check_once_more(traced, checked)
    return lower(traced, lowering_platforms=lowering_platforms, **options)

  return stand_in


def _jit(
  jit: Callable[..., Any],
  checked: list[str],
  fn: Callable[..., Any],
  **options: Any,
) -> Callable[..., Any]:
  """Stands in for `jax.jit`."""
  jitted = jit(fn, **options)
  seen = set()

  def call(*args, **kwargs):
    leaves = jax.tree.leaves((args, kwargs))
    if not any(isinstance(x, jax.core.Tracer) for x in leaves):
      traced = jitted.trace(*args, **kwargs)  # The call uses it again.
      if (key := str(traced.jaxpr.in_avals)) not in seen:
        seen.add(key)
        _check_once_more(traced, checked)
    return jitted(*args, **kwargs)

  call.trace, call.lower = jitted.trace, jitted.lower
  return call
