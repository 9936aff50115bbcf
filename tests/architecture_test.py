"""Holds jaxdl/ to docs/architecture.md and to the size of a readable file."""

import ast
import functools
import pathlib
import re

from absl.testing import absltest
from absl.testing import parameterized

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_LIBRARY = sorted((_ROOT / 'jaxdl').rglob('*.py'))
_EVERYTHING = sorted(
  path
  for package in ('jaxdl', 'experiments', 'benchmarks', 'tests')
  for path in (_ROOT / package).rglob('*.py')
)
_MAX_FILE_LINES = 400
_MAX_FUNCTION_LINES = 70


def _relative(path):
  return str(path.relative_to(_ROOT))


def _named(paths):
  return [(_relative(path), path) for path in paths]


@functools.cache
def _tree(path):
  return ast.parse(path.read_text(), filename=str(path))


@functools.cache
def _imported_modules(path):
  """Returns the dotted names that a file imports, at its top or within."""
  modules = set()
  for node in ast.walk(_tree(path)):
    if isinstance(node, ast.Import):
      modules |= {alias.name for alias in node.names}
    elif isinstance(node, ast.ImportFrom):
      assert not node.level, 'relative import'
      modules |= {f'{node.module}.{alias.name}' for alias in node.names}
  return frozenset(modules)


@functools.cache
def _table():
  """Returns {part: parts it may import, or None for any} from the document."""
  text = (_ROOT / 'docs' / 'architecture.md').read_text()
  table = {}
  for line in text.splitlines():
    cells = [cell.strip() for cell in line.strip('|').split('|')]
    match = re.fullmatch(r'`jaxdl/(\w+)(?:\.py|/)`', cells[0])
    if match and len(cells) == 3:
      names = set(re.findall(r'`(\w+)`', cells[2]))
      table[match[1]] = None if '…' in cells[2] else names
  return table


def _part(path):
  """Returns the row of the table that a library file belongs to."""
  return path.relative_to(_ROOT / 'jaxdl').with_suffix('').parts[0]


def _is_public(node):
  return isinstance(node, (ast.FunctionDef, ast.ClassDef)) and (
    not node.name.startswith('_')
  )


class ImportsTest(parameterized.TestCase):
  def test_table_was_read(self):
    table = _table()
    self.assertEqual(table['models'], {'layers', 'activations', 'choice'})
    self.assertEqual(table['tracing'], set())
    self.assertIsNone(table['laboratory'])

  @parameterized.named_parameters(
    _named(path for path in _LIBRARY if _part(path) != '__init__')
  )
  def test_library_file_imports_what_the_table_allows(self, path):
    own = _part(path)
    self.assertIn(own, _table(), 'docs/architecture.md has no row for it')
    allowed = _table()[own]
    for module in _imported_modules(path):
      package, _, rest = module.partition('.')
      part = rest.partition('.')[0]
      if package == 'jaxdl' and part not in ('__version__', own):
        self.assertTrue(
          allowed is None or part in allowed, f'{own} may not import {part}'
        )

  @parameterized.named_parameters(_named(_LIBRARY))
  def test_library_file_has_no_flags_and_knows_no_experiment(self, path):
    for module in _imported_modules(path):
      self.assertFalse(module.startswith('absl'), module)
      self.assertNotIn(
        module.partition('.')[0], ('experiments', 'benchmarks', 'tests')
      )


class SizeTest(parameterized.TestCase):
  @parameterized.named_parameters(_named(_EVERYTHING))
  def test_file_and_functions_are_short(self, path):
    self.assertLessEqual(len(path.read_text().splitlines()), _MAX_FILE_LINES)
    for node in ast.walk(_tree(path)):
      if isinstance(node, ast.FunctionDef):
        length = node.end_lineno - node.lineno + 1
        self.assertLessEqual(length, _MAX_FUNCTION_LINES, node.name)


class PublicNamesTest(parameterized.TestCase):
  @parameterized.named_parameters(_named(_LIBRARY))
  def test_public_name_has_docstring_and_types(self, path):
    tree = _tree(path)
    self.assertTrue(ast.get_docstring(tree))
    for node in filter(_is_public, tree.body):
      self.assertTrue(ast.get_docstring(node), node.name)
      if isinstance(node, ast.FunctionDef):
        arguments = node.args
        for argument in (
          *arguments.posonlyargs,
          *arguments.args,
          *arguments.kwonlyargs,
        ):
          self.assertIsNotNone(
            argument.annotation, f'{node.name}({argument.arg})'
          )
        self.assertIsNotNone(node.returns, f'{node.name} -> ?')


class TestsTest(parameterized.TestCase):
  @parameterized.named_parameters(
    _named(path for path in _LIBRARY if path.name != '__init__.py')
  )
  def test_library_file_has_its_test(self, path):
    """A test in the mirroring folder imports it."""
    relative = path.relative_to(_ROOT / 'jaxdl')
    tests = (_ROOT / 'tests' / relative).parent
    module = '.'.join(('jaxdl', *relative.with_suffix('').parts))
    importers = [
      other
      for other in tests.glob('*_test.py')
      if module in _imported_modules(other)
    ]
    self.assertTrue(importers, f'no test in {_relative(tests)} knows it')

  @parameterized.named_parameters(
    _named(path for path in _EVERYTHING if path.name.endswith('_test.py'))
  )
  def test_none_is_skipped(self, path):
    for node in ast.walk(_tree(path)):
      if isinstance(node, ast.Attribute):
        self.assertNotIn(node.attr, ('skip', 'skipIf', 'skipTest', 'xfail'))


if __name__ == '__main__':
  absltest.main()
