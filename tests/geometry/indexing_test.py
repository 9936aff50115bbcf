"""Tests for `indexing.py`, against trying every pixel."""

from absl.testing import absltest
from absl.testing import parameterized
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from jax import lax
import jax.numpy as jnp
from jaxdl.geometry import extents
from jaxdl.geometry import indexing
from jaxdl.geometry.application import Application
import numpy as np

from tests.geometry import dependence


class SliceTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('stretch', lambda x: x[:, 2:9, 1:]),
    ('strided', lambda x: x[:, ::2, 1::3]),
    ('lax', lambda x: lax.slice(x, (0, 1, 2, 0), (1, 8, 9, 1), (1, 3, 2, 1))),
    ('one row', lambda x: x[:, 3]),
    ('last column', lambda x: x[:, :, -1]),
    ('split', lambda x: jnp.split(x, 3, axis=1)[1]),
    ('reversed', lambda x: x[:, ::-1, ::-2]),
  )
  def test_agrees_with_trying_every_pixel(self, fn):
    dependence.assert_agree(fn, (9, 10, 1))

  def test_moves_the_start_by_pixels(self):
    extent = extents.Extent(20, size=3, start=-1, strides=(2, 0))
    params = {'start_indices': (4, 1), 'strides': (3, 1)}
    (sliced,) = indexing.slice(
      Application(
        'slice', params, (extent,), ((10, 5),), ((2, 4),), lambda _: None
      )
    )
    self.assertEqual(sliced, extent._replace(start=7, strides=(6, 0)))


class DynamicSliceTest(parameterized.TestCase):
  def test_of_a_known_place(self):
    fn = lambda x: lax.dynamic_slice(
      x, (0, 2, jnp.int32(1) + 2, 0), (1, 3, 4, 1)
    )
    dependence.assert_agree(fn, (9, 10, 1))

  def test_is_moved_into_the_image(self):
    fn = lambda x: lax.dynamic_slice(x, (0, 20, -30, 0), (1, 3, 4, 1))
    dependence.assert_agree(fn, (9, 10, 1))

  def test_of_a_place_that_depends_on_the_input_sees_all(self):
    def fn(x):
      place = jnp.sum(x).astype(int)
      return lax.dynamic_slice(x, (0, place, 0, 0), (1, 3, 10, 1))

    self.assertTrue(dependence.whole(fn, (9, 10, 1)))

  def test_of_an_unknown_place_is_any_place(self):
    def fn(x):
      row = lambda place: lax.dynamic_slice(
        x, (0, place, 0, 0), (1, 1, x.shape[2], 1)
      )
      return lax.scan(lambda i, _: (i + 1, row(i)), 0, length=4)[1]

    height, width = dependence.predicted(fn, (9, 10, 1))
    self.assertEqual((height.start, height.size), (0, 9))
    self.assertIn('unknown places', height.note)
    self.assertEqual(width.size, 1)
    self.assertEmpty(width.note)


class GatherTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('every second', np.arange(0, 9, 2)),
    ('backwards', np.arange(9)[::-1].copy()),
    ('always one', np.full(4, 5)),
    ('in a square', np.arange(8).reshape(4, 2)),
  )
  def test_of_regular_places_is_exact(self, places):
    dependence.assert_agree(lambda x: x[:, jnp.asarray(places)], (9, 10, 1))

  def test_along_two_axes_at_once(self):
    places = jnp.arange(0, 8, 2)
    fn = lambda x: x[:, places[:, None], places[None, :] + 1]
    dependence.assert_agree(fn, (9, 10, 1))

  def test_on_the_diagonal(self):
    places = jnp.arange(9)
    dependence.assert_agree(lambda x: x[:, places, places], (9, 10, 1))

  def test_of_irregular_places_sees_no_more_than_all(self):
    fn = lambda x: x[:, jnp.array([0, 1, 5, 6])]
    height, width = dependence.predicted(fn, (9, 10, 1))
    self.assertEqual((height.start, height.size), (0, 9))
    self.assertIn('gather takes irregular', height.note)
    self.assertEqual(width.size, 1)

  @settings(max_examples=15, deadline=None)
  @given(st.integers(0, 3), st.integers(1, 3), st.integers(1, 2))
  def test_a_slice_by_numpy_agrees(self, first, step, skip):
    fn = lambda x: x[:, first::step][:, ::skip]
    dependence.assert_agree(fn, (9, 3, 1))

  def test_at_places_of_the_input_sees_all(self):
    fn = lambda x: jnp.take(x, x[0, :, 0, 0].astype(int), axis=1)
    self.assertTrue(dependence.whole(fn, (5, 4, 1)))


if __name__ == '__main__':
  absltest.main()
