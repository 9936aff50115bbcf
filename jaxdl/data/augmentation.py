"""Augmentation: random changes of a batch of images that keep their classes.

Each is a pure function of a key and a batch: the same key gives the same
images, shapes are static, and `jit`, `vmap` and `scan` take it as it is. Of a
training batch alone; the test images stay as they are.
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from jaxdl import choice

Array = jax.Array
Augmentation = Callable[[Array, Array], Array]


def pad_and_crop(key: Array, images: Array, padding: int = 4) -> Array:
  """Pads with zeros, and crops each image at random to its size again.

  See He et al., 2016, https://arxiv.org/abs/1512.03385, section 4.2, and Lee et
  al., 2015, https://arxiv.org/abs/1409.5185. Zero is the mean of standardized
  images; of raw ones it is black.

  Args:
    key: of the batch; every image gets its own shift.
    images: `[batch, height, width, channels]`.
    padding: pixels on each side; the largest shift.

  Returns:
    Of the shape and dtype of `images`.

  Raises:
    ValueError: if the padding is negative, or these are no images.
  """
  _require_images('pad_and_crop', images)
  if padding < 0:
    raise ValueError(f'padding must be at least 0, got {padding}.')
  sides = ((0, 0), (padding, padding), (padding, padding), (0, 0))
  corners = jax.random.randint(key, (len(images), 2), 0, 2 * padding + 1)

  def crop(padded, corner):
    start = (corner[0], corner[1], 0)
    return jax.lax.dynamic_slice(padded, start, images.shape[1:])

  return jax.vmap(crop)(jnp.pad(images, sides), corners)


def flip(key: Array, images: Array) -> Array:
  """Mirrors each image left to right with probability 1/2.

  See Krizhevsky et al., "ImageNet classification with deep convolutional neural
  networks", 2012, section 4.1. It keeps the class of most photographs, but not
  that of digits.

  Args:
    key: of the batch; every image is decided on its own.
    images: `[batch, height, width, channels]`.

  Returns:
    Of the shape and dtype of `images`.

  Raises:
    ValueError: if these are no images.
  """
  _require_images('flip', images)
  mirrored = jax.random.bernoulli(key, 0.5, (len(images), 1, 1, 1))
  return jnp.where(mirrored, images[:, :, ::-1], images)


def cutout(key: Array, images: Array, size: int = 8) -> Array:
  """Blanks a square of each image, centred at any pixel, with zeros.

  What of the square lies outside the image is lost. See DeVries & Taylor, 2017,
  https://arxiv.org/abs/1708.04552.

  Args:
    key: of the batch; every image gets its own square.
    images: `[batch, height, width, channels]`.
    size: side of the square in pixels; 0 blanks nothing.

  Returns:
    Of the shape and dtype of `images`.

  Raises:
    ValueError: if the size is negative, or these are no images.
  """
  _require_images('cutout', images)
  if size < 0:
    raise ValueError(f'size must be at least 0, got {size}.')
  count, height, width, _ = images.shape
  row_key, column_key = jax.random.split(key)
  rows = _covered(row_key, count, height, size)
  columns = _covered(column_key, count, width, size)
  blank = rows[:, :, None] & columns[:, None, :]  # [batch, height, width]
  return jnp.where(blank[..., None], jnp.zeros((), images.dtype), images)


def augmentation(spec: str) -> Augmentation:
  """Returns the augmentation that a flag names.

  Args:
    spec: `none`, or any of `crop:PADDING` (4 by default), `flip` and
      `cutout:SIZE` (8 by default) with `+` between: `crop:4+flip`. They apply
      from left to right.

  Returns:
    Maps a key and images `[batch, height, width, channels]` to images of that
    shape.

  Raises:
    ValueError: if a name is unknown, twice there, or its number is no integer
      of at least 1.
  """
  parts = [part.strip() for part in spec.split('+')]
  names = [choice.split_name(part) for part in parts]
  for name in names:
    choice.choose('augmentation', name, {'none': {}, **_NUMBERS})
    if names.count(name) > 1:
      raise ValueError(
        f'augmentation {spec!r} has {name} twice; give each once'
      )
  if 'none' in names:
    if spec != 'none':
      raise ValueError(
        f'augmentation {spec!r}: none stands alone; leave it out, or the rest'
      )
    return lambda key, images: images
  return _in_turn([_part(part) for part in parts])


def names() -> tuple[str, ...]:
  """The names that `augmentation` knows."""
  return ('none', *_NUMBERS)


# The numbers of each, with their defaults.
_NUMBERS: Mapping[str, Mapping[str, float]] = {
  'crop': {'padding': 4},
  'flip': {},
  'cutout': {'size': 8},
}


def _part(text: str) -> Augmentation:
  """Returns the augmentation of one part of a flag."""
  name = choice.split_name(text)
  numbers = choice.parse('augmentation', text, _NUMBERS[name]).numbers
  for number, value in numbers.items():
    if value != int(value) or value < 1:
      raise ValueError(
        f'augmentation {text!r}: {number} is {value:g}; it must be an integer '
        f'of at least 1, as in {name}:{_NUMBERS[name][number]:g}'
      )
  if name == 'crop':
    padding = int(numbers['padding'])
    return lambda key, images: pad_and_crop(key, images, padding)
  if name == 'cutout':
    size = int(numbers['size'])
    return lambda key, images: cutout(key, images, size)
  return flip


def _in_turn(parts: list[Augmentation]) -> Augmentation:
  """Applies augmentations from left to right, each with a key of its own."""

  def augment(key, images):
    for index, part in enumerate(parts):
      images = part(jax.random.fold_in(key, index), images)
    return images

  return augment


def _covered(key: Array, count: int, length: int, size: int) -> Array:
  """Which pixels of one axis the square covers, `[count, length]`."""
  centres = jax.random.randint(key, (count, 1), 0, length)
  first = centres - size // 2
  pixels = jnp.arange(length)
  return (pixels >= first) & (pixels < first + size)


def _require_images(name: str, images: Array) -> None:
  if images.ndim != 4:
    raise ValueError(
      f'{name} takes images [batch, height, width, channels], got shape '
      f'{images.shape}.'
    )
