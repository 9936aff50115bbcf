"""Sources: from a name, a path or arrays to a checked dataset on the host."""

from collections.abc import Mapping
import hashlib
from importlib import resources
import os
import pathlib
from typing import NamedTuple

from jaxdl.data import checks
from jaxdl.data import cifar
from jaxdl.data import download
from jaxdl.data import idx
from jaxdl.data import npz
from jaxdl.data import published
import numpy as np

_EMBEDDED = 'fashion_mnist_small'
_PUBLISHED = {
  dataset.name: dataset
  for dataset in (published.FASHION_MNIST, published.MNIST, published.CIFAR10)
}
_FIELDS = ('train_images', 'train_labels', 'test_images', 'test_labels')
_KERAS_FIELDS = ('x_train', 'y_train', 'x_test', 'y_test')
_DIGITS_TRAIN = 1500  # Of 1,797; the rest were written by other people.


class Dataset(NamedTuple):
  """Images and labels for classification, as numpy arrays on the host.

  Attributes:
    train_images: uint8 or float32 `[N, H, W, C]`.
    train_labels: int32 `[N]`, from 0 to `num_classes - 1`.
    test_images: of the dtype of `train_images`, `[M, H, W, C]`.
    test_labels: int32 `[M]`.
    num_classes: the number of classes.
    name: the name or path it was loaded by.
  """

  train_images: np.ndarray
  train_labels: np.ndarray
  test_images: np.ndarray
  test_labels: np.ndarray
  num_classes: int
  name: str


def first(dataset: Dataset, num_train: int) -> Dataset:
  """Returns a dataset with its first training examples alone.

  Args:
    dataset: in any preprocessing.
    num_train: how many.
  """
  return dataset._replace(
    train_images=dataset.train_images[:num_train],
    train_labels=dataset.train_labels[:num_train],
  )


def names() -> tuple[str, ...]:
  """The names that `load` knows; the first comes with the package."""
  return (_EMBEDDED, *_PUBLISHED, 'digits')


def load(
  name_or_path: str | os.PathLike[str] = _EMBEDDED,
  *,
  data_dir: str | os.PathLike[str] | None = None,
) -> Dataset:
  """Loads a dataset by name, or one's own by its path.

  Args:
    name_or_path: one of `names()`; or a `.npz` file with the keys
      `train_images, train_labels, test_images, test_labels` (or, as in Keras'
      `mnist.npz`, `x_train, y_train, x_test, y_test`) and, if the largest
      training label does not tell it, `num_classes`; or a folder of the four
      IDX files `train-images-idx3-ubyte` etc., gzipped or not; or a folder of
      the six binary files of CIFAR-10.
    data_dir: where the files of `fashion_mnist`, `mnist` or `cifar10` are. If
      None, Debian's package dataset-fashion-mnist and the user's cache are
      tried, and then they are downloaded into the latter.

  Raises:
    ValueError: in one line: what is wrong, and what to do.
  """
  name = os.fspath(name_or_path)
  try:
    return _load(name, data_dir)
  except OSError as error:
    raise ValueError(
      f'{name}: cannot be read ({error.strerror or error}); give another path, '
      f'or one of {", ".join(names())}'
    ) from error


def from_arrays(
  train_images: np.ndarray,
  train_labels: np.ndarray,
  test_images: np.ndarray,
  test_labels: np.ndarray,
  *,
  num_classes: int | None = None,
  name: str = 'arrays',
) -> Dataset:
  """Makes a dataset of arrays, checked as those that are loaded.

  Args:
    train_images: uint8 or float `[N, H, W]` or `[N, H, W, C]`, finite.
    train_labels: integers `[N]`.
    test_images: as `train_images`, `[M, H, W]` or `[M, H, W, C]`.
    test_labels: integers `[M]`.
    num_classes: if None, one more than the largest training label.
    name: of the dataset, also for messages.

  Raises:
    ValueError: if an array is not as above, in one line that says which.
  """
  splits = []
  for split, images, labels in (
    ('training', train_images, train_labels),
    ('test', test_images, test_labels),
  ):
    where = f'{name} ({split})'
    images = checks.check_images(np.asarray(images), where)
    labels = checks.check_labels(np.asarray(labels), len(images), where)
    splits.append((where, images, labels))
  (_, train_images, train_labels), (_, test_images, test_labels) = splits
  checks.check_splits_agree(train_images, test_images, name)
  if num_classes is None:
    num_classes = int(np.max(train_labels)) + 1
  for where, _, labels in splits:
    checks.check_classes(labels, num_classes, where)
  return Dataset(
    train_images, train_labels, test_images, test_labels, num_classes, name
  )


def load_published(
  dataset: published.Published,
  data_dir: pathlib.Path | None,
  cache_dir: pathlib.Path,
) -> Dataset:
  """Loads a published dataset; see `published.read` for where from."""
  contents = published.read(dataset, data_dir, cache_dir)
  if cifar.TEST_FILE in contents:
    return _from_cifar(contents, dataset.name)
  return _from_idx(contents, dataset.name, num_classes=10)


