"""Tests for `saved_states.py`."""

import pathlib

from absl.testing import absltest
import chex
import jax
import jax.numpy as jnp
from jaxdl.sweep import checkpoint
from jaxdl.sweep import saved_states
import numpy as np

from tests.sweep import linear_study

_SHAPES = [jax.ShapeDtypeStruct((8, 2), jnp.float32)]


class SavedStatesTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.out = pathlib.Path(self.create_tempdir().full_path)
    (self.out / 'checkpoints').mkdir()
    axes = {'activation': ['relu'], 'seed': [0, 1, 2, 3]}
    (self.program,) = linear_study.plan(axes).programs

  def _part(self, start, stop):
    return self.program.part(start, stop, self.program.devices)

  def _save(self, start, stop, step):
    """Saves states that hold their cell and their step."""
    rows = np.stack([np.arange(start, stop), np.full(stop - start, step)], 1)
    saved_states.write(
      self.out,
      self._part(start, stop),
      checkpoint.Checkpoint(step, False, (rows.astype(np.float32),)),
    )

  def _read(self, start, stop):
    return saved_states.read(self.out, self._part(start, stop), _SHAPES)

  def test_nothing_is_saved_at_first(self):
    self.assertFalse(saved_states.steps(self.out, 8).any())
    self.assertIsNone(self._read(0, 8))

  def test_later_states_supersede_earlier_ones(self):
    self._save(0, 8, 2)
    self._save(0, 8, 4)
    self.assertLen(list((self.out / 'checkpoints').iterdir()), 1)
    self.assertEqual(self._read(0, 8).step, 4)

  def test_cells_are_found_however_they_were_shared_out(self):
    self._save(0, 4, 2)
    self._save(4, 8, 2)
    read = self._read(2, 6)
    self.assertEqual(read.step, 2)
    chex.assert_trees_all_equal(read.leaves[0][:, 0], np.arange(2.0, 6.0))

  def test_part_that_went_further_goes_on_from_there(self):
    self._save(0, 8, 2)
    self._save(4, 6, 6)  # The older file still holds the states of the rest.
    np.testing.assert_array_equal(
      saved_states.steps(self.out, 8), [2, 2, 2, 2, 6, 6, 2, 2]
    )
    chex.assert_trees_all_equal(
      self._read(4, 6).leaves[0], np.array([[4.0, 6], [5, 6]])
    )
    chex.assert_trees_all_equal(
      self._read(6, 8).leaves[0], np.array([[6.0, 2], [7, 2]])
    )

  def test_parts_that_all_went_further_supersede_the_whole(self):
    self._save(0, 8, 2)
    self._save(0, 4, 4)
    self._save(6, 8, 4)
    self.assertLen(list((self.out / 'checkpoints').iterdir()), 3)
    self._save(4, 6, 6)
    self.assertEqual(
      sorted(path.name for path in (self.out / 'checkpoints').iterdir()),
      [
        'cells-0-4-step-4.msgpack',
        'cells-4-6-step-6.msgpack',
        'cells-6-8-step-4.msgpack',
      ],
    )
    self.assertEqual(self._read(0, 4).step, 4)

  def test_other_files_are_left_alone(self):
    note = self.out / 'checkpoints' / 'cells-notes.msgpack'
    note.touch()
    self._save(0, 8, 2)
    self.assertTrue(note.exists())
    self.assertEqual(saved_states.steps(self.out, 8).tolist(), [2] * 8)

  def test_file_of_another_step_than_its_name_is_refused(self):
    self._save(0, 8, 2)
    (path,) = (self.out / 'checkpoints').iterdir()
    path.rename(path.with_name('cells-0-8-step-4.msgpack'))
    with self.assertRaisesRegex(ValueError, 'is damaged; delete it'):
      self._read(0, 8)


if __name__ == '__main__':
  absltest.main()
