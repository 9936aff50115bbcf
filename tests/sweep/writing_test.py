"""Tests for `writing.py`."""

import errno
import pathlib
import threading
from unittest import mock

from absl.testing import absltest
import jax
import jax.numpy as jnp
from jaxdl.sweep import checkpoint as checkpoint_lib
from jaxdl.sweep import program as program_lib
from jaxdl.sweep import record
from jaxdl.sweep import store as store_lib
from jaxdl.sweep import writing
import numpy as np

from tests.sweep import linear_study


class WriterTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.out = pathlib.Path(self.create_tempdir().full_path)
    plan = linear_study.plan({'activation': ['relu']})
    (self.program,) = plan.programs
    shape = jax.ShapeDtypeStruct((4, 4), jnp.float32)
    score = jax.ShapeDtypeStruct((4,), jnp.float32)
    shapes = program_lib.Shapes((), {'loss': shape}, {'test_loss': score})
    variables = store_lib.variables(plan, [shapes])
    self.store = store_lib.create(self.out, plan, variables, {}, {})
    self.events = []

  def _item(self, step, **options):
    metrics = {'loss': np.full((4, 2), step, np.float32)}
    return writing.Item(self.program, step, metrics, **options)

  def _writer(self):
    return writing.Writer(self.store, self.events.append, capacity=1)

  def test_items_are_written_in_order_and_announced(self):
    writer = self._writer()
    for step in (0, 2, 4):
      writer.put(self._item(step))
    writer.put(writing.Item(self.program, scores={'test_loss': np.ones(4)}))
    writer.close()

    self.assertEqual([event.steps_done for event in self.events], [2, 4, 6])
    self.assertEqual(self.events[0].cells, self.program.cells)
    np.testing.assert_array_equal(self.events[1].metrics['loss'], 2)
    dataset = record.open_record(self.out)
    np.testing.assert_array_equal(dataset.loss[0, :6], [0, 0, 2, 2, 4, 4])
    np.testing.assert_array_equal(dataset.test_loss, 1)

  def test_metrics_are_on_disk_before_their_checkpoint(self):
    state = checkpoint_lib.Checkpoint(2, False, (np.zeros((4, 1)),))
    seen = []
    save = lambda *args: seen.append(
      record.open_record(self.out).loss.isel(step=slice(0, 2)).values.max()
    )
    with mock.patch.object(store_lib, 'save', save):
      writer = self._writer()
      writer.put(self._item(0, checkpoint=state))
      writer.close()
    self.assertEqual(seen, [0.0])

  def test_first_error_ends_all_writing(self):
    full = OSError(errno.ENOSPC, 'No space left on device')
    before = threading.active_count()
    writer = self._writer()
    with mock.patch('pathlib.Path.open', side_effect=full):
      with self.assertRaises(store_lib.StorageError):
        for step in range(0, 8, 2):
          writer.put(self._item(step))
        writer.close()
      with self.assertRaises(store_lib.StorageError):
        writer.close()
    self.assertEmpty(self.events)
    self.assertEqual(threading.active_count(), before)


if __name__ == '__main__':
  absltest.main()
