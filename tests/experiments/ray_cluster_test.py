"""Tests for `ray_cluster.py`: studies on a Ray cluster."""

import subprocess
import sys
import types

from absl.testing import absltest
from absl.testing import flagsaver
from experiments import training

from tests.experiments import study

_SECONDS = 120

# Plans a study as a process does that hands out tasks of three cores.
_PLANNED = """
import contextlib, sys
from unittest import mock
from absl import flags
from experiments import hosts, training
from jaxdl.sweep import on_ray
flags.FLAGS([sys.argv[0], '--ray=local', '--cpus_per_task=3', *sys.argv[1:]])
with mock.patch.object(on_ray, 'session', lambda _: contextlib.nullcontext()):
  hosts.configure_jax()
try:
  print(training.plan([{'seed': 0}], lambda cell: ((), {})).num_devices)
except ValueError as error:
  print(error)
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


class StartTest(absltest.TestCase):
  def test_mesh_is_held_against_the_devices_of_a_task(self):
    self.assertEqual(_planned('--mesh=cells:3'), ('3\n', ''))
    printed, _ = _planned('--mesh=cells:4')
    self.assertIn("mesh 'cells:4' takes 4 devices, and there are 3", printed)

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
