"""Tests for `sources.py`."""

import hashlib
import os
import pathlib
import sys
import tempfile
import time
import types
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
from jaxdl.data import cifar
from jaxdl.data import idx
from jaxdl.data import published
from jaxdl.data import sources
import numpy as np

_KERAS_NAMES = dict(
  train_images='x_train',
  train_labels='y_train',
  test_images='x_test',
  test_labels='y_test',
)


def _arrays(**changes) -> dict[str, np.ndarray]:
  """Small arrays of the four fields, some of them replaced."""
  rng = np.random.default_rng(0)
  arrays = dict(
    train_images=rng.integers(0, 256, (6, 5, 4), np.uint8),
    train_labels=np.array([0, 1, 2, 2, 1, 0], np.uint8),
    test_images=rng.integers(0, 256, (3, 5, 4), np.uint8),
    test_labels=np.array([0, 2, 1], np.uint8),
  )
  return {**arrays, **changes}


class _FolderTestCase(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

  def _assert_is(self, dataset, arrays, name):
    for key, array in arrays.items():
      actual = getattr(dataset, key)
      if key.endswith('images'):
        self.assertEqual(actual.dtype, array.dtype)
        array = array.reshape(actual.shape)
      else:
        self.assertEqual(actual.dtype, np.int32)
      np.testing.assert_array_equal(actual, array)
    self.assertEqual(dataset.name, name)

  def _write_idx(self, arrays, suffix=''):
    for name, array in zip(published.IDX_NAMES, arrays.values(), strict=True):
      idx.write(self.folder / f'{name}{suffix}', array)


class EmbeddedTest(absltest.TestCase):
  def test_is_the_start_of_fashion_mnist(self):
    dataset = sources.load()
    self.assertEqual(dataset.name, 'fashion_mnist_small')
    self.assertEqual(dataset.num_classes, 10)
    self.assertEqual(dataset.train_images.shape, (10_000, 28, 28, 1))
    self.assertEqual(dataset.test_images.shape, (2_000, 28, 28, 1))
    self.assertEqual(dataset.train_images.dtype, np.uint8)
    self.assertEqual(dataset.train_labels.dtype, np.int32)
    # Of the first images and labels in the published files.
    np.testing.assert_array_equal(
      dataset.train_labels[:10], [9, 0, 0, 3, 0, 2, 7, 2, 5, 5]
    )
    np.testing.assert_array_equal(
      dataset.test_labels[:10], [9, 2, 1, 1, 6, 1, 4, 6, 5, 7]
    )
    sums = [x[0].sum() for x in (dataset.train_images, dataset.test_images)]
    self.assertEqual(sums, [76247, 33456])
    sums = [x.sum() for x in (dataset.train_images, dataset.test_images)]
    self.assertEqual(sums, [572388787, 114763281])
    np.testing.assert_array_equal(
      np.bincount(dataset.train_labels),
      [942, 1027, 1016, 1019, 974, 989, 1021, 1022, 990, 1000],
    )
    np.testing.assert_array_equal(
      np.bincount(dataset.test_labels),
      [200, 203, 214, 190, 219, 195, 197, 200, 194, 188],
    )

  def test_loads_at_once(self):
    times = []
    for _ in range(3):
      start = time.process_time()
      sources.load('fashion_mnist_small')
      times.append(time.process_time() - start)
    self.assertLess(min(times), 0.5)  # 0.05 where it was written.

  def test_damage_is_noticed(self):
    folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    source = pathlib.Path(sources.__file__).parent
    for suffix in ('npz', 'sha256.txt'):
      name = f'fashion_mnist_small.{suffix}'
      (folder / name).write_bytes((source / name).read_bytes())
    with mock.patch.object(sources.resources, 'files', lambda _: folder):
      self.assertLen(sources.load().train_labels, 10_000)
      with (folder / 'fashion_mnist_small.npz').open('r+b') as file:
        file.seek(1_000_000)
        file.write(b'\0')
      with self.assertRaisesRegex(ValueError, 'the installation is damaged'):
        sources.load()


class FirstTest(absltest.TestCase):
  def test_keeps_the_first_training_examples_and_all_of_the_test(self):
    whole = sources.load()
    few = sources.first(whole, 7)
    np.testing.assert_array_equal(few.train_images, whole.train_images[:7])
    np.testing.assert_array_equal(few.train_labels, whole.train_labels[:7])
    self.assertIs(few.test_images, whole.test_images)


class NpzTest(_FolderTestCase):
  def _save(self, **arrays):
    path = self.folder / 'mine.npz'
    np.savez(path, **arrays)
    return path

  @parameterized.named_parameters(('own', {}), ('keras', _KERAS_NAMES))
  def test_both_spellings_of_the_keys(self, names):
    arrays = _arrays()
    path = self._save(**{names.get(k, k): v for k, v in arrays.items()})
    dataset = sources.load(path)
    self._assert_is(dataset, arrays, str(path))
    self.assertEqual(dataset.num_classes, 3)

  def test_num_classes_is_read(self):
    path = self._save(**_arrays(), num_classes=7)
    self.assertEqual(sources.load(str(path)).num_classes, 7)

  @parameterized.named_parameters(
    ('number', 7.5),
    ('row', [7]),
    ('table', np.zeros((30, 30))),
    ('text', 'seven'),
    ('time', np.timedelta64(7, 's')),
  )
  def test_num_classes_must_be_an_integer(self, value):
    path = self._save(**_arrays(), num_classes=value)
    with self.assertRaisesRegex(ValueError, 'num_classes must be one .*$'):
      sources.load(path)

  def test_keys_that_are_no_text_are_told_in_one_line(self):
    with self.assertRaisesRegex(ValueError, r"it has '\\n\\x1b\[31m', b$"):
      sources.load(self._save(**{'\n\x1b[31m': 1, 'b': 2}))

  def test_a_missing_key_is_answered_with_those_wanted(self):
    arrays = _arrays()
    del arrays['test_labels']
    with self.assertRaisesRegex(
      ValueError,
      'mine.npz: it must have the keys train_images, .*x_train, .*; it has '
      'test_images, train_images, train_labels$',
    ):
      sources.load(self._save(**arrays))

  def test_pickled_arrays_are_refused(self):
    labels = np.array([0, 1, 2, 2, 1, None], object)
    path = self._save(**_arrays(train_labels=labels))
    with self.assertRaisesRegex(ValueError, 'mine.npz: not a .npz .*pickle'):
      sources.load(path)

  @parameterized.named_parameters(
    ('empty', lambda contents: b''),
    ('text', lambda contents: b'no archive at all'),
    ('pickle', lambda contents: b'\x80\x04N.'),
    ('truncated', lambda contents: contents[: len(contents) // 2]),
    ('flipped', lambda contents: contents[:400] + b'~~' + contents[402:]),
  )
  def test_damage_is_refused(self, damage):
    path = self._save(**_arrays())
    path.write_bytes(damage(path.read_bytes()))
    with self.assertRaisesRegex(ValueError, 'mine.npz: not a .npz file'):
      sources.load(path)

  def test_a_single_array_is_refused(self):
    path = self.folder / 'mine.npz'
    with path.open('wb') as file:
      np.save(file, np.arange(3))
    with self.assertRaisesRegex(ValueError, 'mine.npz: not a .npz file'):
      sources.load(path)

  @parameterized.named_parameters(
    (
      'label',
      _arrays(test_labels=np.array([0, 2, 3])),
      r'mine.npz \(test\): label 3 of example 2 is out of range',
    ),
    (
      'count',
      _arrays(train_labels=np.array([0, 1])),
      r'mine.npz \(training\): there are 6 images but 2 labels',
    ),
    (
      'nan',
      _arrays(test_images=np.full((3, 5, 4), np.nan)),
      r'mine.npz \(test\): 60 of the 60 pixels are NaN',
    ),
  )
  def test_faults_are_named_with_the_file(self, arrays, message):
    with self.assertRaisesRegex(ValueError, message):
      sources.load(self._save(**arrays))


class FolderTest(_FolderTestCase):
  @parameterized.parameters('', '.gz')
  def test_idx_files(self, suffix):
    arrays = _arrays()
    self._write_idx(arrays, suffix)
    dataset = sources.load(self.folder)
    self._assert_is(dataset, arrays, str(self.folder))
    self.assertEqual(dataset.num_classes, 3)

  def test_a_damaged_idx_file_is_named(self):
    self._write_idx(_arrays())
    path = self.folder / 't10k-labels-idx1-ubyte'
    path.write_bytes(path.read_bytes()[:-1])
    with self.assertRaisesRegex(
      ValueError, 't10k-labels-idx1-ubyte: truncated'
    ):
      sources.load(self.folder)

  def test_swapped_idx_files_are_refused(self):
    arrays = _arrays()
    arrays['test_images'] = arrays['test_labels']
    self._write_idx(arrays)
    with self.assertRaisesRegex(
      ValueError, r'\(test\): images have shape \(3,'
    ):
      sources.load(self.folder)

  def test_a_missing_idx_file_is_named(self):
    self._write_idx(_arrays())
    (self.folder / 't10k-labels-idx1-ubyte').unlink()
    with self.assertRaisesRegex(ValueError, ': t10k-labels-idx1-ubyte missing'):
      sources.load(self.folder)

  def _write_cifar(self, labels):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (len(labels), 32, 32, 3), np.uint8)
    names = (*cifar.TRAIN_FILES, cifar.TEST_FILE)
    for name, rows in zip(
      names, np.split(np.arange(len(labels)), 6), strict=True
    ):
      contents = cifar.serialize(images[rows], labels[rows])
      (self.folder / name).write_bytes(contents)
    return images

  def test_cifar_files(self):
    labels = np.arange(12, dtype=np.uint8) % 10
    images = self._write_cifar(labels)
    dataset = sources.load(self.folder)
    arrays = dict(
      train_images=images[:10],
      train_labels=labels[:10],
      test_images=images[10:],
      test_labels=labels[10:],
    )
    self._assert_is(dataset, arrays, str(self.folder))
    self.assertEqual(dataset.num_classes, 10)

  def test_a_cifar_label_out_of_range_is_refused(self):
    self._write_cifar(np.full(6, 10, np.uint8))
    with self.assertRaisesRegex(ValueError, 'label 10 of example 0 .* 0 to 9'):
      sources.load(self.folder)

  def test_a_folder_without_data_is_refused(self):
    with self.assertRaisesRegex(ValueError, 'holds neither IDX files .* nor'):
      sources.load(self.folder)


class NameTest(_FolderTestCase):
  def test_the_first_name_is_the_embedded_default(self):
    self.assertEqual(
      sources.names(),
      ('fashion_mnist_small', 'fashion_mnist', 'mnist', 'cifar10', 'digits'),
    )

  def test_an_unknown_name_is_answered_with_the_known_ones(self):
    with self.assertRaisesRegex(
      ValueError,
      "unknown data 'fashion': .* none of fashion_mnist_small, .*no ",
    ):
      sources.load('fashion')

  def test_a_file_of_another_kind_is_refused(self):
    path = self.folder / 'train-images-idx3-ubyte'
    path.write_bytes(b'')
    with self.assertRaisesRegex(ValueError, 'must be .npz; .* give the folder'):
      sources.load(path)

  def test_a_pipe_is_refused_and_not_waited_for(self):
    path = self.folder / 'pipe.npz'
    os.mkfifo(path)
    with self.assertRaisesRegex(ValueError, 'must be .npz; .* give the folder'):
      sources.load(path)

  @parameterized.parameters(None, 'mnist')
  def test_a_path_that_no_file_can_have_is_refused(self, name):
    path = 'x' * 5000
    with self.assertRaisesRegex(ValueError, 'cannot be read .*; give another'):
      sources.load(name or path, data_dir=path if name else None)

  @parameterized.parameters('fashion_mnist_small', 'digits', 'mine.npz')
  def test_data_dir_without_a_meaning_is_refused(self, name):
    with self.assertRaisesRegex(ValueError, f'{name}: data_dir has a meaning'):
      sources.load(name, data_dir=self.folder)

  @parameterized.parameters('fashion_mnist', 'mnist', 'cifar10')
  def test_an_empty_data_dir_is_answered_with_the_files(self, name):
    with self.assertRaisesRegex(
      ValueError, f'{name}: the files .* not together'
    ):
      sources.load(name, data_dir=self.folder)

  def test_own_files_do_not_pass_for_published_ones(self):
    self._write_idx(_arrays())
    with self.assertRaisesRegex(ValueError, 'SHA-256 .* give their folder as'):
      sources.load('mnist', data_dir=self.folder)

  def test_published_files_become_a_dataset(self):
    arrays = _arrays()
    self._write_idx(arrays, '.gz')
    files = tuple(
      published.File(
        name,
        hashlib.sha256(
          idx.read_contents(self.folder / f'{name}.gz')
        ).hexdigest(),
      )
      for name in published.IDX_NAMES
    )
    small = published.Published('mnist', files, (), ('',))
    dataset = sources.load_published(small, self.folder, self.folder / 'cache')
    self._assert_is(dataset, arrays, 'mnist')
    self.assertEqual(dataset.num_classes, 10)


class DigitsTest(absltest.TestCase):
  def test_is_split_and_scaled(self):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 17, (1797, 64)).astype(np.float64)
    labels = rng.integers(0, 10, 1797)
    module = types.ModuleType('sklearn')
    module.datasets = types.SimpleNamespace(
      load_digits=lambda return_X_y: (images, labels)
    )
    with mock.patch.dict(sys.modules, {'sklearn': module}):
      dataset = sources.load('digits')
    self.assertEqual(dataset.train_images.shape, (1500, 8, 8, 1))
    self.assertEqual(dataset.test_images.shape, (297, 8, 8, 1))
    self.assertEqual(dataset.train_images.dtype, np.float32)
    np.testing.assert_array_equal(
      dataset.test_images.reshape(-1, 64), images[1500:] / 16
    )
    np.testing.assert_array_equal(dataset.test_labels, labels[1500:])

  def test_without_scikit_learn_it_says_what_to_install(self):
    with mock.patch.dict(sys.modules, {'sklearn': None}):
      with self.assertRaisesRegex(ValueError, 'pip install scikit-learn'):
        sources.load('digits')


if __name__ == '__main__':
  absltest.main()
