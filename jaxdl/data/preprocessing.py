"""Preprocessing: pure functions of images, and a table of them by name.

What is fitted is fitted on the training split alone and applied to both. The
statistics are computed in float64, since a float32 sum over a training split
loses digits; what comes out is float32.
"""

from collections.abc import Callable
from typing import NamedTuple

from jaxdl import choice
from jaxdl.data import sources
import numpy as np

_ROWS = 4096  # Images converted to float64 at a time, to bound memory.


class Standardization(NamedTuple):
  """An affine map, `(x - mean) / std`, fitted on a training split.

  Attributes:
    mean: float64, broadcasts against `[N, H, W, C]`.
    std: float64, of the shape of `mean`; 1 where the feature is constant.
  """

  mean: np.ndarray
  std: np.ndarray

  def apply(self, images: np.ndarray) -> np.ndarray:
    """Maps images `[N, H, W, C]` of any split to float32 of that shape."""
    mean, std = self.mean, self.std
    return _by_rows(lambda x: (x - mean) / std, images)


def to_unit_range(images: np.ndarray) -> np.ndarray:
  """Maps uint8 images from 0..255 to [0, 1]; float images are left as they are.

  Returns:
    float32, of the shape of `images`.
  """
  if images.dtype != np.uint8:
    return _as_float32(images)
  return _as_float32(images) / np.float32(255)


def remove_sample_mean(images: np.ndarray) -> np.ndarray:
  """Subtracts from each image the mean over its own pixels and channels.

  Returns:
    float32 `[N, H, W, C]`; each image has mean zero.
  """
  return _by_rows(lambda x: x - np.mean(x, (1, 2, 3), keepdims=True), images)


def standardize_sample(images: np.ndarray) -> np.ndarray:
  """Shifts and scales each image to mean zero and standard deviation one.

  An image whose pixels are all equal becomes zero.

  Returns:
    float32 `[N, H, W, C]`.
  """
  axes = (1, 2, 3)

  def standardize(x):
    constant = _constant(np.min(x, axes, keepdims=True), _max(x, axes))
    std = np.std(x, axes, keepdims=True)
    return (x - np.mean(x, axes, keepdims=True)) / np.where(constant, 1, std)

  return _by_rows(standardize, images)


def fit_feature_standardization(train: np.ndarray) -> Standardization:
  """Fits mean and standard deviation of each pixel over training images.

  A pixel that is the same in all training images, like the corners of MNIST,
  is only shifted: its standard deviation is taken as 1. One that is almost so
  has a standard deviation almost zero, and a test image that differs there is
  mapped to a large value; LeCun et al., "Efficient BackProp", 1998, section
  4.3, scale thus nonetheless, and so does every library.

  Args:
    train: training images `[N, H, W, C]`.

  Returns:
    A standardization whose fields have shape `[1, H, W, C]`.
  """
  return _fit(train, (0,))


def fit_channel_standardization(train: np.ndarray) -> Standardization:
  """Fits mean and standard deviation of each channel over training images.

  Args:
    train: training images `[N, H, W, C]`.

  Returns:
    A standardization whose fields have shape `[1, 1, 1, C]`.
  """
  return _fit(train, (0, 1, 2))


def preprocess(dataset: sources.Dataset, name: str) -> sources.Dataset:
  """Preprocesses both splits of a dataset, fitting on the training split.

  Args:
    dataset: what to preprocess.
    name: one of `names()`: `none` keeps the values as they are stored, `unit`
      maps uint8 to [0, 1], and each of the others does that first and then what
      its name says.

  Returns:
    The dataset with float32 images.

  Raises:
    ValueError: if the name is unknown or the result is not finite.
  """
  fit = choice.choose('preprocessing', name, _FITS)
  train, test = dataset.train_images, dataset.test_images
  if name != 'none':
    train, test = to_unit_range(train), to_unit_range(test)
  transform = fit(train)
  train_images, test_images = transform(train), transform(test)
  for split, result in (('training', train_images), ('test', test_images)):
    if not np.all(np.isfinite(result)):
      raise ValueError(
        f'{dataset.name}: preprocessing {name!r} gives values beyond float32 '
        f'in the {split} images; scale the data down first'
      )
  return dataset._replace(train_images=train_images, test_images=test_images)


def downsample(dataset: sources.Dataset, factor: int) -> sources.Dataset:
  """Averages squares of pixels in both splits, for smaller and faster images.

  Args:
    dataset: of uint8 or float images `[N, H, W, C]`.
    factor: side of the squares in pixels; it divides height and width.

  Returns:
    The dataset with float32 images `[N, H / factor, W / factor, C]`, on the
    scale of the ones given.

  Raises:
    ValueError: if the factor does not divide height and width.
  """
  height, width = dataset.train_images.shape[1:3]
  if factor < 1 or height % factor or width % factor:
    raise ValueError(
      f'{dataset.name}: images of {height}x{width} are no squares of '
      f'{factor}x{factor} pixels; take a factor that divides both sides'
    )

  def average(x):
    rows, columns = height // factor, width // factor
    squares = x.reshape(len(x), rows, factor, columns, factor, -1)
    return _as_float32(np.asarray(np.mean(squares, (2, 4), np.float64)))

  return dataset._replace(
    train_images=average(dataset.train_images),
    test_images=average(dataset.test_images),
  )


def names() -> tuple[str, ...]:
  """The names that `preprocess` knows."""
  return tuple(_FITS)


def check(name: str) -> None:
  """Raises a ValueError if a preprocessing is unknown; lists those there are.

  Args:
    name: what `preprocess` is to be given.
  """
  choice.choose('preprocessing', name, _FITS)


def _as_float32(images: np.ndarray) -> np.ndarray:
  return images.astype(np.float32)


# From a name to a function that fits training images and gives the transform.
_Transform = Callable[[np.ndarray], np.ndarray]
_FITS: dict[str, Callable[[np.ndarray], _Transform]] = {
  'none': lambda train: _as_float32,
  'unit': lambda train: _as_float32,
  'sample_mean': lambda train: remove_sample_mean,
  'sample_standard': lambda train: standardize_sample,
  'feature_standard': lambda train: fit_feature_standardization(train).apply,
  'channel_standard': lambda train: fit_channel_standardization(train).apply,
}


def _by_rows(transform: _Transform, images: np.ndarray) -> np.ndarray:
  """Applies a float64 transform to a few images at a time, giving float32."""
  result = np.empty(images.shape, np.float32)
  for start in range(0, len(images), _ROWS):
    rows = slice(start, start + _ROWS)
    with np.errstate(over='ignore'):  # `preprocess` checks the result.
      result[rows] = transform(images[rows].astype(np.float64))
  return result


def _fit(train: np.ndarray, axes: tuple[int, ...]) -> Standardization:
  """Fits over `axes` in two passes: the mean, then the squares about it."""
  mean = np.asarray(np.mean(train, axes, np.float64, keepdims=True))
  squares = np.zeros_like(mean)
  for start in range(0, len(train), _ROWS):
    deviations = train[start : start + _ROWS].astype(np.float64) - mean
    squares += np.sum(np.square(deviations), axes, keepdims=True)
  std = np.sqrt(squares / (train.size / mean.size))
  # Not `std == 0`: the mean of equal values may be off by a rounding error.
  constant = _constant(np.min(train, axes, keepdims=True), _max(train, axes))
  return Standardization(mean, np.where(constant, 1.0, std))


def _max(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
  return np.max(x, axes, keepdims=True)


def _constant(smallest: np.ndarray, largest: np.ndarray) -> np.ndarray:
  return smallest == largest
