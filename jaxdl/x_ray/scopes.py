"""Named scopes around the modules of libraries that open none of their own.

Linen, Haiku and our own layers open a scope for each module. Flax NNX opens
none, and Equinox one for each class of its own. While a loss is traced, the
calls of a model's modules are therefore wrapped; the model itself is left as it
is.

A module is named by how the one that calls it, or the whole model, refers to
it: `blocks.3.mlp`; the whole model is `.`. Where that isn't known, since a
transformation took the module apart and put another together, it is named as
its class, with a dot before it; what parameters are used in it tells its name
later (see `naming`). A method other than `__call__` stands behind a colon:
`decoder:attend`.
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

  A call of a method by another module, or by the loss, is a scope too.

  Args:
    model: an instance of `base`.
    base: the class of all modules of the library.
  """
  calls = _Calls(model, base)
  with contextlib.ExitStack() as stack:
    for definer, name, method in calls.methods():
      patch = mock.patch.object(definer, name, calls.in_scope(name, method))
      stack.enter_context(patch)
    # Else functions that were jitted and traced before would be taken from
    # jax's cache, where they are without scopes.
    stack.enter_context(
      xla_metadata.set_xla_metadata(jaxdl_trace=next(_traces))
    )
    yield


class _Calls:
  """The calls of modules that are going on, the innermost last."""

  def __init__(self, model: Any, base: type):
    self._base = base
    self._model = model
    self._parts = {type(module) for module, _ in self._walk(model, ())}
    names = {id(model): '.', **self._names(model)}
    self._open: list[tuple[Any, dict[int, str]]] = [(None, names)]

  @contextlib.contextmanager
  def within(self, module: Any, name: str) -> Iterator[None]:
    """Enters a module, in which others go by the names that it has for them."""
    self._open.append((module, self._names(module)))
    try:
      with jax.named_scope(name):
        yield
    finally:
      self._open.pop()

  def methods(self) -> list[tuple[type, str, Callable[..., Any]]]:
    """The public methods that the modules of the model have, and their class.

    Without those that modules have from the library's own base.
    """
    kinds = {type(self._model), *self._parts}
    classes = {c for kind in kinds for c in kind.__mro__}
    return [
      (c, name, method)
      for c in classes
      if issubclass(c, self._base) and c is not self._base
      for name, method in list(vars(c).items())
      if _is_method(name, method)
    ]

  def in_scope(
    self, name: str, method: Callable[..., Any]
  ) -> Callable[..., Any]:
    """Wraps a method: it enters the module that is called."""
    suffix = '' if name == '__call__' else f':{name}'

    @functools.wraps(method)
    def wrapped(module, *args, **kwargs):
      innermost, names = self._open[-1]
      if module is innermost:  # By `super`, or a part of its own work.
        return method(module, *args, **kwargs)
      name = names.get(id(module)) or self._class(module)
      with self.within(module, name + suffix):
        return method(module, *args, **kwargs)

    return wrapped

  def _class(self, module: Any) -> str:
    kind = type(module)
    is_model = kind is type(self._model) and kind not in self._parts
    return '.' if is_model and len(self._open) == 1 else f'.{kind.__name__}'

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


def _is_method(name: str, value: Any) -> bool:
  is_public = name == '__call__' or not name.startswith('_')
  is_other = isinstance(value, type | staticmethod | classmethod)
  return is_public and callable(value) and not is_other
