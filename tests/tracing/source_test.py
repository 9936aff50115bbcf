"""Tests for `tracing/source.py`, and of the scopes that are made of it."""

import contextlib

from absl.testing import absltest
from absl.testing import parameterized
from flax import nnx
import jax
from jax import lax
import jax.numpy as jnp
from jaxdl.tracing import evaluation
from jaxdl.tracing import sites
from jaxdl.tracing import source

_JAX_ACTIVATIONS = (
  jax.nn.relu,
  jax.nn.gelu,
  jax.nn.silu,
  jax.nn.softmax,
  jax.nn.elu,
  jax.nn.leaky_relu,
  jax.nn.softplus,
  jax.nn.log_softmax,
  jax.nn.sigmoid,
  jnp.tanh,
)


def _activations(fn):
  closed = jax.make_jaxpr(fn)(jnp.ones((2, 3)))
  return {source.activation(eqn) for eqn in closed.eqns}


def _paths(fn, *args):
  graph, _ = evaluation.trace(fn, args, {})
  return [path for site in sites.find(graph) for path in site.paths]


@jax.jit
def _jitted_layer(x):
  return jnp.sin(x)  # A line of its own.


class ActivationTest(parameterized.TestCase):
  @parameterized.named_parameters((f.__name__, f) for f in _JAX_ACTIVATIONS)
  def test_knows_the_functions_of_jax(self, activation):
    name = {'tanh': 'tanh'}.get(activation.__name__, activation.__name__)
    self.assertEqual(_activations(activation), {name})

  @parameterized.named_parameters(
    ('maximum', lambda x: jnp.maximum(x, 0), 'relu'),
    ('maximum_from_left', lambda x: jnp.maximum(0.0, x), 'relu'),
    ('tanh', lax.tanh, 'tanh'),
    ('logistic', lax.logistic, 'sigmoid'),
  )
  def test_knows_them_written_by_hand(self, fn, expected):
    self.assertEqual(_activations(fn), {expected})

  @parameterized.named_parameters(
    ('maximum_of_two', lambda x: jnp.maximum(x, x + 1)),
    ('maximum_with_one', lambda x: jnp.maximum(x, 1)),
    ('sine', jnp.sin),
    ('jitted', _jitted_layer),
  )
  def test_takes_nothing_else_for_one(self, fn):
    self.assertEqual(_activations(fn), {''})

  def test_of_nested_functions_the_outermost(self):
    # silu calls sigmoid; attention calls softmax.
    self.assertEqual(_activations(jax.nn.silu), {'silu'})
    found = _activations(
      lambda x: jax.nn.dot_product_attention(*(x[None, :, None],) * 3)
    )
    self.assertIn('softmax', found)

  def test_between_layers_it_is_a_scope(self):
    def loss(x):
      with jax.named_scope('block'):
        for name in ('first', 'second'):
          with jax.named_scope(name):
            x = jnp.sin(x)
          x = jax.nn.gelu(x)
        x = x * 2
      return jnp.sum(x)

    self.assertEqual(
      _paths(loss, jnp.ones(3)),
      ['block/first', 'block/gelu', 'block/second', 'block/gelu#2', 'block'],
    )

  def test_in_a_scope_of_its_own_it_is_none_beside(self):
    def loss(x):
      with jax.named_scope('activation'):
        x = jax.nn.softplus(x)
      return jnp.sum(x)

    self.assertEqual(_paths(loss, jnp.ones(3)), ['activation'])


class LineTest(parameterized.TestCase):
  def test_without_scopes_the_lines_are(self):
    def loss(x):
      y = jnp.sin(x)
      return jnp.sum(_jitted_layer(jnp.exp(y)))

    first = loss.__code__.co_firstlineno
    jitted = _jitted_layer.__wrapped__.__code__.co_firstlineno
    self.assertEqual(
      _paths(loss, jnp.ones(3)),
      [
        f'source_test.py:{first + 1} loss',
        f'source_test.py:{first + 2} loss',
        f'source_test.py:{jitted + 2} _jitted_layer',
        f'source_test.py:{first + 2} loss#2',
      ],
    )

  def test_a_function_of_jax_has_the_line_of_each_call(self):
    def loss(x):
      x = jax.nn.silu(x)
      x = jax.nn.silu(x)
      return jnp.sum(x)

    first = loss.__code__.co_firstlineno
    self.assertEqual(
      _paths(loss, jnp.ones(3)),
      [f'source_test.py:{first + i} loss' for i in (1, 2, 3)],
    )

  def test_a_loop_runs_a_line_again(self):
    def layer(w, x):
      return jnp.tanh(x * w)

    def loss(ws, x):
      for w in ws:
        x = jnp.sin(x * w)
      x = layer(x, layer(x, x))
      return jnp.sum(x) + jnp.mean(x)

    first = loss.__code__.co_firstlineno
    own = layer.__code__.co_firstlineno
    self.assertEqual(
      _paths(loss, [jnp.ones(2)] * 3, jnp.ones(2)),
      [
        f'source_test.py:{first + 2} loss',
        f'source_test.py:{first + 2} loss#2',
        f'source_test.py:{first + 2} loss#3',
        f'source_test.py:{own + 1} layer',
        f'source_test.py:{own + 1} layer#2',
        f'source_test.py:{first + 4} loss',
      ],
    )

  def test_in_a_scan_they_have_its_length(self):
    def loss(x):
      def layer(x, _):
        return jnp.sin(x), None

      return jnp.sum(lax.scan(layer, x, length=4)[0])

    graph, _ = evaluation.trace(loss, (jnp.ones(3),), {})
    found = sites.find(graph)
    line = loss.__code__.co_firstlineno + 2
    self.assertEqual(found[0].paths, (f'source_test.py:{line} layer',))
    self.assertEqual(found[0].lengths, (4,))

  def test_a_site_names_its_line(self):
    def loss(x):
      with jax.named_scope('layer'):
        x = jnp.sin(x)
      return jnp.sum(x)

    graph, _ = evaluation.trace(loss, (jnp.ones(3),), {})
    (site,) = sites.find(graph)
    line = loss.__code__.co_firstlineno + 2
    self.assertEqual(site.source, f'source_test.py:{line} loss')

  def test_what_a_library_puts_in_a_scan_has_the_line_of_its_call(self):
    def loss(x):
      rnn = nnx.RNN(nnx.SimpleCell(3, 2, rngs=nnx.Rngs(0)))
      return jnp.sum(rnn(x))

    graph, _ = evaluation.trace(loss, (jnp.ones((2, 4, 3)),), {})
    line = loss.__code__.co_firstlineno + 2
    *_, scan = (o for o in graph.operations if o.bodies)
    self.assertEqual(
      {operation.source for operation in scan.bodies[0].operations},
      {f'source_test.py:{line} loss'},
    )

  def test_a_decorator_of_python_is_no_line(self):
    @contextlib.contextmanager
    def context():
      yield

    inner = context()(jnp.sin)

    def loss(x):
      return jnp.sum(inner(x))

    graph, _ = evaluation.trace(loss, (jnp.ones(3),), {})
    line = loss.__code__.co_firstlineno + 1
    self.assertEqual(
      {operation.source for operation in graph.operations},
      {f'source_test.py:{line} loss'},
    )

  def test_what_no_line_made_has_none(self):
    self.assertEqual(source.line(None), '')


if __name__ == '__main__':
  absltest.main()
