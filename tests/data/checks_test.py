"""Tests for `checks.py`, most of them through `sources.from_arrays`."""

from absl.testing import absltest
from absl.testing import parameterized
from jaxdl.data import checks
from jaxdl.data import sources
import numpy as np


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


def _floats(**changes) -> dict[str, np.ndarray]:
  arrays = _arrays()
  for key in ('train_images', 'test_images'):
    arrays[key] = arrays[key].astype(np.float64)
  arrays['train_images'].flat[7] = changes.pop('pixel')
  return arrays | changes


# Arrays that are not a dataset, and what is said of them.
_FAULTS = (
  ('rank', _arrays(test_images=np.ones((3, 20), np.uint8)),
   r'\(test\): images have shape \(3, 20\)'),
  ('empty', _arrays(train_images=np.ones((0, 5, 4), np.uint8),
                    train_labels=np.ones(0, int)),
   r'\(training\): images of shape \(0, 5, 4, 1\) are empty'),
  ('dtype', _arrays(train_images=np.ones((6, 5, 4), np.int64)),
   r'\(training\): images are int64; convert'),
  ('nan', _floats(pixel=np.nan), '1 of the 120 pixels are NaN'),
  ('infinite', _floats(pixel=-np.inf), '1 of the 120 pixels'),
  ('beyond_float32', _floats(pixel=1e39), '1 of the 120 pixels'),
  ('one_hot', _arrays(test_labels=np.eye(3, dtype=int)), 'take the argmax'),
  ('float_labels', _arrays(test_labels=np.array([0.0, 2.0, 1.0])),
   r'\(test\): labels are float64'),
  ('bool_labels', _arrays(test_labels=np.ones(3, bool)), 'labels are bool'),
  ('count', _arrays(train_labels=np.array([0, 1, 2])),
   r'\(training\): there are 6 images but 3 labels'),
  ('negative', _arrays(test_labels=np.array([0, 2, -1])),
   r'\(test\): label -1 of example 2 is out of range'),
  ('unseen_class', _arrays(test_labels=np.array([0, 3, 1])),
   r'\(test\): label 3 of example 1 is out of range; labels go from 0 to 2'),
  ('wide_label', _arrays(train_labels=np.array([0, 2**40, 1, 1, 1, 1])),
   'label 1099511627776 of example 1 is out of range'),
  ('one_class', _arrays(train_labels=np.zeros(6, int)),
   'the number of classes is 1'),
  ('shapes', _arrays(test_images=np.ones((3, 4, 4), np.uint8)),
   r'\(5, 4, 1\) and test images \(4, 4, 1\)'),
  ('dtypes', _arrays(test_images=np.ones((3, 5, 4), np.float32)),
   'uint8 and test images float32'),
)  # fmt: skip


class CheckSplitsAgreeTest(parameterized.TestCase):
  def test_names_both_shapes_and_where(self):
    train, test = np.ones((2, 4, 4, 1)), np.ones((2, 5, 4, 1))
    checks.check_splits_agree(train, train, 'here')
    with self.assertRaisesRegex(ValueError, r'here.*\(4, 4, 1\).*\(5, 4, 1\)'):
      checks.check_splits_agree(train, test, 'here')


class FromArraysTest(parameterized.TestCase):
  def test_a_channel_axis_is_added(self):
    arrays = _arrays()
    dataset = sources.from_arrays(**arrays)
    self.assertEqual(dataset.train_images.shape, (6, 5, 4, 1))
    self.assertEqual(dataset.num_classes, 3)
    self.assertEqual(dataset.name, 'arrays')
    np.testing.assert_array_equal(
      dataset.train_images[..., 0], arrays['train_images']
    )
    np.testing.assert_array_equal(dataset.test_labels, arrays['test_labels'])
    self.assertEqual(dataset.test_labels.dtype, np.int32)

  def test_floats_become_float32(self):
    arrays = _floats(pixel=0.1)
    dataset = sources.from_arrays(**arrays)
    self.assertEqual(dataset.train_images.dtype, np.float32)
    np.testing.assert_array_equal(
      dataset.train_images[..., 0], arrays['train_images'].astype(np.float32)
    )

  def test_classes_may_be_more_than_labels_tell(self):
    dataset = sources.from_arrays(
      **_arrays(test_labels=np.array([9, 0, 0])), num_classes=10, name='ten'
    )
    self.assertEqual(dataset.num_classes, 10)

  def test_labels_beyond_num_classes_are_refused(self):
    with self.assertRaisesRegex(
      ValueError, r'two \(training\): label 2 of example 2 .* 0 to 1'
    ):
      sources.from_arrays(**_arrays(), num_classes=2, name='two')

  @parameterized.named_parameters(*_FAULTS)
  def test_faults_are_named(self, arrays, message):
    with self.assertRaisesRegex(ValueError, f'^mine.*{message}'):
      sources.from_arrays(**arrays, name='mine')


if __name__ == '__main__':
  absltest.main()
