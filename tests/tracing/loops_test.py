"""Tests for `tracing/loops.py`, and of all calls and loops looked into."""

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies
import jax
from jax import lax
import jax.numpy as jnp
from jaxdl.tracing import evaluation
from jaxdl.tracing import loops
from jaxdl.tracing import nonfinite
from jaxdl.tracing import spots
import numpy as np


def _find(fn, *args):
  return nonfinite.first_nonfinite(fn)(*args)


def _in_scope(fn):
  def loss(x):
    with jax.named_scope('encoder'):
      return jnp.sum(fn(x * 1.0))

  return loss


def _scanned(x, steps):
  def step(h, offset):
    with jax.named_scope('layer'):
      return jnp.sqrt(h - offset), None

  return lax.scan(step, x, steps)[0]


class ControlFlowTest(parameterized.TestCase):
  @parameterized.parameters((0, 1.0, False), (3, 1.0, True), (2, 2.0, True))
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

  @hypothesis.settings(deadline=None, max_examples=3)
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

  def test_what_is_computed_again_is_of_the_forward_pass(self):
    def block(x):
      with jax.named_scope('block'):
        scores = jnp.where(x > 9, x, -jnp.inf)
        return x * jnp.exp(scores - jnp.max(scores))

    def loss(x):
      step = lambda h, _: (jax.checkpoint(block)(h), None)
      return jnp.sum(lax.scan(step, x, length=2)[0])

    found = _find(loss, jnp.ones(2))
    self.assertEqual(
      (found.forward.primitive, found.forward.scope), ('sub', 'block')
    )
    self.assertEqual(found.forward.iteration, (0,))
    self.assertIsNone(found.backward)

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
    found = _find(_in_scope(root), jnp.array([0.0, 1.0])).backward
    self.assertEqual((found.primitive, found.reason), ('div', '1.0 / 0.0'))
    self.assertEndsWith(found.scope, 'rule')

  def test_a_function_with_its_own_jvp(self):
    @jax.custom_jvp
    def logarithm(x):
      return jnp.log(x)

    @logarithm.defjvp
    def _(primals, tangents):
      return logarithm(*primals), tangents[0]

    found = _find(_in_scope(logarithm), jnp.array([0.0, 1.0]))
    self.assertEqual(found.forward.primitive, 'log')
    self.assertIsNone(found.backward)

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
