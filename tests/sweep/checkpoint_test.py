"""Tests for `checkpoint.py`."""

import pathlib

from absl.testing import absltest
from absl.testing import parameterized
import chex
import jax
import jax.numpy as jnp
from jaxdl.sweep import checkpoint
import numpy as np


def _checkpoint():
  leaves = (
    np.arange(12, dtype=np.float32).reshape(3, 4) * np.float32(np.pi),
    np.array([1, -2, 3], np.int32),
    np.array(jnp.array([0.1, jnp.nan, 3], jnp.bfloat16)),
  )
  return checkpoint.Checkpoint(17, False, leaves)


class CheckpointTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.path = pathlib.Path(self.create_tempdir().full_path) / 'x.msgpack'

  def test_reads_what_was_written_bit_for_bit(self):
    checkpoint.write(self.path, _checkpoint())

    read = checkpoint.read(self.path)

    self.assertEqual((read.step, read.finished), (17, False))
    for actual, expected in zip(read.leaves, _checkpoint().leaves, strict=True):
      self.assertEqual(actual.dtype, expected.dtype)
      self.assertEqual(actual.tobytes(), expected.tobytes())
    self.assertEqual([self.path], list(self.path.parent.iterdir()))

  def test_missing_file_is_no_checkpoint(self):
    self.assertIsNone(checkpoint.read(self.path))

  def test_failed_write_leaves_the_old_file(self):
    checkpoint.write(self.path, _checkpoint())
    self.path.with_suffix('.partial').mkdir()
    with self.assertRaises(IsADirectoryError):
      checkpoint.write(self.path, checkpoint.Checkpoint(18, True, ()))
    self.assertEqual(checkpoint.read(self.path).step, 17)

  @parameterized.named_parameters(
    ('cut_off', lambda content: content[:-5]),
    ('empty', lambda content: b''),
    ('flipped', lambda content: content[:60] + b'!' + content[61:]),
  )
  def test_damage_is_said_with_the_file(self, damage):
    checkpoint.write(self.path, _checkpoint())
    self.path.write_bytes(damage(self.path.read_bytes()))
    with self.assertRaisesRegex(ValueError, 'x.msgpack is damaged; delete it'):
      checkpoint.read(self.path)

  @parameterized.named_parameters(
    ('shape', (4, 5), jnp.float32), ('dtype', (4, 4), jnp.int32)
  )
  def test_other_states_are_refused(self, shape, dtype):
    state = checkpoint.Checkpoint(1, False, (np.zeros((3, 4), np.float32),))
    checkpoint.check(
      self.path, state, [jax.ShapeDtypeStruct((9, 4), jnp.float32)]
    )
    with self.assertRaisesRegex(ValueError, 'holds other states'):
      checkpoint.check(self.path, state, [jax.ShapeDtypeStruct(shape, dtype)])
    chex.assert_shape(state.leaves[0], (3, 4))


if __name__ == '__main__':
  absltest.main()
