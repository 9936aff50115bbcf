"""Tests for `sweep/lock.py`."""

import pathlib
import signal
import subprocess
import sys

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


if __name__ == '__main__':
  absltest.main()
