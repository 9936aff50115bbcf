"""Tests for `linear.py`."""

from absl.testing import absltest
from absl.testing import parameterized
import chex
import jax
import jax.numpy as jnp
from jaxdl import layers
from jaxdl.layers import initializers
from jaxdl.layers import linear
import numpy as np


def _normal(*shape):
  return np.random.default_rng(0).standard_normal(shape)


class DenseTest(chex.TestCase):
  @chex.variants(with_jit=True, without_jit=True)
  def test_is_affine(self):
    x, w, b = _normal(4, 3), _normal(3, 2), _normal(2)
    params = linear.DenseParams(jnp.asarray(w), jnp.asarray(b))
    y, _ = self.variant(linear.dense(2).apply)(params, (), jnp.asarray(x))
    np.testing.assert_allclose(y, x @ w + b, rtol=1e-5)

  def test_traced_scales_of_init(self):
    def init(weight_std, bias_std):
      layer = linear.dense(
        200,
        weight_init=initializers.normal_fan_in(weight_std),
        bias_init=initializers.normal(bias_std),
      )
      return layer.init(jax.random.key(0), (300,))[1]

    params = jax.vmap(init)(jnp.array([1.0, 2.0]), jnp.array([0.0, 3.0]))
    np.testing.assert_allclose(2 * params.w[0], params.w[1], rtol=1e-6)
    np.testing.assert_array_equal(params.b[0], 0)
    np.testing.assert_allclose(jnp.std(params.b[1]), 3, rtol=0.2)

  def test_refuses_no_features(self):
    with self.assertRaisesRegex(ValueError, 'features must be at least 1'):
      linear.dense(0)


class ConvTest(parameterized.TestCase):
  @parameterized.product(
    strides=(1, 2), dilation=(1, 2), padding=(0, 2), groups=(1, 2)
  )
  def test_agrees_with_sums_over_the_kernel(
    self, strides, dilation, padding, groups
  ):
    x, w, b = _normal(2, 7, 8, 4), _normal(3, 2, 4 // groups, 6), _normal(6)
    layer = linear.conv(
      6,
      (3, 2),
      strides=strides,
      padding=padding,
      dilation=dilation,
      feature_group_count=groups,
    )
    params = linear.ConvParams(jnp.asarray(w), jnp.asarray(b))
    y, _ = layer.apply(params, (), jnp.asarray(x))

    padded = np.pad(x, ((0, 0), (padding,) * 2, (padding,) * 2, (0, 0)))
    for i, j in np.ndindex(y.shape[1:3]):
      rows = i * strides + dilation * np.arange(3)
      columns = j * strides + dilation * np.arange(2)
      window = padded[:, rows][:, :, columns]
      channels = np.split(window, groups, axis=-1)
      kernels = np.split(w, groups, axis=-1)
      sums = [
        np.einsum('bhwi,hwio->bo', *pair)
        for pair in zip(channels, kernels, strict=True)
      ]
      expected = np.concatenate(sums, axis=-1) + b
      np.testing.assert_allclose(y[:, i, j], expected, rtol=1e-4, atol=1e-4)

  def test_refuses_vectors(self):
    with self.assertRaisesRegex(ValueError, r'takes images .* shape \(3,\)'):
      linear.conv(2).init(jax.random.key(0), (3,))

  def test_refuses_groups_that_do_not_divide(self):
    with self.assertRaisesRegex(ValueError, 'count 2 must divide .* 3'):
      linear.conv(2, feature_group_count=2).init(jax.random.key(0), (4, 4, 3))

  def test_groups_are_towers_side_by_side(self):
    towers = layers.conv(6, 3, strides=2, feature_group_count=2)
    _, params, _ = towers.init(jax.random.key(0), (7, 8, 4))
    x = jnp.asarray(_normal(2, 7, 8, 4), jnp.float32)
    y, _ = towers.apply(params, (), x)

    tower = layers.conv(3, 3, strides=2)
    halves = [
      tower.apply(
        linear.ConvParams(params.w[..., out], params.b[out]), (), x[..., into]
      )[0]
      for out, into in (
        (slice(0, 3), slice(0, 2)),
        (slice(3, 6), slice(2, 4)),
      )
    ]
    np.testing.assert_allclose(
      y, jnp.concatenate(halves, axis=-1), rtol=1e-4, atol=1e-5
    )

  @parameterized.parameters(
    (dict(kernel_size=(3, 0)), r'window must be at least 1, got \(3, 0\)'),
    (dict(strides=0), 'strides must be at least 1, got 0'),
    (dict(dilation=0), 'dilation must be at least 1, got 0'),
    (dict(feature_group_count=0), 'count must be at least 1, got 0'),
    (dict(padding='FULL'), "Unknown padding 'FULL'; choose .*: SAME, VALID"),
  )
  def test_refuses_sizes_that_make_no_sense(self, kwargs, message):
    with self.assertRaisesRegex(ValueError, message):
      linear.conv(2, **kwargs)

  @parameterized.parameters(
    (dict(kernel_size=(2, 5), padding='VALID'), "2x5 with padding 'VALID'"),
    (dict(kernel_size=7, padding=1), '7x7 with padding 1'),
    (dict(dilation=2, padding=0), '5x5 with padding 0'),
  )
  def test_refuses_an_image_that_is_too_small(self, kwargs, message):
    layer = layers.serial(linear.conv(2, **kwargs), names=('conv',))
    with self.assertRaisesRegex(
      layers.base.LayerError,
      rf'^conv: conv leaves no pixel: .* {message} .* \(4, 4, 3\)',
    ):
      layer.init(jax.random.key(0), (4, 4, 3))


class FlattenTest(absltest.TestCase):
  def test_keeps_the_order(self):
    x = jnp.arange(12).reshape(2, 3, 2)
    y, _ = linear.flatten().apply((), (), x)
    np.testing.assert_array_equal(y, np.arange(12).reshape(2, 6))


class ConvMistakesTest(absltest.TestCase):
  def test_one_number_for_an_axis_is_refused(self):
    with self.assertRaisesRegex(ValueError, r'\(1, 1\); give SAME'):
      layers.conv(4, padding=(1, 1)).init(jax.random.key(0), (5, 5, 1))

  def test_integer_images_are_convolved_in_the_kernel_s_type(self):
    net = layers.conv(2)
    _, params, state = net.init(jax.random.key(0), (5, 5, 1))
    images = jnp.arange(25, dtype=jnp.uint8).reshape(1, 5, 5, 1)
    y, _ = net.apply(params, state, images)
    expected, _ = net.apply(params, state, images.astype(jnp.float32))
    np.testing.assert_array_equal(y, expected)


if __name__ == '__main__':
  absltest.main()
