"""What a package exports, for Griffe: names that it imports as themselves.

`from jaxdl.layers.linear import dense as dense` makes `dense` public in
`jaxdl.layers`, to type checkers and to readers; Griffe knows of `__all__` only.
"""

import ast
from typing import Any

import griffe


class Reexports(griffe.Extension):
  """Lists such imports among the exports of each package without `__all__`."""

  def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
    """Goes through a package and all within."""
    modules = [pkg]
    while modules:
      module = modules.pop()
      modules += [
        member for member in module.modules.values() if not member.is_alias
      ]
      if module.is_init_module and module.exports is None:
        module.exports = exported(module)


def exported(package: griffe.Module) -> list[str] | None:
  """Returns what a package exports; None if it imports nothing as itself.

  Args:
    package: without `__all__`.
  """
  tree = ast.parse(package.filepath.read_text('utf-8'))
  imported = [
    alias.name
    for node in ast.walk(tree)
    if isinstance(node, ast.ImportFrom)
    for alias in node.names
    if alias.asname == alias.name
  ]
  if not imported:
    return None
  defined = [
    name
    for name, member in package.members.items()
    if not (member.is_alias or member.is_module or name.startswith('_'))
  ]
  return imported + defined
