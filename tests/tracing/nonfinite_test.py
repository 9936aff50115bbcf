"""Tests for `tracing/nonfinite.py` and the modules below it.

Each classic has exactly one fault, and beside it a healthy control.
"""

import itertools

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies
import jax
from jax import lax
import jax.numpy as jnp
from jaxdl.tracing import culprit
from jaxdl.tracing import derivatives
from jaxdl.tracing import description
from jaxdl.tracing import evaluation
from jaxdl.tracing import faults
from jaxdl.tracing import hunting
from jaxdl.tracing import loops
from jaxdl.tracing import nonfinite
from jaxdl.tracing import spots
import numpy as np


def setUpModule():
  jax.config.update('jax_disable_most_optimizations', True)


def tearDownModule():
  jax.config.update('jax_disable_most_optimizations', False)


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


class BlameTest(parameterized.TestCase):
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

  def test_an_infinity_that_does_no_harm_is_not_blamed_for_another(self):
    def loss(x):
      with jax.named_scope('mask'):
        mask = jnp.log(lax.stop_gradient(0.0 * x) + _KEPT)
      weights = jax.nn.softmax(x + mask)
      with jax.named_scope('ratio'):
        return jnp.sum(weights**2) / (x[0] - 1)

    found = _find(loss, jnp.array([1.0, 2.0, 3.0])).forward
    self.assertEqual((found.scope, found.primitive), ('ratio', 'div'))

  def test_a_fault_is_seen_among_infinities_that_do_no_harm(self):
    def loss(x):
      scores = jnp.where(_KEPT, x, -jnp.inf)
      with jax.named_scope('scale'):
        scores = scores * x
      return jnp.sum(jax.nn.softmax(scores)[:2])

    found = _find(loss, jnp.array([1.0, 1e20, 1.0])).forward
    self.assertIsNotNone(found)
    self.assertEqual((found.scope, found.reason), ('scale', '1e+20 * 1e+20'))
    self.assertEqual((found.first_bad, found.num_bad), ((1,), 1))

  def test_of_two_faults_the_first(self):
    def loss(x):
      with jax.named_scope('one'):
        one = jnp.log(x[0])
      with jax.named_scope('two'):
        two = jnp.log(x[1])
      return two + one

    found = _find(loss, jnp.zeros(2)).forward
    self.assertEqual(found.scope, 'one')

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

  def test_a_constant_mask_is_not_the_culprit(self):
    mask = jnp.full(2, -jnp.inf)
    loss = _in_scopes(lambda x: jax.nn.softmax(x + mask))
    self.assertEqual(_find(loss, jnp.ones(2)).forward.primitive, 'sub')

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


def _scanned(x, steps):
  def step(h, offset):
    with jax.named_scope('layer'):
      return jnp.sqrt(h - offset), None

  return lax.scan(step, x, steps)[0]


