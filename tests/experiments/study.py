"""A small study, run in a folder of its own, for tests of the main job."""

import atexit
import functools
import os
import pathlib
import shutil
import tempfile

from absl.testing import parameterized
from jaxdl import sweep
import numpy as np

from tests.experiments import warm_process

ROOT = pathlib.Path(__file__).resolve().parents[2]
SMALL = (
  '--activation=relu --norm=none --shortcut=none --clip=none --num_seeds=1 '
  '--depth=2 --width=8 --num_steps=4 --batch_size=8 --chunk_steps=2'
).split()


def values(out):
  """Returns the measured arrays of a record."""
  record = sweep.open_record(out).load()
  return {name: array.values for name, array in record.data_vars.items()}


@functools.cache
def environment():
  """Returns an environment with caches that the tests of a process share."""
  shared = tempfile.mkdtemp()
  atexit.register(shutil.rmtree, shared)
  return {
    **os.environ,
    'JAX_COMPILATION_CACHE_DIR': f'{shared}/xla',
    'JAX_DISABLE_MOST_OPTIMIZATIONS': '1',  # Much is compiled, little computed.
    'JAX_NUM_CPU_DEVICES': '2',
    'PYTHONPATH': str(ROOT),
    'XDG_CACHE_HOME': f'{shared}/cache',
  }


def write_images(path, sides):
  """Writes a data set of small grey images, of 3 labels in turn."""
  rng = np.random.default_rng(0)
  np.savez(
    path,
    train_images=rng.integers(0, 256, (40, *sides), np.uint8),
    train_labels=np.arange(40) % 3,
    test_images=rng.integers(0, 256, (9, *sides), np.uint8),
    test_labels=np.arange(9) % 3,
  )


@functools.cache
def _runs():
  """Returns what runs all studies of a process."""
  runs = warm_process.Runs(environment())
  atexit.register(runs.close)
  return runs


def run(experiment, arguments, folder, **options):
  """Runs an experiment; see `warm_process.Runs.run`."""
  return _runs().run(experiment, arguments, folder, **options)


class Study(parameterized.TestCase):
  """Runs studies.

  Attributes:
    experiment: which.
    small: flags that make it small.
  """

  experiment = 'gradient_flow'
  small = SMALL

  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.create_tempdir().full_path)
    self.out = self.folder / 'out'

  def run_study(self, *arguments, **options):
    flags = [*self.small, *arguments]
    return run(self.experiment, flags, self.folder, **options)

  def succeed(self, *arguments, out='out', **options):
    """Runs a study that ends well; returns what it printed."""
    done = self.run_study(*arguments, f'--out={out}', **options)
    self.assertEqual((done.returncode, done.stderr), (0, ''))
    return done.stdout

  def assert_mistake(self, done, *parts):
    """Asserts that a run ended in one line that holds `parts`."""
    self.assertEqual(done.returncode, 2, done.stderr)
    self.assertLen(done.stderr.splitlines(), 1, done.stderr)
    self.assertStartsWith(done.stderr, f'{self.experiment}: ')
    for part in parts:
      self.assertIn(part, done.stderr)
