"""The user's names for the modules of a model: `encoder/blocks/3/mlp`."""

from collections.abc import Iterable, Mapping, Sequence
import itertools
import os

from jaxdl.tracing.jaxpr import Path

# Scopes that Equinox opens within a module of its own, which has a name.
_REDUNDANT = 'eqx.nn.'


class Naming:
  """Names scopes as the modules that they are.

  Args:
    uses: the positions of the parameters used in each scope.
    parameters: their names.
  """

  def __init__(
    self, uses: Mapping[Path, Sequence[int]], parameters: Sequence[str]
  ):
    self._modules = {
      path: [tuple(parameters[i].split('/')[:-1]) for i in used]
      for path, used in uses.items()
    }
    self._root = _root([path for path in uses if path], parameters)

  def module(self, scope: str) -> str:
    """Names a scope; empty where it is the whole model.

    Args:
      scope: a path of a site: `.Block/mlp`.
    """
    path = tuple(scope.split('/'))
    shown: Path = ()
    for i, step in enumerate(path):
      if step.startswith(_REDUNDANT) or (i == 0 and step == self._root):
        continue
      if step.startswith('.'):
        shown = self._of_class(path[: i + 1], shown)
      else:
        shown += tuple(step.split('.'))
    return '/'.join(shown)

  def _of_class(self, path: Path, shown: Path) -> Path:
    """Names a module by the parameters in it, else by its class."""
    within = {
      use[len(path) :]: modules
      for use, modules in self._modules.items()
      if use[: len(path)] == path
    }
    known = {
      _without(module, _written(rest))
      for rest, modules in within.items()
      if not any(step.startswith('.') for step in rest)
      for module in modules
    } - {None}
    found = known or set(itertools.chain(*within.values()))
    if found:
      module = tuple(os.path.commonprefix([m for m in found if m is not None]))
      return module if module[: len(shown)] == shown else shown
    return (*shown, path[-1].removeprefix('.'))


def _written(path: Path) -> Path:
  """How a module refers to another: `layers.0` in two steps."""
  steps = (s.split('.') for s in path if not s.startswith(_REDUNDANT))
  return tuple(itertools.chain(*steps))


def _without(module: Path, end: Path) -> Path | None:
  """A module's path less its end, if it ends so."""
  length = len(module) - len(end)
  return module[:length] if length >= 0 and module[length:] == end else None


def _root(paths: Sequence[Path], parameters: Iterable[str]) -> str | None:
  """The scope of a whole Linen model, named as its class; it is no module."""
  first = {path[0] for path in paths}
  modules = {name.split('/')[0] for name in parameters}
  is_root = len(first) == 1 and max(map(len, paths)) > 1
  return first.pop() if is_root and not first & modules else None
