"""Tests for `initializers.py`."""

import os
import subprocess
import sys

from absl.testing import absltest
from absl.testing import parameterized
import chex
import jax
import jax.numpy as jnp
from jaxdl.layers import initializers
import numpy as np

_DENSE, _CONV = (200, 300), (3, 3, 40, 60)
_FAN_IN = {_DENSE: 200, _CONV: 360}
_FAN_OUT = {_DENSE: 300, _CONV: 540}


# They waited for each other for ever.
_DRAW_ON_TWO_DEVICES = """
import threading
import jax
from jaxdl.layers import initializers

init = initializers.orthogonal()
many = jax.vmap(lambda key: init(key, (32, 32)))
draw = jax.jit(lambda keys: jax.lax.map(many, keys))
each = [
  jax.device_put(jax.random.split(jax.random.key(0), (2, 49)), device)
  for device in jax.devices()
]

def draw_again(keys):
  for _ in range(10):
    jax.block_until_ready(draw(keys))

threads = [threading.Thread(target=draw_again, args=(keys,)) for keys in each]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""


class MomentsTest(parameterized.TestCase):
  @parameterized.product(
    shape=(_DENSE, _CONV),
    row=(
      ('glorot', lambda fan_in, fan_out: 2 / (fan_in + fan_out), 1.8),
      ('he', lambda fan_in, fan_out: 2 / fan_in, 3.0),
      ('lecun', lambda fan_in, fan_out: 1 / fan_in, 3.0),
    ),
  )
  def test_mean_variance_and_kurtosis(self, shape, row):
    name, variance, kurtosis = row
    w = initializers.get(name)()(jax.random.key(0), shape, jnp.float32)
    w = np.asarray(w, np.float64)
    expected = variance(_FAN_IN[shape], _FAN_OUT[shape])
    error = 5 / np.sqrt(w.size)
    self.assertLess(abs(w.mean()) / np.sqrt(expected), error)
    np.testing.assert_allclose(w.var(), expected, rtol=2 * error)
    np.testing.assert_allclose(
      np.mean(w**4) / w.var() ** 2, kurtosis, rtol=10 * error
    )

  @parameterized.parameters((_DENSE,), (_CONV,), ((50, 20),))
  def test_orthogonal(self, *shape):
    shape = shape[0] if len(shape) == 1 else shape
    w = initializers.orthogonal(2.0)(jax.random.key(0), shape, jnp.float32)
    matrix = np.asarray(w, np.float64).reshape(-1, shape[-1])
    singular = np.linalg.svd(matrix, compute_uv=False)
    np.testing.assert_allclose(singular, 2.0, rtol=1e-4)

  def test_two_devices_draw_many_orthogonal_matrices_at_a_time(self):
    done = subprocess.run(
      [sys.executable, '-c', _DRAW_ON_TWO_DEVICES],
      env={**os.environ, 'JAX_NUM_CPU_DEVICES': '2'},
      timeout=120,
      capture_output=True,
      text=True,
    )
    self.assertEqual(done.returncode, 0, done.stderr)

  @parameterized.parameters((3, 3), (2, 1), (1, 1))
  def test_delta_orthogonal_convolution_keeps_the_norm(self, *window):
    w = initializers.delta_orthogonal(2.0)(
      jax.random.key(0), (*window, 6, 9), jnp.float32
    )
    x = np.random.default_rng(0).normal(size=(2, 5, 5, 6)).astype(np.float32)
    y = jax.lax.conv_general_dilated(
      x, w, (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
    )
    np.testing.assert_allclose(
      np.linalg.norm(y, axis=-1), 2 * np.linalg.norm(x, axis=-1), rtol=1e-5
    )

  def test_delta_orthogonal_matrix_is_orthogonal(self):
    arguments = jax.random.key(0), (7, 5), jnp.float32
    chex.assert_trees_all_equal(
      initializers.delta_orthogonal(2.0)(*arguments),
      initializers.orthogonal(2.0)(*arguments),
    )

  def test_bias_scale_has_no_fan_in(self):
    b = initializers.normal(0.5)(jax.random.key(0), (40_000,))
    np.testing.assert_allclose(jnp.std(b), 0.5, rtol=0.02)

  @parameterized.parameters(
    initializers.orthogonal,
    initializers.delta_orthogonal,
    initializers.normal_fan_in,
    initializers.normal,
  )
  def test_scale_may_be_traced_and_keeps_the_dtype(self, factory):
    def init(scale):
      return factory(scale)(jax.random.key(0), (4, 4), jnp.float32)

    actual = jax.vmap(init)(jnp.array([1.0, 3.0]))
    np.testing.assert_allclose(actual[1], 3 * actual[0], rtol=1e-5)
    half = factory(jnp.float32(2))(jax.random.key(0), (4,) * 2, jnp.bfloat16)
    self.assertEqual(half.dtype, jnp.bfloat16)


class LookUpTest(absltest.TestCase):
  def test_names(self):
    for name in initializers.names():
      w = initializers.get(name)()(jax.random.key(0), (3, 2))
      self.assertEqual((w.shape, w.dtype), ((3, 2), jnp.float32))

  def test_unknown_name_lists_the_names_and_a_close_one(self):
    with self.assertRaisesRegex(ValueError, "he, lecun.*mean 'glorot'"):
      initializers.get('glorott')


if __name__ == '__main__':
  absltest.main()
