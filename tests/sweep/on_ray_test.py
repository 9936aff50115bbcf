"""Tests for `on_ray.py` and `tasks.py`: programs as tasks of workers."""

import functools
import os
import pathlib
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
from jaxdl.sweep import folder
from jaxdl.sweep import on_ray
from jaxdl.sweep import processes
from jaxdl.sweep import saved_states
from jaxdl.sweep import tasks

from tests.sweep import fake_ray
from tests.sweep import linear_study
from tests.sweep import ray_study

_FEW = 10


def _plan(num_steps):
  return ray_study.plan(ray_study.cells(), jax.devices()[:1], num_steps)


@functools.cache
def _undisturbed(num_steps):
  with tempfile.TemporaryDirectory() as out:
    linear_study.run(_plan(num_steps), out)
    return sweep.open_record(out).load()


class _Test(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.out = pathlib.Path(self.create_tempdir().full_path) / 'out'

  def assert_record_is_whole(self, num_steps):
    expected, actual = _undisturbed(num_steps), sweep.open_record(self.out)
    chex.assert_trees_all_close(
      {name: actual[name].values for name in expected.data_vars},
      {name: expected[name].values for name in expected.data_vars},
      rtol=1e-5,
    )


class TasksTest(_Test):
  def setUp(self):
    super().setUp()
    self.plan = _plan(_FEW)
    group = processes.Processes()
    with folder.Folder(group, self.out, self.plan, {}, {}) as opened:
      opened.claim(resume=False, overwrite=False)
      recipe = ray_study.recipe(self.out, _FEW)
      opened.open(
        on_ray._shapes(self.plan, recipe, linear_study.data()), is_there=False
      )

  def _train(self, program, *stop):
    task = tasks.Task(program.number, program.cells, program.first_cell)
    recipe = ray_study.recipe(self.out, _FEW)
    return tasks.train(task, recipe, linear_study.data(), *stop)

  def test_tasks_make_the_record_one_by_one(self):
    for program in reversed(self.plan.programs):
      self.assertTrue(self._train(program))
    self.assert_record_is_whole(_FEW)

  def test_task_that_is_stopped_goes_on_later(self):
    program = self.plan.programs[2]
    asked = iter((False, False, False, True))
    self.assertFalse(self._train(program, lambda: next(asked)))
    self.assertEqual(
      saved_states.steps(self.out, 16).tolist(), [0] * 8 + [2] * 4 + [0] * 4
    )
    self.assertTrue(self._train(program))
    self.assertEqual(
      saved_states.steps(self.out, 16).tolist(),
      [0] * 8 + [_FEW] * 4 + [0] * 4,
    )

  def test_task_that_sees_no_record_says_where(self):
    recipe = ray_study.recipe(self.out / 'elsewhere', _FEW)
    with mock.patch.object(arrival, 'wait_for', return_value=False):
      with self.assertRaisesRegex(
        ValueError, 'sees no record in .*elsewhere, .* an --out that all'
      ):
        tasks.train(tasks.Task(0, (), 0), recipe, linear_study.data())


class RunTest(_Test):
  def test_killed_worker_is_replaced_and_a_stop_ends_all(self):
    done = subprocess.run(
      [sys.executable, '-W', 'error', ray_study.__file__, str(self.out)],
      env={
        **os.environ,
        'PYTHONPATH': str(pathlib.Path(__file__).resolve().parents[2]),
        'RAY_AUTH_MODE': 'disabled',  # Alone on this machine.
      },
      capture_output=True,
      text=True,
      timeout=300,
    )
    # Before them, Ray says that a worker was lost.
    last = done.stdout.splitlines()[-2:]
    self.assertEqual(
      last,
      ['finished: True, killed: 1', 'finished: False, saved: True'],
      done.stderr,
    )
    self.assert_record_is_whole(ray_study.NUM_STEPS)


class StartTest(_Test):
  def test_without_a_cluster_nothing_is_begun(self):
    recipe = ray_study.recipe(self.out)
    with self.assertRaisesRegex(ValueError, 'enter `cluster.session` first'):
      on_ray.run(ray_study.cells(), recipe, linear_study.data())
    self.assertFalse(self.out.exists())


class FailureTest(_Test):
  def test_whatever_ends_the_study_ends_its_tasks_first(self):
    """Else they would write to a folder that is no longer locked."""
    ray = fake_ray.Cluster({})

    def fail():
      raise RuntimeError('no more')

    with ray.installed():
      with self.assertRaisesRegex(RuntimeError, 'no more'):
        on_ray.run(
          ray_study.cells(),
          ray_study.recipe(self.out, _FEW),
          linear_study.data(),
          stop=fail,
        )
    self.assertCountEqual(
      ray.cancelled, [(0, True), (1, True), (2, True), (3, True)]
    )
    devices = sweep.open_record(self.out).attrs['devices']
    self.assertEqual(devices, '1 CPU and 0 GPU a task of Ray')


if __name__ == '__main__':
  absltest.main()
