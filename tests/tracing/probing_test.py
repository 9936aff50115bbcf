"""Tests for `tracing/probing.py`, and through it `evaluation` and `jaxpr`."""

import functools

from absl.testing import absltest
from absl.testing import parameterized
import chex
import jax
from jax import lax
import jax.numpy as jnp
from jax.sharding import PartitionSpec
from jaxdl import tracing
from jaxdl.tracing import evaluation
from jaxdl.tracing import jaxpr
from jaxdl.tracing import probing
from jaxdl.tracing import statistics
import numpy as np

_DEPTH, _WIDTH, _BATCH = 4, 6, 5


def _params(dtype=jnp.float32):
  keys = jax.random.split(jax.random.key(0), 3)
  shapes = ((_WIDTH, _WIDTH), (_DEPTH, _WIDTH, _WIDTH), (_WIDTH, 3))
  return tuple(
    jax.random.normal(key, shape, dtype) / 2
    for key, shape in zip(keys, shapes, strict=True)
  )


def _inputs(dtype=jnp.float32):
  return jax.random.normal(jax.random.key(1), (_BATCH, _WIDTH), dtype)


def _layer(h, w):
  with jax.named_scope('layer'):
    with jax.named_scope('dense'):
      z = h @ w
    with jax.named_scope('activation'):
      return jax.nn.relu(z) + 0.1 * z


def _loss(hidden, params, x):
  """A stem, a hidden part that is given, and a readout."""
  with jax.named_scope('stem'):
    h = jnp.tanh(x @ params[0])
  with jax.named_scope('hidden'):
    h = hidden(h, params[1])
  with jax.named_scope('readout'):
    logits = h @ params[2]
  return jnp.mean(logits**2), logits


def _scanned(h, ws):
  return lax.scan(lambda h, w: (_layer(h, w), None), h, ws)[0]