def _load(name: str, data_dir: str | os.PathLike[str] | None) -> Dataset:
  if name in _PUBLISHED:
    folder = None if data_dir is None else pathlib.Path(data_dir)
    return load_published(_PUBLISHED[name], folder, download.cache_dir())
  if data_dir is not None:
    raise ValueError(
      f'{name}: data_dir has a meaning for {", ".join(_PUBLISHED)} only; leave '
      'it out'
    )
  if name == _EMBEDDED:
    return _load_embedded()
  if name == 'digits':
    return _load_digits()
  return _load_path(pathlib.Path(name))


def _load_embedded() -> Dataset:
  folder = resources.files('jaxdl.data')
  contents = folder.joinpath(f'{_EMBEDDED}.npz').read_bytes()
  checksum = folder.joinpath(f'{_EMBEDDED}.sha256.txt').read_text('ascii')
  if hashlib.sha256(contents).hexdigest() != checksum.split()[0]:
    raise ValueError(
      f'{_EMBEDDED}.npz: its SHA-256 is not that in {_EMBEDDED}.sha256.txt; '
      'the installation is damaged: install jaxdl again'
    )
  return _from_npz(contents, _EMBEDDED)


def _load_digits() -> Dataset:
  """The 1,797 handwritten digits of 8x8 pixels that scikit-learn comes with.

  Alpaydin & Kaynak, 1998, https://doi.org/10.24432/C50P49.
  """
  try:
    from sklearn import datasets
  except ImportError as error:
    raise ValueError(
      'digits: these come with scikit-learn, which is not installed; '
      'pip install scikit-learn, or use fashion_mnist_small'
    ) from error
  images, labels = datasets.load_digits(return_X_y=True)
  images = np.asarray(images, np.float32).reshape(-1, 8, 8, 1) / 16
  return from_arrays(
    images[:_DIGITS_TRAIN],
    labels[:_DIGITS_TRAIN],
    images[_DIGITS_TRAIN:],
    labels[_DIGITS_TRAIN:],
    num_classes=10,
    name='digits',
  )


def _load_path(path: pathlib.Path) -> Dataset:
  if path.is_dir():
    return _load_folder(path)
  if not path.exists():
    raise ValueError(
      f'unknown data {str(path)!r}: it is none of {", ".join(names())}, and '
      'there is no such file or folder'
    )
  if path.suffix != '.npz' or not path.is_file():  # A pipe might never end.
    raise ValueError(
      f'{path}: a file of data must be .npz; of IDX or CIFAR-10 files, give '
      'the folder that holds them'
    )
  return _from_npz(path.read_bytes(), str(path))


def _load_folder(folder: pathlib.Path) -> Dataset:
  for wanted, parse in (
    (published.IDX_NAMES, _from_idx),
    ((*cifar.TRAIN_FILES, cifar.TEST_FILE), _from_cifar),
  ):
    paths = [published.find(folder, name) for name in wanted]
    if any(paths):
      missing = [n for n, path in zip(wanted, paths, strict=True) if not path]
      if missing:
        raise ValueError(f'{folder}: {", ".join(missing)} missing')
      contents = {
        name: idx.read_contents(path)
        for name, path in zip(wanted, paths, strict=True)
        if path is not None
      }
      return parse(contents, str(folder))
  raise ValueError(
    f'{folder}: the folder holds neither IDX files '
    f'({", ".join(published.IDX_NAMES)}, each also with .gz) nor CIFAR-10 '
    f'files (data_batch_1.bin to data_batch_5.bin, {cifar.TEST_FILE})'
  )


def _from_idx(
  contents: Mapping[str, bytes], name: str, num_classes: int | None = None
) -> Dataset:
  arrays = [
    idx.parse(contents[file], f'{name}: {file}') for file in published.IDX_NAMES
  ]
  return from_arrays(*arrays, num_classes=num_classes, name=name)


def _from_cifar(contents: Mapping[str, bytes], name: str) -> Dataset:
  parts = [
    cifar.parse(contents[file], f'{name}: {file}') for file in cifar.TRAIN_FILES
  ]
  images, labels = map(np.concatenate, zip(*parts, strict=True))
  return from_arrays(
    images,
    labels,
    *cifar.parse(contents[cifar.TEST_FILE], f'{name}: {cifar.TEST_FILE}'),
    num_classes=cifar.NUM_CLASSES,
    name=name,
  )


def _from_npz(contents: bytes, name: str) -> Dataset:
  arrays = npz.parse(contents, name)
  for keys in (_FIELDS, _KERAS_FIELDS):
    if all(key in arrays for key in keys):
      return from_arrays(
        *(arrays[key] for key in keys),
        num_classes=_num_classes(arrays, name),
        name=name,
      )
  found = [k if k.isprintable() else repr(k) for k in sorted(arrays)]
  raise ValueError(
    f'{name}: it must have the keys {", ".join(_FIELDS)}, or '
    f'{", ".join(_KERAS_FIELDS)}; it has {", ".join(found) or "none"}'
  )


def _num_classes(arrays: Mapping[str, np.ndarray], name: str) -> int | None:
  if 'num_classes' not in arrays:
    return None
  value = arrays['num_classes']
  if value.shape != () or value.dtype.kind not in 'iu':
    raise ValueError(
      f'{name}: num_classes must be one integer, not {value.dtype} of shape '
      f'{value.shape}'
    )
  return int(value)
