"""Tests for `constants.py`."""

from absl.testing import absltest
import jax
import jax.numpy as jnp
from jaxdl.geometry import constants
from jaxdl.tracing import jaxpr
import numpy as np


def _known_output(fn, *args):
  graph = jaxpr.graph(jax.make_jaxpr(fn)(*args))
  return constants.Known(graph).value(graph.outputs[0])


class KnownTest(absltest.TestCase):
  def test_what_is_computed_from_constants_is_known(self):
    table = np.arange(3, 9)
    fn = lambda x: 2 * jnp.arange(6) + jnp.asarray(table)
    np.testing.assert_array_equal(_known_output(fn, 1.0), [3, 6, 9, 12, 15, 18])

  def test_what_depends_on_the_input_is_not(self):
    self.assertIsNone(_known_output(lambda x: x + jnp.arange(6), 1.0))

  def test_a_literal_is_known(self):
    self.assertEqual(_known_output(lambda x: 3.0, 1.0), 3.0)

  def test_what_is_too_large_is_not_computed(self):
    self.assertIsNone(_known_output(lambda x: 2 * jnp.arange(2_000_000), 1.0))

  def test_is_known_while_another_function_is_traced(self):
    found = []

    def outer(x):
      found.append(_known_output(lambda y: 2 * jnp.arange(3), 1.0))
      return x

    jax.jit(outer)(1.0)
    np.testing.assert_array_equal(found[0], [0, 2, 4])


if __name__ == '__main__':
  absltest.main()
