"""Tests for `receptive_field`: small runs in processes of their own."""

import csv
import pathlib
import subprocess
import sys

from absl.testing import absltest
from absl.testing import parameterized

from tests.experiments import study


class ReceptiveFieldTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.create_tempdir().full_path)

  def _run(self, *arguments):
    return subprocess.run(
      [sys.executable, '-m', 'experiments.receptive_field', *arguments],
      cwd=self.folder,
      env=study.environment(),
      capture_output=True,
      text=True,
      timeout=150,
    )

  def _written(self, folder):
    return sorted(path.name for path in (self.folder / folder).iterdir())

  def _rows(self, path):
    with open(self.folder / path) as file:
      return list(csv.DictReader(file))

  def test_of_one_model(self):
    done = self._run(
      '--model=cnn', '--in_shape=24,20,1', '--num_samples=1', '--out=one'
    )
    self.assertEqual((done.returncode, done.stderr), (0, ''))
    self.assertRegex(done.stdout, r'hidden +24 x 20 x 128 +61 +1 +30')
    self.assertIn('31 layers deep', done.stdout)
    self.assertEqual(
      self._written('one'),
      ['receptive_field.csv', 'receptive_field.png', 'receptive_field.svg'],
    )
    rows = self._rows('one/receptive_field.csv')
    self.assertEqual(rows[0]['scope'], 'stem/conv')
    self.assertEqual(int(rows[0]['parameters']), 3 * 3 * 128 + 128)

  def test_of_several(self):
    done = self._run(
      '--model=cnn,mlp,alexnet', '--in_shape=8,8,3', '--out=several'
    )
    self.assertEqual((done.returncode, done.stderr), (0, ''))
    self.assertRegex(done.stdout, 'left out: alexnet cannot take inputs of')
    self.assertRegex(done.stdout, r'cnn +8 +31 .* 61 +1 +[-+]\d')
    self.assertRegex(done.stdout, r'mlp +8 +31 .* all +- +[-+]\d')
    self.assertEqual(
      self._written('several'), ['models.csv', 'models.png', 'models.svg']
    )
    cnn, mlp = self._rows('several/models.csv')
    self.assertEqual((cnn['model'], cnn['field']), ('cnn', '61'))
    self.assertEqual((mlp['model'], mlp['field']), ('mlp', ''))
    self.assertTrue(-9 < float(mlp['decades']) < 9)

  @parameterized.parameters(
    ('--model=vgg61', "Unknown architecture 'vgg61'.*vgg16"),
    ('--in_shape=8,x,3', '--in_shape=8,x,3: give height'),
    ('--in_shape=8,8,3', 'vgg16 cannot take inputs of shape'),
    ('--model=mlp', 'no unit of this model sees less than the whole image'),
    ('--model=nin_cifar10 --scope=stem', "pass a scope 'stem'; choose one"),
    ('--model=nin_cifar10,cnn --scope=stem', '--scope is of one model'),
    ('--model=alexnet,vgg16 --in_shape=4,4,3', 'no model is left to compare'),
    ('--norm=instance', 'norm of vgg16 is .instance.; possible: none'),
  )
  def test_a_mistake_ends_in_one_line(self, arguments, message):
    done = self._run(*arguments.split())
    self.assertEqual(done.returncode, 2, done.stderr)
    self.assertLen(done.stderr.splitlines(), 1, done.stderr)
    self.assertRegex(done.stderr, f'^receptive_field: .*{message}')
    self.assertEmpty(list(self.folder.iterdir()))


if __name__ == '__main__':
  absltest.main()
