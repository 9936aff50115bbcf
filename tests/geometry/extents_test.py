"""Tests for `extents.py`."""

import itertools
import math

from absl.testing import absltest
from absl.testing import parameterized
from hypothesis import given
from hypothesis import strategies as st
from jaxdl.geometry import extents
import numpy as np


def _places(extent, shape):
  """The first pixel that each element sees."""
  grid = np.indices(shape).reshape(len(shape), -1)
  strides = np.array(extent.strides, int)
  return (int(extent.start) + strides @ grid).reshape(shape)


@st.composite
def _reshapes(draw):
  """Two shapes of one size, from the same prime factors."""
  factors = draw(st.lists(st.sampled_from([1, 2, 3]), min_size=1, max_size=5))
  shapes = []
  for _ in range(2):
    cuts = sorted(draw(st.lists(st.integers(0, len(factors)), max_size=3)))
    bounds = itertools.pairwise([0, *cuts, len(factors)])
    shapes.append(tuple(math.prod(factors[a:b]) for a, b in bounds))
  return shapes


class ReshapeTest(parameterized.TestCase):
  @given(_reshapes(), st.data())
  def test_every_element_still_sees_its_pixels(self, shapes, data):
    old, new = shapes
    axis = data.draw(st.integers(0, len(old) - 1))
    extent = extents.of_input(old, axis)
    places = _places(extent, old).reshape(new)
    reshaped = extents.reshape(extent, old, new)
    first = _places(reshaped, new)
    self.assertTrue(np.all(first <= places))
    self.assertTrue(np.all(places <= first + reshaped.size - 1))

  @parameterized.parameters(
    ((6, 4), (3, 2, 4), (2, 1, 0), 1),
    ((6, 4), (6, 1, 4), (1, 0, 0), 1),
    ((6, 1, 4), (6, 4), (1, 0), 1),
    ((6, 4), (24,), (0,), 6),
    ((6, 4), (2, 3, 2, 2), (3, 1, 0, 0), 1),
  )
  def test_strides(self, old, new, strides, size):
    reshaped = extents.reshape(extents.of_input(old, 0), old, new)
    self.assertEqual(reshaped.strides, strides)
    self.assertEqual(reshaped.size, size)
    self.assertEmpty(reshaped.note)

  def test_an_axis_that_was_split_may_be_joined_again(self):
    extent = extents.of_input((12, 5), 0)
    split = extents.reshape(extent, (12, 5), (3, 4, 5))
    self.assertEqual(extents.reshape(split, (3, 4, 5), (12, 5)), extent)

  def test_says_where_it_mixes_space_with_others(self):
    extent = extents.of_input((6, 2, 4), 0)
    mixed = extents.reshape(extent, (6, 2, 4), (12, 4))
    self.assertEqual(mixed.note, 'reshape mixes axes')
    self.assertEqual((mixed.start, mixed.size), (0, 6))

  def test_of_nothing(self):
    extent = extents.of_input((6, 0), 0)
    self.assertEqual(extents.reshape(extent, (6, 0), (0,)).strides, (0,))


class SlideTest(parameterized.TestCase):
  def test_composes_as_araujo_et_al_do(self):
    extent = extents.of_input((224,), 0)
    extent = extents.slide(extent, 0, first=-3, count=7, stride=2)
    extent = extents.slide(extent, 0, first=-1, count=3, stride=2)
    self.assertEqual((extent.size, extent.start), (11, -5))
    self.assertEqual(extent.strides, (4,))

  def test_does_nothing_along_an_axis_where_all_see_the_same(self):
    extent = extents.of_input((8, 4), 0)
    self.assertEqual(extents.slide(extent, 1, first=-1, count=3), extent)

  def test_all_of_an_axis_is_cut_to_the_image(self):
    extent = extents.of_input((8, 4), 0)
    extent = extents.slide(extent, 0, first=-1, count=3)
    extent = extents.collapse(extent, 0, 8)
    self.assertEqual((extent.start, extent.size), (0, 8))
    self.assertTrue(extents.is_constant(extent))

  def test_coarsest_axis(self):
    extent = extents.Extent(8, 1, 0, strides=(0, 1, -4, 2))
    self.assertEqual(extents.coarsest_axis(extent), 2)
    self.assertIsNone(extents.coarsest_axis(extents.whole(extent, 3)))


class UnionTest(parameterized.TestCase):
  def _joined(self, *found, shape=(4,)):
    return extents.union(found, shape, 'add')

  def test_of_one_centre_is_aligned(self):
    wide = extents.Extent(9, size=5, start=-2, strides=(2,))
    narrow = extents.Extent(9, size=1, start=0, strides=(2,))
    self.assertEqual(self._joined(wide, narrow), wide)

  def test_of_two_centres_is_not(self):
    left = extents.Extent(9, size=3, start=-2, strides=(2,))
    right = extents.Extent(9, size=3, start=1, strides=(2,))
    self.assertEqual(
      self._joined(left, right),
      extents.Extent(9, size=6, start=-2, strides=(2,), aligned=False),
    )

  def test_once_out_of_line_stays_so(self):
    left = extents.Extent(9, 3, -1, (1,), aligned=False)
    self.assertFalse(self._joined(left, left).aligned)

  def test_of_different_strides_sees_all_and_says_so(self):
    joined = self._joined(
      extents.Extent(9, 1, 0, (1,)), extents.Extent(9, 1, 0, (2,))
    )
    self.assertEqual((joined.start, joined.size), (0, 9))
    self.assertEqual(joined.note, 'add joins different strides')

  def test_with_a_value_that_sees_all_sees_all(self):
    window = extents.Extent(9, 3, -1, (1,))
    joined = self._joined(window, extents.whole(window, 1))
    self.assertEqual((joined.start, joined.size, joined.note), (0, 9, ''))

  def test_along_an_axis_of_one_element_the_stride_does_not_matter(self):
    joined = self._joined(
      extents.Extent(9, 3, -1, (4,)), extents.Extent(9, 3, -1, (8,)), shape=(1,)
    )
    self.assertEqual(joined.strides, (8,))
    self.assertEmpty(joined.note)


if __name__ == '__main__':
  absltest.main()
