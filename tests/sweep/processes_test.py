"""Tests for `processes.py`: sweeps that several processes run together."""

import contextlib
import functools
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import chex
import jax
from jaxdl import sweep
from jaxdl.sweep import arrival
from jaxdl.sweep import checkpoint
from jaxdl.sweep import folder
from jaxdl.sweep import lock
from jaxdl.sweep import processes
from jaxdl.sweep import saved_states
import numpy as np

from tests.sweep import joined_study
from tests.sweep import linear_study

_STEPS = 8
_LONG = 4000  # Not reached before a process is killed.
_SECONDS = 120


def _start(out, count, num_steps):
  """Starts all processes of a study; the programs come from the cache."""
  with socket.socket() as probe:
    probe.bind(('127.0.0.1', 0))
    port = probe.getsockname()[1]
  environment = {
    **os.environ,
    'PYTHONPATH': str(pathlib.Path(__file__).resolve().parents[2]),
    'JAX_PLATFORMS': 'cpu',
    'JAX_COMPILATION_CACHE_DIR': jax.config.jax_compilation_cache_dir,
    'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0',
  }
  return [
    subprocess.Popen(
      [
        *(sys.executable, joined_study.__file__),
        *map(str, (out, port, index, count, num_steps)),
      ],
      env=environment,
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
    )
    for index in range(count)
  ]


@functools.cache
def _undisturbed(num_steps=_STEPS):
  plan = linear_study.plan(num_steps=num_steps, chunk_steps=2)
  with tempfile.TemporaryDirectory() as out:
    linear_study.run(plan, out)
    return sweep.open_record(out).load()


class ProcessesTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.out = pathlib.Path(self.create_tempdir().full_path) / 'out'
    self.started = []
    self.addCleanup(self._end)

  def _end(self):
    for process in self.started:
      process.kill()
      process.communicate()

  def _join(self, count, num_steps=_STEPS):
    self.started = _start(self.out, count, num_steps)
    return self.started

  def _assert_record_is_whole(self):
    expected, actual = _undisturbed(), sweep.open_record(self.out)
    chex.assert_trees_all_close(
      {name: actual[name].values for name in expected.data_vars},
      {name: expected[name].values for name in expected.data_vars},
      rtol=1e-6,
    )

  @parameterized.parameters(2, 4)
  def test_write_one_record(self, count):
    outputs = [
      process.communicate(timeout=_SECONDS) for process in self._join(count)
    ]

    for output, errors in outputs:
      self.assertEqual(output.splitlines()[-1:], ['finished'], errors)
    self._assert_record_is_whole()
    devices = sweep.open_record(self.out).attrs['devices']
    self.assertRegex(devices, rf'^{count} .* in {count} processes$')
    # Process 0 tells of all cells, each other of its own.
    first = outputs[0][0].splitlines()
    self.assertContainsSubset({'0 8', '4 8'}, first)
    self.assertLen(set(outputs[1][0].splitlines()), 1 + _STEPS // 2)

  def test_one_that_is_killed_ends_the_others_and_any_number_goes_on(self):
    first, second = self._join(2, num_steps=_STEPS)[0], self.started[1]
    second.stdout.readline()
    second.kill()

    _, errors = first.communicate(timeout=_SECONDS)

    self.assertEqual(first.returncode, 1)
    self.assertIn('ProcessLostError: process 1 of 2 is gone', errors)
    self.assertIn('--resume', errors)
    plan = linear_study.plan(num_devices=3, num_steps=_STEPS, chunk_steps=2)
    linear_study.run(plan, self.out, resume=True)
    self._assert_record_is_whole()

  def test_one_that_has_trained_its_own_shows_and_stops_the_others(self):
    plan = linear_study.plan(num_devices=2, num_steps=_LONG, chunk_steps=2)
    linear_study.run(plan, self.out, stop=lambda: True)
    first, second = plan.programs
    mark = checkpoint.Checkpoint(_LONG, True, ())
    # All that process 0 would train, and the half of what process 1 would.
    for done in (first, second.part(0, 2, second.devices)):
      saved_states.write(self.out, done, mark)

    started = self._join(2, num_steps=_LONG)
    cell, _ = started[0].stdout.readline().split()
    started[0].send_signal(signal.SIGINT)

    self.assertEqual(cell, '6')
    for process in started:
      output, errors = process.communicate(timeout=_SECONDS)
      self.assertEqual(output.splitlines()[-1:], ['stopped'], errors)

  def test_the_others_end_with_process_0(self):
    first, second = self._join(2, num_steps=_LONG)
    second.stdout.readline()
    first.kill()
    second.communicate(timeout=_SECONDS)
    self.assertNotEqual(second.returncode, 0)

  def test_what_process_0_refuses_is_said_by_all(self):
    self.out.mkdir()
    (self.out / 'note').touch()
    for process in self._join(2):
      _, errors = process.communicate(timeout=_SECONDS)
      self.assertNotEqual(process.returncode, 0)
      self.assertIn('holds files that are no sweep; give another', errors)
    self.assertEqual([p.name for p in self.out.iterdir()], ['note'])


class AloneTest(absltest.TestCase):
  def test_process_alone_agrees_with_itself(self):
    with processes.Processes() as group:
      self.assertTrue(group.leads)
      self.assertEqual(group.agree('ready', 'yes'), ['yes'])
      self.assertFalse(group.should_stop(False))
      self.assertTrue(group.should_stop(True))


class _Service:
  """Stands in for the coordination service of three processes.

  Attributes:
    living: the processes whose heartbeats are heard.
  """

  def __init__(self):
    self.living = {0, 1, 2}
    self._values = {}

  def key_value_increment(self, key, by):
    self._values[key] = self._values.get(key, 0) + by
    return self._values[key]

  def key_value_set(self, key, value, *, allow_overwrite):
    del allow_overwrite
    self._values[key] = value

  def key_value_dir_get(self, prefix):
    return [pair for pair in self._values.items() if pair[0].startswith(prefix)]

  def get_live_nodes(self, indices):
    return [index for index in indices if index in self.living]


class _Three(absltest.TestCase):
  """Three processes, as one after the other of them sees it."""

  def setUp(self):
    super().setUp()
    self.out = pathlib.Path(self.create_tempdir().full_path) / 'out'
    self.plan = linear_study.plan({'activation': ['relu']})
    self.service = _Service()
    for target, name, value in (
      (jax, 'process_count', lambda: 3),
      (processes, '_client', lambda: self.service),
      (processes, '_SECONDS_BETWEEN_ROLL_CALLS', 0),
    ):
      self.enterContext(mock.patch.object(target, name, value))
    self.sleep = self.enterContext(mock.patch.object(processes.time, 'sleep'))

  def group(self, index):
    with mock.patch.object(jax, 'process_index', lambda: index):
      return processes.Processes()

  def folder(self, group):
    return folder.Folder(group, self.out, self.plan, {}, {})

  def tell(self, index, topic, value=''):
    """Has another process tell something."""
    self.service.key_value_set(
      f'jaxdl/run/1/{topic}/{index}', f':{value}', allow_overwrite=True
    )

  def opened(self, stack):
    """Opens the folder in process 0, once the others are ready too."""
    group = self.group(0)
    opened = stack.enter_context(self.folder(group))
    for topic, value in (('claimed', '0'), ('traced', '{}'), ('ready', '')):
      for index in (1, 2):
        self.tell(index, topic, value)
    self.assertEqual(opened.claim(resume=True, overwrite=False), 0)
    opened.open([], is_there=False)
    return group


class PartTest(_Three):
  def is_locked(self):
    try:
      with lock.Lock(self.out):
        return False
    except ValueError:
      return True

  def test_lock_is_kept_while_any_process_may_write(self):
    self.service.living = {0, 2}
    locked = []

    def sleep(_):
      locked.append(self.is_locked())
      if len(locked) == 3:
        self.tell(2, 'parted')

    self.sleep.side_effect = sleep
    with self.assertRaises(processes.ProcessLostError):
      with contextlib.ExitStack() as stack:
        self.opened(stack).agree('ended')
    self.assertEqual(locked, [True] * 3)
    self.assertFalse(self.is_locked())

  def test_others_hear_of_a_failure_before_they_are_waited_for(self):
    other = self.group(1)

    def sleep(_):
      self.assertTrue(other.should_stop(False))
      self.tell(1, 'parted')
      self.tell(2, 'parted')

    self.sleep.side_effect = sleep
    with self.assertRaisesRegex(OSError, 'disk is full'):
      with contextlib.ExitStack() as stack:
        self.opened(stack)
        raise OSError('disk is full')
    self.sleep.assert_called_once()

  def test_process_that_never_parts_is_waited_for_so_long(self):
    now = [0.0]
    self.enterContext(
      mock.patch.object(processes.time, 'monotonic', lambda: now[0])
    )
    self.sleep.side_effect = lambda seconds: now.__setitem__(
      0, now[0] + seconds
    )
    self.group(0).part(None, seconds=30)
    self.assertAlmostEqual(now[0], 30, delta=1)

  def test_only_process_0_waits(self):
    self.group(1).part(None)
    self.sleep.assert_not_called()

  def test_nobody_is_waited_for_before_anything_is_written(self):
    group = self.group(0)
    with self.assertRaisesRegex(ValueError, 'no sweep'):
      with self.folder(group):
        raise ValueError('no sweep')
    self.sleep.assert_not_called()


class LossTest(_Three):
  def test_says_what_is_whole_only_where_something_is(self):
    self.service.living = {0, 2}
    with self.assertRaisesRegex(
      processes.ProcessLostError, '^process 1 of 3 is gone; start all again$'
    ):
      self.group(0).agree('decision')
    self.service.living = {0, 1, 2}
    self.service._values.clear()
    with contextlib.ExitStack() as stack:
      group = self.opened(stack)
      self.service.living = {0}
      with self.assertRaisesRegex(
        processes.ProcessLostError,
        'gone; what was recorded is whole: .*--resume',
      ):
        group.agree('ended')

  def test_record_that_this_process_does_not_see_is_said(self):
    group = self.group(1)
    for topic, value in (('claimed', '0'), ('traced', '{}'), ('ready', '')):
      for index in (0, 2):
        self.tell(index, topic, value)
    with mock.patch.object(arrival, 'wait_for', return_value=False):
      with self.assertRaisesRegex(
        ValueError, 'process 1 sees no record in .* an --out that all processes'
      ):
        with self.folder(group) as opened:
          opened.claim(resume=True, overwrite=False)
          opened.open([], is_there=False)


class FolderTest(absltest.TestCase):
  def test_nothing_is_created_before_all_are_ready(self):
    out = pathlib.Path(self.create_tempdir().full_path) / 'out'
    plan = linear_study.plan({'activation': ['relu']})
    group = processes.Processes()
    with folder.Folder(group, out, plan, {}, {}) as sweep_folder:
      self.assertEqual(sweep_folder.claim(resume=False, overwrite=False), 0)
      self.assertFalse(out.exists())
      sweep_folder.open([], is_there=False)
    self.assertTrue((out / 'record.zarr').exists())
    with folder.Folder(group, out, plan, {}, {}) as sweep_folder:
      self.assertEqual(sweep_folder.claim(resume=True, overwrite=False), 4)
      np.testing.assert_array_equal(
        sweep_folder.open([], is_there=True).arrays['steps_done'][:], 0
      )


if __name__ == '__main__':
  absltest.main()
