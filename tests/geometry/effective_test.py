"""Tests for `effective.py`."""

from absl.testing import absltest
from absl.testing import parameterized
import chex
import jax
import jax.numpy as jnp
from jaxdl import layers
from jaxdl.geometry import effective
from jaxdl.geometry import receptive_fields
from jaxdl.models import units
import numpy as np

_POSITIVE = layers.initializers.constant(0.1)


def _conv(kernel_size, strides=1, features=2):
  return layers.conv(
    features, kernel_size, strides=strides, weight_init=_POSITIVE
  )


def _measured(net, in_shape, **kwargs):
  kwargs = {'num_samples': 2, **kwargs}
  return np.asarray(
    effective.effective_receptive_field(
      net, None, in_shape, jax.random.key(0), **kwargs
    )
  )


def _expected_support(net, in_shape, scope='output'):
  """The analytic field of the output in the middle, as a mask."""
  row = receptive_fields.receptive_field(net, in_shape).row(scope)
  mask = np.ones(in_shape[:-1], bool)
  for axis, field in enumerate(row.fields):
    first, last = field.middle()
    pixels = np.arange(in_shape[axis])
    inside = (first <= pixels) & (pixels <= last)
    mask &= inside.reshape([-1 if a == axis else 1 for a in range(mask.ndim)])
  return mask


class SupportTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('one convolution', _conv(3)),
    ('even kernel', _conv(4)),
    ('oblong kernel', _conv((3, 5))),
    ('strided', layers.serial(_conv(3, 2), _conv(3), _conv(3, 2))),
    ('pooled', layers.serial(_conv(3), layers.avg_pool(2), _conv(3))),
    ('repeated', layers.repeat(_conv(3, features=3), 3)),
    ('residual', layers.residual(_conv(5, features=3))),
    ('branches', layers.parallel(_conv(1), _conv(3), _conv(5))),
    ('pooled over all', layers.serial(_conv(3), layers.global_avg_pool())),
  )
  def test_of_positive_weights_is_the_analytic_field(self, net):
    in_shape = (17, 15, 3)
    support = _measured(net, in_shape) > 0
    np.testing.assert_array_equal(support, _expected_support(net, in_shape))

  def test_lies_within_the_analytic_field(self):
    block = layers.serial(
      layers.conv(2, 3), layers.batch_norm(), layers.activation('relu')
    )
    net = layers.serial(block, layers.max_pool(2), block)
    in_shape = (16, 14, 1)
    support = _measured(net, in_shape) > 0
    self.assertTrue(support.any())
    self.assertFalse((support & ~_expected_support(net, in_shape)).any())

  @parameterized.parameters('first', 'hidden', 'hidden/layer', 'hidden/layer/0')
  def test_of_a_scope(self, scope):
    net = units.chain(
      {
        'first': _conv(3, 2, 3),
        'hidden': layers.repeat(layers.serial(_conv(3, features=3)), 4),
        'pool': layers.global_avg_pool(),
      }
    )
    support = _measured(net, (25, 23, 1), scope=scope) > 0
    expected = _expected_support(net, (25, 23, 1), scope)
    np.testing.assert_array_equal(support, expected)


class SizeTest(parameterized.TestCase):
  @parameterized.parameters(
    # Luo et al.: the standard deviation is sqrt(n (k^2 - 1) / 12) for uniform
    # weights, whereas the field is n (k - 1) + 1 wide.
    (3, 5, 1.825742),
    (3, 20, 3.651484),
    (3, 40, 5.163978),
    (5, 10, 4.472136),
  )
  def test_grows_as_the_square_root_of_the_depth(self, kernel, depth, expected):
    net = layers.repeat(_uniform(kernel), depth)
    width = depth * (kernel - 1) + 1
    measured = _measured(net, (width, width, 1), num_samples=1)
    marginal = measured.sum(axis=0) / measured.sum()
    places = np.arange(width) - width // 2
    std = np.sqrt(np.sum(marginal * places**2))
    self.assertAlmostEqual(std, expected, places=4)

  def test_is_the_absolute_gradient(self):
    w = jax.random.normal(jax.random.key(1), (3, 3, 2, 4))
    net = layers.conv(4, 3, weight_init=lambda key, shape: w)
    measured = _measured(net, (3, 3, 2))
    expected = np.abs(np.asarray(w).sum(axis=-1)).sum(axis=-1)
    np.testing.assert_allclose(measured, expected, rtol=1e-5)

  def test_averages_over_inputs(self):
    measured = effective.effective_receptive_field(
      jnp.square, None, (4, 5, 1), jax.random.key(0), num_samples=4000
    )
    expected = np.zeros((4, 5))
    expected[2, 2] = 2 * np.sqrt(2 / np.pi)
    np.testing.assert_allclose(measured, expected, atol=0.1)
    chex.assert_shape(measured, (4, 5))


def _uniform(kernel):
  weight_init = layers.initializers.constant(kernel**-2)
  return layers.conv(1, kernel, weight_init=weight_init, use_bias=False)


class EffectiveSizeTest(parameterized.TestCase):
  def test_of_a_gaussian_is_that_of_a_disc(self):
    places = np.arange(-60, 61)
    std = 10.0
    marginal = np.exp(-((places / std) ** 2) / 2)
    measured = marginal[:, None] * marginal
    radius = std * np.sqrt(-2 * np.log(1 - 0.9545))
    size = effective.effective_size(measured)
    self.assertAlmostEqual(size, np.sqrt(np.pi) * radius, delta=0.5)

  def test_of_one_pixel(self):
    measured = np.zeros((5, 5))
    measured[2, 2] = 3
    self.assertEqual(effective.effective_size(measured), 1)

  def test_along_one_axis(self):
    self.assertEqual(effective.effective_size(np.array([0, 1, 1, 1.0])), 3)


class FunctionsTest(parameterized.TestCase):
  def test_of_params_and_x(self):
    fn = lambda w, x: jax.lax.conv_general_dilated(
      x, w, (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
    )
    measured = effective.effective_receptive_field(
      fn, jnp.ones((3, 1, 1, 2)), (7, 7, 1), jax.random.key(0)
    )
    expected = np.zeros((7, 7))
    expected[2:5, 3] = 2
    np.testing.assert_allclose(measured, expected)

  def test_of_the_identity(self):
    measured = _measured(lambda x: x, (3, 5, 2))
    np.testing.assert_array_equal(np.argwhere(measured), [[1, 2]])


class MistakesTest(parameterized.TestCase):
  def test_samples(self):
    with self.assertRaisesRegex(ValueError, 'num_samples must be at least 1'):
      _measured(_conv(3), (5, 5, 1), num_samples=0)

  def test_scope(self):
    with self.assertRaisesRegex(ValueError, "Unknown scope 'stem'.*: conv"):
      _measured(_conv(3), (5, 5, 1), scope='stem')

  def test_independent_output(self):
    with self.assertRaisesRegex(ValueError, 'does not depend on the input'):
      _measured(lambda x: jnp.ones(3) * jnp.arange(3.0), (5, 5, 1))

  def test_layer_with_params(self):
    with self.assertRaisesRegex(ValueError, 'brings its own params'):
      effective.effective_receptive_field(
        _conv(3), (), (5, 5, 1), jax.random.key(0)
      )


if __name__ == '__main__':
  absltest.main()
