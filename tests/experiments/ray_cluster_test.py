"""Tests for `ray_cluster.py`: studies on a Ray cluster."""

import subprocess
import sys

from absl.testing import absltest

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


if __name__ == '__main__':
  absltest.main()
