"""Tests for `augmentation.py`."""

from absl.testing import absltest
from absl.testing import parameterized
import chex
import hypothesis
from hypothesis import strategies
import jax
import jax.numpy as jnp
from jaxdl.data import augmentation
import numpy as np

_SPECS = ('none', 'crop:4', 'flip', 'cutout:3', 'crop:2+flip+cutout:4')


def _images(shape=(64, 6, 5, 3), dtype=np.float32):
  """Images whose pixels are all different and none of them zero."""
  return np.arange(1, 1 + np.prod(shape)).reshape(shape).astype(dtype)


def _shift(image, padded_corner, padding):
  """One crop of a padded image, in numpy."""
  row, column = padded_corner
  height, width, _ = image.shape
  padded = np.pad(image, ((padding,) * 2, (padding,) * 2, (0, 0)))
  return padded[row : row + height, column : column + width]


class PadAndCropTest(parameterized.TestCase):
  @hypothesis.settings(deadline=None, max_examples=15)
  @hypothesis.given(
    seed=strategies.integers(0, 2**31 - 1), padding=strategies.integers(0, 3)
  )
  def test_each_image_is_one_of_the_crops(self, seed, padding):
    images = _images((5, 6, 5, 2))
    crops = augmentation.pad_and_crop(jax.random.key(seed), images, padding)
    self.assertEqual(crops.dtype, images.dtype)
    shifts = range(2 * padding + 1)
    for image, crop in zip(images, np.asarray(crops), strict=True):
      possible = [
        _shift(image, (i, j), padding) for i in shifts for j in shifts
      ]
      self.assertTrue(any(np.array_equal(crop, p) for p in possible))

  def test_every_shift_is_as_likely_as_any_other(self):
    # A bright pixel in the middle lands at one of nine places.
    images = np.zeros((9000, 3, 3, 1), np.float32)
    images[:, 1, 1] = 1
    crops = augmentation.pad_and_crop(jax.random.key(0), images, 1)
    counts = np.sum(np.asarray(crops)[..., 0], axis=0)
    # Binomial of 9000 draws at 1/9: mean 1000, standard deviation 30.
    np.testing.assert_allclose(counts, 1000, atol=5 * 30)

  def test_no_padding_changes_nothing(self):
    images = _images()
    chex.assert_trees_all_equal(
      augmentation.pad_and_crop(jax.random.key(0), images, 0), images
    )

  def test_refuses_negative_padding(self):
    with self.assertRaisesRegex(ValueError, 'at least 0, got -1'):
      augmentation.pad_and_crop(jax.random.key(0), _images(), -1)


class FlipTest(absltest.TestCase):
  def test_half_of_the_images_are_mirrored_and_the_rest_kept(self):
    images = _images((4000, 2, 3, 1))
    flipped = np.asarray(augmentation.flip(jax.random.key(0), images))
    mirrored = np.all(flipped == images[:, :, ::-1], axis=(1, 2, 3))
    kept = np.all(flipped == images, axis=(1, 2, 3))
    np.testing.assert_array_equal(mirrored, ~kept)
    self.assertAlmostEqual(np.mean(mirrored), 0.5, delta=5 * 0.5 / 4000**0.5)


class CutoutTest(parameterized.TestCase):
  @parameterized.parameters(1, 2, 3, 4)
  def test_blanks_a_square_that_the_border_may_cut(self, size):
    images = _images((200, 7, 6, 2))
    cut = np.asarray(augmentation.cutout(jax.random.key(1), images, size))
    blank = np.all(cut == 0, axis=-1)
    np.testing.assert_array_equal(cut[~blank], images[~blank])
    for one in blank:
      rows, columns = np.flatnonzero(one.any(1)), np.flatnonzero(one.any(0))
      # A full rectangle, as large as the square or cut at a border.
      self.assertEqual(one.sum(), len(rows) * len(columns))
      for pixels, length in ((rows, 7), (columns, 6)):
        self.assertBetween(len(pixels), 1, size)
        if len(pixels) < size:
          self.assertTrue(pixels[0] == 0 or pixels[-1] == length - 1)
    self.assertEqual(blank.sum(axis=(1, 2)).max(), size**2)

  def test_no_square_changes_nothing(self):
    chex.assert_trees_all_equal(
      augmentation.cutout(jax.random.key(0), _images(), 0), _images()
    )

  def test_refuses_a_negative_size(self):
    with self.assertRaisesRegex(ValueError, 'at least 0, got -2'):
      augmentation.cutout(jax.random.key(0), _images(), -2)


