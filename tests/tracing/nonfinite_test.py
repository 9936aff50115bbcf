"""Tests for `tracing/nonfinite.py`, and through it all that it is made of.

Each classic has exactly one fault, and beside it a healthy control.
"""

import itertools

from absl.testing import absltest
from absl.testing import parameterized
import jax
from jax import lax
import jax.numpy as jnp
from jaxdl.tracing import nonfinite
import numpy as np


def _in_scopes(fn):
  def loss(x):
    with jax.named_scope('encoder'):
      x = x * 1.0
      with jax.named_scope('norm'):
        return jnp.sum(fn(x))

  return loss


def _find(fn, *args, **options):
  return nonfinite.first_nonfinite(fn, **options)(*args)


_KEPT = jnp.array([True, True, False])
_MASK = jnp.where(_KEPT, 0.0, -jnp.inf)


def _attention(mask):
  return lambda x: jax.nn.softmax(jnp.where(mask, x, -jnp.inf)) ** 2


def _log_softmax_by_hand(x):
  return x - jnp.log(jnp.sum(jnp.exp(x)))


def _guarded_twice(x):
  return jnp.where(x > 0, jnp.sqrt(jnp.where(x > 0, x, 1.0)), 0.0)


def _guarded_once(x):
  return jnp.where(x > 0, jnp.sqrt(x), 0.0)


# The function, its argument, and of the culprit: primitive, kind, reason.
_FORWARD = {
  'log_of_zero': (jnp.log, [1.0, 0.0], 'log', 'inf', 'log(0.0)'),
  'log_softmax_by_hand': (
    _log_softmax_by_hand, [1.0, 1000.0], 'exp', 'inf', 'exp(1000.0)',
  ),
  'normalization_of_zero': (
    lambda x: x / jnp.sum(x), [0.0, 0.0], 'div', 'nan', '0.0 / 0.0',
  ),
  'no_spread': (
    lambda x: (x - jnp.mean(x)) / jnp.std(x), [2.0, 2.0], 'div', 'nan',
    '0.0 / 0.0',
  ),
  'square_root': (jnp.sqrt, [1.0, -1.0], 'sqrt', 'nan', 'sqrt(-1.0)'),
  'label_out_of_range': (
    lambda x: jnp.take_along_axis(x, jnp.array([1, 2]), 0), [1.0, 2.0],
    'gather', 'nan',
    'of int32[2, 1] in 1..2, outside of float32[2] in 1..2 where jax gives nan',
  ),
  'all_masked': (
    _attention(jnp.zeros(2, bool)), [1.0, 2.0], 'sub', 'nan', '-inf - -inf',
  ),
  'sum_of_products': (
    lambda x: (x * 1e19) @ (x * 1e19), [1.0, 3.0], 'dot_general', 'inf',
    'of float32[2] in 1e+19..3e+19 and float32[2] in 1e+19..3e+19',
  ),
}  # fmt: skip
_BACKWARD = {
  'square_root_at_zero': (
    jnp.sqrt, [4.0, 0.0], 'sqrt', 'inf', 'derivative of sqrt at 0.0',
  ),
  'power_at_zero': (
    lambda x: x**0.5, [4.0, 0.0], 'pow', 'inf', 'derivative of pow at 0.0, 0.5',
  ),
  'arccos_at_one': (
    jnp.arccos, [0.5, 1.0], 'acos', 'inf', 'derivative of acos at 1.0',
  ),
  'cube_of_a_large_number': (
    lambda x: jnp.exp(-(x**3)), [1.0, 3e19], 'integer_pow', 'inf',
    'derivative of integer_pow at 3e+19 (3e+19 ** 2)',
  ),
  'norm_at_zero': (
    jnp.linalg.norm, [0.0, 0.0], 'sqrt', 'inf', 'derivative of sqrt at 0.0',
  ),
  'guarded_once': (
    _guarded_once, [4.0, 0.0], 'sqrt', 'inf', 'derivative of sqrt at 0.0',
  ),
  'guarded_logarithm': (
    lambda x: jnp.where(x > 0, jnp.log(x), 0.0), [1.0, 0.0], 'log', 'nan',
    'derivative of log at 0.0 (0.0 / 0.0)',
  ),
}  # fmt: skip
_HEALTHY = {
  'logarithm': (jnp.log, [1.0, 0.5]),
  'log_softmax': (jax.nn.log_softmax, [1.0, 1000.0]),
  'masked_attention': (_attention(_KEPT), [1.0, 2.0, 3.0]),
  'logarithm_of_a_mask': (
    lambda x: jax.nn.softmax(x + jnp.log(lax.stop_gradient(0 * x) + _KEPT)),
    [1.0, 2.0, 3.0],
  ),
  'mask_added': (lambda x: jax.nn.softmax(x + _MASK) ** 2, [1.0, 2.0, 3.0]),
  'guarded_twice': (_guarded_twice, [4.0, 0.0]),
  'arccos': (jnp.arccos, [0.5, 0.9]),
  'normalization': (lambda x: x / jnp.linalg.norm(x), [0.0, 1.0]),
}


