"""Tests for `store.py`."""

import errno
import pathlib
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import jax
import jax.numpy as jnp
from jaxdl.sweep import checkpoint as checkpoint_lib
from jaxdl.sweep import program as program_lib
from jaxdl.sweep import record
from jaxdl.sweep import saved_states
from jaxdl.sweep import store as store_lib
import numpy as np
import xarray as xr

from tests.sweep import linear_study


def _shapes(layers, **more):
  shape = lambda *sizes: jax.ShapeDtypeStruct(sizes, jnp.float32)
  metrics = {'loss': shape(4, 4), 'norm': shape(4, 4, layers), **more}
  return program_lib.Shapes((), metrics, {'test_loss': shape(4)})


class StoreTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.out = pathlib.Path(self.create_tempdir().full_path) / 'out'
    self.plan = linear_study.plan({'activation': ['relu', 'tanh']})

  def _create(self):
    variables = store_lib.variables(self.plan, [_shapes(2), _shapes(3)])
    return store_lib.create(
      self.out, self.plan, variables, {}, {'data': 'random'}
    )

  def test_new_record_is_empty_and_labelled(self):
    self._create()

    dataset = record.open_record(self.out)

    self.assertEqual(dict(dataset.sizes), {'cell': 8, 'step': 10, 'layer': 3})
    for name in ('loss', 'norm', 'test_loss'):
      self.assertTrue(np.isnan(dataset[name]).all())
    self.assertEqual(dataset.norm.dims, ('cell', 'step', 'layer'))
    self.assertFalse(dataset.steps_done.any())
    np.testing.assert_array_equal(dataset.layer, [1, 2, 3])
    np.testing.assert_array_equal(dataset.step, np.arange(10))
    self.assertEqual(dataset.activation.dtype, np.dtype('<U4'))
    self.assertEqual(dataset.attrs['data'], 'random')
    self.assertEqual(
      dataset.attrs['axes'], '["activation", "learning_rate", "seed"]'
    )

  def test_chunk_goes_where_its_cells_and_steps_are(self):
    store = self._create()
    rng = np.random.default_rng(0)
    loss, norm = rng.normal(size=(4, 2)), rng.normal(size=(4, 2, 2))

    store_lib.write_chunk(
      store, self.plan.programs[1], 4, {'loss': loss, 'norm': norm}
    )
    store_lib.write_scores(
      store, self.plan.programs[0], {'test_loss': np.arange(4)}
    )

    dataset = record.open_record(self.out)
    np.testing.assert_array_equal(
      dataset.loss[4:, 4:6], loss.astype(np.float32)
    )
    np.testing.assert_array_equal(
      dataset.norm[4:, 4:6, :2], norm.astype(np.float32)
    )
    self.assertEqual(int(np.isfinite(dataset.loss).sum()), 8)
    self.assertEqual(int(np.isfinite(dataset.norm).sum()), 16)
    np.testing.assert_array_equal(dataset.steps_done, [0] * 4 + [6] * 4)
    np.testing.assert_array_equal(dataset.test_loss[:4], range(4))

  def test_programs_share_no_file(self):
    store = self._create()
    loss = np.ones((4, 4))
    written = []
    for program in self.plan.programs:
      before = set(self.out.rglob('loss/*'))
      store_lib.write_chunk(store, program, 0, {'loss': loss})
      written.append(set(self.out.rglob('loss/*')) - before)
    self.assertLen(written[0], 1)
    self.assertLen(written[1], 1)

  def test_xarray_reads_it_without_us(self):
    self._create()
    dataset = xr.open_zarr(
      self.out / 'record.zarr', chunks=None, consolidated=True
    )
    self.assertEqual(
      list(dataset.activation.values), ['relu'] * 4 + ['tanh'] * 4
    )
    self.assertEqual(dataset.norm.dims, ('cell', 'step', 'layer'))

  def test_reopened_store_goes_on(self):
    self._create()
    litter = self.out / 'record.zarr' / 'loss' / '0.0.0123.partial'
    litter.touch()
    store_lib.remove_partial_files(self.out)
    store = store_lib.open_store(self.out)
    store_lib.write_chunk(
      store, self.plan.programs[0], 0, {'loss': np.ones((4, 4))}
    )
    self.assertEqual(float(record.open_record(self.out).loss.sum()), 16)
    self.assertFalse(litter.exists())

  def test_creating_replaces_an_older_sweep(self):
    store = self._create()
    (program, _) = self.plan.programs
    store_lib.save(store, program, checkpoint_lib.Checkpoint(4, True, ()))
    np.testing.assert_array_equal(
      saved_states.steps(self.out, 8), [4] * 4 + [0] * 4
    )
    self._create()
    self.assertFalse(saved_states.steps(self.out, 8).any())

  @parameterized.named_parameters(
    ('axis', {'seed': jax.ShapeDtypeStruct((4, 4), jnp.float32)}),
    ('dimension', {'layer': jax.ShapeDtypeStruct((4, 4), jnp.float32)}),
    ('ranks', {'norm': jax.ShapeDtypeStruct((4, 4), jnp.float32)}),
  )
  def test_name_that_means_something_else_is_refused(self, metric):
    with self.assertRaisesRegex(ValueError, f'metric {list(metric)[0]!r}'):
      store_lib.variables(self.plan, [_shapes(2), _shapes(2, **metric)])

  @parameterized.parameters(errno.ENOSPC, errno.EDQUOT)
  def test_full_disk_is_said_and_keeps_what_was_written(self, number):
    store = self._create()
    (program, _) = self.plan.programs
    ones = {'loss': np.ones((4, 4))}
    store_lib.write_chunk(store, program, 0, ones)

    full = OSError(number, 'No space left on device')
    with mock.patch('pathlib.Path.open', side_effect=full):
      with self.assertRaisesRegex(store_lib.StorageError, 'make room and go'):
        store_lib.write_chunk(store, program, 4, ones)
      with self.assertRaisesRegex(store_lib.StorageError, 'No space left'):
        store_lib.save(store, program, checkpoint_lib.Checkpoint(4, False, ()))

    dataset = record.open_record(self.out)
    self.assertEqual(float(dataset.loss.sum()), 16)
    self.assertEqual(int(dataset.steps_done[0]), 4)

  def test_full_disk_is_said_before_the_first_step(self):
    full = OSError(errno.ENOSPC, 'No space left on device')
    with mock.patch('pathlib.Path.mkdir', side_effect=full):
      with self.assertRaisesRegex(store_lib.StorageError, 'No space left'):
        self._create()

  def test_what_cannot_be_written_is_said(self):
    refused = PermissionError(errno.EACCES, 'Permission denied')
    with mock.patch('pathlib.Path.mkdir', side_effect=refused):
      with self.assertRaisesRegex(ValueError, 'Permission denied.*--out'):
        self._create()


if __name__ == '__main__':
  absltest.main()
