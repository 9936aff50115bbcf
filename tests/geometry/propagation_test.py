"""Tests for `propagation.py`, against trying every pixel."""

from absl.testing import absltest
from absl.testing import parameterized
import jax
from jax import lax
import jax.numpy as jnp
from jaxdl.geometry import extents
from jaxdl.geometry import propagation
from jaxdl.geometry import traced

from tests.geometry import dependence


def _blur(x):
  return lax.reduce_window(x, 0.0, lax.add, (1, 3, 3, 1), (1, 1, 1, 1), 'SAME')


class CallsTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('scan', lambda x: lax.scan(lambda x, _: (_blur(x), None), x, length=2)[0]),
    (
      'scan that reads what is around it',
      lambda x: lax.scan(
        lambda y, _: (_blur(y) + x, None), x[:, ::-1][:, ::-1], length=2
      )[0],
    ),
    (
      'scan from nothing',
      lambda x: lax.scan(
        lambda y, _: (y + _blur(x), None), jnp.zeros(x.shape), length=2
      )[0],
    ),
    (
      'scan over scales',
      lambda x: lax.scan(lambda x, s: (s * _blur(x), None), x, jnp.ones(2))[0],
    ),
    (
      'scan over rows',
      lambda x: lax.scan(lambda _, row: (0, row + 1), 0, jnp.moveaxis(x, 1, 0))[
        1
      ],
    ),
    (
      'reverse scan over rows',
      lambda x: lax.scan(
        lambda _, row: (0, row + 1), 0, jnp.moveaxis(x, 1, 0), reverse=True
      )[1],
    ),
    (
      'scans within each other',
      lambda x: lax.scan(
        lambda x, _: (
          lax.scan(lambda x, _: (_blur(x), None), x, length=2)[0],
          None,
        ),
        x,
        length=2,
      )[0],
    ),
    ('checkpoint', jax.checkpoint(lambda x: _blur(jnp.exp(x)))),
    ('jit', jax.jit(lambda x: _blur(jnp.exp(x)))),
    ('barrier', lambda x: lax.optimization_barrier((x, 2.0))[0] + 1),
    ('own derivative', lambda x: jax.nn.relu(_blur(x))),
  )
  def test_agrees_with_trying_every_pixel(self, fn):
    dependence.assert_agree(fn, (11, 10, 1))

  def test_a_choice_sees_what_its_branches_see(self):
    def fn(x, chosen):
      return lax.switch(chosen, [lambda x: x, _blur], x)

    graph = traced.trace(lambda p, x: fn(x, p), (8, 8, 1), jnp.int32(1)).graph
    own = (extents.of_input((1, 8, 8, 1), 1),)
    (seen,) = propagation.propagate(graph, [None, own], lambda *_: None)
    self.assertEqual((seen[0].size, seen[0].start), (3, -1))

  def test_a_choice_by_the_input_sees_all(self):
    fn = lambda x: lax.cond(jnp.sum(x) > 0, lambda x: x, _blur, x)
    self.assertTrue(dependence.whole(fn, (8, 8, 1)))

  def test_a_recurrence_over_rows_sees_all_of_them(self):
    def fn(x):
      rows = jnp.moveaxis(x, 1, 0)
      return lax.scan(lambda h, row: (h + row,) * 2, rows[0], rows)[1]

    height, width = dependence.predicted(fn, (8, 6, 1))
    self.assertEqual((height.start, height.size), (0, 8))
    self.assertEqual(width.size, 1)


class RecordTest(parameterized.TestCase):
  def _recorded(self, fn):
    model = traced.trace(fn, (8, 8, 1))
    found = []
    own = (extents.of_input((1, 8, 8, 1), 1),)
    propagation.propagate(
      model.graph, [own], lambda key, at, seen: found.append((at, seen[0].size))
    )
    return found

  def test_each_iteration_is_told_of_in_order(self):
    found = self._recorded(
      lambda x: lax.scan(lambda x, _: (_blur(x), None), x, length=3)[0]
    )
    self.assertEqual(found, [((0,), 3), ((1,), 5), ((2,), 7), ((), 7)])

  def test_iterations_that_repeat_are_told_of_too(self):
    found = self._recorded(
      lambda x: lax.scan(lambda x, _: (jnp.exp(x), None), x, length=3)[0]
    )
    self.assertEqual(found, [((0,), 1), ((1,), 1), ((2,), 1), ((), 1)])

  def test_what_does_not_depend_on_the_input_is_not(self):
    found = self._recorded(lambda x: x + jnp.exp(jnp.arange(8.0))[:, None])
    self.assertEqual(found, [((), 1)])


if __name__ == '__main__':
  absltest.main()
