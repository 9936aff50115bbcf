"""Tests for `sweep/lock.py`."""

import errno
import pathlib
import signal
import subprocess
import sys
from unittest import mock

from absl.testing import absltest
from jaxdl.sweep import lock

_HOLDER = """
import sys, time
from jaxdl.sweep import lock
with lock.Lock(sys.argv[1]) as held:
  held.take()
  print('held', flush=True)
  time.sleep(600)
"""
_REFUSAL = 'another process is writing to .*; wait until it has ended'


class LockTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.out = pathlib.Path(self.create_tempdir().full_path) / 'deep' / 'out'

  def test_refuses_a_second_and_is_free_afterwards(self):
    with lock.Lock(self.out) as first:
      self.assertFalse(self.out.exists())  # Nothing is made before it is taken.
      first.take()
      first.take()
      with self.assertRaisesRegex(ValueError, _REFUSAL):
        with lock.Lock(self.out):
          self.fail('two hold it')
    with lock.Lock(self.out) as third:
      third.take()
    self.assertEmpty(list(self.out.iterdir()))

  def test_does_not_outlive_a_killed_process(self):
    with subprocess.Popen(
      [sys.executable, '-c', _HOLDER, str(self.out)],
      stdout=subprocess.PIPE,
      text=True,
    ) as process:
      self.assertEqual(process.stdout.readline(), 'held\n')
      with self.assertRaisesRegex(ValueError, _REFUSAL):
        lock.Lock(self.out).take()
      process.send_signal(signal.SIGKILL)
    with lock.Lock(self.out) as after:
      after.take()

  def test_file_system_without_locks_is_written_to_all_the_same(self):
    unsupported = OSError(errno.ENOTSUP, 'Operation not supported')
    with mock.patch('fcntl.flock', side_effect=unsupported):
      with lock.Lock(self.out) as taken:
        taken.take()
    self.assertTrue(self.out.is_dir())


if __name__ == '__main__':
  absltest.main()
