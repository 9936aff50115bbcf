"""Tests for `tracing/evaluation.py`."""

import functools

from absl.testing import absltest
from absl.testing import parameterized
import chex
import jax
from jaxdl.tracing import evaluation

from tests.tracing import networks


def setUpModule():
  # Without the fusions that would change a rounding.
  jax.config.update('jax_disable_most_optimizations', True)


def tearDownModule():
  jax.config.update('jax_disable_most_optimizations', False)


class EvaluationTest(parameterized.TestCase):
  def test_a_graph_without_taps_computes_what_the_function_does(self):
    args = (networks.params(), networks.inputs())
    loss = functools.partial(networks.loss, networks.with_custom_rules)
    graph, tree = evaluation.trace(loss, args, {})
    evaluate = jax.jit(lambda *xs: evaluation.evaluate(graph, xs, {}, {}))
    done = evaluate(*evaluation.array_leaves((args, {})))
    chex.assert_trees_all_equal(
      jax.tree.unflatten(tree, done.outputs), jax.jit(loss)(*args)
    )


if __name__ == '__main__':
  absltest.main()
