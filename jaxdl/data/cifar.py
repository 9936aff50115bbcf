"""The binary format of CIFAR-10.

A file is a row of records of 3,073 bytes: one label, then 1,024 red, 1,024
green and 1,024 blue pixels of a 32x32 image, row by row. See Krizhevsky,
"Learning multiple layers of features from tiny images", 2009,
https://www.cs.toronto.edu/~kriz/cifar.html. The Python version of the same
data is pickled, and a pickle can run any code, so it is never read.
"""

import numpy as np

TRAIN_FILES = tuple(f'data_batch_{i}.bin' for i in range(1, 6))
TEST_FILE = 'test_batch.bin'
NUM_CLASSES = 10
_RECORD_BYTES = 1 + 3 * 32 * 32


def parse(contents: bytes, where: str) -> tuple[np.ndarray, np.ndarray]:
  """Parses the contents of one file of records.

  Args:
    contents: the whole file.
    where: the name of the file, for messages.

  Returns:
    uint8 images `[N, 32, 32, 3]` and uint8 labels `[N]`.

  Raises:
    ValueError: if the file is not a whole number of records, at least one.
  """
  if not contents or len(contents) % _RECORD_BYTES:
    raise ValueError(
      f'{where}: {len(contents)} bytes are not one or more whole CIFAR-10 '
      f'records of {_RECORD_BYTES}: the file is truncated, or of another format'
    )
  records = np.frombuffer(contents, np.uint8).reshape(-1, _RECORD_BYTES)
  planes = records[:, 1:].reshape(-1, 3, 32, 32)
  return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), records[:, 0]


def serialize(images: np.ndarray, labels: np.ndarray) -> bytes:
  """Makes the contents of a file of records; the inverse of `parse`.

  Args:
    images: uint8 `[N, 32, 32, 3]`.
    labels: uint8 `[N]`.
  """
  planes = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
  return np.concatenate([labels[:, None], planes], axis=1).tobytes()
