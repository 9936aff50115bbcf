"""Tests for `theory/elementwise.py`."""

import functools

from absl.testing import absltest
from absl.testing import parameterized
import jax
import jax.numpy as jnp
from jaxdl import activations
from jaxdl.theory import elementwise
import numpy as np


def _single_precision(x):
  return jnp.tanh(x.astype(jnp.float32)).astype(x.dtype)


class ElementwiseTest(parameterized.TestCase):
  @parameterized.parameters('rrelu', 'selu', 'gelu', 'softsign')
  def test_agrees_with_the_activation_in_float32(self, name):
    found = elementwise.elementwise(name)
    fn = activations.get(name).fn
    x = np.linspace(-6, 6, 5001)  # More than a chunk.
    expected, pull = jax.vjp(fn, jnp.asarray(x, jnp.float32))
    value, slope = found.value_and_slope(x)
    self.assertEqual((value.dtype, slope.dtype), (np.float64, np.float64))
    np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6)
    (expected_slope,) = pull(jnp.ones_like(expected))
    np.testing.assert_allclose(slope, expected_slope, rtol=1e-5, atol=1e-5)

  def test_hyperparameters_are_those_of_the_specification(self):
    found = elementwise.elementwise('leaky_relu:0.2')
    np.testing.assert_array_equal(found.value([-1, 2]), [-0.2, 2])
    np.testing.assert_array_equal(found.slope([-1, 2]), [0.2, 1])

  def test_keeps_any_shape(self):
    found = elementwise.elementwise('tanh')
    for shape in ((), (0,), (2, 3)):
      value, slope = found.value_and_slope(np.zeros(shape))
      self.assertEqual((value.shape, slope.shape), (shape, shape))

  def test_takes_what_it_returned(self):
    found = elementwise.elementwise('tanh')
    self.assertIs(elementwise.elementwise(found), found)

  def test_takes_a_callable_that_cannot_be_hashed(self):
    class Scaled:
      __hash__ = None

      def __call__(self, x):
        return 2 * jnp.tanh(x)

    found = elementwise.elementwise(Scaled())
    self.assertEqual(found.name, 'Scaled')
    np.testing.assert_allclose(found.value(1.0), 2 * np.tanh(1), rtol=1e-15)

  @parameterized.parameters(
    (lambda x: jax.nn.softplus(x) - jnp.log(2), lambda x: x / 2 + x * x / 8),
    (
      lambda x: jnp.tanh(x - 3) + jnp.tanh(x + 3),
      lambda x: x * 2 / np.cosh(3) ** 2,
    ),
    (lambda x: jnp.exp(x) - 1, np.expm1),
  )
  def test_is_precise_where_the_activation_cancels(self, fn, expected):
    found = elementwise.elementwise(fn)
    x = np.array([-1e-5, -1e-9, 0, 1e-20, 1e-8, 1e-6])
    np.testing.assert_allclose(found.value(x), expected(x), rtol=1e-9)

  def test_roots_of_the_input_are_as_they_are(self):
    found = elementwise.elementwise(lambda x: jnp.abs(x) ** 1.5)
    x = np.array([1e-12, 1e-6, 1e-3])
    np.testing.assert_allclose(found.value(x), x**1.5, rtol=1e-14)

  def test_leaves_the_precision_of_the_program_alone(self):
    def fn(x):
      found = elementwise.elementwise('gelu')  # At once, although it's traced.
      return x * float(found.value(1.0))

    y = jax.jit(fn)(jnp.ones(2))
    self.assertEqual(y.dtype, jnp.float32)
    self.assertEqual(jnp.ones(2).dtype, jnp.float32)
    self.assertFalse(jax.config.jax_enable_x64)
    np.testing.assert_allclose(y, 0.8413447460685429, rtol=1e-6)


class KinksTest(parameterized.TestCase):
  @parameterized.parameters(
    ('relu', (0.0,)),
    ('selu', (0.0,)),
    ('elu', ()),  # Its slope is continuous, though not the next derivative.
    ('tanh', ()),
    ('gelu', ()),
    ('identity', ()),
    (jax.nn.hard_tanh, (-1.0, 1.0)),
    (lambda x: jnp.maximum(x, 0.3), (0.3,)),
    (lambda x: jnp.abs(x - 1e-5) + jnp.abs(x + 7.123), (-7.123, 1e-5)),
  )
  def test_are_found(self, activation, expected):
    actual = elementwise.elementwise(activation).kinks
    self.assertLen(actual, len(expected))
    np.testing.assert_allclose(actual, expected, rtol=1e-14, atol=1e-300)

  @parameterized.parameters(
    ('relu', np.inf, np.inf), ('tanh', 0.13, 0.17), (jax.nn.hard_tanh, 1, 1.1)
  )
  def test_scale_is_where_the_slope_varies(self, activation, least, most):
    scale = elementwise.elementwise(activation).scale
    self.assertBetween(scale, least, most)


class RefusalTest(parameterized.TestCase):
  @parameterized.parameters(
    ('tanhh', "Unknown activation 'tanhh'.*Did you mean 'tanh'"),
    (3, 'An activation is a name such as "tanh", or a function.*got 3'),
    (lambda x: x[:1], r'turns float64\[4096\] into float64\[1\]; it has to'),
    (lambda x: 1.0, r'turns float64\[4096\] into float64\[\]'),
    (lambda x: x.astype(jnp.float32), r'into float32\[4096\]'),
    (lambda x, y: x, 'cannot be applied and differentiated by JAX: TypeError'),
    (np.tanh, 'cannot be applied .* Pass a function of one array made of jax'),
    (jnp.sqrt, 'sqrt: its value at x = -1e-08 is nan; it has to be finite'),
    (lambda x: jnp.where(x > 3, jnp.nan, x), 'value at x = 3.01562 is nan'),
    (lambda x: 1 / x, 'its value at x = 0 is inf'),
    (jax.nn.softmax, 'softmax is not elementwise'),
    (lambda x: x - jnp.mean(x), 'is not elementwise'),
    (jnp.sign, 'sign jumps at x = 0, where its slope is infinite'),
    (lambda x: jnp.where(x > 0.3, 1, 0 * x), 'jumps at x = 0.3,'),
    (_single_precision, '_single_precision jumps at .*in the dtype of x'),
  )
  def test_is_one_line(self, activation, message):
    with self.assertRaisesRegex(ValueError, message) as raised:
      elementwise.elementwise(activation)
    self.assertNotIn('\n', str(raised.exception))

  def test_of_traced_values(self):
    def with_slope(slope):
      return elementwise.elementwise(lambda x: jnp.maximum(x, slope * x)).kinks

    with self.assertRaisesRegex(ValueError, 'without traced values in it'):
      jax.jit(with_slope)(0.1)
    value = functools.partial(elementwise.concrete, 'weight_std')
    with self.assertRaisesRegex(ValueError, 'weight_std is traced; pass a num'):
      jax.jit(value)(0.1)
    with self.assertRaisesRegex(ValueError, "must be a number; got 'wide'"):
      value('wide')


if __name__ == '__main__':
  absltest.main()
