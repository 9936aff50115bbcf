"""Tests for `combinators.py`."""

from absl.testing import absltest
from absl.testing import parameterized
import chex
import jax
import jax.numpy as jnp
from jaxdl import layers
from jaxdl.layers import combinators
import numpy as np

_WIDTH = 4


def _block():
  return combinators.serial(
    layers.dense(_WIDTH),
    layers.batch_norm(),
    layers.activation('tanh'),
    layers.dropout(0.2),
  )


def _input(width=_WIDTH):
  return jax.random.normal(jax.random.key(0), (8, width))


def _scopes(layer, in_shape):
  """Returns the paths of all scopes of a layer, those in scans included."""
  init = lambda key: layer.init(key, in_shape)[1:]
  params, state = jax.eval_shape(init, jax.random.key(0))
  x = jnp.ones((2, *in_shape))
  closed = jax.make_jaxpr(layer.apply)(params, state, x)

  def walk(jaxpr, prefix):
    for eqn in jaxpr.eqns:
      path = '/'.join(filter(None, [prefix, str(eqn.source_info.name_stack)]))
      yield path
      for value in eqn.params.values():
        inner = getattr(value, 'jaxpr', None)
        if inner is not None:
          yield from walk(inner, path)

  return set(walk(closed.jaxpr, ''))


def _count_equations(jaxpr):
  inner = [
    value.jaxpr
    for eqn in jaxpr.eqns
    for value in eqn.params.values()
    if hasattr(value, 'jaxpr')
  ]
  return len(jaxpr.eqns) + sum(map(_count_equations, inner))


class RepeatTest(chex.TestCase):
  @chex.variants(with_jit=True, without_jit=True)
  @parameterized.product(depth=(0, 1, 5), train=(False, True))
  def test_agrees_with_python_loop(self, depth, train):
    block, key = _block(), jax.random.key(1)
    net = combinators.repeat(block, depth)
    _, params, state = net.init(jax.random.key(2), (_WIDTH,))

    apply = self.variant(
      lambda p, s, x, k: net.apply(p, s, x, train=train, key=k)
    )
    actual, actual_state = apply(params, state, _input(), key)

    expected, keys = _input(), jax.random.split(key, depth)
    for l in range(depth):
      at = lambda tree, l=l: jax.tree.map(lambda a: a[l], tree.layer)
      expected, layer_state = block.apply(
        at(params), at(state), expected, train=train, key=keys[l]
      )
      chex.assert_trees_all_close(at(actual_state), layer_state, rtol=1e-5)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)

  def test_gradient_agrees_with_python_loop(self):
    block = combinators.serial(layers.dense(_WIDTH), layers.activation('gelu'))
    net = combinators.repeat(block, 4)
    _, params, state = net.init(jax.random.key(2), (_WIDTH,))

    def loop(params):
      x = _input()
      for l in range(4):
        at = lambda tree, l=l: jax.tree.map(lambda a: a[l], tree.layer)
        x, _ = block.apply(at(params), at(state), x)
      return jnp.sum(jnp.sin(x))

    scanned = lambda p: jnp.sum(jnp.sin(net.apply(p, state, _input())[0]))
    chex.assert_trees_all_close(
      jax.grad(scanned)(params), jax.grad(loop)(params), rtol=1e-5, atol=1e-6
    )

  @parameterized.parameters(12, 7, 1, 0)
  def test_rematerialized_it_is_the_same(self, depth):
    block = combinators.serial(layers.dense(_WIDTH), layers.batch_norm())
    plain = combinators.repeat(block, depth)
    _, params, state = plain.init(jax.random.key(2), (_WIDTH,))

    def results(net):
      def loss_fn(params):
        y, new_state = net.apply(params, state, _input(), train=True)
        return jnp.sum(jnp.sin(y)), new_state

      return jax.value_and_grad(loss_fn, has_aux=True)(params)

    chex.assert_trees_all_close(
      results(combinators.repeat(block, depth, rematerialize=True)),
      results(plain),
      rtol=1e-5,
      atol=1e-6,
    )

  def test_each_layer_starts_from_a_key_of_its_own(self):
    key, dense = jax.random.key(0), layers.dense(4)
    _, params, _ = combinators.repeat(dense, 3).init(key, (4,))
    each = [dense.init(k, (4,))[1] for k in jax.random.split(key, 3)]
    expected = jax.tree.map(lambda *leaves: jnp.stack(leaves), *each)
    chex.assert_trees_all_close(params.layer, expected, rtol=1e-5, atol=1e-6)
    self.assertEqual(np.linalg.matrix_rank(params.layer.w.reshape(3, -1)), 3)

  def test_program_is_as_small_at_any_depth(self):
    def count(depth):
      net = combinators.repeat(_block(), depth)

      def loss_fn(key):
        _, params, state = net.init(key, (_WIDTH,))
        run = lambda p: jnp.sum(
          net.apply(p, state, _input(), train=True, key=key)[0]
        )
        return jax.grad(run)(params)

      return _count_equations(jax.make_jaxpr(loss_fn)(jax.random.key(0)).jaxpr)

    self.assertEqual(count(10), count(1000))

  def test_refuses_a_layer_that_changes_the_shape(self):
    with self.assertRaisesRegex(ValueError, r'repeated layer differ.*\(4,\)'):
      combinators.repeat(layers.dense(3), 2).init(jax.random.key(0), (4,))

  def test_refuses_a_negative_number(self):
    with self.assertRaisesRegex(ValueError, 'at least 0, got -1'):
      combinators.repeat(layers.dense(3), -1)


