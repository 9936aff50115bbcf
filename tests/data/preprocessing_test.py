"""Tests for `preprocessing.py`."""

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis.extra import numpy as hypothesis_numpy
from jaxdl.data import preprocessing
from jaxdl.data import sources
import numpy as np


def _dataset(dtype=np.uint8, num_train=50, num_test=20) -> sources.Dataset:
  """Random images whose splits differ in distribution, one pixel constant."""
  rng = np.random.default_rng(0)
  train = rng.integers(0, 200, (num_train, 5, 4, 3)).astype(dtype)
  test = rng.integers(50, 256, (num_test, 5, 4, 3)).astype(dtype)
  train[:, 2, 1, 0] = 77
  return sources.from_arrays(
    train,
    np.arange(num_train) % 3,
    test,
    np.arange(num_test) % 3,
    name='random',
  )


_IMAGES = hypothesis_numpy.arrays(
  np.uint8,
  hypothesis_numpy.array_shapes(min_dims=4, max_dims=4, max_side=5),
)


class UnitRangeTest(absltest.TestCase):
  def test_uint8_is_divided_by_255(self):
    images = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    unit = preprocessing.to_unit_range(images)
    self.assertEqual(unit.dtype, np.float32)
    np.testing.assert_allclose(unit, images / 255.0, rtol=1e-7)
    self.assertEqual((unit.min(), unit.max()), (0.0, 1.0))

  def test_float_is_left_as_it_is(self):
    images = np.array([-3.0, 0.1, 200.0]).reshape(1, 3, 1, 1)
    unit = preprocessing.to_unit_range(images)
    self.assertEqual(unit.dtype, np.float32)
    np.testing.assert_array_equal(unit, images.astype(np.float32))


