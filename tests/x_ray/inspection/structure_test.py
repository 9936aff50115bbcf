"""Tests of what `inspection/` reads in graphs."""

from absl.testing import absltest
from absl.testing import parameterized
import jax
from jax import lax
import jax.numpy as jnp
from jaxdl import layers
from jaxdl.tracing import probing
from jaxdl.x_ray.inspection import broadcasting
from jaxdl.x_ray.inspection import connection
from jaxdl.x_ray.inspection import facts
from jaxdl.x_ray.inspection import first_layer
from jaxdl.x_ray.inspection import normalization
from jaxdl.x_ray.inspection import recurrence
from jaxdl.x_ray.inspection import structure
import numpy as np

_W = jnp.ones((3, 3))
_X = jnp.ones((4, 3))


def _read(loss, params, *args):
  traced = probing.trace(loss, (params, *args), {})
  count = len(jax.tree.leaves(params))
  return traced, structure.structure(traced, count, 0)


def _graph(loss, *args):
  return probing.trace(loss, args, {}).graph


class ConnectionTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('used', lambda x: x, ''),
    ('stopped', lax.stop_gradient, 'stop_gradient'),
    ('rounded', jnp.round, 'round'),
    ('compared', lambda x: (x > 0) * 1.0, 'gt'),
    ('whole', lambda x: x.astype(int) * 1.0, 'convert_element_type'),
    ('unused', lambda x: 1.0, 'unused'),
    ('past_it', lambda x: lax.stop_gradient(x) + x, ''),
    ('checkpoint', jax.checkpoint(lax.stop_gradient), 'stop_gradient'),
    (
      'scan',
      lambda x: lax.scan(
        lambda c, _: (lax.stop_gradient(c) + 1, None), x, None, 3
      )[0],
      'stop_gradient',
    ),
    (
      'carried_around',
      lambda x: lax.scan(
        lambda c, _: ((c[1], c[2], c[2]), None), (x * 0, x * 0, x), None, 3
      )[0][0],
      '',
    ),
    (
      'cond',
      lambda x: lax.cond(
        jnp.sum(_X) > 0, lambda x: x, lambda x: lax.stop_gradient(x), x
      ),
      '',
    ),
  )
  def test_obstacles(self, between, expected):
    loss = lambda w, x: jnp.sum(between(w)) + jnp.sum(x)
    (found,) = connection.obstacles(_graph(loss, _W, _X), 1)
    self.assertEqual(found.split(' ')[0], expected)

  def test_agrees_with_the_gradient(self):
    def loss(params, x):
      a, b, c, d = params
      return jnp.sum(x @ a * lax.stop_gradient(b)) + jnp.sum(jnp.floor(c))

    params = (_W, jnp.full(3, 2.0), jnp.ones(3), jnp.ones(3))
    found = connection.obstacles(_graph(loss, params, _X), 4)
    grads = jax.grad(loss)(params, _X)
    self.assertEqual(
      [bool(text) for text in found], [not np.any(g) for g in grads]
    )


class FirstLayerTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('as_given', lambda x: x, True),
    ('reshaped', lambda x: x.reshape(2, 2, 3).swapaxes(0, 1), True),
    ('scaled', lambda x: x / 255, False),
  )
  def test_data_are_followed(self, change, is_argument):
    def loss(w, x):
      with jax.named_scope('dense'):
        return jnp.sum(change(x) @ w)

    _, read = _read(loss, _W, _X)
    self.assertEqual(list(read.inputs.values()), ['dense'])
    self.assertEqual(list(read.arguments.values()), [1] if is_argument else [])
    self.assertLen(read.sites, 0 if is_argument else 1)

  @parameterized.named_parameters(
    ('dense', layers.dense(5), (4, 3)), ('conv', layers.conv(5), (4, 6, 6, 3))
  )
  def test_layers_of_ours_whose_derivatives_are_their_own(self, layer, shape):
    _, params, _ = layer.init(jax.random.key(0), shape[1:])

    def loss(params, x):
      return jnp.sum(layer.apply(params, (), x)[0])

    _, read = _read(loss, params, jnp.ones(shape))
    self.assertLen(read.inputs, 1)
    number = len(jax.tree.leaves(params))
    self.assertEqual(list(read.arguments.values()), [number])

  def test_data_of_a_scan(self):
    def loss(w, x):
      def step(h, x):
        with jax.named_scope('cell'):
          return jnp.tanh(x @ w + h), None

      return jnp.sum(lax.scan(step, jnp.zeros((4, 3)), x)[0])

    _, read = _read(loss, _W, jnp.ones((5, 4, 3)))
    self.assertEqual(list(read.inputs.values()), ['cell'])
    self.assertEqual(list(read.arguments.values()), [1])

  @parameterized.named_parameters(
    ('goes_on', lambda y, w: y @ w, ['stream']), ('ends', lambda y, w: y, [])
  )
  def test_data_that_are_added(self, behind, expected):
    def loss(w, x):
      with jax.named_scope('stream'):
        y = x + jnp.tanh(x.mean(-1, keepdims=True) * w[0])
      return jnp.sum(behind(y, w) ** 2)

    _, read = _read(loss, _W, _X)
    self.assertEqual(list(read.inputs.values()), expected)

  def test_what_parameters_made_is_no_data(self):
    loss = lambda w, x: jnp.sum(jnp.tanh(x @ w) @ w)
    graph = _graph(loss, _W, _X)
    origin = first_layer.origins(graph, 1, 0)
    self.assertLen(first_layer.inputs(graph, facts.Makers(graph), origin), 1)


class NormalizationTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('batch', (0,), True), ('units', (1,), False), ('all', (0, 1), False)
  )
  def test_axes(self, axes, is_found):
    def loss(w, x):
      with jax.named_scope('norm'):
        y = x @ w
        mean = y.mean(axes, keepdims=True)
        variance = (y * y).mean(axes, keepdims=True) - mean**2
        y = (y - mean) * lax.rsqrt(jnp.maximum(variance, 0) + 1e-5)
      return jnp.sum(y**3)

    graph = _graph(loss, _W, _X)
    origin = first_layer.origins(graph, 1, 0)
    found = normalization.find(graph, facts.Makers(graph), origin)
    self.assertEqual([n.axes for n in found], [axes] if is_found else [])

  def test_share_that_does_not_vary(self):
    x = np.random.RandomState(0).randn(6, 4).astype(np.float32) + 100
    x[:, 1:3] = [3.0, 1e8]
    measure = normalization.measure((0,))
    share = measure.finish(measure.reduce(jnp.asarray(x)))
    self.assertEqual(share, 0.5)


class BroadcastingTest(parameterized.TestCase):
  def test_operands_and_line(self):
    def loss(w, x, y):
      return jnp.mean(jnp.abs(x @ w[:, :1] - y))

    graph = _graph(loss, _W, _X, jnp.ones(4))
    origin = first_layer.origins(graph, 1, 0)
    (found,) = broadcasting.find(graph, facts.Makers(graph), origin)
    self.assertEqual((found.primitive, found.size), ('sub', 4))
    self.assertStartsWith(found.source, 'structure_test.py:')


class RecurrenceTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('gru', lambda h, a: h + jax.nn.sigmoid(a) * (jnp.tanh(a) - h), True),
    ('tanh', lambda h, a: jnp.tanh(h + a), False),
    ('sum', lambda h, a: h + jax.nn.sigmoid(a) * jnp.tanh(a), False),
    ('leak', lambda h, a: 0.5 * h + jnp.tanh(a), False),
  )
  def test_a_gate_multiplies_the_state(self, update, expected):
    def over_time(w, x):
      step = lambda h, x: (update(h, (x + h) @ w), None)
      return jnp.sum(lax.scan(step, jnp.zeros((4, 3)), x)[0])

    def over_layers(ws, x):
      step = lambda h, w: (update(h, h @ w), None)
      return jnp.sum(lax.scan(step, x, ws)[0])

    for loss, w, x, is_found in (
      (over_time, _W, jnp.ones((5, 4, 3)), expected),
      (over_layers, jnp.ones((5, 3, 3)), _X, False),
    ):
      graph = _graph(loss, w, x)
      found = recurrence.gated(graph, first_layer.origins(graph, 1, 0))
      self.assertLen(found, is_found)


class StructureTest(parameterized.TestCase):
  def test_taps_measure_beside_the_rows(self):
    def loss(w, x):
      with jax.named_scope('dense'):
        y = (x / 2) @ w
      return jnp.sum(y**2)

    traced, read = _read(loss, _W, _X)
    sites = traced.sites + read.sites
    _, _, profile = probing.measure(
      traced._replace(sites=sites),
      lambda found: structure.taps(found, read),
      (_W, _X),
      {},
    )
    (key,) = read.inputs
    found = structure.signal(profile, sites, key)
    self.assertEqual(found['value'].rms, 0.5)
    self.assertIsNone(structure.signal(profile, sites, -1))
    self.assertIn('representation', profile['dense'].forward)


class FactsTest(parameterized.TestCase):
  def test_united(self):
    self.assertEqual(facts.united([1, 2, 0], 2), [3, 3])
    self.assertEqual(facts.united([]), [0])

  def test_values_are_followed_back_out_of_bodies(self):
    def loss(w, x):
      return jnp.sum(jax.checkpoint(lambda w: w.T @ x.T)(w))

    graph = _graph(loss, _W, _X)
    makers = facts.Makers(graph)
    (dot,) = (
      place
      for place in facts.places(graph)
      if place.operation.primitive.name == 'dot_general'
    )
    keys = [
      makers.back(a, frozenset({'transpose'})) for a in dot.operation.inputs
    ]
    self.assertEqual(sorted(keys), sorted(graph.inputs))
    self.assertContainsSubset(keys, facts.avals(graph))
    self.assertIsNone(makers.place(graph.inputs[0]))


if __name__ == '__main__':
  absltest.main()