class SerialTest(parameterized.TestCase):
  def test_composes(self):
    first, second = layers.dense(3), layers.dense(2)
    _, params, state = combinators.serial(first, second).init(
      jax.random.key(0), (_WIDTH,)
    )
    y, _ = combinators.serial(first, second).apply(params, state, _input())
    h = _input() @ params[0].w + params[0].b
    np.testing.assert_allclose(y, h @ params[1].w + params[1].b, rtol=1e-5)

  def test_a_later_layer_leaves_the_init_of_earlier_ones(self):
    key = jax.random.key(0)
    _, short, _ = combinators.serial(layers.dense(3)).init(key, (_WIDTH,))
    _, long, _ = combinators.serial(layers.dense(3), layers.dense(2)).init(
      key, (_WIDTH,)
    )
    chex.assert_trees_all_equal(short[0], long[0])

  def test_names_must_match(self):
    with self.assertRaisesRegex(ValueError, '1 layers need as many names'):
      combinators.serial(layers.dense(3), names=('a', 'b'))


class ParallelTest(absltest.TestCase):
  def test_joins_the_outputs_of_one_input(self):
    net = combinators.parallel(
      combinators.identity(), layers.activation('relu')
    )
    out_shape, params, state = net.init(jax.random.key(0), (_WIDTH,))
    y, _ = net.apply(params, state, _input())
    self.assertEqual(out_shape, (2 * _WIDTH,))
    np.testing.assert_array_equal(y[:, :_WIDTH], _input())
    np.testing.assert_array_equal(y[:, _WIDTH:], np.maximum(_input(), 0))


class ScopesTest(absltest.TestCase):
  def test_serial_names_its_children(self):
    net = combinators.serial(
      layers.dense(3), layers.activation('relu'), names=('a', 'b')
    )
    self.assertContainsSubset({'a/dense', 'b/relu'}, _scopes(net, (4,)))

  def test_children_without_a_name_keep_their_scopes(self):
    net = layers.serial(
      layers.dense(3), layers.activation('relu'), names=(None, 'b')
    )
    numbered = layers.serial(layers.dense(3), layers.activation('relu'))
    self.assertEqual(_scopes(net, (2,)), {'dense', 'b/relu'})
    chex.assert_trees_all_equal(
      net.init(jax.random.key(0), (2,)), numbered.init(jax.random.key(0), (2,))
    )

  def test_named_takes_a_mapping(self):
    net = layers.named({'a': layers.dense(3), 'b': layers.activation('relu')})
    self.assertEqual(_scopes(net, (2,)), {'a/dense', 'b/relu'})

  def test_serial_numbers_children_without_names(self):
    net = combinators.serial(layers.flatten(), layers.dense(3))
    self.assertContainsSubset({'0/flatten', '1/dense'}, _scopes(net, (2, 2)))

  def test_shortcuts_leave_the_scopes_of_the_branch(self):
    net = combinators.scope(
      'net', combinators.repeat(layers.residual(layers.dense(4)), 2)
    )
    self.assertContainsSubset(
      {'net/layer', 'net/layer/dense'}, _scopes(net, (4,))
    )

  def test_shortcut_and_gate_have_their_own(self):
    projected = layers.residual(layers.dense(3), layers.dense(3))
    self.assertIn('shortcut/dense', _scopes(projected, (4,)))
    gated = layers.highway(layers.dense(4))
    self.assertIn('gate/dense', _scopes(gated, (4,)))

  def test_identity_activation_leaves_an_equation(self):
    net = combinators.serial(
      layers.activation('identity'), names=('activation',)
    )
    self.assertIn('activation/identity', _scopes(net, (4,)))


if __name__ == '__main__':
  absltest.main()
