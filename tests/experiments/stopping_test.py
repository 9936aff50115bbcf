"""Tests for `experiments/stopping.py`, and of studies that are cut short."""

import os
import pathlib
import pty
import random
import signal
import subprocess
import sys
import tempfile
import time

from absl.testing import absltest
import chex
from jaxdl import sweep
import numpy as np

from tests.experiments import study

# Long enough to be interrupted: two programs of four cells, 30 chunks.
_LONG = [
  *study.SMALL,
  '--activation=relu,tanh',
  '--clip=none,norm:1.0',
  '--num_seeds=2',
  '--num_steps=60',
]
_PATIENCE = 60  # Seconds.


def _steps_done(out):
  if not (out / 'record.zarr').exists():
    return 0
  return int(sweep.open_record(out).steps_done.sum())


def _wait_for(condition):
  begin = time.monotonic()
  while not condition():
    if time.monotonic() - begin > _PATIENCE:
      raise TimeoutError('what the test waits for does not happen')
    time.sleep(0.005)


def _wait_for_steps(out, steps):
  _wait_for(lambda: _steps_done(out) > steps)


class InterruptionTest(study.Study):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    with tempfile.TemporaryDirectory() as folder:
      flags = [*_LONG, '--out=undisturbed']
      done = study.run(cls.experiment, flags, folder)
      assert done.returncode == 0, done.stderr
      cls.undisturbed = study.values(pathlib.Path(folder) / 'undisturbed')

  def run_study(self, *arguments, **options):
    return super().run_study(*_LONG, *arguments, **options)

  def assert_record_is_whole(self):
    chex.assert_trees_all_equal(study.values(self.out), self.undisturbed)

  def test_killed_at_random_goes_on_to_the_same_record(self):
    rng = random.Random(0)
    for _ in range(2):
      before = _steps_done(self.out)

      def kill(process, before=before):
        _wait_for_steps(self.out, before)
        time.sleep(rng.uniform(0, 0.2))
        os.kill(process, signal.SIGKILL)

      done = self.run_study('--out=out', '--resume', meanwhile=kill)
      self.assertEqual(done.returncode, 128 + signal.SIGKILL)
    self.assertBetween(_steps_done(self.out), 1, 8 * 60 - 1)
    self.succeed('--resume')
    self.assert_record_is_whole()

  def test_full_disk_is_said_and_the_study_goes_on_later(self):
    done = self.run_study('--out=out', file_size=50_000)
    self.assert_mistake(done, 'cannot write to out', 'go on with --resume')
    self.assertGreater(_steps_done(self.out), 0)
    self.assertTrue(np.any(np.isfinite(study.values(self.out)['loss'])))
    self.succeed('--resume')
    self.assert_record_is_whole()

  def test_interrupt_while_it_compiles(self):
    # An empty cache: compilation takes a while.
    interrupt = lambda process: (
      _wait_for((self.folder / 'xla').exists),
      os.kill(process, signal.SIGINT),
    )
    done = self.run_study(
      '--out=out',
      meanwhile=interrupt,
      JAX_COMPILATION_CACHE_DIR=str(self.folder / 'xla'),
    )
    self.assertEqual(done.returncode, 130, done.stderr)
    self._assert_resume_command_works(done.stderr.splitlines()[-1])

  def test_second_interrupt_ends_at_once(self):
    def interrupt(process):
      _wait_for_steps(self.out, 0)
      for _ in range(2):
        os.kill(process, signal.SIGINT)
        time.sleep(0.05)

    done = self.run_study('--out=out', meanwhile=interrupt)
    self.assertEqual(done.returncode, 130)
    self.assertNotIn('Traceback', done.stderr)
    self.assertIn('Go on with: ', done.stderr)
    self.succeed('--resume')
    self.assert_record_is_whole()

  def test_interrupt_on_a_terminal(self):
    process, master = self._start_on_a_terminal()
    _wait_for_steps(self.out, 0)
    process.send_signal(signal.SIGINT)
    printed = _read(master)
    self.assertEqual(process.wait(), 130, printed)
    self.assertIn('training', printed)
    self.assertIn('━', printed)
    self.assertIn('healthy', printed)
    self.assertGreater(printed.rindex('\x1b[?25h'), printed.rindex('\x1b[?25l'))
    self.assertNotIn('Traceback', printed)
    self.assertGreater(_steps_done(self.out), 0)
    self.assertLess(_steps_done(self.out), 8 * 60)
    last = printed[printed.index('gradient_flow: ') :]
    self._assert_resume_command_works(last.rstrip())

  def _start_on_a_terminal(self):
    master, slave = pty.openpty()
    process = subprocess.Popen(
      [
        sys.executable,
        '-m',
        'experiments',
        'gradient_flow',
        *study.SMALL,
        *_LONG,
      ]
      + ['--out', 'out', '--overwrite'],
      cwd=self.folder,
      env={**study.environment(), 'TERM': 'xterm', 'COLUMNS': '100'},
      stdin=slave,
      stdout=slave,
      stderr=slave,
    )
    os.close(slave)
    return process, master

  def _assert_resume_command_works(self, line):
    before, _, command = line.partition('Go on with: ')
    self.assertEqual(before, 'gradient_flow: stopped; nothing is lost. ')
    done = subprocess.run(
      command,
      shell=True,
      cwd=self.folder,
      env=study.environment(),
      capture_output=True,
      text=True,
    )
    self.assertEqual((done.returncode, done.stderr), (0, ''))
    self.assert_record_is_whole()


def _read(master):
  """Reads all that is written to a terminal."""
  parts = []
  while True:
    try:
      parts.append(os.read(master, 65536))
    except OSError:  # The other end is closed.
      os.close(master)
      return b''.join(parts).decode()


if __name__ == '__main__':
  absltest.main()