class SampleTest(parameterized.TestCase):
  @hypothesis.settings(deadline=None, max_examples=60)
  @hypothesis.given(images=_IMAGES)
  def test_sample_mean_is_removed(self, images):
    actual = preprocessing.remove_sample_mean(images)
    exact = images.astype(np.float64)
    exact = exact - exact.mean((1, 2, 3), keepdims=True)
    np.testing.assert_allclose(actual, exact, rtol=1e-6, atol=1e-6)
    means = np.mean(actual, (1, 2, 3), np.float64)
    np.testing.assert_allclose(means, 0, atol=1e-4)

  @hypothesis.settings(deadline=None, max_examples=60)
  @hypothesis.given(images=_IMAGES)
  def test_sample_is_standardized_or_zero(self, images):
    actual = preprocessing.standardize_sample(images).astype(np.float64)
    stds = actual.std((1, 2, 3))
    constant = np.ptp(images, (1, 2, 3)) == 0
    np.testing.assert_allclose(actual.mean((1, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(stds, np.where(constant, 0, 1), atol=1e-5)

  def test_a_constant_image_of_inexact_values_becomes_zero(self):
    images = np.full((2, 7, 7, 3), 0.1)
    actual = preprocessing.standardize_sample(images)
    np.testing.assert_allclose(actual, 0, atol=1e-12)


class StandardizationTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('feature', preprocessing.fit_feature_standardization, 0, (1, 5, 4, 3)),
    (
      'channel',
      preprocessing.fit_channel_standardization,
      (0, 1, 2),
      (1, 1, 1, 3),
    ),
  )
  def test_fit_agrees_with_float64(self, fit, axes, shape):
    images = _dataset(np.float32).train_images
    exact = images.astype(np.float64)
    std = exact.std(axes, keepdims=True)

    actual = fit(images)

    self.assertEqual(actual.mean.shape, shape)
    self.assertEqual(actual.std.shape, shape)
    np.testing.assert_allclose(
      actual.mean, exact.mean(axes, keepdims=True), rtol=1e-12
    )
    np.testing.assert_allclose(
      actual.std, np.where(std == 0, 1, std), rtol=1e-12
    )

  def test_rows_beyond_one_chunk_are_counted(self):
    images = np.random.default_rng(1).normal(5, 2, (9000, 1, 1, 2))
    actual = preprocessing.fit_channel_standardization(images)
    np.testing.assert_allclose(actual.mean[0, 0, 0], images.mean((0, 1, 2)))
    np.testing.assert_allclose(actual.std[0, 0, 0], images.std((0, 1, 2)))
    np.testing.assert_allclose(
      actual.apply(images),
      (images - images.mean(0)) / images.std(0),
      rtol=1e-5,
      atol=1e-6,
    )

  def test_a_constant_feature_is_shifted_and_not_scaled(self):
    # 0.1 a thousand times: the computed mean need not be 0.1 to the last bit.
    train = np.full((1000, 1, 1, 1), 0.1)
    fitted = preprocessing.fit_feature_standardization(train)
    np.testing.assert_array_equal(fitted.std, 1)
    np.testing.assert_allclose(fitted.apply(train), 0, atol=1e-12)
    np.testing.assert_allclose(fitted.apply(train + 1), 1, rtol=1e-6)

  def test_a_large_offset_costs_no_digits(self):
    train = 1e6 + np.arange(4.0).reshape(4, 1, 1, 1)
    fitted = preprocessing.fit_feature_standardization(train)
    np.testing.assert_allclose(fitted.std, np.sqrt(1.25), rtol=1e-12)


class DownsampleTest(parameterized.TestCase):
  def test_averages_squares_of_both_splits(self):
    images = np.arange(2 * 4 * 6 * 1, dtype=np.uint8).reshape(2, 4, 6, 1)
    dataset = sources.from_arrays(images, [0, 1], images + 9, [1, 0])
    small = preprocessing.downsample(dataset, 2)
    expected = [[3.5, 5.5, 7.5], [15.5, 17.5, 19.5]]
    np.testing.assert_array_equal(small.train_images[0, ..., 0], expected)
    np.testing.assert_array_equal(
      small.test_images, small.train_images + np.float32(9)
    )
    self.assertEqual(small.test_images.dtype, np.float32)

  def test_a_factor_of_one_keeps_the_values(self):
    same = preprocessing.downsample(_dataset(), 1)
    np.testing.assert_array_equal(same.train_images, _dataset().train_images)

  @parameterized.parameters(0, 2, 5)
  def test_a_factor_that_does_not_divide_is_refused(self, factor):
    with self.assertRaisesRegex(ValueError, 'random: images of 5x4.*divides'):
      preprocessing.downsample(_dataset(), factor)


class PreprocessTest(parameterized.TestCase):
  @parameterized.product(
    name=preprocessing.names(), dtype=[np.uint8, np.float32]
  )
  def test_gives_float32_and_keeps_the_rest(self, name, dtype):
    dataset = _dataset(dtype)
    before = dataset.train_images.copy()
    actual = preprocessing.preprocess(dataset, name)
    for images, original in (
      (actual.train_images, dataset.train_images),
      (actual.test_images, dataset.test_images),
    ):
      self.assertEqual(images.dtype, np.float32)
      self.assertEqual(images.shape, original.shape)
    self.assertIs(actual.train_labels, dataset.train_labels)
    self.assertIs(actual.test_labels, dataset.test_labels)
    self.assertEqual(actual.num_classes, dataset.num_classes)
    np.testing.assert_array_equal(dataset.train_images, before)

  @parameterized.parameters(*preprocessing.names())
  def test_training_split_does_not_depend_on_the_test_split(self, name):
    dataset = _dataset()
    other = dataset._replace(test_images=255 - dataset.test_images)
    np.testing.assert_array_equal(
      preprocessing.preprocess(dataset, name).train_images,
      preprocessing.preprocess(other, name).train_images,
    )

  @parameterized.named_parameters(
    ('feature', 'feature_standard', 0),
    ('channel', 'channel_standard', (0, 1, 2)),
  )
  def test_test_split_is_mapped_by_training_statistics(self, name, axes):
    dataset = _dataset()
    train, test = dataset.train_images / 255.0, dataset.test_images / 255.0
    std = train.std(axes)
    std = np.where(std < 1e-9, 1, std)  # The constant pixel.

    actual = preprocessing.preprocess(dataset, name)

    np.testing.assert_allclose(
      actual.test_images, (test - train.mean(axes)) / std, rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(
      actual.train_images.mean(axes, np.float64), 0, atol=1e-6
    )
    self.assertGreater(abs(actual.test_images.mean()), 0.3)

  def test_none_keeps_the_values_as_stored(self):
    dataset = _dataset()
    actual = preprocessing.preprocess(dataset, 'none')
    np.testing.assert_array_equal(actual.train_images, dataset.train_images)
    np.testing.assert_array_equal(actual.test_images, dataset.test_images)

  @parameterized.parameters(
    ('unit', preprocessing.to_unit_range),
    ('sample_mean', lambda x: preprocessing.remove_sample_mean(x / 255)),
    ('sample_standard', preprocessing.standardize_sample),
  )
  def test_names_stand_for_the_functions(self, name, function):
    dataset = _dataset()
    actual = preprocessing.preprocess(dataset, name)
    np.testing.assert_allclose(
      actual.test_images, function(dataset.test_images), rtol=1e-4, atol=1e-5
    )

  def test_an_unknown_name_is_answered_with_the_known_ones(self):
    with self.assertRaisesRegex(
      ValueError, "Unknown preprocessing 'whiten'; choose one of: none, unit, "
    ):
      preprocessing.preprocess(_dataset(), 'whiten')

  def test_values_beyond_float32_are_refused(self):
    dataset = _dataset(np.float32)
    train, test = dataset.train_images.copy(), dataset.test_images.copy()
    train[:, 0, 0, 0] = np.where(np.arange(len(train)) == 0, 1e-30, 0)
    test[0, 0, 0, 0] = 1e20
    dataset = dataset._replace(train_images=train, test_images=test)
    with self.assertRaisesRegex(ValueError, 'beyond float32 in the test'):
      preprocessing.preprocess(dataset, 'feature_standard')


if __name__ == '__main__':
  absltest.main()
