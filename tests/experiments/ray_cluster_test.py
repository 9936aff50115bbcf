"""Tests for `ray_cluster.py`: studies on a Ray cluster."""

import subprocess
import sys
import types
from unittest import mock

from absl.testing import absltest
from absl.testing import flagsaver
from absl.testing import parameterized
from experiments import ray_cluster
from experiments import training
from jaxdl.sweep import cluster

from tests.experiments import study

_SECONDS = 120

# Plans a study as a process does that hands out tasks of three cores.
_PLANNED = """
import contextlib, sys
from unittest import mock
from absl import flags
from experiments import hosts, training
from jaxdl.sweep import cluster
flags.FLAGS([sys.argv[0], '--ray=local', *sys.argv[1:]])
with mock.patch.object(cluster, 'session', lambda _: contextlib.nullcontext()):
  hosts.configure_jax()
print(training.plan([{'seed': 0}], lambda cell: ((), {})).num_devices)
"""


def _planned(*arguments):
  done = subprocess.run(
    [sys.executable, '-c', _PLANNED, *arguments],
    env=study.environment(),
    cwd=study.ROOT,
    capture_output=True,
    text=True,
    timeout=_SECONDS,
  )
  return done.stdout, done.stderr


class StartTest(parameterized.TestCase):
  def test_study_is_planned_on_the_devices_of_a_task(self):
    planned = _planned('--cpus_per_task=3', '--mesh=cells:3')
    self.assertEqual(planned, ('3\n', ''))

  @parameterized.parameters(
    ({'mesh': 'cells:4', 'cpus_per_task': 3}, '4 .* 3; give --cpus_per_task=4'),
    (
      {'mesh': 'cells:2,data:2', 'cpus_per_task': 8, 'gpus_per_task': 2.0},
      'takes 4 devices, and a task of Ray has 2; give --gpus_per_task=4',
    ),
    (
      {'mesh': 'cells:2', 'cpus_per_task': 2, 'gpus_per_task': 0.5},
      'takes 2 devices, and a task of Ray has 1; give --gpus_per_task=2',
    ),
    ({'gpus_per_task': float('inf')}, 'gpus_per_task=inf is no number of GPUs'),
    ({'mesh': 'rows:2'}, "mesh 'rows:2' is none"),
  )
  def test_what_no_task_can_do_is_refused_first(self, given, message):
    with (
      flagsaver.flagsaver(ray='local', **given),
      mock.patch.object(cluster, 'session') as session,
    ):
      with self.assertRaisesRegex(ValueError, message):
        ray_cluster.start()
    session.assert_not_called()

  def test_what_trains_is_not_the_devices_of_this_process(self):
    plan = types.SimpleNamespace(
      cells=[{}, {}],
      num_devices=1,
      num_steps=3,
      programs=[
        types.SimpleNamespace(devices=[types.SimpleNamespace(platform='cpu')])
      ],
    )
    dataset = types.SimpleNamespace(name='digits', train_labels=[0] * 9)
    for ray, place in ((None, '1 cpu device'), ('local', 'a Ray cluster')):
      with flagsaver.flagsaver(ray=ray):
        self.assertEqual(
          training._description(plan, dataset, ''),
          f'2 networks in 1 program on {place}; 3 steps on digits (9 images)',
        )


if __name__ == '__main__':
  absltest.main()
