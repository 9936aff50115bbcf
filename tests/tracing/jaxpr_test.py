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


if __name__ == '__main__':
  absltest.main()