class ClassicsTest(parameterized.TestCase):
  @parameterized.named_parameters(
    (name, *case) for name, case in _FORWARD.items()
  )
  def test_forward(self, fn, x, primitive, kind, reason):
    found = _find(_in_scopes(fn), jnp.array(x)).forward
    self.assertEqual(
      (found.primitive, found.kind, found.scope, found.phase),
      (primitive, kind, 'encoder/norm', 'forward'),
    )
    self.assertEqual(found.reason, reason)
    self.assertIn('nonfinite_test.py:', found.source)

  @parameterized.named_parameters(
    (name, *case) for name, case in _BACKWARD.items()
  )
  def test_backward(self, fn, x, primitive, kind, reason):
    forward, found = _find(_in_scopes(fn), jnp.array(x))
    self.assertIsNone(forward)
    self.assertEqual(
      (found.primitive, found.kind, found.scope, found.phase),
      (primitive, kind, 'encoder/norm', 'backward'),
    )
    self.assertStartsWith(found.reason, reason)
    self.assertIn('nonfinite_test.py:', found.source)

  @parameterized.named_parameters(
    (name, *case) for name, case in _HEALTHY.items()
  )
  def test_healthy(self, fn, x):
    found = _find(_in_scopes(fn), jnp.array(x))
    self.assertEqual(found, (None, None))
    self.assertEqual(str(found), 'The loss and its gradients are finite.')

  def test_an_infinity_that_became_nan_says_where(self):
    found = _find(_in_scopes(_guarded_once), jnp.array([0.0, 4.0])).backward
    self.assertRegex(
      str(found),
      r'^sqrt made inf in the backward pass at encoder/norm '
      r'\(nonfinite_test.py:\d+ _guarded_once\): derivative of sqrt at 0.0 '
      r'\(0.5 / 0.0\); 1 of 2 elements, first at \[0\]\n'
      r'It became nan in mul at encoder/norm '
      r'\(nonfinite_test.py:\d+ _guarded_once\): 0.0 \* inf$',
    )

  def test_what_is_not_selected_may_spoil_the_gradients_alone(self):
    loss = _in_scopes(lambda x: jnp.where(x < 9, jnp.exp(x), 0.0))
    forward, backward = _find(loss, jnp.array([1.0, 1e3]))
    self.assertIsNone(forward)
    self.assertEqual((backward.primitive, backward.phase), ('exp', 'forward'))

  def test_gradients_spoiled_by_the_loss_alone_have_no_culprit_of_their_own(
    self,
  ):
    found = _find(_in_scopes(_log_softmax_by_hand), jnp.array([1.0, 1e3]))
    self.assertIsNone(found.backward)

  def test_a_constant_that_reaches_the_loss(self):
    loss = _in_scopes(lambda x: jnp.where(x < 9, x, -jnp.inf))
    found = _find(loss, jnp.array([1.0, 1e3])).forward
    self.assertTrue(found.is_constant)
    self.assertStartsWith(str(found), 'select_n passed on a constant inf')


