"""Tests for `checks.py`, most of them through `sources.from_arrays`."""

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies
from hypothesis.extra import numpy as hypothesis_numpy
from jaxdl.data import checks
from jaxdl.data import sources
import numpy as np

# Of both byte orders, and some that no dataset has.
_DTYPES = (
  '>u2', '<i8', '>i4', 'u1', 'u8', '>f4', 'f2', 'f8', '?', 'c8', 'S3', 'U2',
  'M8[s]', 'm8[D]', [('a', 'i4')],
)  # fmt: skip
_SHAPES = ((6,), (3,), (6, 5, 4), (3, 5, 4, 1), (6, 1), (), (0, 5, 4))


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
  ('identifiers', _arrays(train_labels=np.array([0, 2**31 - 2, 1, 1, 1, 1])),
   'number of classes is 2147483647; 1000000 at most are possible: number'),
  ('intervals', _arrays(train_labels=np.arange(6).astype('m8[s]')),
   'labels are timedelta64'),
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

  @hypothesis.given(
    field=strategies.sampled_from(sorted(_arrays())),
    array=strategies.sampled_from(_DTYPES).flatmap(
      lambda dtype: hypothesis_numpy.arrays(
        dtype, strategies.sampled_from(_SHAPES)
      )
    ),
  )
  def test_any_array_is_a_datasets_or_refused(self, field, array):
    arrays = _floats(pixel=1.0) if array.dtype.kind == 'f' else _arrays()
    try:
      dataset = sources.from_arrays(**arrays | {field: array}, name='mine')
    except ValueError as error:
      self.assertStartsWith(str(error), 'mine')
      self.assertLen(str(error).splitlines(), 1)
      return
    images = (dataset.train_images, dataset.test_images)
    labels = (dataset.train_labels, dataset.test_labels)
    self.assertTrue(all(np.all(np.isfinite(x)) for x in images))
    self.assertIn(images[0].dtype, (np.uint8, np.float32))
    self.assertEqual({x.dtype for x in labels}, {np.dtype(np.int32)})
    self.assertTrue(all(0 <= np.min(x) for x in labels))
    self.assertTrue(all(np.max(x) < dataset.num_classes for x in labels))


if __name__ == '__main__':
  absltest.main()
