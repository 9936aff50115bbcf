"""Named scopes around the modules of libraries that open none of their own.

Linen, Haiku and our own layers open a scope for each module. Flax NNX opens
none, and Equinox one for each class of its own. While a loss is traced, the
calls of a model's modules are therefore wrapped; the model itself is left as it
is.

A module is named by how the one that calls it, or the whole model, refers to
it: `blocks.3.mlp`. Where that isn't known, since a transformation took the
module apart and put another together, it is named as its class, with a dot
before it; what parameters are used in it tells its name later (see `naming`).
"""

from collections.abc import Callable, Iterator
import contextlib
import functools
import itertools
from typing import Any
from unittest import mock

import jax
from jax.experimental import xla_metadata

_traces = itertools.count()


@contextlib.contextmanager
def opened_by(model: Any, base: type) -> Iterator[None]:
  """Opens a scope in each call of a module of `model`, in this context.

  Args:
    model: an instance of `base`; its own call opens no scope.
    base: the class of all modules of the library.
  """
  calls = _Calls(base)
  with contextlib.ExitStack() as stack:
    for definer in calls.definers(model):
      call = calls.in_scope(definer.__dict__['__call__'])
      stack.enter_context(mock.patch.object(definer, '__call__', call))
    # Else functions that were jitted and traced before would be taken from
    # jax's cache, where they are without scopes.
    stack.enter_context(
      xla_metadata.set_xla_metadata(jaxdl_trace=next(_traces))
    )
    with calls.within(model, ''):
      yield


class _Calls:
  """The calls of modules that are going on, the innermost last."""

  def __init__(self, base: type):
    self._base = base
    self._open: list[tuple[Any, dict[int, str]]] = []

  @contextlib.contextmanager
  def within(self, module: Any, name: str) -> Iterator[None]:
    """Enters a module, in which others go by the names that it has for them."""
    self._open.append((module, self._names(module)))
    try:
      with jax.named_scope(name) if name else contextlib.nullcontext():
        yield
    finally:
      self._open.pop()

  def definers(self, model: Any) -> list[type]:
    """The classes whose `__call__` the modules of a model have."""
    modules = [model, *(module for module, _ in self._walk(model, ()))]
    found = {
      next((c for c in type(m).__mro__ if '__call__' in vars(c)), None): None
      for m in modules
    }
    return [c for c in found if c is not None and issubclass(c, self._base)]

  def in_scope(self, call: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps a `__call__`: it enters the module that is called."""

    @functools.wraps(call)
    def wrapped(module, *args, **kwargs):
      innermost, names = self._open[-1]
      if module is innermost:  # By `super`, or the whole model.
        return call(module, *args, **kwargs)
      name = names.get(id(module), f'.{type(module).__name__}')
      with self.within(module, name):
        return call(module, *args, **kwargs)

    return wrapped

  def _names(self, module: Any) -> dict[int, str]:
    names: dict[int, str] = {}
    for found, path in self._walk(module, ()):
      names.setdefault(id(found), '.'.join(path))
    return names

  def _walk(
    self, value: Any, path: tuple[str, ...], seen: set[int] | None = None
  ) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """The modules in a module, in lists and in dicts, with their paths."""
    seen = set() if seen is None else seen
    if id(value) in seen:
      return
    seen.add(id(value))
    if path and isinstance(value, self._base):
      yield value, path
    for name, child in _children(value, self._base):
      yield from self._walk(child, (*path, name), seen)


def _children(value: Any, base: type) -> list[tuple[str, Any]]:
  if isinstance(value, list | tuple):
    return [(str(i), child) for i, child in enumerate(value)]
  if isinstance(value, dict):
    return [(str(name), child) for name, child in value.items()]
  if isinstance(value, base):
    return [(str(name), child) for name, child in vars(value).items()]
  return []
