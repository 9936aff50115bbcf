"""Tests for `kernel_stack.py`: its equation, its size and what it sees."""

import math

from absl.testing import absltest
from absl.testing import parameterized
import chex
import jax
import jax.numpy as jnp
from jaxdl import layers
from jaxdl.models import kernel_stack
from jaxdl.models import stack
import numpy as np

_KERNELS = ((7,), (5, 3), (3, 3, 3))
_IMAGE = (10, 8, 2)


def _choices(**choices):
  return (
    dict(
      kernels=(5, 3), blocks=2, width=4, activation=layers.activation('tanh')
    )
    | choices
  )


def _net(**choices):
  return kernel_stack.kernel_stack(num_classes=3, **_choices(**choices))


def _convolve(x, params):
  """A 'SAME' convolution in float64."""
  size = params.w.shape[0]
  half = size // 2
  height, width = x.shape[1:3]
  x = np.pad(x, [(0, 0), (half, half), (half, half), (0, 0)])
  return params.b + sum(
    x[:, i : i + height, j : j + width] @ params.w[i, j]
    for i in range(size)
    for j in range(size)
  )


class KernelStackTest(parameterized.TestCase):
  @parameterized.parameters(*_KERNELS)
  def test_agrees_with_the_equation(self, *kernels):
    net = _net(kernels=kernels)
    x = jax.random.normal(jax.random.key(0), (3, *_IMAGE))
    _, params, state = net.init(jax.random.key(1), _IMAGE)
    actual, _ = jax.jit(net.apply)(params, state, x)

    params = jax.tree.map(lambda p: np.asarray(p, np.float64), params)
    h = np.tanh(_convolve(np.asarray(x, np.float64), params['stem'][0]))
    convolutions = params['blocks'].layer[::2]
    for block in range(2):
      for conv in convolutions:
        h = np.tanh(_convolve(h, jax.tree.map(lambda p: p[block], conv)))
    dense = params['readout'][1]
    expected = h.mean((1, 2)) @ dense.w + dense.b
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)

  @parameterized.parameters(*_KERNELS)
  def test_a_block_has_the_weights_of_its_kernels(self, *kernels):
    net = _net(kernels=kernels, blocks=3, width=6)
    params = jax.eval_shape(
      lambda key: net.init(key, _IMAGE)[1], jax.random.key(0)
    )
    sizes = jax.tree.map(lambda p: math.prod(p.shape), params)
    count = sum(jax.tree.leaves(sizes['blocks']))
    self.assertEqual(count, 3 * sum(6 * 6 * k * k + 6 for k in kernels))

  @parameterized.product(kernels=_KERNELS, strides=(1, 2))
  def test_blocks_of_equal_field_see_the_same_square(self, kernels, strides):
    net = kernel_stack.features(
      **_choices(kernels=kernels, blocks=1, stem_strides=strides, width=2),
      weight_init=lambda key, shape, dtype=None: jnp.ones(shape),
    )
    in_shape = (24, 24, 1)
    out_shape, params, state = net.init(jax.random.key(0), in_shape)
    centre = out_shape[0] // 2

    def middle(x):
      y, _ = net.apply(params, state, x)
      return y[0, centre, centre, 0]

    # So small that no tanh' is rounded to zero.
    gradient = jax.jit(jax.grad(middle))(jnp.full((1, *in_shape), 1e-4))
    seen = np.flatnonzero(np.any(np.asarray(gradient)[0, :, :, 0] != 0, 1))
    first, last = strides * (centre - 3), strides * (centre + 4) - 1
    self.assertEqual((seen[0], seen[-1]), (first, last))
    self.assertLen(seen, 7 * strides)

  @parameterized.parameters(*stack.NORMS)
  def test_every_norm_trains(self, norm):
    net = _net(norm=norm)
    x = jnp.ones((4, *_IMAGE))

    def logits(key):
      _, params, state = net.init(key, _IMAGE)
      return net.apply(params, state, x, train=True)[0]

    chex.assert_shape(jax.eval_shape(logits, jax.random.key(0)), (4, 3))

  def test_blocks_are_one_scan(self):
    net = _net(blocks=50)
    params, state = jax.eval_shape(
      lambda key: net.init(key, _IMAGE)[1:], jax.random.key(0)
    )
    x = jax.ShapeDtypeStruct((1, *_IMAGE), jnp.float32)
    jaxpr = str(
      jax.make_jaxpr(lambda *args: net.apply(*args)[0])(params, state, x)
    )
    self.assertEqual(jaxpr.count('conv_general_dilated['), 3)

  @parameterized.parameters(
    (dict(kernels=()), 'kernels is empty'),
    (dict(kernels=(3, 4)), 'odd sizes.*got 4'),
    (dict(kernels=(-1,)), 'odd sizes.*got -1'),
    (dict(blocks=0), 'blocks must be at least 1'),
    (dict(width=0), 'width must be at least 1'),
    (dict(stem_strides=0), 'stem_strides must be at least 1'),
    (dict(norm='bath'), "Unknown norm 'bath'"),
  )
  def test_mistakes(self, choices, message):
    with self.assertRaisesRegex(ValueError, message):
      _net(**choices)


if __name__ == '__main__':
  absltest.main()
