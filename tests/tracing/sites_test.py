"""Tests for `tracing/sites.py`."""

from absl.testing import absltest
from absl.testing import parameterized
import jax
from jax import lax
import jax.numpy as jnp
from jaxdl.tracing import evaluation
from jaxdl.tracing import sites


def _find(fn, *args):
  graph, _ = evaluation.trace(fn, args, {})
  return {path: site for site in sites.find(graph) for path in site.paths}


class FindTest(parameterized.TestCase):
  def test_a_scope_stands_for_what_the_loss_depends_on(self):
    def loss(x):
      with jax.named_scope('norm'):
        mean = jnp.mean(x, axis=0)
        y = x - mean
        history = jnp.tile(mean, (100, 1))  # Larger, but beside the loss.
      return jnp.sum(y), history

    self.assertEqual(_find(loss, jnp.ones((3, 2)))['norm'].shape, (3, 2))

  def test_of_several_values_the_largest_then_the_last(self):
    def loss(x):
      with jax.named_scope('two'):
        small, large, last = x[0], x * 2, x * 3
      return jnp.sum(small) + jnp.sum(large) + jnp.sum(last * large)

    graph, _ = evaluation.trace(loss, (jnp.ones((3, 2)),), {})
    (site,) = (s for s in sites.find(graph) if 'two' in s.paths)
    makers = [o for o in graph.operations if site.key in o.outputs]
    self.assertEqual(makers[0].primitive.name, 'mul')
    self.assertEqual(site.shape, (3, 2))

  def test_a_scope_without_operations_is_no_site(self):
    def loss(x):
      with jax.named_scope('identity'):
        y = x
      return jnp.sum(y)

    self.assertNotIn('identity', _find(loss, jnp.ones(3)))

  def test_integers_are_no_sites(self):
    def loss(x):
      with jax.named_scope('index'):
        i = jnp.argmax(x)
      return x[i]

    self.assertNotIn('index', _find(loss, jnp.ones(3)))

  def test_what_is_made_of_numbers_alone_is_no_site(self):
    def loss(x):
      with jax.named_scope('cell'):
        h = jnp.zeros(3) + 1

      def step(h, x):
        with jax.named_scope('mask'):
          mask = jnp.arange(3.0) > 1
          mask = mask.astype(jnp.float32)
        with jax.named_scope('add'):
          return h + x * mask, None

      return jnp.sum(lax.scan(step, h, x)[0])

    self.assertEqual(list(_find(loss, jnp.ones((2, 3)))), ['add'])

  def test_a_site_knows_whether_the_loss_depends_on_it(self):
    def loss(x):
      with jax.named_scope('norm'):
        mean = jnp.mean(x, axis=0)
        y = x - mean
      with jax.named_scope('history'):
        history = 0.9 * mean
      return jnp.sum(y), history

    found = _find(loss, jnp.ones((3, 2)))
    self.assertTrue(found['norm'].is_live)
    self.assertFalse(found['history'].is_live)

  def test_paths_that_occur_twice_are_numbered(self):
    def block(x):
      with jax.named_scope('block'):
        return jnp.sin(x)

    def loss(x):
      with jax.named_scope('a'):
        x = lax.scan(lambda x, _: (block(x), None), x, length=2)[0]
        x = lax.scan(lambda x, _: (block(x), None), x, length=3)[0]
      return jnp.sum(x)

    found = _find(loss, jnp.ones(3))
    self.assertEqual(found['a/block'].lengths, (2,))
    self.assertEqual(found['a/block#2'].lengths, (3,))

  def test_a_value_that_leaves_two_scopes_is_one_site(self):
    def loss(x):
      with jax.named_scope('outer'):
        with jax.named_scope('inner'):
          x = jnp.sin(x)
      return jnp.sum(x)

    found = _find(loss, jnp.ones(3))
    self.assertIs(found['outer'], found['outer/inner'])
    self.assertEqual(found['outer'].paths, ('outer/inner', 'outer'))

  def test_a_scan_may_start_from_a_literal(self):
    def loss(x):
      def step(carry, _):
        count, h = carry
        with jax.named_scope('layer'):
          h = jnp.sin(h)
        return (count + 1.0, h), None

      (count, h), _ = lax.scan(step, (0.0, x), length=3)
      return jnp.sum(h) * count

    self.assertEqual(_find(loss, jnp.ones(3))['layer'].lengths, (3,))


class CutTest(parameterized.TestCase):
  def _cuts(self, loss, *args):
    return {p: s.is_cut for p, s in _find(loss, *args).items()}

  def test_chain(self):
    def loss(x):
      for name in 'abc':
        with jax.named_scope(name):
          x = jnp.sin(x)
      return jnp.sum(x)

    self.assertEqual(
      self._cuts(loss, jnp.ones(3)), {'a': True, 'b': True, 'c': True}
    )

  def test_shortcut_past_a_branch(self):
    def loss(x):
      with jax.named_scope('stem'):
        x = jnp.sin(x)
      with jax.named_scope('block'):
        with jax.named_scope('branch'):
          branch = jnp.cos(x)
        x = x + branch
      return jnp.sum(x)

    self.assertEqual(
      self._cuts(loss, jnp.ones(3)),
      {'stem': True, 'block/branch': False, 'block': True},
    )

  def test_shortcut_past_a_scan(self):
    def loss(x):
      with jax.named_scope('stem'):
        x = jnp.sin(x)

      def step(h, _):
        with jax.named_scope('layer'):
          return jnp.cos(h), None

      with jax.named_scope('hidden'):
        h, _ = lax.scan(step, x, length=3)
      return jnp.sum(h + x)

    cuts = self._cuts(loss, jnp.ones(3))
    self.assertFalse(cuts['hidden/layer'])
    self.assertTrue(cuts['stem'])

  def test_shortcuts_of_a_u_net(self):
    def loss(x):
      for name in ('down', 'bottom'):
        with jax.named_scope(name):
          x, skip = jnp.sin(x), x
      with jax.named_scope('up'):
        x = jnp.cos(x) * skip
      with jax.named_scope('head'):
        x = jnp.sin(x)
      return jnp.sum(x)

    self.assertEqual(
      self._cuts(loss, jnp.ones(3)),
      {'down': True, 'bottom': False, 'up': True, 'head': True},
    )

  def test_two_carries(self):
    def loss(x):
      def step(carry, _):
        h, memory = carry
        with jax.named_scope('cell'):
          h = jnp.tanh(h + memory)
        return (h, memory + h), None

      (h, memory), _ = lax.scan(step, (x, x), length=3)
      return jnp.sum(h * memory)

    self.assertFalse(self._cuts(loss, jnp.ones(3))['cell'])


if __name__ == '__main__':
  absltest.main()
