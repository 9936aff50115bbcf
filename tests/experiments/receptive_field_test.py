"""Tests for `experiments/receptive_field.py`, as its users run it."""

import csv

from absl.testing import absltest
from absl.testing import parameterized

from tests.experiments import study


class ReceptiveFieldTest(study.Study):
  experiment = 'receptive_field'
  small = ()

  def _written(self, folder):
    return sorted(path.name for path in (self.folder / folder).iterdir())

  def _rows(self, path):
    with open(self.folder / path) as file:
      return list(csv.DictReader(file))

  def test_of_one_model(self):
    done = self.run_study(
      '--model=cnn',
      '--in_shape=24,20,1',
      '--num_samples=1',
      '--out=one',
      lowered=True,
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
    done = self.run_study(
      '--model=cnn,mlp,alexnet,plain20',
      '--in_shape=8,8,3',
      '--shortcut=identity',
      '--out=several',
      lowered=True,
    )
    self.assertEqual((done.returncode, done.stderr), (0, ''))
    self.assertRegex(done.stdout, 'left out: alexnet has no shortcuts: ')
    self.assertRegex(done.stdout, 'left out: plain20 has no shortcuts: ')
    self.assertRegex(done.stdout, r'cnn +8 +31 .* 61 +1 +[-+]\d')
    self.assertRegex(done.stdout, r'mlp +8 +31 .* all +- +[-+]\d')
    written = ['models.csv', 'models.png', 'models.svg']
    self.assertEqual(self._written('several'), written)
    cnn, mlp = self._rows('several/models.csv')
    self.assertEqual((cnn['model'], cnn['field']), ('cnn', '61'))
    self.assertEqual((mlp['model'], mlp['field']), ('mlp', ''))
    self.assertTrue(-9 < float(mlp['decades']) < 9)

    again = ('--model=cnn,mlp', '--in_shape=4,4,1', '--out=several')
    done = self.run_study(*again)
    self._assert_mistake(done, 'several holds results already; use --overwrite')
    done = self.run_study(*again, '--overwrite')
    self.assertEqual((done.returncode, done.stderr), (0, ''))
    self.assertEqual(self._written('several'), written)
    self.assertEqual(self._rows('several/models.csv')[0]['height'], '4')

  def _assert_mistake(self, done, message):
    self.assert_mistake(done)
    self.assertEqual(done.stdout, '')
    self.assertRegex(done.stderr, message)

  @parameterized.parameters(
    ('--model=vgg61', "Unknown architecture 'vgg61'.*vgg16"),
    ('--model=', '--model is empty'),
    ('--model=cnn,mlp,cnn', "--model has 'cnn' twice"),
    ('--in_shape=8,x,3', '--in_shape=8,x,3: give height'),
    ('--in_shape=8,8,3', 'vgg16 cannot take inputs of shape'),
    ('--model=mlp', 'no unit of this model sees less than the whole image'),
    ('--model=nin_cifar10 --scope=stem', "pass a scope 'stem'; choose one"),
    ('--model=nin_cifar10,cnn --scope=stem', '--scope is of one model'),
    ('--norm=instance', "Unknown norm 'instance'; .* own, none, batch, batch_"),
    ('--norm=bath --model=all', "Unknown norm 'bath'.* mean 'batch'"),
    ('--shortcut=skip --model=all', "Unknown shortcut 'skip'; .* projection"),
    ('--activation=relux --model=all', "'relux'.* mean 'relu'"),
    ('--activation=elu:x --model=cnn,mlp', "'x' is not a finite number"),
    ('--shortcut=identity', 'vgg16 has no shortcuts'),
    ('--out=/dev/null/here', 'cannot write to /dev/null/here'),
  )
  def test_a_mistake_ends_in_one_line(self, arguments, message):
    done = self.run_study(*arguments.split())
    self._assert_mistake(done, message)
    self.assertEmpty(list(self.folder.iterdir()))

  def test_no_model_is_left(self):
    done = self.run_study('--model=alexnet,vgg16', '--in_shape=4,4,3')
    self.assertEqual(done.returncode, 2)
    self.assertLen(done.stdout.splitlines(), 2)
    self.assertRegex(done.stderr, '^receptive_field: no model is left')
    self.assertEmpty(list(self.folder.iterdir()))

  @parameterized.parameters('', '--overwrite')
  def test_foreign_files_are_left_alone(self, flag):
    thesis = self.folder / 'thesis.tex'
    thesis.write_text('years of work')
    done = self.run_study('--model=all', '--out=.', *flag.split())
    self._assert_mistake(done, 'such as thesis.tex; give another --out')
    self.assertEqual(self._written('.'), ['thesis.tex'])


if __name__ == '__main__':
  absltest.main()
