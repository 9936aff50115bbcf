"""Tests for `record.py`."""

import json
import pathlib
import pickle
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies
import jax
import jax.numpy as jnp
from jaxdl.sweep import program as program_lib
from jaxdl.sweep import record
from jaxdl.sweep import store as store_lib
import numcodecs
import numpy as np
import zarr

from tests import damage
from tests.sweep import linear_study

_JSON = strategies.one_of(
  strategies.none() | strategies.booleans() | strategies.floats(),
  strategies.sampled_from(
    [-1, 0, 2**33, 2**60, 2**70, '', '..', '|O', '<U999999999', '[1]', '{}']
  ),
  strategies.sampled_from([[], {}, [[]], [2**60], ['cell', 'cell'], {'a': 1}]),
  strategies.sampled_from([{'id': 'zlib'}, [{'id': 'vlen-utf8'}], {'id': 1}]),
)


class _Trap:
  """Leaves a mark where its pickle is loaded."""

  def __init__(self, mark: pathlib.Path):
    self._mark = mark

  def __reduce__(self):
    return pathlib.Path.touch, (self._mark,)


class RecordTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.out = pathlib.Path(self.create_tempdir().full_path)
    self._write({})

  def _write(self, axes):
    """Writes a record whose loss is the number of its cell."""
    plan = linear_study.plan(axes)
    shape = jax.ShapeDtypeStruct((4, 4), jnp.float32)
    shapes = program_lib.Shapes((), {'loss': shape}, {})
    variables = store_lib.variables(plan, [shapes])
    store = store_lib.create(self.out, plan, variables, {}, {})
    for program in plan.programs:
      cells = np.arange(len(program.cells)) + program.first_cell
      loss = np.tile(cells[:, None], 10)
      for start in (0, 4, 8):
        chunk = {'loss': loss[:, start : start + 4]}
        store_lib.write_chunk(store, program, start, chunk)

  def test_cells_are_found_by_their_axes(self):
    dataset = record.open_record(self.out)
    selected = dataset.sel(activation='tanh', learning_rate=0.01)
    self.assertEqual(selected.loss.shape, (2, 10))
    np.testing.assert_array_equal(selected.seed, [0, 1])
    np.testing.assert_array_equal(selected.loss[:, 0], [6, 7])
    one = dataset.sel(
      activation='relu', depth=2, gain=1.0, learning_rate=0.1, seed=1
    )
    self.assertEqual(float(one.loss.isel(step=3).squeeze()), 1)

  def test_cells_are_found_whatever_their_order(self):
    self._write({'activation': ['tanh', 'relu'], 'seed': [3, 1, 2]})
    dataset = record.open_record(self.out)
    np.testing.assert_array_equal(
      dataset.sel(seed=1, activation='relu').loss[:, 0], [7, 10]
    )

  def test_record_itself_can_be_named(self):
    dataset = record.open_record(str(self.out / 'record.zarr'))
    self.assertEqual(dataset.sizes['cell'], 8)

  def test_only_what_is_used_is_read(self):
    file = self.out / 'record.zarr' / 'loss' / '1.2'
    file.write_bytes(file.read_bytes()[:-1])
    dataset = record.open_record(self.out)
    self.assertEqual(float(dataset.sel(activation='relu').loss.max()), 3)
    self.assertEqual(float(dataset.loss.isel(step=slice(0, 8)).max()), 7)
    with self.assertRaisesRegex(
      ValueError, r"'loss' cannot .*loss/1\.2 is dam"
    ):
      dataset.loss.load()

  @parameterized.named_parameters(
    ('cut_off', lambda content: content[: len(content) // 2]),
    ('empty', lambda content: b''),
    ('flipped', lambda content: content[:-6] + b'?' + content[-5:]),
    ('longer', lambda content: content * 2),
  )
  def test_damaged_chunk_is_said(self, change):
    file = self.out / 'record.zarr' / 'loss' / '0.1'
    file.write_bytes(change(file.read_bytes()))
    dataset = record.open_record(self.out)
    with self.assertRaisesRegex(ValueError, 'is damaged') as caught:
      dataset.loss.load()
    self.assertIn(str(file), str(caught.exception))
    self.assertNotIn('\n', str(caught.exception))

  def test_damaged_coordinate_is_said(self):
    (self.out / 'record.zarr' / 'activation' / '0').write_bytes(b'')
    with self.assertRaisesRegex(ValueError, "'activation' cannot be read"):
      record.open_record(self.out)

  @parameterized.parameters('', '{"zarr', '{"metadata": {}}')
  def test_damaged_metadata_is_said(self, content):
    (self.out / 'record.zarr' / '.zmetadata').write_text(content)
    with self.assertRaisesRegex(ValueError, 'record.zarr is'):
      record.open_record(self.out)

  def _metadata(self):
    return json.loads((self.out / 'record.zarr' / '.zmetadata').read_text())

  def _assert_reads_or_says_why(self):
    try:
      record.open_record(self.out).load()
    except ValueError as error:
      self.assertRegex(str(error), f'^(variable .*)?{self.out}/record.zarr')
      self.assertLen(str(error).splitlines(), 1)

  @hypothesis.given(strategies.data())
  def test_damaged_file_is_said_in_one_line(self, data):
    files = sorted((self.out / 'record.zarr').rglob('*'))
    file = data.draw(strategies.sampled_from([f for f in files if f.is_file()]))
    whole = file.read_bytes()
    file.write_bytes(data.draw(damage.damaged(whole)))
    self._assert_reads_or_says_why()
    file.write_bytes(whole)

  @hypothesis.settings(max_examples=150)
  @hypothesis.given(strategies.data())
  def test_metadata_of_any_content_are_read_or_refused(self, data):
    file = self.out / 'record.zarr' / '.zmetadata'
    whole = file.read_text()
    content = self._metadata()
    place, key = content, 'metadata'
    for _ in range(data.draw(strategies.integers(0, 4))):
      below = place[key]
      if not (isinstance(below, dict | list) and below):
        break
      keys = sorted(below) if isinstance(below, dict) else range(len(below))
      place, key = below, data.draw(strategies.sampled_from(keys))
    place[key] = data.draw(_JSON)
    file.write_text(json.dumps(content))
    self._assert_reads_or_says_why()
    file.write_text(whole)

  @parameterized.named_parameters(
    ('objects', {'dtype': '|O', 'filters': [{'id': 'vlen-utf8'}]}),
    ('pickle', {'compressor': {'id': 'pickle'}}),
    (
      'pickle_behind_text',
      {
        'dtype': '|O',
        'filters': [{'id': 'vlen-utf8'}],
        'compressor': {'id': 'pickle'},
      },
    ),
    ('times', {'dtype': '<M8[s]'}),
  )
  def test_what_no_sweep_writes_is_not_decoded(self, changes):
    mark = self.out / 'loaded'
    content = self._metadata()
    content['metadata']['loss/.zarray'] |= changes | {'fill_value': None}
    folder = self.out / 'record.zarr'
    (folder / '.zmetadata').write_text(json.dumps(content))
    (folder / 'loss' / '0.0').write_bytes(pickle.dumps(_Trap(mark)))
    # As it was before numcodecs 0.16, whatever the version here.
    with mock.patch.object(
      numcodecs.Pickle,
      'decode',
      lambda _, contents, out=None: pickle.loads(contents),
    ):
      with self.assertRaisesRegex(ValueError, 'record.zarr is damaged: '):
        record.open_record(self.out).load()
    self.assertFalse(mark.exists())

  @parameterized.parameters(2**33, 2**60)
  def test_more_cells_than_memory_has_room_for_are_refused(self, num_cells):
    content = self._metadata()
    for name, array in content['metadata'].items():
      if name.endswith('.zarray') and name[:4] not in ('step', 'laye'):
        array['shape'][0] = num_cells
    content['metadata']['steps_done/.zarray']['shape'] = [num_cells]
    file = self.out / 'record.zarr' / '.zmetadata'
    file.write_text(json.dumps(content))
    with self.assertRaisesRegex(ValueError, f'damaged.*{num_cells * 4 * 4} b'):
      record.open_record(self.out)

  def test_more_values_than_memory_has_room_for_are_said(self):
    dataset = record.open_record(self.out)
    full = mock.PropertyMock(side_effect=MemoryError)
    with mock.patch.object(zarr.Array, 'oindex', full):
      with self.assertRaisesRegex(
        ValueError, "'loss' has 320 bytes, more than"
      ):
        dataset.loss.load()

  def test_more_chunks_than_there_can_be_files_are_refused(self):
    content = self._metadata()
    content['metadata']['step/.zarray']['shape'] = [2**27]
    file = self.out / 'record.zarr' / '.zmetadata'
    file.write_text(json.dumps(content))
    with self.assertRaisesRegex(
      ValueError, 'damaged.*step has 13421773 chunks'
    ):
      record.open_record(self.out)

  def test_missing_names_are_said(self):
    (self.out / 'record.zarr' / 'activation' / '0').unlink()
    with self.assertRaisesRegex(ValueError, 'activation/0 is missing; run'):
      record.open_record(self.out)

  @parameterized.parameters('../../x', '/x', '..', 'a/b')
  def test_names_are_no_paths(self, name):
    content = self._metadata()
    metadata = content['metadata']
    for part in ('.zarray', '.zattrs'):
      metadata[f'{name}/{part}'] = metadata[f'loss/{part}']
    file = self.out / 'record.zarr' / '.zmetadata'
    file.write_text(json.dumps(content))
    with self.assertRaisesRegex(ValueError, 'record.zarr is (no|damag)'):
      record.open_record(self.out)

  def test_what_is_no_record_is_said(self):
    for path in (self.out / 'nowhere', self.create_tempfile().full_path):
      with self.assertRaisesRegex(ValueError, 'is no record; give the dir'):
        record.open_record(path)

  def test_later_format_is_said(self):
    path = self.out / 'record.zarr' / '.zattrs'
    path.write_text(json.dumps({'format_version': 99}))
    with self.assertRaisesRegex(ValueError, 'has format version 99'):
      record.open_record(self.out)


if __name__ == '__main__':
  absltest.main()