class ControlFlowTest(parameterized.TestCase):
  @parameterized.parameters(
    (0, 1.0, False), (3, 1.0, True), (2, 2.0, False), (2, 2.0, True)
  )
  def test_the_iteration_of_a_scan(self, bad, offset, reverse):
    """At 1 - 1 the derivative is infinite, at 1 - 2 the root is NaN."""

    def loss(x):
      def step(h, offset):
        with jax.named_scope('layer'):
          return jnp.sqrt(h - offset) + offset, None

      steps = jnp.where(jnp.arange(4) == bad, offset, 0.0)
      with jax.named_scope('stack'):
        return jnp.sum(lax.scan(step, x, steps, reverse=reverse)[0])

    forward, backward = _find(loss, jnp.ones(3))
    found = backward if offset == 1 else forward
    self.assertEqual((found.scope, found.primitive), ('stack/layer', 'sqrt'))
    self.assertEqual(found.iteration, (bad,))
    self.assertIn(f'stack/layer, iteration {bad} (', str(found))
    self.assertIs(forward is None, offset == 1)

  def test_scans_in_scans(self):
    def loss(x):
      steps = jnp.zeros((3, 2)).at[2, 1].set(2.0)
      step = lambda h, steps: (_scanned(h, steps), None)
      return jnp.sum(lax.scan(step, x, steps)[0])

    found = _find(loss, jnp.ones(2)).forward
    self.assertEqual((found.scope, found.iteration), ('layer', (2, 1)))

  @hypothesis.settings(deadline=None, max_examples=5)
  @hypothesis.given(
    strategies.permutations(range(5)).map(lambda order: order[:2])
  )
  def test_of_two_iterations_the_first(self, bad):
    """Where the root of a negative number is NaN in two of the elements."""

    def loss(x):
      def step(h, row):
        return h + jnp.sqrt(row), None

      return jnp.sum(lax.scan(step, jnp.zeros(2), x)[0])

    x = np.ones((5, 2), np.float32)
    x[bad[0], 0] = x[bad[1], 1] = -1
    found = _find(loss, jnp.asarray(x)).forward
    self.assertEqual(found.iteration, (min(bad),))

  @parameterized.parameters(jax.checkpoint, jax.jit)
  def test_calls_are_looked_into(self, call):
    def layer(x):
      with jax.named_scope('layer'):
        return jnp.sum(jnp.sin(jnp.sqrt(x)))

    def loss(x):
      with jax.named_scope('block'):
        return call(layer)(x)

    found = _find(loss, jnp.array([0.0, 1.0])).backward
    self.assertEqual(
      (found.scope, found.primitive, found.first_bad),
      ('block/layer', 'sqrt', (0,)),
    )

  @parameterized.parameters((1.0, 'log'), (-1.0, None))
  def test_the_branch_taken(self, sign, primitive):
    def loss(x):
      return jnp.sum(lax.cond(sign * x[1] > 0, jnp.log, jnp.sin, x))

    found = _find(loss, jnp.array([0.0, 1.0])).forward
    self.assertEqual(found and found.primitive, primitive)

  def test_a_while_loop(self):
    def loss(x):
      def step(carry):
        i, h = carry
        with jax.named_scope('step'):
          return i + 1, h * 1e10

      goes_on = lambda carry: carry[0] < 9
      with jax.named_scope('loop'):
        _, scale = lax.while_loop(goes_on, step, (0, lax.stop_gradient(x[0])))
      return jnp.sum(x) * scale

    found = _find(loss, jnp.ones(2)).forward
    self.assertEqual(
      (found.scope, found.primitive, found.iteration),
      ('loop/step', 'mul', (3,)),
    )
    self.assertEqual(found.reason, '1e+30 * 1e+10')

  def test_a_function_with_its_own_derivative(self):
    @jax.custom_vjp
    def root(x):
      return jnp.sqrt(x)

    def backward(root, cotangent):
      with jax.named_scope('rule'):
        return (cotangent / root,)

    root.defvjp(lambda x: (jnp.sqrt(x),) * 2, backward)
    found = _find(_in_scopes(root), jnp.array([0.0, 1.0])).backward
    self.assertEqual((found.primitive, found.reason), ('div', '1.0 / 0.0'))
    self.assertEndsWith(found.scope, 'rule')

  def test_a_function_with_its_own_jvp(self):
    @jax.custom_jvp
    def logarithm(x):
      return jnp.log(x)

    @logarithm.defjvp
    def _(primals, tangents):
      return logarithm(*primals), tangents[0]

    found = _find(_in_scopes(logarithm), jnp.array([0.0, 1.0]))
    self.assertEqual(found.forward.primitive, 'log')
    self.assertIsNone(found.backward)


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


