"""Tests for `dispatch.py`: how tasks end, and what follows."""

import os
import signal

from absl.testing import absltest
from absl.testing import parameterized
import jax
from jaxdl import refusals
from jaxdl.sweep import cluster
from jaxdl.sweep import dispatch
from jaxdl.sweep import mesh
from jaxdl.sweep import processes
from jaxdl.sweep import store
from jaxdl.sweep import tasks

from tests.sweep import fake_ray
from tests.sweep import linear_study
from tests.sweep import ray_study

_DONE = dispatch._Ending(True)
_STOPPED = dispatch._Ending(False)
_ERRORS = fake_ray.Cluster.exceptions
_NEEDS = cluster.Needs(cpus=2)


def _never():
  return False


def _train(ray, stop=_never, count=2):
  programs = ray_study.plan(ray_study.cells(), jax.devices()[:1]).programs
  with ray.installed():
    return dispatch.train(
      programs[:count],
      ray_study.recipe('out'),
      None,
      _NEEDS,
      waiting=lambda: None,
      stop=stop,
    )


def _refusal(ray, **options):
  """Returns what `train` refuses; a fault is raised on."""
  try:
    _train(ray, **options)
  except Exception as error:
    if not refusals.is_refusal(error):
      raise
    return error
  raise AssertionError('nothing was raised')


class TrainTest(parameterized.TestCase):
  @parameterized.parameters(
    ({0: [_DONE], 1: [_DONE]}, True), ({0: [_DONE], 1: [_STOPPED]}, False)
  )
  def test_is_finished_if_each_task_is(self, endings, expected):
    ray = fake_ray.Cluster(endings)
    self.assertEqual(_train(ray), expected)
    self.assertEqual(ray.started, [(0, 2), (1, 2)])

  @parameterized.parameters(
    _ERRORS.WorkerCrashedError(), _ERRORS.NodeDiedError()
  )
  def test_program_of_a_lost_worker_is_started_again_so_often(self, lost):
    ray = fake_ray.Cluster({0: [_DONE], 1: [lost] * 3 + [_DONE]})
    self.assertTrue(_train(ray))
    self.assertEqual(ray.started, [(0, 2)] + [(1, 2)] * 4)
    ray = fake_ray.Cluster({0: [], 1: [lost] * 9})
    with self.assertRaisesRegex(
      processes.ProcessLostError,
      'train program 1 were lost 4 times; .*--resume',
    ):
      _train(ray)
    self.assertEqual(ray.cancelled, [(0, True)])

  def test_program_killed_for_memory_then_has_a_machine_to_itself(self):
    full = _ERRORS.OutOfMemoryError()
    machines = ({'CPU': 4.0}, {'CPU': 8.0}, {'CPU': 1.0})
    ray = fake_ray.Cluster({0: [full, _DONE], 1: [_DONE]}, machines)
    self.assertTrue(_train(ray))
    self.assertEqual(ray.started, [(0, 2), (1, 2), (0, 8)])

  @parameterized.parameters((({'CPU': 8.0},), 2), (({'CPU': 2.0},), 1))
  def test_program_that_does_not_fit_is_refused(self, machines, attempts):
    full = _ERRORS.OutOfMemoryError()
    ray = fake_ray.Cluster({0: [full] * 9}, machines)
    refusal = _refusal(ray, count=1)
    self.assertIsInstance(refusal, ValueError)
    self.assertRegex(
      str(refusal), r'^program 0 \(4 cells\) had a machine to itself, .* lower'
    )
    self.assertLen(ray.started, attempts)

  def test_stop_ends_what_runs_and_what_no_machine_takes(self):
    asked = iter((False, True))
    ray = fake_ray.Cluster({})
    self.assertFalse(_train(ray, stop=lambda: next(asked)))
    self.assertEqual(ray.cancelled, [(0, False), (1, False)])

  def test_nothing_is_started_again_after_a_stop(self):
    lost, full = _ERRORS.WorkerCrashedError(), _ERRORS.OutOfMemoryError()
    ray = fake_ray.Cluster({0: [lost, _DONE], 1: [full, _DONE]})
    self.assertFalse(_train(ray, stop=lambda: True))
    self.assertLen(ray.started, 2)

  def test_refusal_of_a_worker_ends_all_in_its_own_words(self):
    for refusal in (ValueError('too large'), store.StorageError('full')):
      ray = fake_ray.Cluster({1: [dispatch._Ending(False, refusal)]})
      self.assertIs(_refusal(ray), refusal)
      self.assertEqual(ray.cancelled, [(0, True)])

  def test_fault_of_a_worker_is_no_refusal(self):
    ray = fake_ray.Cluster({1: [ValueError('with the traceback of a worker')]})
    with self.assertRaisesRegex(ValueError, 'with the traceback'):
      _refusal(ray)


class WorkTest(absltest.TestCase):
  def _work(self, plan=None, prepare=None):
    out = self.create_tempdir()
    os.mkdir(os.path.join(out.full_path, 'record.zarr'))
    recipe = ray_study.recipe(out.full_path)
    if plan is not None:
      recipe = recipe._replace(plan=plan)
    task = tasks.Task(0, tuple(ray_study.cells()[:4]), 0)
    return dispatch._work(task, recipe, prepare, linear_study.data())

  def test_what_jaxdl_refuses_is_told(self):
    ending = self._work(lambda cells, devices: mesh.select('rows:1', devices))
    self.assertFalse(ending.finished)
    self.assertRegex(str(ending.refusal), "^mesh 'rows:1' is none")

  def test_fault_keeps_its_traceback(self):
    with self.assertRaisesRegex(ValueError, 'invalid literal'):
      self._work(lambda cells, devices: int('none'))

  def test_interrupt_is_a_request_to_stop(self):
    previous = signal.getsignal(signal.SIGINT)
    ending = self._work(prepare=lambda: signal.raise_signal(signal.SIGINT))
    self.assertEqual(ending, _STOPPED)
    self.assertIs(signal.getsignal(signal.SIGINT), previous)


if __name__ == '__main__':
  absltest.main()
