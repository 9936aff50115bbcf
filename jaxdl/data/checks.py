"""Checks of images and labels, each with one clear line."""

import numpy as np

_MOST_CLASSES = 1_000_000  # Beyond it, labels are identifiers of something.


def check_images(images: np.ndarray, where: str) -> np.ndarray:
  """Checks images, gives them a channel axis, and makes floats float32.

  Args:
    images: `[N, H, W]` or `[N, H, W, C]`, uint8 or float.
    where: what holds them, for messages.

  Returns:
    The images, `[N, H, W, C]`, uint8 or float32.

  Raises:
    ValueError: if the shape or dtype is another, there are none, or one of the
      values is not finite in float32.
  """
  if images.ndim == 3:
    images = images[..., None]
  if images.ndim != 4:
    raise ValueError(
      f'{where}: images have shape {images.shape}; they must be [N, H, W] or '
      '[N, H, W, C] (reshape features that are no grid to [N, 1, 1, C])'
    )
  if images.size == 0:
    raise ValueError(
      f'{where}: images of shape {images.shape} are empty; at least one image '
      'of one pixel is needed'
    )
  floating = np.issubdtype(images.dtype, np.floating)
  if images.dtype != np.uint8 and not floating:
    raise ValueError(
      f'{where}: images are {images.dtype}; convert them to uint8 (0 to 255) '
      'or float32'
    )
  return _finite_float32(images, where) if floating else images


def _finite_float32(images: np.ndarray, where: str) -> np.ndarray:
  with np.errstate(over='ignore'):
    images = images.astype(np.float32)
  finite = np.isfinite(images)
  if not np.all(finite):
    raise ValueError(
      f'{where}: {np.count_nonzero(~finite)} of the {images.size} pixels are '
      'NaN, infinite or beyond float32; remove or replace them'
    )
  return images


def check_labels(
  labels: np.ndarray, num_examples: int, where: str
) -> np.ndarray:
  """Checks that labels are one non-negative integer for each image.

  Args:
    labels: integers, `[N]`.
    num_examples: the number of images.
    where: what holds them, for messages.

  Returns:
    The labels, int32 `[N]`.
  """
  if labels.ndim != 1:
    raise ValueError(
      f'{where}: labels have shape {labels.shape}; they must be [N], one class '
      'number for each image (of one-hot rows, take the argmax)'
    )
  if labels.dtype.kind not in 'iu':  # Time intervals count as np.integer.
    raise ValueError(
      f'{where}: labels are {labels.dtype}; they must be integers, from 0 to '
      'the number of classes less one'
    )
  if len(labels) != num_examples:
    raise ValueError(
      f'{where}: there are {num_examples} images but {len(labels)} labels'
    )
  return _check_range(labels, np.iinfo(np.int32).max, where).astype(np.int32)


def check_classes(labels: np.ndarray, num_classes: int, where: str) -> None:
  """Checks that labels are in the range from 0 to `num_classes - 1`.

  Args:
    labels: integers, `[N]`.
    num_classes: from 2 to a million.
    where: what holds them, for messages.
  """
  if num_classes < 2:
    raise ValueError(
      f'{where}: the number of classes is {num_classes}; a classifier needs at '
      'least 2'
    )
  if num_classes > _MOST_CLASSES:
    raise ValueError(
      f'{where}: the number of classes is {num_classes}; {_MOST_CLASSES} at '
      'most are possible: number them from 0 without gaps'
    )
  _check_range(labels, num_classes, where)


def check_splits_agree(train: np.ndarray, test: np.ndarray, where: str) -> None:
  """Checks that the images of the two splits have one shape and dtype."""
  if train.shape[1:] != test.shape[1:]:
    raise ValueError(
      f'{where}: training images are {train.shape[1:]} and test images '
      f'{test.shape[1:]}; they must have one height, width and channels'
    )
  if train.dtype != test.dtype:
    raise ValueError(
      f'{where}: training images are {train.dtype} and test images '
      f'{test.dtype}; they must have one dtype'
    )


def _check_range(
  labels: np.ndarray, num_classes: int, where: str
) -> np.ndarray:
  outside = (labels < 0) | (labels >= num_classes)
  if np.any(outside):
    row = int(np.argmax(outside))
    raise ValueError(
      f'{where}: label {labels[row]} of example {row} is out of range; labels '
      f'go from 0 to {num_classes - 1}'
    )
  return labels
