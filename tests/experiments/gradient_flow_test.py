"""Tests for `experiments/gradient_flow.py`, as its users and abusers run it."""

import json
import os
import pathlib
import pty
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from absl.testing import absltest
from absl.testing import parameterized
import chex
from jaxdl import sweep
import numpy as np

from tests.experiments import warm_process

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_SMALL = (
  '--activation=relu --norm=none --shortcut=none --clip=none --num_seeds=1 '
  '--depth=2 --width=8 --num_steps=4 --batch_size=8 --chunk_steps=2'
).split()
# Long enough to be interrupted: two programs of four cells, 30 chunks.
_LONG = [
  *_SMALL,
  '--activation=relu,tanh',
  '--clip=none,norm:1.0',
  '--num_seeds=2',
  '--num_steps=60',
]
_PATIENCE = 60  # Seconds.
_NO_DATA = '--data=no_such.npz'
_REPORT = (
  'report.html',
  'summary.csv',
  *(
    f'{name}{suffix}'
    for name in (
      'gradient_profile',
      'activation_profile',
      'training_curves',
      'overview',
    )
    for suffix in ('.png', '.svg')
  ),
)


def _values(out):
  """Returns the measured arrays of a record."""
  record = sweep.open_record(out).load()
  return {name: array.values for name, array in record.data_vars.items()}


def _steps_done(out):
  if not (out / 'record.zarr').exists():
    return 0
  return int(sweep.open_record(out).steps_done.sum())


def _wait_for(condition):
  begin = time.monotonic()
  while not condition():
    if time.monotonic() - begin > _PATIENCE:
      raise TimeoutError('what the test waits for does not happen')
    time.sleep(0.005)


def _wait_for_steps(out, steps):
  _wait_for(lambda: _steps_done(out) > steps)


class _Study(parameterized.TestCase):
  """A folder to run in, with warm caches."""

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.shared = pathlib.Path(
      cls.enterClassContext(tempfile.TemporaryDirectory())
    )
    cls.environment = {
      **os.environ,
      'JAX_COMPILATION_CACHE_DIR': str(cls.shared / 'xla'),
      'XDG_CACHE_HOME': str(cls.shared / 'cache'),
      'JAX_NUM_CPU_DEVICES': '2',
      'PYTHONPATH': str(_ROOT),
    }
    cls.runs = warm_process.Runs(cls.environment)
    cls.addClassCleanup(cls.runs.close)

  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.create_tempdir().full_path)
    self.out = self.folder / 'out'

  def run_study(self, *arguments, **options):
    return self.runs.run([*_SMALL, *arguments], self.folder, **options)

  def succeed(self, *arguments, out='out', **options):
    """Runs a study that ends well; returns what it printed."""
    done = self.run_study(*arguments, f'--out={out}', **options)
    self.assertEqual((done.returncode, done.stderr), (0, ''))
    return done.stdout

  def assert_mistake(self, done, *parts):
    """Asserts that a run ended in one line that holds `parts`."""
    self.assertEqual(done.returncode, 2, done.stderr)
    self.assertLen(done.stderr.splitlines(), 1, done.stderr)
    self.assertStartsWith(done.stderr, 'gradient_flow: ')
    for part in parts:
      self.assertIn(part, done.stderr)


