"""Tests for `stack.py`, `mlp.py` and `cnn.py`: what all stacks have."""

import functools

from absl.testing import absltest
from absl.testing import parameterized
import chex
import jax
import jax.numpy as jnp
from jaxdl import layers
from jaxdl.layers import initializers
from jaxdl.models import cnn
from jaxdl.models import mlp
from jaxdl.models import stack
from jaxdl.models import units
import numpy as np

_TANH = layers.activation('tanh')
_IMAGE = (4, 4, 2)
_MODELS = {'mlp': (mlp.mlp, 'dense'), 'cnn': (cnn.cnn, 'conv')}


def _net(model, **kwargs):
  defaults = dict(depth=3, width=5, num_classes=3, activation=_TANH)
  return _MODELS[model][0](**{**defaults, **kwargs})


def _input():
  return jax.random.normal(jax.random.key(0), (6, *_IMAGE))


def _shapes(net):
  """Returns the shapes of params and state, without computing them."""
  init = lambda key: net.init(key, _IMAGE)[1:]
  return jax.eval_shape(init, jax.random.key(0))


def _scopes(net):
  """Returns the paths of all scopes, those in scans below the scan's own."""
  params, state = _shapes(net)
  closed = jax.make_jaxpr(functools.partial(net.apply, train=True))(
    params, state, _input()
  )

  def walk(jaxpr, prefix):
    for eqn in jaxpr.eqns:
      path = '/'.join(filter(None, [prefix, str(eqn.source_info.name_stack)]))
      yield path
      for value in eqn.params.values():
        inner = getattr(value, 'jaxpr', None)
        if inner is not None:
          yield from walk(inner, path)

  paths = set(walk(closed.jaxpr, ''))
  return {
    '/'.join(path.split('/')[: n + 1])
    for path in paths
    for n in range(path.count('/') + 1)
  }


class EveryStackTest(parameterized.TestCase):
  @parameterized.product(
    model=tuple(_MODELS),
    norm=stack.NORMS,
    shortcut=stack.SHORTCUTS,
    depth=(1, 3),
  )
  def test_shapes_layout_and_scopes(self, model, norm, shortcut, depth):
    net = _net(model, norm=norm, shortcut=shortcut, depth=depth)
    params, state = _shapes(net)
    hidden = [tree.get('hidden') for tree in (params, state)]
    for leaf in jax.tree.leaves(hidden):
      self.assertEqual(leaf.shape[0], depth - 1)

    y, new_state = jax.eval_shape(
      functools.partial(net.apply, train=True), params, state, _input()
    )
    self.assertEqual(y.shape, (6, 3))
    chex.assert_trees_all_equal_shapes_and_dtypes(state, new_state)

    linear = _MODELS[model][1]
    scopes = ('stem', 'hidden/layer')[:depth]
    expected = {'readout', *scopes}
    for scope in scopes:
      expected |= {f'{scope}/{linear}', f'{scope}/activation/tanh'}
      expected |= set() if norm == 'none' else {f'{scope}/norm'}
    if shortcut == 'highway' and depth > 1:
      expected |= {f'hidden/layer/gate/{linear}'}
    self.assertContainsSubset(expected, _scopes(net))

  @parameterized.product(model=tuple(_MODELS), shortcut=stack.SHORTCUTS)
  def test_agrees_with_a_python_loop_over_the_layers(self, model, shortcut):
    net = _net(model, shortcut=shortcut, residual_scale=0.5)
    _, params, state = net.init(jax.random.key(1), _IMAGE)
    x = _input().reshape(6, -1) if model == 'mlp' else _input()

    def affine(params, x):
      if model == 'mlp':
        return x @ params.w + params.b
      return layers.conv(5).apply(params, (), x)[0]

    h = jnp.tanh(affine(params['stem'][0], x))
    for l in range(2):
      layer = jax.tree.map(lambda p, l=l: p[l], params['hidden'].layer)
      if shortcut == 'none':
        h = jnp.tanh(affine(layer[0], h))
      elif shortcut == 'identity':
        h = h + 0.5 * jnp.tanh(affine(layer.branch[0], h))
      else:
        gate = jax.nn.sigmoid(affine(layer.gate, h))
        new = jnp.tanh(affine(layer.transform[0], h))
        h = gate * new + (1 - gate) * h
    readout = params['readout'] if model == 'mlp' else params['readout'][1]
    h = h if model == 'mlp' else h.mean((1, 2))
    expected = h @ readout.w + readout.b

    actual, _ = net.apply(params, state, _input())
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)

  def test_batch_norm_standardizes_what_enters_the_activation(self):
    identity = layers.activation('identity')
    net = _net('mlp', norm='batch_plain', activation=identity, depth=1)
    _, params, state = net.init(jax.random.key(0), _IMAGE)
    w = jnp.eye(5)
    readout = layers.DenseParams(w, jnp.zeros(5))
    params = units.Units({**params, 'readout': readout})
    y, _ = net.apply(params, state, _input(), train=True)
    np.testing.assert_allclose(y.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(y.std(0), 1, rtol=1e-3)

  def test_init_scales_may_be_traced(self):
    def weights(weight_std, bias_std, gate_bias):
      net = _net(
        'mlp',
        shortcut='highway',
        weight_init=initializers.normal_fan_in(weight_std),
        bias_init=initializers.normal(bias_std),
        gate_bias=gate_bias,
      )
      return net.init(jax.random.key(0), _IMAGE)[1]

    params = jax.vmap(weights)(*jnp.array([[1, 3], [2, 4], [-1, -2.0]]))
    dense = params['hidden'].layer.transform[0]
    np.testing.assert_allclose(3 * dense.w[0], dense.w[1], rtol=1e-5)
    np.testing.assert_allclose(2 * dense.b[0], dense.b[1], rtol=1e-5)
    np.testing.assert_array_equal(params['hidden'].layer.gate.b[1], -2)

  def test_without_bias_only_the_readout_has_one(self):
    _, params, _ = _net('mlp', use_bias=False).init(jax.random.key(0), _IMAGE)
    self.assertEqual(
      (params['stem'][0].b, params['hidden'].layer[0].b), ((), ())
    )
    self.assertEqual(params['readout'].b.shape, (3,))


class RefusalsTest(parameterized.TestCase):
  @parameterized.product(
    model=tuple(_MODELS),
    row=(
      (dict(depth=0), 'depth must be at least 1, got 0'),
      (dict(width=0), 'width must be at least 1'),
      (dict(num_classes=0), 'num_classes must be at least 1'),
      (dict(norm='bach'), "Unknown norm 'bach'.*layer.*mean 'batch'"),
      (dict(shortcut='skip'), "Unknown shortcut 'skip'.*identity, highway"),
    ),
  )
  def test_says_what_is_possible(self, model, row):
    kwargs, message = row
    with self.assertRaisesRegex(ValueError, message):
      _net(model, **kwargs)


if __name__ == '__main__':
  absltest.main()