class PartsTest(parameterized.TestCase):
  @parameterized.parameters(
    (('jvp(a)', 'b'), 'a/b'),
    (('transpose(jvp(a))#2', 'b#2'), 'a/b#2'),
    (('transpose(jvp(a))', 'b', 'jvp(a)', 'b', 'rematted_computation'), 'a/b'),
    (('conv(3x3)',), 'conv(3x3)'),
    ((), ''),
  )
  def test_scopes_are_as_they_were_written(self, path, scope):
    self.assertEqual(derivatives.scope([path]), scope)

  @parameterized.parameters(
    (0.0, '0.0'), (np.inf, 'inf'), (90000.0, '9e+04'), (np.int32(3), '3'),
    (1 - 2j, '1-2j'), (np.nan, 'nan'),
  )  # fmt: skip
  def test_numbers_are_as_a_person_writes_them(self, x, text):
    self.assertEqual(culprit.number(x), text)

  def test_an_operation_is_repaired_where_it_is_at_fault(self):
    graph, _ = evaluation.trace(jnp.log, (jnp.ones(2),), {})
    (spot,) = spots.find(graph).values()
    x = jnp.array([0.0, 2.0])
    for repair in (False, True):
      question = faults.Question({spot.name: np.asarray(repair)})
      run = faults.evaluate(graph, [x], question)
      self.assertEqual(run.faults[spot.name], faults.INFINITY)
      np.testing.assert_array_equal(np.isfinite(run.outputs[0]), [repair, True])
      np.testing.assert_allclose(run.outputs[0][1], np.log(2.0), rtol=1e-6)

  def test_ordinary_numbers_have_a_spread_and_no_zero(self):
    x = np.asarray(faults.ordinary((50, 50), jnp.float16), np.float64)
    self.assertGreaterEqual(x.min(), 0.5)
    self.assertLessEqual(x.max(), 1.0)
    self.assertGreater(x.std(axis=0).min(), 0.1)

  def test_what_a_result_needs_of_a_scan(self):
    def two(x, y):
      step = lambda c, _: ((jnp.sin(c[0]), c[1] + jnp.cos(c[0])), None)
      (a, b), _ = lax.scan(step, (x, y), length=3)
      return a, b

    graph, _ = evaluation.trace(two, (1.0 * jnp.ones([]),) * 2, {})
    of_both = spots.needed(graph, [1])
    of_first = spots.needed(graph, [0])
    primitives = lambda names: {
      spot.operation.primitive.name
      for name, spot in spots.find(graph).items()
      if name in names
    }
    self.assertEqual(primitives(of_first), {'scan', 'sin'})
    self.assertEqual(primitives(of_both), {'scan', 'sin', 'cos', 'add'})
    self.assertNotIn(graph.inputs[1], of_first)

  def test_a_cause_can_be_described(self):
    graph, _ = evaluation.trace(jnp.log, (jnp.ones([]),), {})
    hunt = hunting.Hunt(graph, [jnp.zeros([])])
    needed = spots.needed(graph, [0])
    cause, repaired = hunt.cause([0], needed)
    self.assertEqual(repaired, {cause.name})
    view = description.view(hunt, cause, description.Context(needed))
    found = description.describe(view, view.shown)
    self.assertEqual(found.reason, 'log(0.0)')

  def test_a_loop_that_begins_with_infinity_is_opened_where_it_gets_nan(self):
    def fn(x):
      step = lambda c: (c[0] + 1, jnp.maximum(c[1], x), c[2] * (c[0] - 2.0))
      return lax.while_loop(lambda c: c[0] < 5, step, (0, -jnp.inf, x))

    x = jnp.asarray(3e38)
    graph, _ = evaluation.trace(lambda x: fn(x)[2] * 1.0, (x,), {})
    (loop,) = (
      spot.operation
      for spot in spots.find(graph).values()
      if spot.operation.primitive.name == 'while'
    )
    operands = [
      x if isinstance(atom, int) else atom.val for atom in loop.inputs
    ]
    opened = loops.open_loop(loop, operands)
    self.assertEqual(opened.iteration, 0)
    spot = opened.hunt.spots[opened.cause.name]
    self.assertEqual(spot.operation.primitive.name, 'mul')


if __name__ == '__main__':
  absltest.main()