class MistakesTest(_Study):
  # The data do not exist: so each is found before data are read.
  @parameterized.named_parameters(
    ('activation', '--activation=relux', "'relux'", "mean 'relu'"),
    ('second_activation', '--activation=relu,foo', "'foo'", 'softsign'),
    ('activation_number', '--activation=leaky_relu:x', 'leaky_relu:SLOPE'),
    ('needless_number', '--activation=relu:1', 'takes no number'),
    ('norm', '--norm=bath', "'bath'", 'none, batch, batch_plain, layer'),
    ('shortcut', '--shortcut=skip', "'skip'", 'none, identity, highway'),
    ('model', '--model=vit', "'vit'", 'mlp, cnn'),
    ('optimizer', '--optimizer=sgdd', "'sgdd'", 'adagrad', "mean 'sgd'"),
    ('init', '--init=xavier', "'xavier'", 'glorot, he, lecun, orthogonal'),
    ('preprocessing', '--preprocessing=foo', 'foo', 'feature_standard'),
    ('arrangement', '--arrangement=foo', 'foo', 'auto|map|vmap|loop'),
    ('clip', '--clip=bogus:1', "'bogus'", 'none, norm, value, adaptive'),
    ('clip_bare', '--clip=norm', "'norm' lacks a number", 'norm:1.0'),
    ('clip_word', '--clip=norm:x', "'x' is not a finite number"),
    ('clip_negative', '--clip=norm:-1', 'threshold must be positive'),
    ('clip_nan', '--clip=value:nan', "'nan' is not a finite number"),
    ('depth_negative', '--depth=-3', 'depth is -3', 'from 1'),
    ('depth_zero', '--depth=2,0', 'depth is 0', 'from 1'),
    ('depth_fraction', '--depth=2.5', '--depth=2.5: give integers'),
    ('width_huge', '--width=99999999999', 'from 1 to 1000000'),
    ('rate_nan', '--learning_rate=nan', 'learning_rate', 'nan'),
    ('rate_negative', '--learning_rate=-1', 'learning_rate is -1.0'),
    ('rate_word', '--learning_rate=x', '--learning_rate=x: give numbers'),
    ('decay_infinite', '--weight_decay=inf', 'weight_decay is inf'),
    ('empty', '--activation=', '--activation is empty'),
    ('empty_numbers', '--depth=', '--depth is empty'),
    ('comma', '--norm=none,', '--norm=none, has a comma too many'),
    ('twice', '--activation=relu,relu', "'relu' twice"),
    ('twice_as_number', '--learning_rate=0.1,0.10', '0.1 twice'),
    ('no_seeds', '--num_seeds=0', '--num_seeds=0', 'positive'),
    ('no_steps', '--num_steps=0', '--num_steps=0', 'positive'),
    ('no_batch', '--batch_size=0', 'batch_size is 0', 'from 1'),
    ('two_scales', '--weight_std=1 --init=he', '--weight_std or --init'),
    ('resume_nothing', '--resume', '--resume needs --out'),
    ('resume_overwrite', '--resume --overwrite --out=o', 'exclude each other'),
    ('unwritable', '--out=/dev/null/o', '/dev/null', 'another --out'),
    ('unknown_flag', '--activations=relu', "'activations'", '--help'),
    ('no_data', '--depth=3', "'no_such.npz'", 'fashion_mnist_small', 'digits'),
  )
  def test_flag_is_refused_before_anything_is_read(self, flags, *parts):
    done = self.run_study(_NO_DATA, *flags.split())
    self.assert_mistake(done, *parts)
    self.assertEqual(done.stdout, '')
    self.assertEmpty(os.listdir(self.folder))

  @parameterized.parameters('8,20000', '20000')
  def test_batch_that_is_larger_than_the_data(self, sizes):
    done = self.run_study(f'--batch_size={sizes}', '--out=out')
    self.assert_mistake(done, '20000', 'from 1 to 10000')
    self.assertEmpty(os.listdir(self.folder))

  def test_foreign_folder_and_file_are_left_alone(self):
    self.out.mkdir()
    (self.out / 'thesis.tex').write_text('years of work')
    for flags in ([], ['--overwrite'], ['--resume']):
      done = self.run_study(_NO_DATA, '--out=out', *flags)
      self.assert_mistake(done, 'files that are no sweep', 'another --out')
    done = self.run_study(_NO_DATA, '--out=out/thesis.tex', '--overwrite')
    self.assert_mistake(done, 'thesis.tex is not a directory')
    self.assertEqual(os.listdir(self.out), ['thesis.tex'])
    self.assertEqual((self.out / 'thesis.tex').read_text(), 'years of work')

  def test_damaged_data(self):
    rng = np.random.default_rng(0)
    path = self.folder / 'mine.npz'
    np.savez(path, **_arrays(rng))
    path.write_bytes(path.read_bytes()[:-100])
    done = self.run_study('--data=mine.npz', '--out=out')
    self.assert_mistake(done, 'mine.npz: not a .npz file', 'or damaged')
    self.assertFalse(self.out.exists())


def _arrays(rng):
  """Returns the arrays of a small data set."""
  return {
    f'{split}_{part}': rng.integers(0, high, (40, *shape), np.uint8)
    for split in ('train', 'test')
    for part, shape, high in (('images', (6, 5), 256), ('labels', (), 3))
  }


