"""Tests for `experiments/small_kernels.py`, as its users run it."""

import os

from absl.testing import absltest
from absl.testing import parameterized
from jaxdl import sweep
import numpy as np
import pandas as pd

from tests.experiments import study

_NO_DATA = '--data=no_such.npz'


class _SmallKernels(study.Study):
  experiment = 'small_kernels'
  small = (
    '--num_seeds=2 --width=3 --num_steps=4 --batch_size=8 --chunk_steps=2 '
    '--timing_rounds=2 --learning_rate=0.01 --data=small.npz'
  ).split()

  def setUp(self):
    super().setUp()
    study.write_images(self.folder / 'small.npz', (8, 8))


class MistakesTest(_SmallKernels):
  @parameterized.named_parameters(
    ('even', '--kernels=7,4', 'odd sizes', 'got 4'),
    ('word', '--kernels=3x3', "'3x3' are no sizes", '3+3+3'),
    ('twice', '--kernels=7,7', "'7' twice"),
    ('blocks', '--blocks=0', 'blocks', 'at least 1'),
    ('stem', '--stem_strides=0', 'stem_strides must be at least 1'),
    ('activation', '--activation=relux', "'relux'", "mean 'relu'"),
    ('target', '--target_loss=-1', 'target_loss is -1; it must be positive'),
  )
  def test_flag_is_refused_before_anything_is_read(self, flag, *parts):
    done = self.run_study(_NO_DATA, flag)
    self.assert_mistake(done, *parts)
    self.assertEqual(done.stdout, '')
    self.assertEqual(os.listdir(self.folder), ['small.npz'])


class StudyTest(_SmallKernels):
  def test_table_verdict_files_and_record(self):
    printed = self.succeed('--blocks=1', '--kernels=7,3+3+3', lowered=True)
    words = ' '.join(printed.split())
    self.assertIn('4 networks in 2 programs', words)
    # A stem of 2 pixels and stride 2, then 6 more at that stride.
    self.assertIn('Every kind sees 14 pixels in theory', words)
    table = pd.read_csv(self.out / 'small_kernels.csv').set_index('kernels')
    for kind, sizes in (('7', [7]), ('3+3+3', [3, 3, 3])):
      row = table.loc[kind]
      weights = 2 * 2 * 3 + sum(3 * 3 * size**2 for size in sizes)
      biases = 3 + 3 * len(sizes)
      readout = 3 * 3 + 3
      self.assertEqual(row['parameters'], weights + biases + readout)
      self.assertEqual(row['macs'], 4 * 4 * weights + 3 * 3)
      self.assertGreater(row['step_seconds_min'], 0)
      self.assertLessEqual(row['step_seconds_min'], row['step_seconds_max'])
      self.assertBetween(row['effective_size'], 2, 14)
    self.assertGreater(
      table.loc['7', 'effective_size'], table.loc['3+3+3', 'effective_size']
    )
    for suffix in ('png', 'svg'):
      path = self.out / f'small_kernels.{suffix}'
      self.assertGreater(path.stat().st_size, 1000)
    record = sweep.open_record(self.out)
    self.assertEqual(record.sizes['layer'], 3)  # Stem, block and readout.
    for name in ('loss', 'gradient_norm', 'cotangent_rms'):
      self.assertTrue(np.all(np.isfinite(record[name].values)), name)
    first = record['activation_rms'].isel(step=0, layer=0)
    np.testing.assert_allclose(
      first.sel(kernels='7').values,
      first.sel(kernels='3+3+3').values,
      rtol=1e-5,
    )

  def test_other_activations_norms_and_optimizers(self):
    printed = self.succeed(
      '--kernels=3',
      '--activation=leaky_relu:0.2',
      '--norm=batch',
      '--optimizer=momentum:0.5',
      '--num_seeds=1',
      '--learning_rate=0.1,0.01',
    )
    self.assertIn('2 networks in 1 program', printed)


if __name__ == '__main__':
  absltest.main()
