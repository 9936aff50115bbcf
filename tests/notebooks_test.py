"""Tests for the notebooks: they run, without a warning, and hold no outputs."""

import contextlib
from importlib import metadata
import pathlib
import re
import tempfile
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import nbclient
import nbformat

_FOLDER = pathlib.Path(__file__).resolve().parents[1] / 'notebooks'
_NAMES = sorted(path.stem for path in _FOLDER.glob('*.ipynb'))
_KEPT = ('jax', 'jaxlib')
_STRICT = "import warnings\nwarnings.simplefilter('error')"
# Sizes that a reader may change, as the notebooks say; these are run sooner.
_SIZES = {
  'laboratory': {'DEPTH': 4, 'WIDTH': 8, 'BATCH': 16, 'STEPS': 4, 'SEEDS': [0]},
  'tour': {'DEPTH': 30, 'WIDTH': 16, 'BATCH': 32, 'STEPS': 3},
  'x_ray': {'DEPTH': 4, 'WIDTH': 16, 'BATCH': 32},
}


def _read(name):
  return nbformat.read(_FOLDER / f'{name}.ipynb', as_version=4)


def _code(name):
  return [cell for cell in _read(name).cells if cell.cell_type == 'code']


def _shrink(notebook, sizes):
  """Makes a notebook set smaller sizes right after its own."""
  (cell,) = [
    cell
    for cell in notebook.cells
    if cell.cell_type == 'code' and re.match('DEPTH.*=', cell.source)
  ]
  own = {}
  exec(cell.source, own)
  assert own.keys() - {'__builtins__'} == sizes.keys(), own
  smaller = (f'{name} = {value}' for name, value in sizes.items())
  cell.source = '\n'.join((cell.source, *smaller))


class NotebooksTest(parameterized.TestCase):
  def test_all_are_known(self):
    self.assertEqual(_NAMES, ['laboratory', 'tour', 'x_ray'])

  @parameterized.parameters(*_NAMES)
  def test_runs_on_a_cpu_without_a_warning(self, name):
    notebook = _read(name)
    _shrink(notebook, _SIZES[name])
    notebook.cells.insert(0, nbformat.v4.new_code_cell(_STRICT))
    client = nbclient.NotebookClient(
      notebook,
      timeout=600,
      resources={'metadata': {'path': str(_FOLDER)}},
    )
    client.execute()
    outputs = [o for cell in notebook.cells for o in cell.get('outputs', ())]
    said = [o.text for o in outputs if o.get('name') == 'stderr']
    self.assertEmpty(said)
    kinds = {kind for output in outputs for kind in output.get('data', ())}
    self.assertNotEmpty(kinds & {'image/png', 'text/html'})

  @parameterized.parameters(*_NAMES)
  def test_is_stripped(self, name):
    notebook = _read(name)
    nbformat.validate(notebook)
    self.assertEqual(set(notebook.metadata), {'kernelspec', 'language_info'})
    for cell in notebook.cells:
      self.assertEmpty(cell.get('outputs', ()))
      self.assertIsNone(cell.get('execution_count'))
      self.assertEmpty(cell.metadata)

  @parameterized.parameters(*_NAMES)
  def test_begins_by_installing_what_is_missing(self, name):
    self.assertEqual(_code(name)[0].source, _code('tour')[0].source)

  def _install(self, folder):
    """Runs the first cell in a folder, where jaxdl seems to be missing."""
    find = lambda name: None if name == 'jaxdl' else mock.sentinel.found
    with (
      contextlib.chdir(folder),
      mock.patch('importlib.util.find_spec', find),
      mock.patch('subprocess.run') as run,
    ):
      exec(_code('tour')[0].source, {})
    (command,) = run.call_args.args
    return command[command.index('--quiet') + 1 :]

  def test_a_checkout_around_is_installed_and_jax_is_kept(self):
    versions = [f'{name}=={metadata.version(name)}' for name in _KEPT]
    self.assertEqual(self._install(_FOLDER), [str(_FOLDER.parent), *versions])

  def test_an_uploaded_wheel_is_installed(self):
    with tempfile.TemporaryDirectory() as folder:
      wheel = pathlib.Path(folder).resolve() / 'jaxdl-0.1.0-py3-none-any.whl'
      wheel.touch()
      self.assertEqual(self._install(folder)[0], str(wheel))

  def test_what_is_not_there_is_told_in_one_line(self):
    with tempfile.TemporaryDirectory() as folder:
      with self.assertRaisesRegex(FileNotFoundError, '^jaxdl is not .*SOURCE$'):
        self._install(folder)

  @parameterized.parameters(*_NAMES)
  def test_each_measurement_has_a_question_and_an_answer(self, name):
    cells = _read(name).cells
    self.assertEqual(
      (cells[0].cell_type, cells[-1].cell_type), 2 * ('markdown',)
    )
    sources = [(cell.cell_type, cell.source) for cell in cells]
    for before, cell, after in zip(
      *(sources[i:] for i in range(3)), strict=False
    ):
      if cell[0] == 'code' and re.search(r'^\*\*.*\?', before[1], re.M):
        self.assertEqual(after[0], 'markdown', cell[1])


if __name__ == '__main__':
  absltest.main()
