"""Builds the dataset that comes with the package from Fashion-MNIST.

  python scripts/build_fashion_mnist_small.py

takes the first 10,000 training and 2,000 test images of Fashion-MNIST, whose
files it finds in Debian's package dataset-fashion-mnist or downloads, and
writes `jaxdl/data/fashion_mnist_small.npz` (5.3 MB) with its checksum. Equal
images give an equal file, if zlib is the same.
"""

import hashlib
import pathlib

from absl import app
from absl import flags
from jaxdl.data import sources
import numpy as np

_DATA = flags.DEFINE_string('data', 'fashion_mnist', 'What to take them from.')
_NUM_TRAIN = flags.DEFINE_integer('num_train', 10_000, 'Training images.')
_NUM_TEST = flags.DEFINE_integer('num_test', 2_000, 'Test images.')
_OUTPUT_DIR = flags.DEFINE_string('output_dir', 'jaxdl/data', 'Where to write.')


def write(
  dataset: sources.Dataset, num_train: int, num_test: int, path: pathlib.Path
) -> str:
  """Writes the first examples of each split; returns the file's SHA-256."""
  np.savez_compressed(
    path,
    train_images=dataset.train_images[:num_train],
    train_labels=dataset.train_labels[:num_train].astype(np.uint8),
    test_images=dataset.test_images[:num_test],
    test_labels=dataset.test_labels[:num_test].astype(np.uint8),
    num_classes=dataset.num_classes,
  )
  return hashlib.sha256(path.read_bytes()).hexdigest()


def main(argv):
  """Builds the file as the flags say."""
  if len(argv) > 1:
    raise app.UsageError('flags only')
  dataset = sources.load(_DATA.value)
  path = pathlib.Path(_OUTPUT_DIR.value, 'fashion_mnist_small.npz')
  checksum = write(dataset, _NUM_TRAIN.value, _NUM_TEST.value, path)
  line = f'{checksum}  {path.name}\n'
  path.with_suffix('.sha256.txt').write_text(line, 'ascii')
  print(f'{path}: {path.stat().st_size} bytes\n{line}', end='')


if __name__ == '__main__':
  app.run(main)
