"""Tests for `experiments/mean_field.py`, as its users run it."""

import csv

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import xarray as xr

from tests.experiments import study


class MeanFieldTest(study.Study):
  experiment = 'mean_field'
  small = ()

  def test_measures_compares_and_writes(self):
    done = self.run_study(
      '--activation=erf,relu',
      '--weight_std=critical,1.2,1.20',
      '--width=40',
      '--depth=4',
      '--num_seeds=4',
      '--out=out',
      lowered=True,
    )
    self.assertEqual((done.returncode, done.stderr), (0, ''))
    self.assertRegex(done.stdout, r'erf +1.153 +0.2 critical ×1.000 ×')
    self.assertRegex(done.stdout, r'relu +1.414 +0 critical +×1.000 +×')
    self.assertRegex(done.stdout, r'relu +1.200 +0 +ordered +×0.720 +×')
    self.assertRegex(done.stdout, r'of 12 measured numbers are within 2%')
    self.assertEqual(
      sorted(path.name for path in (self.folder / 'out').iterdir()),
      ['mean_field.csv', 'mean_field.png', 'mean_field.svg', 'record.zarr'],
    )
    with open(self.folder / 'out/mean_field.csv') as file:
      rows = list(csv.DictReader(file))
    self.assertLen(rows, 12)
    self.assertEqual(rows[6]['activation'], 'relu')

    with xr.open_zarr(self.folder / 'out/record.zarr') as record:
      record = record.load()
    self.assertEqual(record.attrs['width'], 40)
    self.assertEqual(
      dict(record.sizes),
      {'configuration': 4, 'seed': 4, 'layer': 4, 'input': 2},
    )
    ratio = (
      record['variance'].values[:, :, 1:] / record['variance'].values[:, :, :-1]
    )
    np.testing.assert_allclose(
      float(rows[6]['measured']), ratio[2].mean(), rtol=1e-5
    )
    # Of one activation the networks are the same, scaled; of two they aren't.
    np.testing.assert_allclose(ratio[2] / 2, ratio[3] / 1.2**2, rtol=1e-4)
    first = record['variance'].values[:, :, 0]
    self.assertGreater(np.abs(first[0] / first[2] - first[0, 0]).max(), 0.01)

    done = self.run_study('--out=out')
    self._assert_mistake(done, 'out holds results already; use --overwrite')

  def _assert_mistake(self, done, message):
    self.assert_mistake(done)
    self.assertEqual(done.stdout, '')
    self.assertRegex(done.stderr, message)

  @parameterized.parameters(
    ('--activation=tanhh', "'tanhh'.*mean 'tanh'"),
    ('--activation=tanh,tanh', "--activation has 'tanh' twice"),
    ('--activation=', '--activation is empty'),
    ('--weight_std=hot', "--weight_std has 'hot'; give .*ordered, critical"),
    ('--activation=tanh --weight_std=-1', 'weight_std must be .* positive'),
    ('--bias_std=0,x', '--bias_std=0,x: give numbers'),
    (
      '--activation=gelu --bias_std=0.1',
      'gelu has no critical weight_std at bias_std = 0.1.*another bias_std',
    ),
    ('--activation=tanh --depth=1', 'depth must be at least 2'),
    ('--num_seeds=1', 'num_seeds=1'),
    ('--out=/dev/null/here', 'cannot write to /dev/null/here'),
  )
  def test_a_mistake_ends_in_one_line(self, arguments, message):
    flags = ('--activation=relu', '--weight_std=1', *arguments.split())
    if 'gelu' in arguments:
      flags = (*flags, '--weight_std=critical')
    self._assert_mistake(self.run_study(*flags), message)
    self.assertEmpty(list(self.folder.iterdir()))


if __name__ == '__main__':
  absltest.main()
