"""Tests for `experiments/preprocessing.py`, as its users run it."""

import os

from absl.testing import absltest
from absl.testing import parameterized
from jaxdl import sweep
import numpy as np
import pandas as pd

from tests.experiments import study

_NO_DATA = '--data=no_such.npz'


class _Preprocessing(study.Study):
  experiment = 'preprocessing'
  small = (
    '--num_seeds=2 --depth=2 --width=4 --num_steps=4 --batch_size=8 '
    '--chunk_steps=2 --preprocessing=none,unit --learning_rate=0.001,0.1 '
    '--data=small.npz'
  ).split()

  def setUp(self):
    super().setUp()
    study.write_images(self.folder / 'small.npz', (6, 5))


class MistakesTest(_Preprocessing):
  @parameterized.named_parameters(
    ('name', '--preprocessing=unit,standard', "'standard'", 'feature_standard'),
    ('twice', '--preprocessing=unit,unit', "has 'unit' twice"),
    ('all_and', '--preprocessing=all,unit', "'all'", 'sample_standard'),
    ('empty', '--preprocessing=', '--preprocessing is empty'),
    ('target', '--target_loss=0', 'target_loss is 0; it must be positive'),
    ('target_nan', '--target_loss=nan', 'target_loss is nan'),
    ('activation', '--activation=relux', "'relux'", "mean 'relu'"),
    ('depth', '--depth=0', 'depth is 0'),
    ('resume', '--resume', '--resume needs --out'),
  )
  def test_flag_is_refused_before_anything_is_read(self, flag, *parts):
    done = self.run_study(_NO_DATA, flag)
    self.assert_mistake(done, *parts)
    self.assertEqual(done.stdout, '')
    self.assertEqual(os.listdir(self.folder), ['small.npz'])

  def test_foreign_files_are_left_alone(self):
    self.out.mkdir()
    (self.out / 'thesis.tex').write_text('years of work')
    for flags in ([], ['--overwrite'], ['--resume']):
      done = self.run_study('--out=out', *flags)
      self.assert_mistake(done, 'files that are no study', 'another --out')
    self.assertEqual(os.listdir(self.out), ['thesis.tex'])

  def test_part_that_is_a_link_is_not_followed(self):
    elsewhere = self.folder / 'elsewhere'
    elsewhere.mkdir()
    self.out.mkdir()
    (self.out / 'unit').symlink_to(elsewhere)
    done = self.run_study('--preprocessing=unit', '--out=out', '--overwrite')
    self.assert_mistake(done, 'out/unit is a link', 'another --out')
    self.assertEqual(os.listdir(elsewhere), [])


class StudyTest(_Preprocessing):
  def test_table_verdict_files_and_resumption(self):
    printed = self.succeed(lowered=True)
    self.assertIn('none: 4 networks in 1 program', printed)
    self.assertIn('unit: 4 networks in 1 program', printed)
    self.assertIn('equal up to a factor of 255', printed)
    table = pd.read_csv(self.out / 'preprocessing.csv')
    self.assertLen(table, 4)
    eigenvalue = table.groupby('preprocessing')['largest_eigenvalue'].first()
    np.testing.assert_allclose(
      eigenvalue['none'] / eigenvalue['unit'], 255**2, rtol=1e-4
    )
    for suffix in ('png', 'svg'):
      path = self.out / f'preprocessing.{suffix}'
      self.assertGreater(path.stat().st_size, 1000)
    records = [sweep.open_record(self.out / name) for name in ('none', 'unit')]
    for record in records:
      self.assertEqual(record.attrs['num_classes'], 3)
      self.assertTrue(np.all(np.isfinite(record['loss'].values)))
    # The same seeds start from the same weights and see the same images.
    norms = [record['parameter_norm'].values[:, 0] for record in records]
    np.testing.assert_array_equal(*norms)

    (self.out / 'preprocessing.png').unlink()
    again = self.succeed('--resume')
    self.assertEqual(again.partition('\n\n')[2], printed.partition('\n\n')[2])
    self.assertTrue((self.out / 'preprocessing.png').exists())
    done = self.run_study('--out=out')
    self.assert_mistake(done, 'holds a sweep already', '--resume')
    self._assert_study_only_grows(table)

  def _assert_study_only_grows(self, table):
    """A table never loses rows; further ones join it."""
    for flag in ('--resume', '--overwrite'):
      done = self.run_study('--preprocessing=unit', '--out=out', flag)
      self.assert_mistake(done, 'also holds none, which', '--preprocessing')
    names = 'none,unit,sample_mean'
    done = self.run_study(
      f'--preprocessing={names}', '--out=out', '--resume', '--num_steps=5'
    )
    self.assert_mistake(done, 'num_steps was 4, is 5')
    self.assertFalse((self.out / 'sample_mean').exists())
    self.succeed(f'--preprocessing={names}', '--resume')
    grown = pd.read_csv(self.out / 'preprocessing.csv')
    self.assertLen(grown, 6)
    old = grown[grown['preprocessing'] != 'sample_mean']
    pd.testing.assert_frame_equal(
      *(
        frame.sort_values(['preprocessing', 'learning_rate']).set_index(
          ['preprocessing', 'learning_rate']
        )[['loss_mean']]
        for frame in (table, old)
      )
    )

  def test_a_convolutional_network_has_squares_for_its_input(self):
    printed = self.succeed(
      '--model=cnn',
      '--num_seeds=1',
      '--preprocessing=channel_standard',
      '--learning_rate=0.1',
      '--activation=relu',
    )
    self.assertIn('Under channel_standard the second moment', printed)
    table = pd.read_csv(self.out / 'preprocessing.csv')
    self.assertBetween(table['effective_rank'].item(), 1, 9)


if __name__ == '__main__':
  absltest.main()
