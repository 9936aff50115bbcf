"""Tests for `conditioning.py`."""

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies
import jax
from jaxdl.data import conditioning
import numpy as np


def _images(shape, scales=1.0, offset=0.0, seed=0):
  rng = np.random.default_rng(seed)
  return rng.normal(offset, 1, shape) * scales


class ConditioningTest(parameterized.TestCase):
  def test_dense_input_agrees_with_numpy(self):
    images = _images((1500, 2, 3, 2), np.arange(1, 3), 0.5)
    rows = images.reshape(1500, -1)
    found = conditioning.conditioning(images)
    np.testing.assert_allclose(
      found.covariance,
      np.linalg.eigvalsh(np.cov(rows.T, bias=True))[::-1],
      rtol=1e-10,
    )
    np.testing.assert_allclose(
      found.second_moment,
      np.linalg.eigvalsh(rows.T @ rows / 1500)[::-1],
      rtol=1e-10,
    )
    mean = rows.mean(0)
    np.testing.assert_allclose(
      found.mean_share, mean @ mean / np.mean(np.sum(rows**2, 1))
    )

  @parameterized.parameters(1, 3, 5)
  def test_convolution_sees_the_squares_that_jax_convolves(self, size):
    images = _images((4, 6, 5, 2), offset=1.0).astype(np.float32)
    patches = jax.lax.conv_general_dilated_patches(
      images,
      (size, size),
      (1, 1),
      'SAME',
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    )
    rows = np.asarray(patches, np.float64).reshape(-1, 2 * size**2)
    found = conditioning.conditioning(images, size)
    np.testing.assert_allclose(
      found.second_moment,
      np.linalg.eigvalsh(rows.T @ rows / len(rows))[::-1],
      rtol=1e-5,
      atol=1e-6,
    )

  def test_the_mean_of_raw_pixels_is_the_largest_eigenvalue(self):
    # Twelve pixels of variance 1 about 100: one eigenvalue near 12 x 100^2.
    found = conditioning.conditioning(_images((5000, 3, 4, 1), offset=100.0))
    np.testing.assert_allclose(found.covariance, 1, atol=0.2)
    np.testing.assert_allclose(found.second_moment[0], 12e4, rtol=1e-2)
    self.assertAlmostEqual(found.mean_share, 1, delta=1e-3)

  @hypothesis.settings(max_examples=20)
  @hypothesis.given(
    scale=strategies.floats(1e-3, 1e3), shift=strategies.floats(-10, 10)
  )
  def test_covariance_scales_and_does_not_see_a_shift(self, scale, shift):
    images = _images((50, 2, 2, 1), seed=3)
    before = conditioning.conditioning(images)
    after = conditioning.conditioning(scale * (images + shift))
    np.testing.assert_allclose(
      after.covariance, scale**2 * before.covariance, rtol=1e-7
    )
    np.testing.assert_allclose(
      conditioning.ratio(after.covariance),
      conditioning.ratio(before.covariance),
      rtol=1e-7,
    )

  def test_a_large_offset_costs_no_digits(self):
    images = _images((200, 2, 2, 1))
    exact = conditioning.conditioning(images).covariance
    shifted = conditioning.conditioning(images + 2.0**20).covariance
    np.testing.assert_allclose(shifted, exact, rtol=1e-7)

  def test_blank_images_have_no_direction(self):
    found = conditioning.conditioning(np.zeros((3, 2, 2, 1)))
    np.testing.assert_array_equal(found.covariance, np.zeros(4))
    self.assertEqual(found.mean_share, 0)
    self.assertEqual(conditioning.rank(found.covariance), 0)
    self.assertTrue(np.isnan(conditioning.ratio(found.covariance)))
    self.assertTrue(np.isnan(conditioning.effective_rank(found.covariance)))

  @parameterized.parameters(
    ((4, 28, 28), None, r'images \[N, H, W, C\], got shape \(4, 28, 28\)'),
    ((0, 2, 2, 1), None, r'got shape \(0, 2, 2, 1\)'),
    ((4, 2, 2, 1), 2, 'must be odd, got 2'),
    ((4, 2, 2, 1), -1, 'must be odd, got -1'),
  )
  def test_mistakes(self, shape, kernel_size, message):
    with self.assertRaisesRegex(ValueError, message):
      conditioning.conditioning(np.zeros(shape), kernel_size)


class NumbersTest(parameterized.TestCase):
  def test_a_constant_pixel_counts_as_zero(self):
    images = _images((300, 1, 4, 1), np.array([8, 2, 1, 0])[:, None])
    eigenvalues = conditioning.conditioning(images).covariance
    self.assertEqual(conditioning.rank(eigenvalues), 3)
    self.assertBetween(conditioning.ratio(eigenvalues), 40, 100)

  @parameterized.parameters(1, 2, 7)
  def test_effective_rank_of_equal_eigenvalues_is_their_number(self, count):
    eigenvalues = np.array([3.0] * count + [0.0] * 2)
    self.assertAlmostEqual(conditioning.effective_rank(eigenvalues), count)
    self.assertAlmostEqual(conditioning.ratio(eigenvalues), 1)

  @hypothesis.given(
    strategies.lists(strategies.floats(1e-3, 1e3), min_size=1, max_size=8)
  )
  def test_effective_rank_lies_between_one_and_the_rank(self, eigenvalues):
    eigenvalues = np.array(eigenvalues)
    effective = conditioning.effective_rank(eigenvalues)
    self.assertBetween(
      effective, 1 - 1e-9, conditioning.rank(eigenvalues) + 1e-9
    )


if __name__ == '__main__':
  absltest.main()
