"""Tests for `run.sh`, in checkouts whose Python only writes down its calls.

The stand-in makes virtual environments that hold itself, so a set-up takes
milliseconds and what pip was asked for can be read afterwards.
"""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

from absl.testing import absltest
from absl.testing import parameterized

_ROOT = pathlib.Path(__file__).resolve().parents[1]

_PYTHON = """#!/bin/sh
echo "$@" >> "$CALLS"
case "$*" in
  *version_info*) echo 3.13 ;;
  *ensurepip*) [ -z "$NO_ENSUREPIP" ] ;;
  '-m venv --clear '*)
    rm -rf "$4"; mkdir -p "$4/bin"; cp "$0" "$4/bin/python" ;;
  '-m pip install'*)
    if [ -n "$PIP_KILLED" ]; then kill -9 $PPID; fi
    if [ -n "$PIP_INTERRUPTED" ]; then trap '' INT; kill -INT 0; exit 1; fi
    if [ -n "$PIP_WAITS" ]; then read -r _ < "$PIP_WAITS"; fi
    if [ -n "$PIP_FAILS" ]; then
      echo "ERROR: No matching distribution found" >&2; exit 1
    fi
    : > "$CALLS.installed" ;;
  *flock*) if [ -n "$REAL_PYTHON" ]; then exec "$REAL_PYTHON" "$@"; fi ;;
  -V)
    if [ -n "$STAMP_KILLED" ] && [ -e "$CALLS.installed" ]; then
      kill -9 $PPID
    fi
    echo "Python ${VERSION:-3.13.9}" ;;
  *' -m experiments.'*) pwd ;;
esac
"""

_TOOLS = (
  'bash cat cksum cp cut dirname grep mkdir mv paste rm sed sh touch'.split()
)


class RunShTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    temporary = tempfile.TemporaryDirectory()
    self.folder = pathlib.Path(self.enterContext(temporary)).resolve()
    self.calls = self.folder / 'calls'
    self.bin = self.folder / 'bin'
    self.bin.mkdir()
    for tool in _TOOLS:
      (self.bin / tool).symlink_to(shutil.which(tool))
    self._install_python()
    self.checkout = self.folder / 'a checkout'
    (self.checkout / 'benchmarks').mkdir(parents=True)
    (self.checkout / 'experiments').mkdir()
    for name in ('run.sh', 'setup.cfg', 'pyproject.toml', 'constraints.txt'):
      shutil.copy(_ROOT / name, self.checkout)
    for name in (
      'experiments/gradient_flow.py',
      'experiments/other.py',
      'benchmarks/all.py',
      'benchmarks/headline.py',
    ):
      (self.checkout / name).write_text("\nif __name__ == '__main__':\n  pass")

  def _install_python(self, name='python3.13'):
    python = self.bin / name
    python.write_text(_PYTHON)
    python.chmod(0o755)

  def _start(self, *arguments, **environment):
    return subprocess.Popen(
      ['bash', str(self.checkout / 'run.sh'), *arguments],
      cwd=self.folder,
      env={'PATH': str(self.bin), 'CALLS': str(self.calls), **environment},
      stdin=subprocess.DEVNULL,
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
      start_new_session=True,  # Which a test may interrupt, as Ctrl-C does.
    )

  def _run(self, *arguments, **environment):
    self.calls.write_text('')
    process = self._start(*arguments, **environment)
    outputs = process.communicate()
    return subprocess.CompletedProcess((), process.returncode, *outputs)

  def _calls(self, containing):
    lines = self.calls.read_text().splitlines()
    return [line for line in lines if containing in line]

  def test_first_start_sets_up_then_runs_where_the_user_stands(self):
    done = self._run()
    self.assertEqual(done.returncode, 0, done.stderr)
    self.assertEqual(done.stdout, f'{self.folder}\n')
    self.assertLen(self._calls('-m venv'), 1)
    (install,) = self._calls('-m pip install')
    self.assertEndsWith(install, f'--editable {self.checkout}')
    (run,) = self._calls('experiments.')
    self.assertEqual(run, '-P -m experiments.gradient_flow')

  def test_second_start_calls_no_pip(self):
    self._run()
    done = self._run('other', '--steps=3', '--name=a b')
    self.assertEqual((done.returncode, done.stderr), (0, ''))
    self.assertEmpty(self._calls('-m pip install'))
    self.assertLen(self._calls('-m experiments.other --steps=3 --name=a b'), 1)

  def test_flags_alone_go_to_the_study(self):
    self._run('--steps=3')
    self.assertLen(self._calls('-m experiments.gradient_flow --steps=3'), 1)

  @parameterized.parameters('setup.cfg', 'pyproject.toml', 'constraints.txt')
  def test_changed_requirements_are_installed(self, name):
    self._run()
    with open(self.checkout / name, 'a') as file:
      file.write('# Changed.\n')
    self._run()
    self.assertLen(self._calls('-m pip install'), 1)
    self.assertEmpty(self._calls('-m venv'))

  def test_another_interpreter_is_noticed(self):
    self._run()
    self._run(VERSION='3.13.10')
    self.assertLen(self._calls('-m pip install'), 1)

  def test_tests_and_benchmarks_bring_their_extras(self):
    self._run()
    self._run('test', '-k', 'probe')
    self.assertLen(self._calls(f'--editable {self.checkout}[dev]'), 1)
    self.assertLen(self._calls('-m pytest'), 1)
    self.assertEndsWith(self._calls('-m pytest')[0], ' -k probe')
    self._run('test')
    self.assertEmpty(self._calls('-m pip install'))
    self._run('benchmark')
    self.assertLen(self._calls(f'--editable {self.checkout}[benchmark]'), 1)
    self.assertLen(self._calls('-m benchmarks.all'), 1)

  @parameterized.parameters(
    (['--quick', '--only=a b'], '-m benchmarks.all --quick --only=a b'),
    (['--help'], '-m benchmarks.all --help'),
    (
      ['headline', '--steps=3', '--', '--depth=5'],
      '-m benchmarks.headline --steps=3 -- --depth=5',
    ),
  )
  def test_benchmark_of_a_name_or_all_of_them(self, arguments, call):
    done = self._run('benchmark', *arguments)
    self.assertEqual(done.returncode, 0, done.stderr)
    self.assertEqual(self._calls('-m benchmarks.'), [call])

  def test_documentation_is_built_strictly_or_served(self):
    done = self._run('docs')
    self.assertEqual(done.returncode, 0, done.stderr)
    self.assertLen(self._calls(f'--editable {self.checkout}[docs]'), 1)
    self.assertEqual(self._calls('mkdocs'), ['-m mkdocs build --strict'])
    self.assertIn(f'{self.checkout}/site/index.html', done.stderr)
    self._run('docs', '--serve', '--dev-addr=localhost:8001')
    self.assertEqual(
      self._calls('mkdocs'), ['-m mkdocs serve --dev-addr=localhost:8001']
    )

  def test_nvidia_gpu_brings_cuda(self):
    smi = self.bin / 'nvidia-smi'
    smi.write_text('#!/bin/sh\necho "GPU 0: NVIDIA H100 (UUID: GPU-1)"\n')
    smi.chmod(0o755)
    self._run('test')
    self.assertLen(self._calls(f'--editable {self.checkout}[cuda,dev]'), 1)

  def _assert_is_started_over(self):
    self.assertEmpty(self._calls('experiments.'))
    done = self._run()
    self.assertEqual(done.returncode, 0)
    self.assertIn('broke off', done.stderr)
    self.assertLen(self._calls('-m venv'), 1)
    self.assertEmpty(self._run().stderr)

  @parameterized.parameters('PIP_KILLED', 'STAMP_KILLED')
  def test_killed_set_up_is_started_over(self, moment):
    killed = self._run(**{moment: '1'})
    self.assertEqual(killed.returncode, -signal.SIGKILL)
    self._assert_is_started_over()

  def test_interrupted_set_up_is_started_over(self):
    interrupted = self._run(PIP_INTERRUPTED='1')
    self.assertEqual(interrupted.returncode, 130)
    self.assertEndsWith(
      interrupted.stderr, 'Interrupted; the next start sets up anew.\n'
    )
    self._assert_is_started_over()

  @unittest.skipUnless(os.path.exists('/dev/full'), 'There is no /dev/full.')
  def test_set_up_that_found_the_disk_full_is_started_over(self):
    (self.checkout / '.venv' / 'bin').mkdir(parents=True)
    shutil.copy(self.bin / 'python3.13', self.checkout / '.venv/bin/python')
    (self.checkout / '.venv/.jaxdl-set-up-run').symlink_to('/dev/full')
    full = self._run()
    self.assertEqual(full.returncode, 1)
    self.assertIn('No space left on device', full.stderr)
    self._assert_is_started_over()

  def test_of_two_starts_one_sets_up_and_the_other_waits(self):
    self.calls.write_text('')
    pipe = self.folder / 'pipe'
    os.mkfifo(pipe)
    options = {'REAL_PYTHON': sys.executable, 'PIP_WAITS': str(pipe)}
    first = self._start(**options)
    self.assertStartsWith(first.stderr.readline(), 'Setting up .venv')
    second = self._start('other', **options)
    self.assertEqual(
      second.stderr.readline(),
      'Another run.sh is setting up .venv; waiting for it.\n',
    )
    pipe.write_text('go on\n')
    for process in (first, second):
      _, errors = process.communicate()
      self.assertEqual(process.returncode, 0, errors)
    self.assertEmpty(errors)
    for once in ('-m venv', '-m pip install', 'gradient_flow', '.other'):
      self.assertLen(self._calls(once), 1)

  def test_half_made_environment_is_made_anew(self):
    (self.checkout / '.venv' / 'bin').mkdir(parents=True)
    done = self._run()
    self.assertEqual(done.returncode, 0)
    self.assertLen(self._calls('-m venv'), 1)

  def test_environment_that_a_user_made_is_kept(self):
    (self.checkout / '.venv' / 'bin').mkdir(parents=True)
    shutil.copy(self.bin / 'python3.13', self.checkout / '.venv/bin/python')
    self._run()
    self.assertEmpty(self._calls('-m venv'))
    self.assertLen(self._calls('-m pip install'), 1)

  def test_moved_checkout_is_set_up_anew(self):
    self._run()
    self.checkout = self.checkout.rename(self.folder / 'moved')
    self._run()
    self.assertLen(self._calls('-m venv'), 1)
    (install,) = self._calls('-m pip install')
    self.assertEndsWith(install, f'--editable {self.checkout}')

  def test_pip_failure_shows_its_message_and_is_tried_again(self):
    failed = self._run(PIP_FAILS='1')
    self.assertEqual(failed.returncode, 1)
    self.assertIn('ERROR: No matching distribution found', failed.stderr)
    self.assertIn('run.sh: pip could not install', failed.stderr)
    self.assertIn('room on the disk, and a connection to PyPI', failed.stderr)
    self.assertEmpty(self._calls('experiments.'))
    self._run()
    self.assertEmpty(self._calls('-m venv'))
    self.assertLen(self._calls('-m pip install'), 1)

  def test_without_python_says_which_to_install(self):
    (self.bin / 'python3.13').unlink()
    done = self._run()
    self.assertEqual(done.returncode, 1)
    self.assertIn('no Python 3.11, 3.12 or 3.13 found', done.stderr)
    self.assertLen(done.stderr.splitlines(), 1)

  def test_without_venv_names_the_package(self):
    done = self._run(NO_ENSUREPIP='1')
    self.assertEqual(done.returncode, 1)
    self.assertIn('sudo apt install python3.13-venv', done.stderr)
    self.assertLen(done.stderr.splitlines(), 1)

  def test_python_that_does_not_start_is_passed_over(self):
    """Such as pyenv's shim of a version that is not activated."""
    (self.bin / 'python3.13').write_text('#!/bin/sh\nexit 127\n')
    self._install_python('python3.11')
    self.assertEqual(self._run().returncode, 0)

  @parameterized.parameters('help', '-h', '--help')
  def test_help_needs_no_set_up(self, argument):
    self._run(argument)
    self.assertEmpty(self._calls('-m pip install'))
    self.assertLen(self._calls('-m experiments'), 1)

  def test_unknown_experiment_is_told_before_any_set_up(self):
    self._run('others')
    self.assertEmpty(self._calls('-m pip install'))
    self.assertEqual(self._calls('-m experiments'), ['-m experiments others'])

  def test_unknown_benchmark_names_the_others(self):
    done = self._run('benchmark', 'headlines')
    self.assertEqual(done.returncode, 2)
    self.assertEqual(
      done.stderr,
      "run.sh: no benchmark is called 'headlines'; there are: all headline\n",
    )


if __name__ == '__main__':
  absltest.main()
