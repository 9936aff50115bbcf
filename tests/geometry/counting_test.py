"""Tests for `counting.py`."""

from absl.testing import absltest
from absl.testing import parameterized
import jax
from jax import lax
import jax.numpy as jnp
from jaxdl.geometry import counting
from jaxdl.tracing import jaxpr


def _graph(fn, *shapes):
  return jaxpr.graph(
    jax.make_jaxpr(fn)(
      *(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes)
    )
  )


def _total(fn, *shapes):
  total = 0

  def add(path, operation, graph, times):
    nonlocal total
    total += times * counting.multiply_accumulates(operation, graph)

  counting.visit(_graph(fn, *shapes), add)
  return total


class MultiplyAccumulatesTest(parameterized.TestCase):
  @parameterized.parameters(
    ('ij,jk->ik', (2, 3), (3, 5), 2 * 3 * 5),
    ('bij,bjk->bik', (7, 2, 3), (7, 3, 5), 7 * 2 * 3 * 5),
    ('ij,ij->', (2, 3), (2, 3), 6),
    ('i,j->ij', (2,), (3,), 6),
  )
  def test_of_a_product(self, equation, one, other, expected):
    fn = lambda a, b: jnp.einsum(equation, a, b)
    self.assertEqual(_total(fn, one, other), expected)

  @parameterized.parameters(
    ({}, (3, 3, 4, 6), 8 * 8 * 3 * 3 * 4 * 6),
    ({'window_strides': (2, 2)}, (3, 3, 4, 6), 4 * 4 * 3 * 3 * 4 * 6),
    ({'feature_group_count': 2}, (3, 3, 2, 6), 8 * 8 * 3 * 3 * 2 * 6),
    ({'feature_group_count': 4}, (3, 3, 1, 4), 8 * 8 * 3 * 3 * 4),
    # Each input meets the whole kernel once.
    ({'lhs_dilation': (2, 2)}, (3, 3, 4, 6), 8 * 8 * 3 * 3 * 4 * 6),
  )
  def test_of_a_convolution(self, options, kernel, expected):
    options = {'window_strides': (1, 1), **options}
    dilated = 'lhs_dilation' in options
    options['padding'] = ((1, 1), (1, 1)) if dilated else 'SAME'
    fn = lambda x, w: lax.conv_general_dilated(
      x, w, dimension_numbers=('NHWC', 'HWIO', 'NHWC'), **options
    )
    self.assertEqual(_total(fn, (1, 8, 8, 4), kernel), expected)

  def test_of_a_transposed_layer(self):
    """As the convolution whose transpose it is."""
    fn = lambda x, w: lax.conv_transpose(x, w, (2, 2), 'SAME')
    self.assertEqual(_total(fn, (1, 5, 7, 4), (3, 3, 4, 6)), 35 * 9 * 4 * 6)

  def test_of_each_iteration(self):
    fn = lambda x, w: lax.scan(lambda x, w: (x @ w, None), x, w)[0]
    self.assertEqual(_total(fn, (1, 4), (9, 4, 4)), 9 * 16)

  def test_of_the_larger_branch(self):
    def fn(x, w):
      return lax.cond(x[0, 0] > 0, lambda: x @ w, lambda: x @ w @ w)

    self.assertEqual(_total(fn, (1, 4), (4, 4)), 2 * 16)

  def test_within_calls(self):
    @jax.custom_jvp
    def product(x, w):
      return x @ w

    product.defjvps(lambda t, y, x, w: t @ w, lambda t, y, x, w: x @ t)
    fn = lambda x, w: jax.jit(jax.checkpoint(product))(x, w)
    self.assertEqual(_total(fn, (1, 4), (4, 4)), 16)


class OwnersTest(parameterized.TestCase):
  def _owners(self, fn, *shapes):
    graph = _graph(fn, *shapes)
    found = counting.owners(graph, graph.inputs)
    return [found.get(key) for key in graph.inputs]

  def test_are_the_scopes_that_read_first(self):
    def fn(w, v, unread, x):
      with jax.named_scope('a'):
        x = x @ w
      with jax.named_scope('b'), jax.named_scope('c'):
        return x @ w + v

    self.assertEqual(
      self._owners(fn, (3, 3), (3,), (3,), (1, 3)),
      [('a',), ('b', 'c'), None, ('a',)],
    )

  def test_outside_all_scopes_a_cast_is_no_reader(self):
    def fn(w, x):
      w = w.astype(jnp.bfloat16)
      with jax.named_scope('a'):
        return x.astype(jnp.bfloat16) @ w.T

    self.assertEqual(self._owners(fn, (3, 3), (1, 3)), [('a',), ('a',)])

  def test_within_scans_and_branches(self):
    def fn(w, v, u, x):
      def step(x, w):
        with jax.named_scope('layer'):
          return x @ w + v, None

      with jax.named_scope('hidden'):
        x, _ = lax.scan(step, x, w)
      with jax.named_scope('choice'):
        return lax.cond(x[0, 0] > 0, lambda u, x: x, lambda u, x: x + u, u, x)

    self.assertEqual(
      self._owners(fn, (5, 3, 3), (3,), (3,), (1, 3)),
      [('hidden', 'layer'), ('hidden', 'layer'), ('choice',)]
      + [('hidden', 'layer')],
    )


if __name__ == '__main__':
  absltest.main()
