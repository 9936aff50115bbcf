"""Tests for `experiments/command_line.py` and `experiments/__main__.py`.

Flags are global to a process, so each case is a process of its own, in a copy
of `experiments` that holds one more experiment.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from absl.testing import absltest
from absl.testing import parameterized

_ROOT = pathlib.Path(__file__).resolve().parents[2]

_EXPERIMENT = '''
"""What does a run of one experiment look like?

A second paragraph.
"""

from absl import flags
from absl import logging

from experiments import command_line

_STEPS = flags.DEFINE_integer('steps', 300, 'Steps of SGD.', lower_bound=1)
_NORM = flags.DEFINE_list('norm', ['none', 'batch'], 'Normalisations.')
_RESUME = flags.DEFINE_bool('resume', True, 'Goes on with a run.')
_LOUD = flags.DEFINE_bool('loud', False, 'Says more.')
_OUT = flags.DEFINE_string('out', None, 'Folder of the results.')


def main(argv):
  print('main got', argv[1:], _STEPS.value)
  logging.info('a remark')
  if _OUT.value:
    open(_OUT.value)
  match _STEPS.value:
    case 1:
      raise ValueError('width is 0;\\n  it must be at least 1')
    case 2:
      int('two')
    case 3:
      raise KeyError('three')
    case 4:
      raise KeyboardInterrupt('stopped; the record is in results/')
    case 5:
      raise KeyboardInterrupt
    case 6:
      command_line.configure_jax()
      import jax
      config = jax.config.values
      print(jax.device_count())
      print(config['jax_compilation_cache_dir'])
      print(config['jax_default_matmul_precision'])
    case 7:
      import random
      random.sample([1], 2)


if __name__ == '__main__':
  command_line.run(main, sections={'Training': [_STEPS, _NORM]})
'''.lstrip()


class CommandLineTest(parameterized.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.folder = pathlib.Path(
      cls.enterClassContext(tempfile.TemporaryDirectory())
    )
    shutil.copytree(_ROOT / 'experiments', cls.folder / 'experiments')
    (cls.folder / 'experiments' / 'one_run.py').write_text(_EXPERIMENT)

  def _run(self, *arguments, module='experiments.one_run', **environment):
    return subprocess.run(
      [sys.executable, '-m', module, *arguments],
      cwd=self.folder,
      env={**os.environ, 'PYTHONPATH': str(self.folder), **environment},
      capture_output=True,
      text=True,
    )

  def test_success_is_status_0_with_nothing_on_stderr(self):
    done = self._run('--steps=9')
    self.assertEqual((done.returncode, done.stderr), (0, ''))
    self.assertEqual(done.stdout, 'main got [] 9\n')

  def test_verbosity_shows_remarks(self):
    self.assertIn('a remark', self._run('--steps=9', '--verbosity=0').stderr)

  @parameterized.named_parameters(
    ('unknown_flag', ['--stepz=1'], "Unknown command line flag 'stepz'"),
    ('not_a_number', ['--steps=many'], 'flag --steps=many'),
    ('out_of_bounds', ['--steps=0'], 'flag --steps=0'),
    ('line_break', ['--steps=1\n2'], 'flag --steps=1 2'),
    ('forgotten_dashes', ['steps=9'], "unexpected argument 'steps=9'"),
    ('our_own_raise', ['--steps=1'], 'width is 0; it must be at least 1'),
    ('no_such_file', ['--out=no/such'], 'No such file or directory: no/such'),
  )
  def test_mistake_is_one_line_and_status_2(self, arguments, message):
    done = self._run(*arguments)
    self.assertEqual(done.returncode, 2)
    self.assertStartsWith(done.stderr, f'one_run: {message}')
    self.assertLen(done.stderr.splitlines(), 1)

  @parameterized.named_parameters(
    ('from_a_builtin', '2', 'ValueError: invalid literal'),
    ('another_kind', '3', "KeyError: 'three'"),
    ('from_a_library', '7', 'ValueError: Sample larger'),
  )
  def test_bug_shows_its_traceback(self, steps, message):
    done = self._run(f'--steps={steps}')
    self.assertEqual(done.returncode, 1)
    self.assertIn('Traceback', done.stderr)
    self.assertIn(message, done.stderr)

  @parameterized.named_parameters(
    ('with_a_message', '4', 'one_run: stopped; the record is in results/\n'),
    ('bare', '5', 'one_run: interrupted\n'),
  )
  def test_interrupt_is_status_130(self, steps, message):
    done = self._run(f'--steps={steps}')
    self.assertEqual((done.returncode, done.stderr), (130, message))

  def test_reader_that_has_seen_enough_is_no_error(self):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, 'w') as closed:
      done = subprocess.run(
        [sys.executable, '-m', 'experiments.one_run', '--steps=9'],
        cwd=self.folder,
        env={**os.environ, 'PYTHONPATH': str(self.folder)},
        stdout=closed,
        stderr=subprocess.PIPE,
        text=True,
      )
    self.assertEqual((done.returncode, done.stderr), (141, ''))

  @parameterized.parameters('--help', '-h')
  def test_help_shows_docstring_and_own_flags(self, flag):
    done = self._run(flag)
    self.assertEqual((done.returncode, done.stderr), (0, ''))
    page = done.stdout
    self.assertStartsWith(page, 'What does a run of one experiment look like?')
    self.assertIn('\nTraining:\n  --steps=300\n      Steps of SGD.\n', page)
    self.assertIn('  --norm=none,batch\n', page)
    self.assertIn(
      '  --resume\n      Goes on with a run. On by default: --noresume.\n', page
    )
    self.assertIn('  --loud\n      Says more.\n', page)
    self.assertIn('  --out=...\n', page)
    self.assertIn('\nMachine:\n  --matmul_precision=float32\n', page)
    self.assertNotIn('--verbosity', page)
    self.assertLessEqual(max(map(len, page.splitlines())), 80)

  def test_helpfull_shows_the_libraries_flags_too(self):
    self.assertIn('--verbosity', self._run('--helpfull').stdout)

  def test_help_does_not_wait_for_jax(self):
    imports = self._run('--help', PYTHONPROFILEIMPORTTIME='1').stderr
    self.assertRegex(imports, r'\| +absl\n')
    self.assertNotRegex(imports, r'\| +(jax|numpy)\n')

  def test_configures_jax(self):
    cache = self.folder / 'cache'
    done = self._run(
      '--steps=6', '--matmul_precision=bfloat16', XDG_CACHE_HOME=str(cache)
    )
    devices, directory, precision = done.stdout.splitlines()[1:]
    self.assertBetween(int(devices), 1, os.cpu_count())
    self.assertEqual(directory, str(cache / 'jaxdl' / 'compilation'))
    self.assertEqual(precision, 'bfloat16')

  def test_user_settings_of_jax_take_precedence(self):
    done = self._run(
      '--steps=6',
      XLA_FLAGS='--xla_force_host_platform_device_count=3',
      JAX_COMPILATION_CACHE_DIR='/elsewhere',
    )
    self.assertEqual(
      done.stdout.splitlines()[1:], ['3', '/elsewhere', 'float32']
    )

  @parameterized.named_parameters(
    # A user whom the system does not know has none, unless HOME says so.
    ('that_is_none', {'HOME': '~'}, '~/.cache'),
    ('that_takes_no_files', {'XDG_CACHE_HOME': '/dev/null'}, '/dev/null'),
  )
  def test_cache_is_done_without(self, environment, place):
    done = self._run('--steps=6', **{'XDG_CACHE_HOME': '', **environment})
    self.assertEqual(done.stdout.splitlines()[2], 'None')
    self.assertLen(done.stderr.splitlines(), 1)
    self.assertStartsWith(done.stderr, f'cannot write to the cache {place}, ')

  def test_runs_by_name(self):
    done = self._run('one_run', '--steps=9', module='experiments')
    self.assertEqual(done.stdout, 'main got [] 9\n')
    helped = self._run('one_run', '--help', module='experiments')
    self.assertIn('  --steps=300\n', helped.stdout)

  @parameterized.parameters([[]], [['help']], [['--help']])
  def test_lists_experiments_with_their_questions(self, arguments):
    done = self._run(*arguments, module='experiments')
    self.assertEqual(done.returncode, 0)
    self.assertIn(
      '  one_run\n      What does a run of one experiment look like?\n',
      done.stdout,
    )
    self.assertNotIn('command_line', done.stdout)

  def test_unknown_experiment_is_status_2_and_names_the_others(self):
    done = self._run('two_runs', module='experiments')
    self.assertEqual(done.returncode, 2)
    self.assertStartsWith(
      done.stderr, "No experiment is called 'two_runs'; there are: "
    )
    self.assertIn('one_run', done.stderr)
    self.assertLen(done.stderr.splitlines(), 1)


if __name__ == '__main__':
  absltest.main()
