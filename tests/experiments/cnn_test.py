"""Tests for `experiments/cnn.py`."""

import os

from absl.testing import absltest
from absl.testing import parameterized
from jaxdl import sweep
import numpy as np

from tests.experiments import study


class _Cnn(study.Study):
  experiment = 'cnn'
  small = (
    '--num_seeds=1 --num_steps=2 --chunk_steps=1 --batch_size=4 --data=tiny.npz'
  ).split()

  def setUp(self):
    super().setUp()
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(24, 8, 8, 1), dtype=np.uint8)
    labels = np.arange(24) % 3
    np.savez(
      self.folder / 'tiny.npz',
      train_images=images[:16],
      train_labels=labels[:16],
      test_images=images[16:],
      test_labels=labels[16:],
    )


class TrainingTest(_Cnn):
  def test_an_architecture_in_bfloat16_on_augmented_images(self):
    printed = self.succeed(
      '--model=resnet20',
      '--norm=batch',
      '--shortcut=own',
      '--augment=crop:1+flip',
      '--compute_dtype=bfloat16',
    )
    self.assertIn('- resnet20: 1 stem, 2 to 4 stage1, 5 stage2_first', printed)
    record = sweep.open_record(self.out / 'record.zarr').load()
    # 20 layers: a stem, nine blocks of two, and a readout.
    self.assertEqual(record.depth.values.tolist(), [10])
    for name in ('gradient_norm', 'cotangent_rms', 'activation_std'):
      values = record[name].values
      self.assertEqual(values.shape, (1, 2, 11))
      self.assertTrue(np.isfinite(values).all(), name)
      self.assertTrue((values > 0).all(), name)

  def test_sizes_and_own_where_models_differ_in_both(self):
    """Each network is trained once, and the record says what it is."""
    printed = self.succeed(
      '--model=mlp,nin_cifar10',
      '--depth=2,3',
      '--width=4',
      '--norm=own,none',
      '--num_steps=1',
    )
    self.assertIn('3 networks in 3 programs', printed)
    record = sweep.open_record(self.out / 'record.zarr').load()
    self.assertEqual(
      record.model.values.tolist(), ['mlp', 'mlp', 'nin_cifar10']
    )
    self.assertEqual(record.depth.values.tolist(), [2, 3, 8])
    self.assertEqual(record.width.values.tolist(), [4, 4, 0])
    self.assertEqual(record.norm.values.tolist(), 3 * ['none'])
    self.assertEqual(record.shortcut.values.tolist(), 3 * ['none'])
    # Past a network's own readout there is nothing.
    present = np.isfinite(record.gradient_norm.values[:, 0]).sum(axis=1)
    self.assertEqual(present.tolist(), [3, 4, 9])
    self.assertTrue((self.out / 'report.html').exists())


class MistakesTest(_Cnn):
  @parameterized.named_parameters(
    ('model', '--model=resnet21', "'resnet21'", 'plain20', 'Did you mean'),
    (
      'shortcut',
      '--model=vgg11_cifar --shortcut=identity',
      'vgg11_cifar has no shortcuts',
    ),
    ('depth', '--depth=30', '--model=resnet20 takes no depth', 'mlp, cnn'),
    (
      'width',
      '--model=nin_cifar10,plain20 --width=8',
      'leave out --width',
    ),
    ('no_depth', '--model=mlp,plain20 --depth=0', 'depth is 0'),
    ('augment', '--augment=twirl', "'twirl'", 'crop, flip'),
    ('dtype', '--compute_dtype=float8', 'float32, bfloat16'),
    (
      'small',
      '--model=alexnet --shortcut=own --norm=own',
      'alexnet/conv1/pool: ',
      '(1, 1, 64)',
    ),
  )
  def test_is_one_line(self, flags, *parts):
    done = self.run_study(*flags.split(), '--out=out')
    self.assert_mistake(done, *parts)
    self.assertEqual(os.listdir(self.folder), ['tiny.npz'])


if __name__ == '__main__':
  absltest.main()
