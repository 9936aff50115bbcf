"""Tests for `x_ray/event_files.py`: read back by the format's definition."""

import functools
import pathlib
import struct
import sys
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import jax
import jax.numpy as jnp
from jaxdl.x_ray import event_files
from jaxdl.x_ray import examination
import optax
from tensorboardX import crc32c
from tensorboardX.proto import event_pb2


@functools.cache
def _examined():
  def loss(params, x):
    with jax.named_scope('hidden'):
      x = jax.nn.relu(x @ params['hidden'])
    with jax.named_scope('readout'):
      return jnp.mean((x @ params['readout']) ** 2)

  params = {'hidden': -jnp.ones((3, 4)), 'readout': jnp.ones((4, 2))}
  subject = examination.subject(loss, params, (jnp.ones((5, 3)),), False)
  return examination.examine(subject, optax.sgd(0.1))


def _masked_checksum(content):
  checksum = crc32c.crc32c(content)
  rotated = (checksum >> 15) | (checksum << 17)
  return struct.pack('<I', (rotated + 0xA282EAD8) & 0xFFFFFFFF)


def _events(folder):
  """Reads all events; each is a length and a message, with their checksums."""
  for path in sorted(folder.iterdir()):
    content = path.read_bytes()
    while content:
      (length,) = struct.unpack('<Q', content[:8])
      assert content[8:12] == _masked_checksum(content[:8])
      message, content = content[12 : 12 + length], content[12 + length :]
      assert content[:4] == _masked_checksum(message)
      content = content[4:]
      yield event_pb2.Event.FromString(message)


class EventFileTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.create_tempdir().full_path) / 'logs'

  def _write(self, *steps):
    file = event_files.EventFile(self.folder)
    for step in steps:
      file.append(step, _examined(), ())
    file.close()

  def test_has_a_chart_for_each_statistic_of_each_module(self):
    self._write(0, 100)
    version, start, *measured = _events(self.folder)
    self.assertEqual(version.file_version, 'brain.Event:2')
    self.assertEqual(start.session_log.status, event_pb2.SessionLog.START)
    self.assertEqual([event.step for event in measured], [0, 100])
    points = {v.tag: v.simple_value for v in measured[0].summary.value}
    self.assertEqual(
      set(points),
      {
        'loss',
        'findings',
        'activation_rms/hidden',
        'activation_rms/readout',
        'cotangent_rms/hidden',
        'cotangent_rms/readout',
        'activation_dead/hidden',
        'gradient_norm/hidden',
        'gradient_norm/readout',
        'update_ratio/hidden',
        'update_ratio/readout',
      }
      | {t for t in points if t.endswith('/(model)')},
    )
    self.assertEqual(points['activation_dead/hidden'], 1)
    rows = {row.name: row for row in _examined().rows}
    self.assertAlmostEqual(
      points['cotangent_rms/hidden'],
      float(rows['hidden'].backward.rms),
      places=6,
    )

  def test_a_restart_begins_a_file_that_goes_on_from_its_step(self):
    self._write(0, 100)
    self._write(100)
    self.assertLen(list(self.folder.iterdir()), 2)
    starts = [e for e in _events(self.folder) if e.HasField('session_log')]
    self.assertEqual([event.step for event in starts], [0, 100])

  def test_hands_to_the_disk_after_some_seconds(self):
    file = event_files.EventFile(self.folder)
    with mock.patch.object(event_files.time, 'monotonic') as now:
      now.return_value = file._flushed_at + 60
      file.append(0, _examined(), ())
    self.assertLen(list(_events(self.folder)), 3)
    file.close()

  def test_refuses_where_it_cannot_write(self):
    self.folder.write_text('a file')
    with self.assertRaisesRegex(ValueError, 'cannot write to .*give another'):
      event_files.EventFile(self.folder)

  def test_says_what_to_install(self):
    with mock.patch.dict(sys.modules, {'tensorboardX': None}):
      with self.assertRaisesRegex(ImportError, 'pip install tensorboardX'):
        event_files.EventFile(self.folder)


if __name__ == '__main__':
  absltest.main()
