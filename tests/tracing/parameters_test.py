"""Tests for `tracing/parameters.py`."""

from absl.testing import absltest
from absl.testing import parameterized
import jax
from jax import lax
import jax.numpy as jnp
from jaxdl.tracing import evaluation
from jaxdl.tracing import parameters
from jaxdl.tracing import probing


def _uses(loss, params, *args):
  graph, _ = evaluation.trace(loss, (params, *args), {})
  leaves = jax.tree_util.tree_flatten_with_path(params)[0]
  names = [
    jax.tree_util.keystr(path, simple=True, separator='/') for path, _ in leaves
  ]
  return {
    '/'.join(path): tuple(names[i] for i in used)
    for path, used in parameters.uses(graph, range(len(names))).items()
  }


def _dense(params, x):
  with jax.named_scope('dense'):
    return x @ params['w'] + params['b']


_PARAMS = {'w': jnp.ones((3, 3)), 'b': jnp.ones(3)}
_X = jnp.ones((2, 3))


class UsesTest(parameterized.TestCase):
  def test_each_scope_has_its_own(self):
    def loss(params, x):
      for name in ('first', 'second'):
        with jax.named_scope(name):
          x = _dense(params[name], x)
      return jnp.sum(x)

    self.assertEqual(
      _uses(loss, {'first': _PARAMS, 'second': _PARAMS}, _X),
      {
        'first/dense': ('first/w', 'first/b'),
        'second/dense': ('second/w', 'second/b'),
      },
    )

  def test_what_is_made_of_parameters_alone_still_is_them(self):
    def loss(params, x):
      with jax.named_scope('normalize'):
        w = params['w'].T.astype(jnp.float32)
        w = params['b'] * w / jnp.linalg.norm(w, axis=0)
      with jax.named_scope('layer'):
        return jnp.sum(x @ w)

    self.assertEqual(_uses(loss, _PARAMS, _X), {'layer': ('b', 'w')})

  def test_a_tied_parameter_is_used_twice(self):
    def loss(params, tokens):
      with jax.named_scope('embed'):
        x = params['w'][tokens]
      with jax.named_scope('readout'):
        return jnp.sum(x @ params['w'].T)

    self.assertEqual(
      _uses(loss, {'w': jnp.ones((5, 3))}, jnp.array([0, 4])),
      {'embed': ('w',), 'readout': ('w',)},
    )

  @parameterized.named_parameters(
    ('scan', lambda f, p, x: lax.scan(lambda x, p: (f(p, x), None), x, p)[0]),
    (
      'remat',
      lambda f, p, x: jax.checkpoint(f)(jax.tree.map(lambda p: p[0], p), x),
    ),
    (
      'cond',
      lambda f, p, x: lax.cond(
        x[0, 0] > 0, f, f, jax.tree.map(lambda p: p[0], p), x
      ),
    ),
    ('jit', lambda f, p, x: jax.jit(f)(jax.tree.map(lambda p: p[1], p), x)),
    ('vmap', lambda f, p, x: jax.vmap(f, (0, None))(p, x)),
    (
      'constant_in_scan',
      lambda f, p, x: lax.scan(
        lambda x, _: (f(jax.tree.map(lambda p: p[0], p), x), None), x, length=2
      )[0],
    ),
  )
  def test_looks_through(self, transformed):
    stacked = jax.tree.map(lambda p: jnp.stack([p, p]), _PARAMS)

    def loss(params, x):
      return jnp.sum(transformed(_dense, params, x))

    found = _uses(loss, stacked, _X)
    self.assertEqual(set(found['dense']), {'w', 'b'})

  def test_a_learned_start_of_a_scan_is_used_by_it(self):
    def loss(params, x):
      with jax.named_scope('rnn'):
        h, _ = lax.scan(lambda h, x: (jnp.tanh(h + x), None), params['h'], x)
      return jnp.sum(h)

    self.assertEqual(_uses(loss, {'h': jnp.ones(3)}, _X), {'rnn': ('h',)})

  def test_a_penalty_is_used_where_it_is_added(self):
    def loss(params, x):
      with jax.named_scope('penalty'):
        penalty = jnp.sum(params['w'] ** 2)
      with jax.named_scope('total'):
        return jnp.sum(x) + penalty

    self.assertEqual(_uses(loss, _PARAMS, _X), {'total': ('w',)})

  def test_what_is_not_used_is_in_no_scope(self):
    self.assertEqual(_uses(lambda params, x: jnp.sum(x), _PARAMS, _X), {})

  def test_a_lookup_at_written_positions_is_a_use(self):
    def loss(params, x):
      with jax.named_scope('positions'):
        table = jnp.take(params['w'], jnp.arange(2), axis=0)
      with jax.named_scope('row'):
        row = params['b'][1]
      with jax.named_scope('sum'):
        return jnp.sum(x * row + table)

    self.assertEqual(
      _uses(loss, _PARAMS, _X), {'positions': ('w',), 'sum': ('b',)}
    )


class UsedInNoScopeTest(absltest.TestCase):
  def _paths(self, loss):
    traced = probing.trace(loss, (_PARAMS, _X), {}, num_parameters=2)
    return [site.paths[0] for site in traced.sites]

  def test_its_line_is_a_scope(self):
    def loss(params, x):
      with jax.named_scope('head'):
        x = x + params['b']
      x = jnp.sin(x) @ params['w'].T
      return jnp.sum(x)

    line = loss.__code__.co_firstlineno + 3
    self.assertEqual(
      self._paths(loss), ['head', f'parameters_test.py:{line} loss']
    )

  def test_in_a_scan(self):
    def loss(params, x):
      with jax.named_scope('head'):
        x = x + params['b']

      def layer(x, _):
        return jnp.sin(x) @ params['w'], None

      return jnp.sum(lax.scan(layer, x, length=2)[0])

    line = loss.__code__.co_firstlineno + 5
    self.assertEqual(
      self._paths(loss), ['head', f'parameters_test.py:{line} layer']
    )

  def test_not_if_a_scope_uses_it_as_well(self):
    def loss(params, x):
      decay = 0.1 * jnp.sum(params['w'] ** 2)
      return jnp.sum(_dense(params, x)) + decay

    self.assertEqual(self._paths(loss), ['dense'])


if __name__ == '__main__':
  absltest.main()