class StudyTest(_Study):
  def test_report_record_and_lines(self):
    printed = self.succeed('--activation=relu,tanh', '--learning_rate=0.01,0.1')
    self.assertNotIn('\x1b', printed)
    self.assertNotIn('\r', printed)
    lines = printed.splitlines()
    self.assertEqual(
      lines[0],
      '4 networks in 2 programs on 2 cpu devices; 4 steps on '
      'fashion_mnist_small (10,000 images)',
    )
    self.assertStartsWith(lines[1], 'programs ')
    last = [line for line in lines if line.startswith('programs ')][-1]
    self.assertIn('programs 2/2 · steps 16/16', last)
    self.assertStartsWith(lines[-1], 'Report: out/report.html')
    for name in _REPORT:
      self.assertGreater((self.out / name).stat().st_size, 200, name)
    table = (self.out / 'summary.csv').read_text().splitlines()
    self.assertLen(table, 1 + 4)

    record = sweep.open_record(self.out)
    self.assertEqual(
      json.loads(record.attrs['axes']), ['activation', 'learning_rate']
    )
    chosen = record.sel(activation='tanh', learning_rate=0.1)
    self.assertTrue(np.all(np.isfinite(chosen.loss.values)))
    self.assertEqual(record.steps_done.values.tolist(), 4 * [4])

    done = self.run_study(_NO_DATA, '--out=out')
    self.assert_mistake(done, '--resume', '--overwrite', 'another --out')
    done = self.run_study('--num_steps=6', '--out=out', '--resume')
    self.assert_mistake(done, 'num_steps was 4, is 6')

  def test_finished_study_is_only_reported_again(self):
    self.succeed()
    before = _values(self.out)
    (self.out / 'report.html').unlink()
    printed = self.succeed('--resume')
    self.assertNotIn('programs ', printed.split('\n', 1)[1])
    self.assertTrue((self.out / 'report.html').exists())
    chex.assert_trees_all_equal(_values(self.out), before)

    chunk = max((self.out / 'record.zarr' / 'loss').glob('[0-9]*'))
    content = chunk.read_bytes()
    chunk.write_bytes(content[: len(content) // 2])
    done = self.run_study('--out=out', '--resume')
    self.assert_mistake(done, str(chunk.name), 'is damaged', 'run the sweep')

    shutil.rmtree(self.out / 'record.zarr')  # Then it begins anew.
    self.succeed('--resume')
    chex.assert_trees_all_equal(_values(self.out), before)

  def test_depths_and_batch_sizes_of_different_programs(self):
    self.succeed('--depth=1,3', '--batch_size=8,16', '--weight_std=0.5,1.5')
    record = sweep.open_record(self.out).load()
    shallow = record.sel(depth=1).gradient_norm.values
    self.assertTrue(np.all(np.isfinite(shallow[..., :2])))
    self.assertTrue(np.all(np.isnan(shallow[..., 2:])))
    deep = record.sel(depth=3).gradient_norm.values
    self.assertEqual(deep.shape, (4, 4, 4))
    self.assertTrue(np.all(np.isfinite(deep)))
    first = record.activation_rms.isel(step=0, layer=0)
    ratio = first.sel(weight_std=1.5).values / first.sel(weight_std=0.5).values
    np.testing.assert_allclose(ratio, 3, rtol=1e-4)

  def test_convolutions(self):
    self.succeed('--model=cnn', '--width=4', '--depth=3')
    self.assertTrue(np.all(np.isfinite(_values(self.out)['gradient_norm'])))

  def test_arrangements_give_the_same_record(self):
    for arrangement in ('map', 'vmap', 'loop'):
      self.succeed(
        f'--arrangement={arrangement}',
        '--clip=none,norm:1.0',
        '--num_seeds=2',
        out=arrangement,
      )
    expected = _values(self.folder / 'map')
    for arrangement in ('vmap', 'loop'):
      chex.assert_trees_all_close(
        _values(self.folder / arrangement), expected, rtol=1e-3, atol=1e-5
      )

  def test_data_of_ones_own_from_both_formats(self):
    arrays = _arrays(np.random.default_rng(0))
    np.savez_compressed(self.folder / 'mine.npz', **arrays)
    (self.folder / 'idx').mkdir()
    for prefix, split in (('train', 'train'), ('t10k', 'test')):
      for kind, part in (('idx3', 'images'), ('idx1', 'labels')):
        array = arrays[f'{split}_{part}']
        header = bytes([0, 0, 8, array.ndim])
        sizes = b''.join(size.to_bytes(4, 'big') for size in array.shape)
        path = self.folder / 'idx' / f'{prefix}-{part}-{kind}-ubyte'
        path.write_bytes(header + sizes + array.tobytes())
    printed = self.succeed('--data=mine.npz', out='a')
    self.assertIn('4 steps on mine.npz (40 images)', printed)
    self.succeed('--data=idx', out='b')
    chex.assert_trees_all_equal(
      _values(self.folder / 'a'), _values(self.folder / 'b')
    )

  @parameterized.parameters('map', 'vmap')
  def test_diverging_cell_disturbs_no_other(self, arrangement):
    for out, other in (('sane', '0.02'), ('mad', '1e6')):
      self.succeed(
        f'--learning_rate={other},0.01',
        '--num_steps=8',
        f'--arrangement={arrangement}',
        out=out,
        JAX_NUM_CPU_DEVICES='1',
      )
    sane, mad = _values(self.folder / 'sane'), _values(self.folder / 'mad')
    self.assertTrue(np.isnan(mad['loss'][0, -1]))
    self.assertEqual(mad['steps_done'][0], 8)
    chex.assert_trees_all_equal(
      {name: values[1] for name, values in mad.items()},
      {name: values[1] for name, values in sane.items()},
    )


class InterruptionTest(_Study):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    done = cls.runs.run([*_LONG, '--out=undisturbed'], cls.shared)
    assert done.returncode == 0, done.stderr
    cls.undisturbed = _values(cls.shared / 'undisturbed')

  def run_study(self, *arguments, **options):
    return super().run_study(*_LONG, *arguments, **options)

  def assert_record_is_whole(self):
    chex.assert_trees_all_equal(_values(self.out), self.undisturbed)

  def test_killed_at_random_goes_on_to_the_same_record(self):
    rng = random.Random(0)
    for _ in range(2):
      before = _steps_done(self.out)

      def kill(process, before=before):
        _wait_for_steps(self.out, before)
        time.sleep(rng.uniform(0, 0.2))
        os.kill(process, signal.SIGKILL)

      done = self.run_study('--out=out', '--resume', meanwhile=kill)
      self.assertEqual(done.returncode, 128 + signal.SIGKILL)
    self.assertBetween(_steps_done(self.out), 1, 8 * 60 - 1)
    self.succeed('--resume')
    self.assert_record_is_whole()

  def test_full_disk_is_said_and_the_study_goes_on_later(self):
    done = self.run_study('--out=out', file_size=50_000)
    self.assert_mistake(done, 'cannot write to out', 'go on with --resume')
    self.assertGreater(_steps_done(self.out), 0)
    self.assertTrue(np.any(np.isfinite(_values(self.out)['loss'])))
    self.succeed('--resume')
    self.assert_record_is_whole()

  def test_interrupt_while_it_compiles(self):
    # An empty cache: compilation takes a while.
    interrupt = lambda process: (
      _wait_for((self.folder / 'xla').exists),
      os.kill(process, signal.SIGINT),
    )
    done = self.run_study(
      '--out=out',
      meanwhile=interrupt,
      JAX_COMPILATION_CACHE_DIR=str(self.folder / 'xla'),
    )
    self.assertEqual(done.returncode, 130, done.stderr)
    self._assert_resume_command_works(done.stderr.splitlines()[-1])

  def test_second_interrupt_ends_at_once(self):
    def interrupt(process):
      _wait_for_steps(self.out, 0)
      for _ in range(2):
        os.kill(process, signal.SIGINT)
        time.sleep(0.05)

    done = self.run_study('--out=out', meanwhile=interrupt)
    self.assertEqual(done.returncode, 130)
    self.assertNotIn('Traceback', done.stderr)
    self.assertIn('Go on with: ', done.stderr)
    self.succeed('--resume')
    self.assert_record_is_whole()

  def test_interrupt_on_a_terminal(self):
    process, master = self._start_on_a_terminal()
    _wait_for_steps(self.out, 0)
    process.send_signal(signal.SIGINT)
    printed = _read(master)
    self.assertEqual(process.wait(), 130, printed)
    self.assertIn('training', printed)
    self.assertIn('━', printed)
    self.assertIn('healthy', printed)
    self.assertGreater(printed.rindex('\x1b[?25h'), printed.rindex('\x1b[?25l'))
    self.assertNotIn('Traceback', printed)
    self.assertGreater(_steps_done(self.out), 0)
    self.assertLess(_steps_done(self.out), 8 * 60)
    last = printed[printed.index('gradient_flow: ') :]
    self._assert_resume_command_works(last.rstrip())

  def _start_on_a_terminal(self):
    master, slave = pty.openpty()
    process = subprocess.Popen(
      [sys.executable, '-m', 'experiments', 'gradient_flow', *_SMALL, *_LONG]
      + ['--out', 'out', '--overwrite'],
      cwd=self.folder,
      env={**self.environment, 'TERM': 'xterm', 'COLUMNS': '100'},
      stdin=slave,
      stdout=slave,
      stderr=slave,
    )
    os.close(slave)
    return process, master

  def _assert_resume_command_works(self, line):
    before, _, command = line.partition('Go on with: ')
    self.assertEqual(before, 'gradient_flow: stopped; nothing is lost. ')
    done = subprocess.run(
      command,
      shell=True,
      cwd=self.folder,
      env=self.environment,
      capture_output=True,
      text=True,
    )
    self.assertEqual((done.returncode, done.stderr), (0, ''))
    self.assert_record_is_whole()


def _read(master):
  """Reads all that is written to a terminal."""
  parts = []
  while True:
    try:
      parts.append(os.read(master, 65536))
    except OSError:  # The other end is closed.
      os.close(master)
      return b''.join(parts).decode()


if __name__ == '__main__':
  absltest.main()