class ArgumentsTest(parameterized.TestCase):
  def test_elements_are_counted_as_numpy_counts(self):
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    x[1, 2] = x[2, 0] = 0
    found = _find(_in_scopes(jnp.log), jnp.asarray(np.abs(x))).forward
    self.assertEqual(
      (found.first_bad, found.num_bad, found.size), ((1, 2), 2, 12)
    )
    (operand,) = found.inputs
    self.assertEqual((operand.shape, operand.dtype), ((3, 4), 'float32'))
    self.assertEqual((operand.value, operand.nonfinite), (0, 0))
    self.assertAlmostEqual(operand.max, float(np.abs(x).max()), places=6)

  def test_what_is_beside_the_loss_is_not_looked_at(self):
    def loss(x):
      return jnp.sum(jnp.sqrt(x)), jnp.log(x - x)

    self.assertEqual(_find(loss, jnp.ones(2), has_aux=True), (None, None))
    found = _find(loss, jnp.zeros(2), has_aux=True)
    self.assertIsNone(found.forward)
    self.assertEqual(found.backward.primitive, 'sqrt')

  @parameterized.named_parameters(
    ('params', 0, 'params/dense/kernel'), ('batch', 1, 'batch/1')
  )
  def test_an_argument_that_holds_it(self, which, name):
    def loss(params, *batch):
      return jnp.sum(params['dense']['kernel'] * batch[1])

    kernel, x = np.ones((2, 3), np.float32), np.ones((2, 3), np.float32)
    (kernel, x)[which][1, 0] = np.nan
    params = {'dense': {'kernel': jnp.asarray(kernel), 'bias': jnp.ones(2)}}
    found = _find(loss, params, jnp.arange(3), jnp.asarray(x)).forward
    self.assertEqual((found.primitive, found.scope), ('argument', name))
    self.assertEqual(
      str(found),
      f'argument {name} holds nan; 1 of 6 elements, first at [1, 0]',
    )

  def test_a_keyword_argument_that_holds_it(self):
    loss = lambda w, *, x: jnp.sum(w * x)
    find = nonfinite.first_nonfinite(loss)
    found = find(jnp.ones(2), x=jnp.array([1.0, jnp.inf])).forward
    self.assertEqual((found.scope, found.kind), ('x', 'inf'))

  @parameterized.parameters(0, 1, ((0, 1),))
  def test_argnums(self, argnums):
    loss = lambda a, b: jnp.sum(jnp.sqrt(a)) + jnp.sum(b)
    found = _find(loss, jnp.zeros(2), jnp.ones(2), argnums=argnums)
    self.assertEqual(found.backward is None, argnums == 1)

  def test_numbers_and_words_among_the_arguments(self):
    def loss(x, times, kind, indices, *, train):
      self.assertTrue(train)
      return times * getattr(jnp, kind)(jnp.log(x[indices]))

    find = nonfinite.first_nonfinite(loss)
    found = find(jnp.zeros(2), 2, 'sum', jnp.array([1]), train=True)
    self.assertEqual(found.forward.primitive, 'log')


class DtypesTest(parameterized.TestCase):
  @parameterized.parameters((jnp.float16, 300.0), (jnp.bfloat16, 1e20))
  def test_overflow_of_halves(self, dtype, x):
    loss = lambda x: jnp.sum((x * x).astype(jnp.float32))
    found = _find(loss, jnp.array([x, 1], dtype)).forward
    self.assertEqual((found.primitive, found.num_bad), ('mul', 1))
    self.assertEqual(found.inputs[0].dtype, jnp.dtype(dtype).name)

  def test_a_conversion_that_overflows(self):
    loss = lambda x: jnp.sum(x.astype(jnp.float16).astype(jnp.float32))
    found = _find(loss, jnp.array([1e5, 1.0])).forward
    self.assertEqual(found.reason, '1e+05 as float16')

  def test_complex(self):
    loss = lambda z: jnp.sum(jnp.abs(1 / z))
    found = _find(loss, jnp.array([1 + 1j, 0j])).forward
    self.assertEqual((found.primitive, found.first_bad), ('div', (1,)))
    self.assertEqual(found.inputs[-1].min, 0)

  def test_halves_that_are_large_are_finite(self):
    loss = lambda x: jnp.max(x * 2) + jnp.sum(jnp.sqrt(x - x))
    found = _find(loss, jnp.full(8, 3e4, jnp.float16))
    self.assertEqual(found.backward.primitive, 'sqrt')


class RefusalTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('vector', lambda x: x, r'real scalar; got float32\[2\]'),
    ('integer', lambda x: jnp.argmax(x), r'real scalar; got int32\[\]'),
    ('pair', lambda x: (jnp.sum(x), x), 'has_aux=True a pair'),
    ('nothing', lambda x: None, 'real scalar; got None'),
  )
  def test_what_is_no_loss(self, fn, message):
    with self.assertRaisesRegex(TypeError, message):
      _find(fn, jnp.ones(2))

  def test_an_argument_that_cannot_be_differentiated(self):
    with self.assertRaisesRegex(TypeError, 'int32'):
      _find(lambda x: 1.0 * jnp.sum(x), jnp.arange(2))

  def test_no_such_argument(self):
    with self.assertRaisesRegex(ValueError, 'argnums has 3; .*-1 and 0'):
      _find(jnp.sum, jnp.ones(2), argnums=3)

  def test_a_loss_that_does_not_repeat(self):
    values = itertools.chain([np.nan], itertools.repeat(1.0))

    def loss(x):
      shape = jax.ShapeDtypeStruct((), jnp.float32)
      return jnp.sum(x) * jax.pure_callback(
        lambda: np.float32(next(values)), shape
      )

    with self.assertRaisesRegex(RuntimeError, 'evaluated again'):
      _find(loss, jnp.ones(2))


if __name__ == '__main__':
  absltest.main()
