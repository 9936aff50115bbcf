"""Tests for `tracing/hunting.py` and the modules beside it."""

from absl.testing import absltest
from absl.testing import parameterized
import jax
from jax import lax
import jax.numpy as jnp
from jaxdl.tracing import culprit
from jaxdl.tracing import derivatives
from jaxdl.tracing import description
from jaxdl.tracing import evaluation
from jaxdl.tracing import faults
from jaxdl.tracing import hunting
from jaxdl.tracing import judging
from jaxdl.tracing import nonfinite
from jaxdl.tracing import spots
import numpy as np

_KEPT = jnp.array([True, True, False])


def _find(fn, *args):
  return nonfinite.first_nonfinite(fn)(*args)


class BlameTest(parameterized.TestCase):
  def test_an_infinity_that_does_no_harm_is_not_blamed_for_another(self):
    def loss(x):
      with jax.named_scope('mask'):
        mask = jnp.log(lax.stop_gradient(0.0 * x) + _KEPT)
      weights = jnp.exp(x + mask)
      with jax.named_scope('ratio'):
        return jnp.sum(weights) / (x[0] - 1)

    found = _find(loss, jnp.array([1.0, 2.0, 3.0])).forward
    self.assertEqual((found.scope, found.primitive), ('ratio', 'div'))

  def test_a_fault_is_seen_among_infinities_that_do_no_harm(self):
    def loss(x):
      scores = jnp.where(_KEPT, x, -jnp.inf)
      with jax.named_scope('scale'):
        scores = scores * x
      return jnp.sum(jnp.exp(scores - jnp.max(scores)))

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

  def test_a_constant_mask_is_not_the_culprit(self):
    mask = jnp.full(2, -jnp.inf)
    loss = lambda x: jnp.sum(jax.nn.softmax(x + mask))
    self.assertEqual(_find(loss, jnp.ones(2)).forward.primitive, 'sub')

  @parameterized.parameters(jnp.nan, -jnp.inf)
  def test_a_constant_that_a_scan_reads(self, bad):
    offsets = jnp.array([0.0, bad])

    def loss(x):
      def step(h, i):
        with jax.named_scope('layer'):
          return h + offsets[i], None

      return lax.scan(step, jnp.sum(x), jnp.arange(2))[0]

    found = _find(loss, jnp.ones(2)).forward
    self.assertTrue(found.is_constant)
    self.assertEqual((found.scope, found.iteration), ('layer', (1,)))


class PartsTest(parameterized.TestCase):
  @parameterized.parameters(
    (('jvp(a)', 'b'), 'a/b'),
    (('transpose(jvp(a))#2', 'b#2'), 'a/b'),
    (('jvp(a)', 'c#2'), 'a/c#2'),
    (('jvp(a)', 'd#2'), 'a/d#3'),
    (('transpose(jvp(a))', 'b', 'jvp(a)', 'b', 'rematted_computation'), 'a/b'),
    (('conv(3x3)',), 'conv(3x3)'),
    ((), ''),
  )
  def test_scopes_are_as_they_were_written(self, path, scope):
    known = frozenset(['a/c', 'a/c#2', 'a/d#3', 'conv(3x3)'])
    self.assertEqual(derivatives.scope([path], known), scope)

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
      self.assertEqual(run.faults[spot.name], judging.INFINITY)
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


if __name__ == '__main__':
  absltest.main()
