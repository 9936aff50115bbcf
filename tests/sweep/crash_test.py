"""Sweeps that are killed, or run out of disk, in a process of their own.

How often one is killed at a random moment is in the environment:

  JAXDL_TEST_KILLS=50 ./run.sh test tests/sweep/crash_test.py -s
"""

import collections
import errno
import functools
import itertools
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import chex
import jax
from jaxdl import sweep
from jaxdl.sweep import claim
import numpy as np

from tests.sweep import linear_study

_STEPS = 100
_FAILURES = 4
_FEW = {'activation': ['relu']}  # Of one program.
_KILLS = int(os.environ.get('JAXDL_TEST_KILLS', '4'))


def _start(out, *arguments):
  """Starts the study as a process; the programs come from the shared cache."""
  root = pathlib.Path(__file__).resolve().parents[2]
  environment = {
    **os.environ,
    'PYTHONPATH': str(root),
    'JAX_PLATFORMS': 'cpu',
    'JAX_COMPILATION_CACHE_DIR': jax.config.jax_compilation_cache_dir,
    'JAX_DISABLE_MOST_OPTIMIZATIONS': '1',
    'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0',
  }
  return subprocess.Popen(
    [sys.executable, linear_study.__file__, str(out), *map(str, arguments)],
    env=environment,
    stderr=subprocess.PIPE,
    text=True,
  )


def _plan():
  return linear_study.plan(num_devices=2, num_steps=_STEPS, chunk_steps=2)


@functools.cache
def _undisturbed():
  with tempfile.TemporaryDirectory() as out:
    linear_study.run(_plan(), out)
    return sweep.open_record(out).load()


def _begin_and_end(out):
  """Seconds from the start of a process to its record, and to its end."""
  start = time.monotonic()
  process = _start(out, _STEPS)
  while not (out / claim.RECORD).exists() and process.poll() is None:
    time.sleep(0.005)
  begin = time.monotonic() - start
  _, errors = process.communicate()
  assert process.returncode == 0, errors
  return begin, time.monotonic() - start


def _found(out):
  """What a process left behind; raises if the record cannot be read."""
  if not (out / claim.RECORD).exists():
    begun = (out / claim.PARTIAL_RECORD).exists()
    return 'a record being made' if begun else 'no record'
  done = int(sweep.open_record(out).load().steps_done.sum())
  total = int(_undisturbed().steps_done.sum())
  if 0 < done < total:
    return 'some steps'
  return 'all steps' if done else 'no step'


def _steps_done(out):
  if not (out / 'record.zarr').exists():
    return 0
  return int(sweep.open_record(out).steps_done.sum())


class CrashTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.out = pathlib.Path(self.create_tempdir().full_path) / 'out'

  def _assert_resumed_is_like_undisturbed(self):
    linear_study.run(_plan(), self.out, resume=True)
    self._assert_is_like_undisturbed()

  def _assert_is_like_undisturbed(self):
    expected, actual = _undisturbed(), sweep.open_record(self.out)
    chex.assert_trees_all_equal(
      {name: actual[name].values for name in expected.data_vars},
      {name: expected[name].values for name in expected.data_vars},
    )

  def test_killed_sweep_goes_on_to_the_same_record(self):
    total = int(_undisturbed().steps_done.sum())
    rng = random.Random(0)
    killed_at = []
    for _ in range(2):
      before = _steps_done(self.out)
      process = _start(self.out, _STEPS)
      while _steps_done(self.out) <= before and process.poll() is None:
        time.sleep(0.005)
      time.sleep(rng.uniform(0, 0.2))
      process.kill()
      process.communicate()
      killed_at.append(_steps_done(self.out))
      sweep.open_record(self.out).load()  # Nothing in it is cut off.
    self.assertGreater(killed_at[0], 0)
    self.assertLess(killed_at[0], total)

    self._assert_resumed_is_like_undisturbed()

  def test_killed_at_any_moment_it_leaves_what_can_be_resumed(self):
    """Half of the moments are anywhere, half from the record's making on."""
    begin, end = _begin_and_end(self.out)
    shutil.rmtree(self.out)
    rng = random.Random(0)
    found = collections.Counter()
    for kill in range(_KILLS):
      process = _start(self.out, _STEPS)
      time.sleep(rng.uniform(0.95 * begin if kill % 2 else 0, end))
      process.kill()
      _, errors = process.communicate()
      if process.returncode == 0:  # It had ended, or resumed what was whole.
        self._assert_is_like_undisturbed()
        shutil.rmtree(self.out)
        found['the end'] += 1
        continue
      self.assertEqual(process.returncode, -signal.SIGKILL, errors)
      found[_found(self.out)] += 1
    print(f'{_KILLS} kills left', dict(found))

    self._assert_resumed_is_like_undisturbed()

  def test_full_disk_is_said_and_the_sweep_goes_on_later(self):
    # No file may be longer than this: the metadata fit, no checkpoint does.
    process = _start(self.out, _STEPS, 10_000)
    _, errors = process.communicate()
    self.assertEqual(process.returncode, 1)
    self.assertIn('StorageError: cannot write to', errors)
    self.assertIn('make room and go on with --resume', errors)
    partial = sweep.open_record(self.out).load()
    self.assertEqual(int(partial.steps_done[0]), 2)

    self._assert_resumed_is_like_undisturbed()

  def test_clock_that_jumps_changes_nothing(self):
    """By a day, back and forth, at each look."""
    days = itertools.cycle([0, -1, 1])
    now, study = time.time, linear_study.plan(_FEW, num_steps=8)
    jumping = lambda: now() + 24 * 60 * 60 * next(days)
    out = pathlib.Path(self.create_tempdir().full_path)
    with mock.patch.object(time, 'time', jumping):
      linear_study.run(study, out / 'begun', stop=lambda: True)
      for folder in ('begun', 'whole'):
        begin = time.monotonic()
        outcome = linear_study.run(study, out / folder, resume=True)
        self.assertBetween(outcome.seconds, 0, time.monotonic() - begin)
        self.assertBetween(outcome.write_seconds, 0, outcome.seconds)
    chex.assert_trees_all_equal(
      sweep.open_record(out / 'begun').load().to_dict(),
      sweep.open_record(out / 'whole').load().to_dict(),
    )


class _FailingDisk:
  """Opens files, and after some have been opened to write refuses to."""

  def __init__(self, number, after=10**9):
    self.opened = 0
    self._number, self._after = number, after
    self._open = pathlib.Path.open

  def __enter__(self):
    disk = self

    def stand_in(path, mode='r', *args, **kwargs):
      if set(mode) & set('wax+'):
        disk.opened += 1
        if disk.opened > disk._after:
          raise OSError(disk._number, os.strerror(disk._number), str(path))
      return disk._open(path, mode, *args, **kwargs)

    self._patch = mock.patch.object(pathlib.Path, 'open', stand_in)
    self._patch.start()
    return self

  def __exit__(self, *exception):
    self._patch.stop()


class DiskTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('full', errno.ENOSPC, 'make room and'),
    ('read_only', errno.EROFS, 'see that it can be written to again and'),
  )
  def test_at_any_write_it_is_said_and_the_sweep_goes_on_later(
    self, number, remedy
  ):
    study = linear_study.plan(_FEW, num_steps=8)
    with tempfile.TemporaryDirectory() as out, _FailingDisk(number) as disk:
      linear_study.run(study, out)
      expected = sweep.open_record(out).load()

    begun = []
    for after in np.linspace(0, disk.opened - 1, _FAILURES, dtype=int):
      out = pathlib.Path(self.create_tempdir().full_path) / 'out'
      with self.assertRaises((sweep.StorageError, ValueError)) as caught:
        with _FailingDisk(number, after):
          linear_study.run(study, out)
      message = str(caught.exception)
      self.assertStartsWith(message, f'cannot write to {out}: ')
      self.assertIn(os.strerror(number), message)
      begun.append((out / claim.RECORD).exists())
      if begun[-1]:
        sweep.open_record(out).load()
        self.assertEndsWith(message, f'{remedy} go on with --resume')
      else:
        self.assertNotIn('kept', message)
      linear_study.run(study, out, resume=True)
      chex.assert_trees_all_equal(
        sweep.open_record(out).load().to_dict(), expected.to_dict()
      )
    self.assertEqual(set(begun), {True, False})


if __name__ == '__main__':
  absltest.main()
