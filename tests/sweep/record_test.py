"""Tests for `record.py`."""

import json
import pathlib

from absl.testing import absltest
from absl.testing import parameterized
import jax
import jax.numpy as jnp
from jaxdl.sweep import program as program_lib
from jaxdl.sweep import record
from jaxdl.sweep import store as store_lib
import numpy as np

from tests.sweep import linear_study


class RecordTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.out = pathlib.Path(self.create_tempdir().full_path)
    self._write({})

  def _write(self, axes):
    """Writes a record whose loss is the number of its cell."""
    plan = linear_study.plan(axes)
    shape = jax.ShapeDtypeStruct((4, 4), jnp.float32)
    shapes = [program_lib.Shapes((), {'loss': shape}, {})] * len(plan.programs)
    store = store_lib.create(self.out, plan, shapes, {}, {})
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
  def test_damaged_chunk_is_said(self, damage):
    file = self.out / 'record.zarr' / 'loss' / '0.1'
    file.write_bytes(damage(file.read_bytes()))
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
