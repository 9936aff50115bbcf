"""Tests for `tracing/jaxpr.py`."""

from absl.testing import absltest
from absl.testing import parameterized
import jax
import jax.numpy as jnp
from jaxdl.tracing import jaxpr


class GraphTest(parameterized.TestCase):
  def test_calls_are_inlined_and_scopes_absolute(self):
    def inner(x):
      with jax.named_scope('inner'):
        return jnp.sin(x)

    def outer(x):
      with jax.named_scope('outer'):
        return jax.jit(inner)(x)

    graph = jaxpr.graph(jax.make_jaxpr(outer)(1.0))
    (operation,) = graph.operations
    self.assertEqual(operation.path, ('outer', 'inner'))

  def test_each_call_enters_its_scopes_anew(self):
    @jax.jit
    def layer(x):
      with jax.named_scope('layer'):
        return jnp.cos(jnp.sin(x))

    def fn(x):
      with jax.named_scope('stack'):
        return layer(layer(x))

    graph = jaxpr.graph(jax.make_jaxpr(fn)(1.0))
    self.assertEqual(
      [operation.path for operation in graph.operations],
      [('stack', 'layer')] * 2 + [('stack', 'layer#2')] * 2,
    )

  def test_calls_within_a_scope_leave_it_open(self):
    def fn(x):
      with jax.named_scope('block'):
        return jax.jit(jnp.cos)(jax.jit(jnp.sin)(x))

    graph = jaxpr.graph(jax.make_jaxpr(fn)(1.0))
    self.assertEqual({o.path for o in graph.operations}, {('block',)})


class WrittenOutTest(absltest.TestCase):
  def _operation(self, fn):
    @jax.custom_jvp
    def called(x, w):
      return fn(x, w)

    called.defjvps(lambda dx, y, x, w: dx, None)
    closed = jax.make_jaxpr(called)(jnp.ones((2, 3)), jnp.ones((3, 3)))
    (operation,) = jaxpr.graph(closed).operations
    return operation

  def test_a_product_with_a_derivative_of_its_own_is_a_product(self):
    operation = self._operation(lambda x, w: x @ w)
    self.assertEqual(operation.primitive.name, 'custom_jvp_call')
    written_out = operation.written_out
    self.assertEqual(written_out.primitive.name, 'dot_general')
    self.assertIn('dimension_numbers', written_out.params)
    self.assertEqual(written_out.inputs, operation.inputs)
    self.assertEqual(written_out.outputs, operation.outputs)

  def test_what_does_more_or_swaps_its_arguments_stays(self):
    for fn in (lambda x, w: jnp.tanh(x @ w), lambda x, w: jnp.add(w[:2], x)):
      operation = self._operation(fn)
      self.assertIs(operation.written_out, operation)


if __name__ == '__main__':
  absltest.main()
