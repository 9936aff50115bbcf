"""The user's names for the modules of a model: `encoder/blocks/3/mlp`.

A scope is read step by step. What tells its module best is which parameters
are used in it: a library may open scopes by other names (a class, a method, the
function of a scan) around a module, or between one and the next.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
import itertools
import os
import re

from jaxdl.tracing.jaxpr import Path

# Scopes that Equinox opens within a module of its own, which has a name.
_REDUNDANT = 'eqx.nn.'
# `decoder:attend#2`: a module, its method, the time that it is entered.
_STEP = re.compile(r'(?P<name>.*?)(:(?P<method>\w+))?(?P<number>#\d+)?')
# `model.py:42 attention` is a line, not a path of attributes.
_LINE = re.compile(r'.+\.py:\d+')


class Naming:
  """Names scopes as the modules that they are.

  Args:
    uses: the positions of the parameters used in each scope.
    parameters: their names.
    scopes: all that will be named. Among these the times that one is entered
      are counted, without those in which nothing is; None counts none anew.
  """

  def __init__(
    self,
    uses: Mapping[Path, Collection[int]],
    parameters: Sequence[str],
    scopes: Iterable[str] | None = None,
  ):
    self._modules: dict[Path, list[Path]] = {}
    for path, used in uses.items():
      modules = [tuple(parameters[i].split('/')[:-1]) for i in used]
      self._modules.setdefault(_path(path), []).extend(modules)
    self._tops = {name.split('/')[0] for name in parameters}
    self._roots = {path[0] for path in uses if path if self._is_root(path[0])}
    self._times = _times(() if scopes is None else scopes)
    self._names: dict[str, str] = {}  # Of the scopes named so far.

  def module(self, scope: str) -> str:
    """Names a scope; empty where it is the whole model.

    Args:
      scope: a path of a site: `.Block/mlp`.
    """
    if scope not in self._names:
      self._names[scope] = self._name(scope)
    return self._names[scope]

  def _name(self, scope: str) -> str:
    path = _path(scope.split('/'))
    shown: Path = ()
    for i, step in enumerate(path):
      within = path[: i + 1]
      outer, shown = shown, self._step(within, shown)
      is_entered_again = outer[: len(shown)] == shown and i > 0
      if len(within) == len(path):
        if is_entered_again and len(outer) == len(shown) + 1:
          shown = outer  # Haiku enters a module again for a method.
        _, method, _ = _split(step)
        shown += (method,) if method else ()
    return '/'.join(shown)

  def _step(self, path: Path, shown: Path) -> Path:
    """Names the last scope of a path, in a module that is named already."""
    if path[-1].startswith('.'):
      return self._of_class(path, shown)
    if len(path) == 1 and self._is_root(path[0]):
      return self._of_root(path)
    return self._of_step(path, shown)

  def _is_root(self, step: str) -> bool:
    """Whether a scope is that of a whole Linen model, named as its class."""
    name = _split(step)[0][0]
    return (
      name.lstrip('_')[:1].isupper()
      and name not in self._tops
      and ' ' not in step
    )

  def _of_step(self, path: Path, shown: Path) -> Path:
    """Names a module by its own name: where its parameters are, if any."""
    steps, _, number = _split(path[-1])
    module = self._around(path) or ()
    outer = tuple(map(_without_number, shown))
    if module[: len(shown) + len(steps)] != outer + steps:
      around = _split(path[-2])[0] if len(path) > 1 else ()
      if len(steps) == 2 and around[:1] == steps[:1]:
        # Linen writes a method of the module it is in, or of its method.
        shown = shown[:-1] if shown[-2:-1] == steps[:1] else shown
        steps = steps[1:]
      for length in range(len(module), 0, -1):
        if module[:length][-len(steps) :] == steps:
          shown = module[: length - len(steps)]
          break
    return (*shown, *steps[:-1], steps[-1] + self._number(path, number))

  def _of_root(self, path: Path) -> Path:
    """Names a whole model by what its parts are called less what they are."""
    known = self._owners(path)
    if known:
      return _common(known)
    return () if len(self._roots) == 1 else _split(path[-1])[0]

  def _of_class(self, path: Path, shown: Path) -> Path:
    """Names a module by the parameters in it, else by its class."""
    name = _split(path[-1].removeprefix('.'))[0]
    if name == ('',):  # The whole model.
      return ()
    found = self._owners(path) or self._own(path)
    if found:
      module = _common(found)
      outer = tuple(map(_without_number, shown))
      is_within = module[: len(shown)] == outer
      return shown + module[len(shown) :] if is_within else shown
    return (*shown, *name)

  def _own(self, path: Path) -> set[Path]:
    """The modules of the parameters in a scope, without other scopes' alone.

    A parameter that is shared is kept in one of the modules that use it.
    """
    found = set(itertools.chain(*self._within(path).values()))
    others = {
      modules[0]
      for use, modules in self._modules.items()
      if use[: len(path)] != path
      and use
      and use[-1].startswith('.')
      and len(set(modules)) == 1
    }
    return found - others or found

  def _owners(self, path: Path) -> set[Path]:
    """The modules of the parameters in a scope, less how they are written."""
    owners = {
      _without(module, _all_written(rest))
      for rest, modules in self._within(path).items()
      if rest and not any(step.startswith('.') for step in rest)
      for module in modules
    }
    return {owner for owner in owners if owner is not None}

  def _around(self, path: Path) -> Path | None:
    """What is common to all modules of which parameters are used in a scope."""
    modules = set(itertools.chain(*self._within(path).values()))
    return _common(modules) if modules else None

  def _within(self, path: Path) -> dict[Path, list[Path]]:
    return {
      use[len(path) :]: modules
      for use, modules in self._modules.items()
      if use[: len(path)] == path
    }

  def _number(self, path: Path, written: str) -> str:
    """The number of a time that a scope is entered, as it is shown."""
    time = self._times.get(path)
    if time is None:
      return written
    return f'#{time}' if time > 1 else ''


def _path(steps: Iterable[str]) -> Path:
  return tuple(step for step in steps if not step.startswith(_REDUNDANT))


def _times(scopes: Iterable[str]) -> dict[Path, int]:
  """For each scope, and each around one, which time it is of those named."""
  times: dict[Path, int] = {}
  entries: dict[Path, int] = {}
  for scope in scopes:
    path = _path(scope.split('/'))
    for end in range(1, len(path) + 1):
      entered = path[:end]
      if entered not in times:
        name = (*entered[:-1], _without_number(entered[-1]))
        times[entered] = entries[name] = entries.get(name, 0) + 1
  return times


def _split(step: str) -> tuple[Path, str, str]:
  """How a module is referred to, `layers.0` in two steps; method; number."""
  match = _STEP.fullmatch(step)
  assert match is not None
  if '->' in step:
    return ('einsum',), '', match['number'] or ''
  if _LINE.match(step):
    return (_without_number(step),), '', match['number'] or ''
  return (
    tuple(match['name'].split('.')),
    match['method'] or '',
    match['number'] or '',
  )


def _without_number(step: str) -> str:
  match = _STEP.fullmatch(step)
  assert match is not None
  return step.removesuffix(match['number'] or '')


def _all_written(path: Path) -> Path:
  return tuple(itertools.chain(*(_split(step)[0] for step in path)))


def _without(module: Path, end: Path) -> Path | None:
  """A module's path less its end, if it ends so."""
  length = len(module) - len(end)
  return module[:length] if length >= 0 and module[length:] == end else None


def _common(modules: Iterable[Path]) -> Path:
  return tuple(os.path.commonprefix(list(modules)))
