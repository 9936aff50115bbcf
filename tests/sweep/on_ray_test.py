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
from jaxdl.sweep import folder
from jaxdl.sweep import on_ray
from jaxdl.sweep import processes
from jaxdl.sweep import saved_states
from jaxdl.sweep import tasks

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

  def _train(self, program):
    task = tasks.Task(program.number, program.cells, program.first_cell)
    return tasks.train(
      task, ray_study.recipe(self.out, _FEW), linear_study.data()
    )

  def test_tasks_make_the_record_one_by_one(self):
    for program in reversed(self.plan.programs):
      self.assertTrue(self._train(program))
    self.assert_record_is_whole(_FEW)

  def test_task_that_is_stopped_goes_on_later(self):
    program = self.plan.programs[2]
    (self.out / tasks.STOP).touch()
    self.assertFalse(self._train(program))
    self.assertFalse(saved_states.steps(self.out, 16).any())
    (self.out / tasks.STOP).unlink()
    self.assertTrue(self._train(program))
    self.assertEqual(
      saved_states.steps(self.out, 16).tolist(),
      [0] * 8 + [_FEW] * 4 + [0] * 4,
    )


class RunTest(_Test):
  def test_program_of_a_killed_worker_is_run_again(self):
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
    # Before it, Ray says that a worker was lost.
    last = done.stdout.splitlines()[-1:]
    self.assertEqual(last, ['finished: True, killed: 1'], done.stderr)
    self.assert_record_is_whole(ray_study.NUM_STEPS)
    self.assertFalse((self.out / tasks.STOP).exists())


class ClusterTest(_Test):
  def test_without_ray_says_what_to_install(self):
    with mock.patch.dict(sys.modules, {'ray': None}):
      with self.assertRaisesRegex(ValueError, r"pip install 'jaxdl\[ray\]'"):
        self.enterContext(on_ray.session())

  @parameterized.parameters('127.0.0.1:1', '127.0.0.1:99999')
  def test_address_of_nobody_is_refused_before_ray_tries(self, address):
    with mock.patch.dict(sys.modules, {'ray': mock.Mock()}) as modules:
      with self.assertRaisesRegex(ValueError, f'no Ray cluster at .{address}'):
        self.enterContext(on_ray.session(address))
      modules['ray'].init.assert_not_called()

  def test_without_a_cluster_nothing_is_begun(self):
    recipe = ray_study.recipe(self.out)
    with self.assertRaisesRegex(ValueError, 'no Ray cluster; enter `session`'):
      on_ray.run(ray_study.cells(), recipe, linear_study.data())
    self.assertFalse(self.out.exists())

  @parameterized.parameters(
    (on_ray.Needs(cpus=5), '5 CPU and 0 GPU, which no machine .* 2 CPU and 1'),
    (on_ray.Needs(cpus=4, gpus=1), '4 CPU and 1 GPU, which no machine'),
    (on_ray.Needs(gpus=2), '1 CPU and 2 GPU, which no machine'),
    (on_ray.Needs(gpus=1.5), '1.5 GPU; give a whole number or, to share one,'),
    (on_ray.Needs(gpus=1e-5), '1e-05 GPU; give a whole number'),
    (on_ray.Needs(gpus=float('nan')), 'nan GPU; give a whole number'),
    (on_ray.Needs(gpus=float('inf')), 'inf GPU, which no machine'),
  )
  def test_task_that_fits_on_no_machine_is_refused(self, needs, message):
    ray = mock.Mock()
    ray.nodes.return_value = [
      {'Alive': True, 'Resources': {'CPU': 4.0}},
      {'Alive': True, 'Resources': {'CPU': 2.0, 'GPU': 1.0}},
      {'Alive': False, 'Resources': {'CPU': 64.0, 'GPU': 8.0}},
    ]
    with mock.patch.dict(sys.modules, {'ray': ray}):
      on_ray._check(on_ray.Needs(cpus=4))
      on_ray._check(on_ray.Needs(cpus=2, gpus=0.5))
      with self.assertRaisesRegex(ValueError, message):
        on_ray._check(needs)

  def test_tasks_that_share_a_gpu_share_its_memory(self):
    name = 'XLA_PYTHON_CLIENT_MEM_FRACTION'
    shared = float(on_ray._environment(on_ray.Needs(gpus=0.25))[name])
    self.assertBetween(4 * shared, 0.5, 1)
    self.assertNotIn(name, on_ray._environment(on_ray.Needs(gpus=2)))


class FailureTest(_Test):
  def test_whatever_ends_the_study_ends_its_tasks_first(self):
    """Else they would write to a folder that is no longer locked."""
    ray = mock.Mock()
    ray.nodes.return_value = [{'Alive': True, 'Resources': {'CPU': 2.0}}]
    ray.wait.side_effect = lambda tasks, **_: ([], tasks)
    started = ray.remote.return_value.return_value.remote
    started.side_effect = ['first', 'second', 'third', 'fourth']

    def fail():
      raise RuntimeError('no more')

    with mock.patch.dict(sys.modules, {'ray': ray}):
      with self.assertRaisesRegex(RuntimeError, 'no more'):
        on_ray.run(
          ray_study.cells(),
          ray_study.recipe(self.out, _FEW),
          linear_study.data(),
          stop=fail,
        )
    ended = [call.args[0] for call in ray.cancel.call_args_list]
    self.assertCountEqual(ended, ['first', 'second', 'third', 'fourth'])
    self.assertEqual(ray.wait.call_args.args, (ended,))
    devices = sweep.open_record(self.out).attrs['devices']
    self.assertEqual(devices, '1 CPU and 0 GPU a task of Ray')


if __name__ == '__main__':
  absltest.main()
