"""Tests for `convolution.py`: derivatives against those of `jax.lax`."""

import functools

from absl.testing import absltest
from absl.testing import parameterized
import jax
import jax.numpy as jnp
from jaxdl.layers import convolution
import numpy as np

_CASES = (
  ((1, 1), 'SAME', (1, 1)),
  ((2, 2), 'SAME', (1, 1)),
  ((2, 2), ((3, 3), (3, 3)), (1, 1)),
  ((1, 1), 'VALID', (2, 2)),
  ((2, 3), ((1, 2), (0, 3)), (1, 2)),
)
_IN, _OUT = 3, 5


def _pair(strides, padding, dilation):
  """Returns our convolution, and that of `jax.lax`."""
  ours = functools.partial(
    convolution.convolve,
    strides=strides,
    padding=padding,
    dilation=dilation,
    feature_group_count=1,
  )
  reference = lambda x, w: jax.lax.conv_general_dilated(
    x,
    w,
    strides,
    padding,
    rhs_dilation=dilation,
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
  )
  return ours, reference


def _arguments():
  keys = jax.random.split(jax.random.key(0), 2)
  x = jax.random.normal(keys[0], (2, 9, 11, _IN))
  return x, jax.random.normal(keys[1], (3, 4, _IN, _OUT))


def _convolutions(jaxpr):
  """Yields the equations that convolve, at any depth."""
  for eqn in jaxpr.eqns:
    if eqn.primitive.name == 'conv_general_dilated':
      yield eqn
    for value in eqn.params.values():
      inner = getattr(value, 'jaxpr', value)
      if hasattr(inner, 'eqns'):
        yield from _convolutions(inner)


class ConvolveTest(parameterized.TestCase):
  @parameterized.parameters(*_CASES)
  def test_value_and_both_modes_agree(self, *case):
    ours, reference = _pair(*case)
    arguments = _arguments()
    y = reference(*arguments)
    np.testing.assert_array_equal(ours(*arguments), y)

    ct = jnp.cos(jnp.arange(y.size, dtype=jnp.float32)).reshape(y.shape)
    close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-4)
    pullbacks = [jax.vjp(f, *arguments)[1](ct) for f in (ours, reference)]
    for actual, expected in zip(*pullbacks, strict=True):
      close(actual, expected)

    tangents = tuple(map(jnp.sin, arguments))
    actual, expected = (
      jax.jvp(f, arguments, tangents)[1] for f in (ours, reference)
    )
    close(actual, expected)

  def test_second_derivatives_agree(self):
    arguments = _arguments()

    def curvature(f):
      loss = lambda w: jnp.sum(jnp.tanh(f(arguments[0], w)) ** 2)
      along = jnp.ones_like(arguments[1])
      return jax.jvp(jax.grad(loss), (arguments[1],), (along,))[1]

    ours, reference = map(curvature, _pair(*_CASES[1]))
    np.testing.assert_allclose(ours, reference, rtol=1e-3, atol=1e-3)

  def test_vmap_over_kernels_agrees(self):
    ours, reference = _pair(*_CASES[0])
    x, w = _arguments()
    kernels = jnp.stack([w, 2 * w])

    def grads(f):
      loss = lambda w: jnp.sum(f(x, w) ** 2)
      return jax.vmap(jax.grad(loss))(kernels)

    np.testing.assert_allclose(grads(ours), grads(reference), rtol=1e-4)

  @parameterized.parameters(*_CASES)
  def test_derivatives_within_loops_suit_the_library(self, *case):
    """Another order of axes is a plain loop over elements in XLA's CPU code."""
    f, _ = _pair(*case)
    jaxpr = jax.make_jaxpr(
      lambda x, w: jax.grad(lambda *a: jnp.sum(f(*a) ** 2), argnums=(0, 1))(
        x, w
      )
    )(*_arguments())
    found = list(_convolutions(jaxpr.jaxpr))
    self.assertLen(found, 3)
    for eqn in found:
      numbers = eqn.params['dimension_numbers']
      self.assertEqual(numbers.lhs_spec, (0, 3, 1, 2))
      self.assertEqual(numbers.rhs_spec, (3, 2, 0, 1))
      self.assertEqual(numbers.out_spec, (0, 3, 1, 2))

  @parameterized.product(
    size=((2, 2), (4, 3)),
    kernel=((3, 3), (2, 1)),
    case=_CASES[:3] + (((2, 1), ((2, 1), (1, 3)), (2, 1)),),
  )
  def test_small_images_in_training_agree(self, size, kernel, case):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, *size, _IN))
    w = rng.normal(size=(*kernel, _IN, _OUT))
    ours, reference = _pair(*case)
    narrow = (jnp.float32(x), jnp.float32(w))
    loss = lambda f: lambda *a: jnp.sum(jnp.sin(f(*a)))
    fast = functools.partial(ours, train=True)
    np.testing.assert_allclose(
      fast(*narrow), reference(*narrow), rtol=1e-4, atol=1e-5
    )
    actual, expected = (
      jax.grad(loss(f), argnums=(0, 1))(*narrow) for f in (fast, reference)
    )
    for one, other in zip(actual, expected, strict=True):
      np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)

  def test_images_smaller_than_the_kernel_avoid_the_slow_loops(self):
    f, _ = _pair(*_CASES[0])
    x, w = jnp.ones((2, 2, 2, 3)), jnp.ones((3, 3, 3, 5))
    for train, count in ((True, 0), (False, 1)):
      jaxpr = jax.make_jaxpr(functools.partial(f, train=train))(x, w)
      self.assertLen(list(_convolutions(jaxpr.jaxpr)), count)

  def test_no_derivative_of_what_is_constant(self):
    f, _ = _pair(*_CASES[0])
    x, w = _arguments()
    jaxpr = jax.make_jaxpr(jax.grad(lambda w: jnp.sum(f(x, w) ** 2)))(w)
    self.assertLen(list(_convolutions(jaxpr.jaxpr)), 2)


if __name__ == '__main__':
  absltest.main()
