"""Tests for `hosts.py`: studies that several processes train together."""

import os
import pathlib
import socket
import subprocess
import sys
from unittest import mock

from absl.testing import absltest
from absl.testing import flagsaver
from absl.testing import parameterized
from experiments import command_line
from experiments import hosts
from jaxdl import sweep

from tests.experiments import study

_SECONDS = 300

# Ends in a way of its own while a witness stands by.
_WITNESSED = """
import os, sys
from unittest import mock
from experiments import hosts
with mock.patch('jax.process_count', return_value=2):
  with hosts.Witness('last words'):
    exec(sys.argv[1])
"""


def _port():
  with socket.socket() as probe:
    probe.bind(('127.0.0.1', 0))
    return probe.getsockname()[1]


class ConfigureTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.join = self.enterContext(mock.patch.object(hosts, '_join'))
    self.enterContext(mock.patch.object(command_line, 'configure_jax'))

  @parameterized.named_parameters(
    ('alone', {}, {}, False),
    (
      'told',
      {'coordinator': 'host:1', 'num_processes': 2, 'process_id': 1},
      {},
      True,
    ),
    ('asked_to_find_out', {'distributed': True}, {}, True),
    ('under_srun', {}, {'SLURM_STEP_NUM_TASKS': '4'}, True),
    ('under_mpirun', {}, {'OMPI_COMM_WORLD_SIZE': '2'}, True),
    ('single_task_of_srun', {}, {'SLURM_STEP_NUM_TASKS': '1'}, False),
  )
  def test_joins_others_if_there_are_any(self, given, environment, joins):
    with flagsaver.flagsaver(**given), mock.patch.dict(os.environ, environment):
      hosts.configure_jax()
    self.assertEqual(self.join.called, joins)

  @parameterized.named_parameters(
    ('some_flags', {'num_processes': 2}, 'needs the other two of'),
    ('which', {'coordinator': 'h:1', 'num_processes': 2, 'process_id': 2},
     'process_id=2 is none of --num_processes=2; they count from 0'),
    ('no_port', {'coordinator': 'h', 'num_processes': 2, 'process_id': 0},
     'is no address; give HOST:PORT'),
    ('port', {'coordinator': 'h:99999', 'num_processes': 2, 'process_id': 0},
     'is no address; give HOST:PORT'),
  )  # fmt: skip
  def test_what_cannot_be_is_refused(self, given, message):
    with flagsaver.flagsaver(**given):
      with self.assertRaisesRegex(ValueError, message):
        hosts.configure_jax()
    self.join.assert_not_called()


class WitnessTest(parameterized.TestCase):
  @parameterized.parameters(
    ('os.kill(os.getpid(), 9)', 'last words\n'),
    ('os.abort()', 'last words\n'),
    ('pass', ''),
    ('sys.exit(2)', ''),
  )
  def test_speaks_for_one_that_ends_without_a_word(self, ending, expected):
    done = subprocess.run(
      [sys.executable, '-c', _WITNESSED, ending],
      cwd=study.ROOT,
      capture_output=True,
      text=True,
      timeout=_SECONDS,
    )
    self.assertEqual(done.stderr, expected)


class StudyTest(absltest.TestCase):
  def test_two_processes_train_one_study(self):
    folder = pathlib.Path(self.create_tempdir().full_path)
    port = _port()
    started = [
      subprocess.Popen(
        [
          *(sys.executable, '-m', 'experiments.gradient_flow', *study.SMALL),
          *(f'--coordinator=127.0.0.1:{port}', '--num_processes=2'),
          *(f'--process_id={index}', f'--out={folder / "out"}'),
          '--activation=relu,tanh',
        ],
        env={**study.environment(), 'JAX_NUM_CPU_DEVICES': '1'},
        cwd=study.ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
      )
      for index in (0, 1)
    ]
    (first, errors), (second, others) = (
      process.communicate(timeout=_SECONDS) for process in started
    )

    self.assertEqual([p.returncode for p in started], [0, 0], errors + others)
    self.assertIn('on 2 cpu devices of 2 processes', first)
    self.assertIn('Report: ', first)
    self.assertEqual(second, '')
    record = sweep.open_record(folder / 'out').load()
    self.assertTrue((record.steps_done == 4).all())


if __name__ == '__main__':
  absltest.main()