def _scanned_twice(h, ws):
  pairs = ws.reshape(2, _DEPTH // 2, _WIDTH, _WIDTH)
  return lax.scan(lambda h, ws: (_scanned(h, ws), None), h, pairs)[0]


def _unrolled(h, ws):
  for w in ws:
    h = jax.jit(_layer)(h, w)
  return h


def _rematerialized(h, ws):
  layer = jax.checkpoint(_layer)
  return lax.scan(lambda h, w: (layer(h, w), None), h, ws)[0]


def _with_cond(h, ws):
  def step(h, w):
    return lax.cond(w[0, 0] > 0, _layer, lambda h, w: h, h, w), None

  return lax.scan(step, h, ws)[0]


def _vmapped(h, ws):
  return jax.vmap(_scanned, in_axes=(0, None))(h, ws)


_HIDDEN = {
  'scan': _scanned,
  'nested_scan': _scanned_twice,
  'unrolled': _unrolled,
  'remat': _rematerialized,
  'cond': _with_cond,
  'vmap': _vmapped,
}


class ProbeTest(parameterized.TestCase):
  @parameterized.named_parameters(_HIDDEN.items())
  def test_value_and_gradients_are_those_of_value_and_grad(self, hidden):
    loss = functools.partial(_loss, hidden)
    params, x = _params(), _inputs()
    expected = jax.jit(jax.value_and_grad(loss, has_aux=True))(params, x)
    value, grads, _ = jax.jit(tracing.probe(loss, has_aux=True))(params, x)
    # Where XLA fuses otherwise, results may differ by rounding.
    chex.assert_trees_all_close((value, grads), expected, rtol=1e-6)

  @parameterized.named_parameters(
    ('scan', _scanned, 'hidden/layer'),
    ('remat', _rematerialized, 'hidden/layer'),
  )
  def test_statistics_equal_those_of_vjps_at_each_boundary(self, hidden, path):
    params, x = _params(), _inputs()
    loss = functools.partial(_loss, hidden)
    _, _, profile = jax.jit(tracing.probe(loss, has_aux=True))(params, x)

    h = jnp.tanh(x @ params[0])
    outputs = []
    for w in params[1]:
      h = _layer(h, w)
      outputs.append(h)
    for i, h in enumerate(outputs):
      rest = lambda h, i=i: jnp.mean(
        (_unrolled(h, params[1][i + 1 :]) @ params[2]) ** 2
      )
      ct = np.asarray(jax.grad(rest)(h), np.float64)
      signal = jax.tree.map(lambda s, i=i: s[i], profile[path])
      values = np.asarray(h, np.float64)
      np.testing.assert_allclose(
        signal.backward.rms, np.sqrt(np.mean(ct**2)), rtol=1e-5
      )
      np.testing.assert_allclose(
        signal.backward.max_abs, np.abs(ct).max(), rtol=1e-5
      )
      np.testing.assert_allclose(signal.forward.mean, values.mean(), rtol=1e-4)
      np.testing.assert_allclose(signal.forward.std, values.std(), rtol=1e-5)

  def test_names_every_scope_in_order_of_depth(self):
    loss = functools.partial(_loss, _scanned)
    _, _, profile = jax.jit(tracing.probe(loss, has_aux=True))(
      _params(), _inputs()
    )
    self.assertEqual(
      list(profile),
      [
        'stem',
        'hidden/layer/dense',
        'hidden/layer/activation',
        'hidden/layer',
        'hidden',
        'readout',
      ],
    )
    chex.assert_shape(profile['hidden/layer'].forward, (_DEPTH,))
    chex.assert_shape(profile['stem'].backward, ())
    with self.assertRaisesRegex(KeyError, 'no scope of stem, hidden'):
      profile['hiden']

  def test_nested_scans_lead_their_axes(self):
    loss = functools.partial(_loss, _scanned_twice)
    _, _, nested = tracing.probe(loss, has_aux=True)(_params(), _inputs())
    loss = functools.partial(_loss, _scanned)
    _, _, flat = tracing.probe(loss, has_aux=True)(_params(), _inputs())
    chex.assert_trees_all_close(
      nested['hidden/layer'].backward.rms.reshape(-1),
      flat['hidden/layer'].backward.rms,
      rtol=1e-5,
    )

  def test_branch_not_taken_is_nan(self):
    loss = functools.partial(_loss, _with_cond)
    params = _params()
    _, _, profile = tracing.probe(loss, has_aux=True)(params, _inputs())
    taken = np.asarray(params[1][:, 0, 0] > 0)
    signal = profile['hidden/layer']
    np.testing.assert_array_equal(np.isfinite(signal.forward.rms), taken)
    np.testing.assert_array_equal(np.isfinite(signal.backward.rms), taken)

  def test_traces_once(self):
    loss = functools.partial(_loss, _scanned)
    counted = chex.assert_max_traces(lambda p, x: loss(p, x), n=1)
    jax.jit(tracing.probe(counted, has_aux=True))(_params(), _inputs())

  @parameterized.parameters(0, 1, -1, ((0, 1),))
  def test_argnums(self, argnums):
    loss = lambda p, x: _loss(_scanned, p, x)[0]
    expected = jax.value_and_grad(loss, argnums)(_params(), _inputs())
    actual = tracing.probe(loss, argnums)(_params(), _inputs())
    chex.assert_trees_all_close(actual[:2], expected, rtol=1e-6)

  def test_keyword_arguments_and_static_leaves(self):
    def loss(params, model, *, x):
      return _loss(model['hidden'], params, x)[0]

    value, grads, _ = tracing.probe(loss)(
      _params(), {'hidden': _scanned}, x=_inputs()
    )
    expected = jax.value_and_grad(loss)(
      _params(), {'hidden': _scanned}, x=_inputs()
    )
    chex.assert_trees_all_close((value, grads), expected, rtol=1e-6)

  def test_vmap_measures_each_example(self):
    loss = lambda p, x: _loss(_scanned, p, x)[0]
    xs = jnp.stack([_inputs(), 3 * _inputs()])
    probed = tracing.probe(loss)
    together = jax.vmap(probed, in_axes=(None, 0))(_params(), xs)
    for i in range(2):
      chex.assert_trees_all_close(
        jax.tree.map(lambda a, i=i: a[i], together),
        probed(_params(), xs[i]),
        rtol=1e-4,
        atol=1e-6,
      )

  def test_composes_with_scan(self):
    loss = lambda p, x: _loss(_scanned, p, x)[0]

    def step(params, _):
      value, grads, profile = tracing.probe(loss)(params, _inputs())
      params = jax.tree.map(lambda p, g: p - 0.1 * g, params, grads)
      return params, (value, profile)

    _, (values, profile) = jax.jit(lambda p: lax.scan(step, p, length=3))(
      _params()
    )
    self.assertLess(values[-1], values[0])
    chex.assert_shape(profile['hidden/layer'].backward.rms, (3, _DEPTH))

  def test_composes_with_shard_map(self):
    mesh = jax.make_mesh(
      (2,), ('cells',), axis_types=(jax.sharding.AxisType.Auto,)
    )
    spec = PartitionSpec('cells')
    loss = lambda p, x: _loss(_scanned, p, x)[0]
    params = jax.tree.map(lambda p: jnp.stack([p, 2 * p]), _params())
    probed = jax.vmap(tracing.probe(loss), in_axes=(0, None))
    sharded = jax.shard_map(
      probed, mesh=mesh, in_specs=(spec, PartitionSpec()), out_specs=spec,
      check_vma=False,
    )  # fmt: skip
    chex.assert_trees_all_close(
      jax.jit(sharded)(params, _inputs()),
      probed(params, _inputs()),
      rtol=1e-4,
      atol=1e-6,
    )

  def test_taps_choose_what_is_measured(self):
    def taps(path):
      if path == 'hidden/layer':
        return tracing.Taps(backward=statistics.backward())
      if path == 'hidden/layer/activation':
        return tracing.Taps(forward=statistics.forward((0.0, None)))
      return tracing.Taps()

    loss = lambda p, x: _loss(_scanned, p, x)[0]
    _, _, profile = tracing.probe(loss, taps=taps)(_params(), _inputs())
    self.assertEqual(set(profile), {'hidden/layer', 'hidden/layer/activation'})
    self.assertIsNone(profile['hidden/layer'].forward)
    self.assertIsNone(profile['hidden/layer/activation'].backward)

  def test_gradients_far_below_their_squares_are_not_zero(self):
    params, x = _params(), _inputs()
    loss = lambda p, x: 1e-30 * _loss(_scanned, p, x)[0]
    plain = lambda p, x: _loss(_scanned, p, x)[0]
    _, _, tiny = jax.jit(tracing.probe(loss))(params, x)
    _, _, usual = jax.jit(tracing.probe(plain))(params, x)
    np.testing.assert_allclose(
      tiny['hidden/layer'].backward.rms / 1e-30,
      usual['hidden/layer'].backward.rms,
      rtol=1e-4,
    )

  @parameterized.parameters(jnp.bfloat16, jnp.float16)
  def test_halves_are_measured_in_float32(self, dtype):
    loss = lambda p, x: _loss(_scanned, p, x)[0]
    _, grads, profile = tracing.probe(loss)(_params(dtype), _inputs(dtype))
    self.assertEqual(grads[0].dtype, dtype)
    self.assertEqual(profile['stem'].forward.rms.dtype, jnp.float32)

  def test_a_function_that_is_no_loss_is_refused(self):
    with self.assertRaisesRegex(TypeError, 'scalar'):
      tracing.probe(lambda x: x)(jnp.ones(3))


class ProfileTest(parameterized.TestCase):
  def test_keeps_its_order_through_transformations(self):
    profile = probing.Profile(('b', 'a'), (jnp.zeros(2), jnp.ones(2)))
    self.assertEqual(list(jax.jit(lambda p: p)(profile)), ['b', 'a'])
    self.assertEqual(list(jax.tree.map(jnp.sum, profile)), ['b', 'a'])
    self.assertLen(profile, 2)
    self.assertIn('b: ', repr(profile))


class EvaluationTest(parameterized.TestCase):
  def test_a_graph_without_taps_computes_what_the_function_does(self):
    args = (_params(), _inputs())
    for hidden in _HIDDEN.values():
      loss = functools.partial(_loss, hidden)
      graph, tree = evaluation.trace(loss, args, {})
      done = evaluation.evaluate(
        graph, evaluation.array_leaves((args, {})), {}, {}
      )
      chex.assert_trees_all_close(
        jax.tree.unflatten(tree, done.outputs), loss(*args), rtol=1e-6
      )


class GraphTest(parameterized.TestCase):
  def test_calls_are_inlined_and_scopes_absolute(self):
    def inner(x):
      with jax.named_scope('inner'):
        return jnp.sin(x)

    def outer(x):
      with jax.named_scope('outer'):
        return jax.jit(inner)(x)

    graph = jaxpr.graph(jax.make_jaxpr(outer)(1.0))
    (operation,) = graph.operations
    self.assertEqual(operation.path, ('outer', 'inner'))


if __name__ == '__main__':
  absltest.main()
