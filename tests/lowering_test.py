"""Tests for `lowering`: each of what no step may have is found."""

from absl.testing import absltest
from absl.testing import parameterized
import jax
from jax import export
from jaxdl import double_precision
from jaxdl.sweep import compilation
import numpy as np

from tests import lowering

_X = np.ones(3, np.float32)


def _asks_the_host(x):
  return jax.pure_callback(np.sin, jax.ShapeDtypeStruct((3,), x.dtype), x)


def _prints(x):
  jax.debug.print('{}', x)
  return x


def _is_double(x):
  with double_precision.double_precision():
    return jax.numpy.sin(np.float64(2)) + x


class LoweringTest(parameterized.TestCase):
  @parameterized.parameters(_asks_the_host, _prints)
  def test_what_asks_the_host_does_not_lower(self, fn):
    with self.assertRaisesRegex(ValueError, 'differ'):
      lowering.check(jax.jit(fn).trace(_X))

  def test_a_callback_is_found_where_it_lowers(self):
    traced = jax.jit(_asks_the_host).trace(_X)
    with self.assertRaisesRegex(AssertionError, 'a callback for cpu'):
      lowering.check(traced, 'cpu')

  def test_float64_is_found(self):
    with self.assertRaisesRegex(AssertionError, 'float64 for tpu'):
      lowering.check(jax.jit(_is_double).trace(_X))

  def test_a_shape_that_is_not_static_is_found(self):
    (n,) = export.symbolic_shape('n')
    of_any_length = jax.ShapeDtypeStruct((n,), np.float32)
    with self.assertRaisesRegex(AssertionError, 'a dynamic shape for tpu'):
      lowering.check(jax.jit(lambda x: x + 1).trace(of_any_length))

  def test_what_is_compiled_is_checked_and_computes_the_same(self):
    with lowering.too() as checked:
      doubled = jax.jit(lambda x: 2 * x)
      for _ in range(2):
        np.testing.assert_array_equal(doubled(_X), 2 * _X)
      doubled(_X[:2])  # Of another shape, so another program.
      np.testing.assert_array_equal(
        compilation.run_once(jax.numpy.sign, _X), _X
      )
    self.assertEqual(checked, ['<lambda>', '<lambda>', 'sign'])

  def test_what_may_not_be_compiled_is_refused_at_the_call(self):
    with lowering.too(), self.assertRaisesRegex(ValueError, 'differ'):
      jax.jit(_prints)(_X)

  def test_what_is_in_float64_is_left_to_the_host(self):
    with lowering.too() as checked, double_precision.double_precision():
      self.assertEqual(jax.jit(lambda x: x / 3)(1.0), 1 / 3)
    self.assertEmpty(checked)


if __name__ == '__main__':
  absltest.main()
