"""Tests for `checkpoint.py`."""

import pathlib
import tempfile
import zlib

from absl.testing import absltest
from absl.testing import parameterized
import chex
import hypothesis
import jax
import jax.numpy as jnp
from jaxdl.sweep import checkpoint
import msgpack
import numpy as np

from tests import damage


def _checkpoint():
  leaves = (
    np.arange(12, dtype=np.float32).reshape(3, 4) * np.float32(np.pi),
    np.array([1, -2, 3], np.int32),
    np.array(jnp.array([0.1, jnp.nan, 3], jnp.bfloat16)),
  )
  return checkpoint.Checkpoint(17, False, leaves)


def _payload():
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / 'x.msgpack'
    checkpoint.write(path, _checkpoint())
    return path.read_bytes().partition(b'\n')[2]


def _with_leaf(shape, dtype):
  """A checkpoint with an array that its bytes do not make."""
  leaf = msgpack.ExtType(1, msgpack.packb((shape, dtype, bytes(8))))
  return {'step': 1, 'finished': False, 'leaves': {'0': leaf}}


def _packed(array):
  content = (array.shape, array.dtype.name, array.tobytes())
  return msgpack.ExtType(1, msgpack.packb(content))


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
  def test_damage_is_said_with_the_file(self, change):
    checkpoint.write(self.path, _checkpoint())
    self.path.write_bytes(change(self.path.read_bytes()))
    with self.assertRaisesRegex(ValueError, 'x.msgpack is damaged; delete it'):
      checkpoint.read(self.path)

  @hypothesis.given(damage.damaged(_payload()))
  def test_damage_under_a_right_checksum_is_said_too(self, payload):
    self.path.write_bytes(b'%08x\n' % zlib.crc32(payload) + payload)
    try:
      read = checkpoint.read(self.path)
    except ValueError as error:
      self.assertRegex(str(error), '^checkpoint .*x.msgpack is damaged; .*$')
    else:
      self.assertIsInstance(read.step, int)
      self.assertIsInstance(read.finished, bool)
      for leaf in read.leaves:
        self.assertLessEqual(leaf.nbytes, len(payload))

  @parameterized.named_parameters(
    ('number', 1),
    ('list', []),
    ('nothing', {}),
    ('negative_step', {'step': -1, 'finished': False, 'leaves': {}}),
    ('step_in_words', {'step': 'one', 'finished': False, 'leaves': {}}),
    ('leaf_is_a_number', {'step': 1, 'finished': False, 'leaves': {'0': 1}}),
    ('other_leaf', {'step': 1, 'finished': False, 'leaves': {'1': np.ones(1)}}),
    ('scalar', {'step': 1, 'finished': False, 'leaves': {'0': np.ones(())}}),
    ('huge', _with_leaf((2**60,), 'float32')),
    ('objects', _with_leaf((1,), 'object')),
  )
  def test_what_is_no_checkpoint_is_said(self, content):
    payload = msgpack.packb(content, default=_packed)
    self.path.write_bytes(b'%08x\n' % zlib.crc32(payload) + payload)
    with self.assertRaisesRegex(ValueError, 'x.msgpack is damaged; delete it'):
      checkpoint.read(self.path)

  def test_folder_is_no_checkpoint(self):
    self.path.mkdir()
    with self.assertRaisesRegex(ValueError, 'x.msgpack is damaged; delete it'):
      checkpoint.read(self.path)

  def test_link_is_not_written_through(self):
    elsewhere = self.path.with_name('elsewhere')
    elsewhere.write_text('mine')
    for link in (self.path, self.path.with_suffix('.partial')):
      link.symlink_to(elsewhere)
    checkpoint.write(self.path, _checkpoint())
    self.assertEqual(elsewhere.read_text(), 'mine')
    self.assertEqual(checkpoint.read(self.path).step, 17)

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