class AugmentationTest(parameterized.TestCase):
  @parameterized.parameters(*_SPECS)
  def test_keeps_shape_and_dtype_and_is_a_function_of_the_key(self, spec):
    augment = augmentation.augmentation(spec)
    for dtype in (np.float32, np.uint8):
      images = _images((8, 9, 7, 1), dtype)
      once = augment(jax.random.key(3), images)
      chex.assert_shape(once, images.shape)
      self.assertEqual(once.dtype, dtype)
      chex.assert_trees_all_equal(once, augment(jax.random.key(3), images))

  @parameterized.parameters(*_SPECS[1:])
  def test_another_key_gives_other_images(self, spec):
    augment = augmentation.augmentation(spec)
    one = augment(jax.random.key(0), _images())
    other = augment(jax.random.key(1), _images())
    self.assertTrue(np.any(np.asarray(one) != np.asarray(other)))

  @parameterized.parameters(*_SPECS)
  def test_jit_and_vmap_change_nothing(self, spec):
    augment = augmentation.augmentation(spec)
    keys = jax.random.split(jax.random.key(0), 3)
    batches = jnp.asarray(_images((3, 8, 6, 5, 2)))
    singly = [augment(*pair) for pair in zip(keys, batches, strict=True)]
    mapped = jax.jit(jax.vmap(augment))(keys, batches)
    chex.assert_trees_all_equal(mapped, jnp.stack(singly))

  def test_none_is_the_identity(self):
    images = _images()
    augment = augmentation.augmentation('none')
    self.assertIs(augment(jax.random.key(0), images), images)

  def test_parts_apply_from_left_to_right_with_their_own_keys(self):
    images = _images()
    key = jax.random.key(5)
    cropped = augmentation.pad_and_crop(jax.random.fold_in(key, 0), images, 2)
    expected = augmentation.flip(jax.random.fold_in(key, 1), cropped)
    actual = augmentation.augmentation('crop:2+flip')(key, images)
    chex.assert_trees_all_equal(actual, expected)

  def test_numbers_have_the_defaults_of_the_functions(self):
    images = _images((16, 20, 20, 1))
    key = jax.random.fold_in(jax.random.key(0), 0)
    for name, function in (
      ('crop', augmentation.pad_and_crop),
      ('cutout', augmentation.cutout),
    ):
      actual = augmentation.augmentation(name)(jax.random.key(0), images)
      chex.assert_trees_all_equal(actual, function(key, images))

  @parameterized.parameters(
    ('flop', "Unknown augmentation 'flop'.*none, crop, flip, cutout.*'flip'"),
    ('', "Unknown augmentation ''"),
    ('crop:4+', "Unknown augmentation ''"),
    ('crop:x', "'x' is not a finite number; write crop:PADDING"),
    ('crop:0', 'padding is 0; it must be an integer of at least 1'),
    ('crop:2.5', 'padding is 2.5; it must be an integer'),
    ('cutout:-1', 'size is -1; .*as in cutout:8'),
    ('flip:1', 'flip takes no number'),
    ('flip+flip', 'has flip twice'),
    ('crop:1+crop:2', 'has crop twice'),
    ('none+flip', 'none stands alone'),
  )
  def test_mistakes(self, spec, message):
    with self.assertRaisesRegex(ValueError, message) as raised:
      augmentation.augmentation(spec)
    self.assertNotIn('\n', str(raised.exception))

  @parameterized.parameters(
    augmentation.flip, augmentation.pad_and_crop, augmentation.cutout
  )
  def test_refuses_what_is_no_batch_of_images(self, function):
    with self.assertRaisesRegex(ValueError, r'\[batch, height, width'):
      function(jax.random.key(0), jnp.ones((4, 28, 28)))


if __name__ == '__main__':
  absltest.main()
