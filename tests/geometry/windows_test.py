"""Tests for `windows.py`: every window against trying every pixel."""

from absl.testing import absltest
from absl.testing import parameterized
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import jax
from jax import lax
import jax.numpy as jnp
from jaxdl import layers
from jaxdl.geometry import windows

from tests.geometry import dependence


def _conv(x, size, stride=1, padding='SAME', dilation=1, **kwargs):
  kernel = jnp.ones((size, size, x.shape[-1], 2))
  return lax.conv_general_dilated(
    x,
    kernel,
    (stride, stride),
    padding,
    rhs_dilation=(dilation, dilation),
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    **kwargs,
  )


def _channels_first(x):
  x = jnp.transpose(x, (0, 3, 1, 2))
  kernel = jnp.ones((2, 2, 3, 1))
  return lax.conv_general_dilated(
    x, kernel, (2, 1), 'VALID', dimension_numbers=('NCHW', 'OIHW', 'NCHW')
  )


def _transposed(x, size, stride, padding='SAME'):
  kernel = jnp.ones((size, size, x.shape[-1], 2))
  return lax.conv_transpose(x, kernel, (stride, stride), padding)


def _pool(layer):
  return lambda x: layer.apply((), (), x)[0]


class ConvolutionTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('same', lambda x: _conv(x, 3)),
    ('even kernel', lambda x: _conv(x, 4)),
    ('strided', lambda x: _conv(x, 3, 2)),
    ('valid', lambda x: _conv(x, 3, 2, 'VALID')),
    ('explicit', lambda x: _conv(x, 3, 1, ((2, 0), (0, 3)))),
    ('cropped', lambda x: _conv(x, 3, 1, ((-1, 0), (0, -2)))),
    ('dilated', lambda x: _conv(x, 3, 1, 'SAME', 2)),
    ('strided twice', lambda x: _conv(_conv(x, 3, 2), 3, 2)),
    ('channels first', _channels_first),
    (
      'groups',
      lambda x: lax.conv_general_dilated(
        x,
        jnp.ones((3, 3, 1, 4)),
        (1, 1),
        'SAME',
        dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
        feature_group_count=2,
      ),
    ),
  )
  def test_agrees_with_trying_every_pixel(self, fn):
    dependence.assert_agree(fn, (13, 12, 2))

  @settings(max_examples=12, deadline=None)
  @given(
    st.lists(
      st.tuples(
        st.integers(1, 4),
        st.integers(1, 2),
        st.integers(1, 2),
        st.sampled_from(['SAME', 'VALID']),
      ),
      min_size=1,
      max_size=2,
    )
  )
  def test_any_two_agree_with_trying_every_pixel(self, convolutions):
    def fn(x):
      for size, stride, dilation, padding in convolutions:
        x = _conv(x, size, stride, padding, dilation)
      return x

    dependence.assert_agree(fn, (26, 3 * 7, 1))

  def test_a_kernel_that_depends_on_the_input_sees_all(self):
    def fn(x):
      return lax.conv_general_dilated(
        x,
        x[0, :3, :3, :, None],
        (1, 1),
        'SAME',
        dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
      )

    self.assertTrue(dependence.whole(fn, (8, 8, 2)))


class TransposedConvolutionTest(parameterized.TestCase):
  @parameterized.product(
    size=(1, 2, 3, 4, 5), stride=(2, 3), padding=('SAME', 'VALID')
  )
  def test_no_output_sees_more(self, size, stride, padding):
    fn = lambda x: _transposed(x, size, stride, padding)
    dependence.assert_agree(fn, (5, 4, 1), exact=False)

  @parameterized.product(
    size=(2, 3, 4, 5), padding=(((0, 0), (0, 0)), ((1, 2), (3, 0)))
  )
  def test_is_exact_where_the_strides_divide(self, size, padding):
    fn = lambda x: _conv(x, size, 4, padding, lhs_dilation=(2, 2))
    dependence.assert_agree(fn, (12, 11, 1))

  def test_that_reads_holes_alone_is_no_mistake(self):
    fn = lambda x: _conv(x, 1, 2, ((1, 1), (1, 1)), lhs_dilation=(2, 2))
    self.assertFalse(dependence.seen(fn, (5, 4, 1)).any())
    extent, _ = dependence.predicted(fn, (5, 4, 1))
    self.assertLessEqual(extent.size, 2)

  def test_of_stride_1_is_exact(self):
    dependence.assert_agree(lambda x: _transposed(x, 3, 1), (7, 6, 1))

  def test_halves_the_stride(self):
    extent, _ = dependence.predicted(lambda x: _transposed(x, 4, 2), (8, 8, 1))
    self.assertEqual(extent.strides[1], windows.Fraction(1, 2))


class PoolingTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('max', _pool(layers.max_pool(2))),
    ('max overlapping', _pool(layers.max_pool(3, 2, 'SAME'))),
    ('average', _pool(layers.avg_pool((2, 3)))),
    ('average padded', _pool(layers.avg_pool(3, 1, 'SAME'))),
    (
      'dilated',
      lambda x: lax.reduce_window(
        x,
        -jnp.inf,
        lax.max,
        (1, 2, 2, 1),
        (1, 1, 1, 1),
        'VALID',
        window_dilation=(1, 3, 2, 1),
      ),
    ),
    (
      'of any function',
      lambda x: lax.reduce_window(
        x, 1.0, lax.mul, (1, 2, 3, 1), (1, 2, 1, 1), 'VALID'
      ),
    ),
  )
  def test_agrees_with_trying_every_pixel(self, fn):
    dependence.assert_agree(fn, (12, 13, 2))

  def test_the_tangent_of_a_maximum_sees_its_window(self):
    pool = _pool(layers.max_pool(3, 2))
    tangent = lambda x: jax.jvp(pool, (x,), (x,))[1]
    self.assertEqual(
      dependence.predicted(tangent, (12, 13, 2)),
      dependence.predicted(pool, (12, 13, 2)),
    )


class PadTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('zeros', lambda x: jnp.pad(x, ((0, 0), (2, 1), (0, 3), (0, 0)))),
    (
      'cropping',
      lambda x: lax.pad(
        x, 0.0, ((0, 0, 0), (-1, 2, 0), (-2, -1, 0), (0, 0, 0))
      ),
    ),
  )
  def test_agrees_with_trying_every_pixel(self, fn):
    dependence.assert_agree(fn, (6, 7, 1))

  def test_between_pixels_then_a_convolution_sees_no_more(self):
    def fn(x):
      x = lax.pad(x, 0.0, ((0, 0, 0), (1, 1, 1), (2, 1, 2), (0, 0, 0)))
      return _conv(x, 3)

    extent, _ = dependence.predicted(fn, (6, 6, 1))
    self.assertEqual(extent.strides[1], windows.Fraction(1, 2))

  def test_with_a_value_of_the_input_sees_all(self):
    fn = lambda x: lax.pad(
      x, jnp.sum(x), ((0, 0, 0), (1, 1, 0)) + ((0, 0, 0),) * 2
    )
    self.assertTrue(dependence.whole(fn, (5, 5, 1)))


if __name__ == '__main__':
  absltest.main()
