"""Tests for `experiments/trainability.py`, as its users run it."""

import os

from absl.testing import absltest
from absl.testing import parameterized
from jaxdl import sweep
import numpy as np
import pandas as pd

from tests.experiments import study

_NO_DATA = '--data=no_such.npz'


class _Trainability(study.Study):
  experiment = 'trainability'
  small = (
    '--depth=1,3 --weight_std=1:2:3 --width=8 --num_steps=4 --batch_size=8 '
    '--chunk_steps=2 --data=small.npz'
  ).split()

  def setUp(self):
    super().setUp()
    study.write_images(self.folder / 'small.npz', (8, 8))


class MistakesTest(_Trainability):
  @parameterized.named_parameters(
    ('range', '--weight_std=1:2', "'1:2'", 'first:last:count'),
    ('word', '--depth=ten', "--depth has 'ten'"),
    ('twice', '--depth=10:11:5', 'has 5 numbers, 2 of them different'),
    ('none', '--weight_std=1:2:0', 'has 0 numbers'),
    ('empty', '--bias_std=', '--bias_std is empty'),
    ('negative', '--weight_std=-1', 'weight_std is -1'),
    ('activation', '--activation=relux', "'relux'", "mean 'relu'"),
    ('depth', '--depth=0', 'depth is 0'),
  )
  def test_flag_is_refused_before_anything_is_read(self, flag, *parts):
    done = self.run_study(_NO_DATA, flag)
    self.assert_mistake(done, *parts)
    self.assertEqual(done.stdout, '')
    self.assertEqual(os.listdir(self.folder), ['small.npz'])


class StudyTest(_Trainability):
  def test_map_words_files_and_record(self):
    printed = ' '.join(self.succeed('--bias_std=0.2,0.4', lowered=True).split())
    self.assertIn('12 networks in 2 programs', printed)
    for bias in ('0.2', '0.4'):
      self.assertIn(f'over depth and weight_std, bias_std {bias};', printed)
      self.assertIn(f'At bias_std {bias} theory is critical', printed)
    frame = pd.read_csv(self.out / 'trainability.csv')
    self.assertLen(frame, 12)
    self.assertEqual(sorted(set(frame['weight_std'])), [1.0, 1.5, 2.0])
    record = sweep.open_record(self.out).load()
    self.assertEqual(record['loss'].shape, (12, 4))
    self.assertTrue(np.isfinite(record['loss']).all())
    self.assertEqual(record.sizes['layer'], 0)
    written = {'trainability.png', 'trainability.svg', 'trainability.html'}
    self.assertContainsSubset(written, os.listdir(self.out))


if __name__ == '__main__':
  absltest.main()
