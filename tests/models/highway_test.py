"""Tests for `highway.py`: layers that carry or transform, written by hand."""

import functools

from absl.testing import absltest
from absl.testing import parameterized
import jax
import jax.numpy as jnp
from jaxdl import layers
from jaxdl.models import highway
from jaxdl.models import units
import numpy as np

_MODELS = {'dense': highway.highway, 'conv': highway.highway_cnn}
_IMAGE = (4, 4, 2)


def _net(kind, **kwargs):
  defaults = dict(
    depth=3, width=5, num_classes=3, activation=layers.activation('tanh')
  )
  return _MODELS[kind](**{**defaults, **kwargs})


def _input():
  return jax.random.normal(jax.random.key(0), (6, *_IMAGE))


def _affine(kind, params, x):
  """An affine layer in float64."""
  if kind == 'dense':
    return x @ params.w + params.b
  height, width = x.shape[1:3]
  x = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
  return params.b + sum(
    x[:, i : i + height, j : j + width] @ params.w[i, j]
    for i in range(3)
    for j in range(3)
  )


class HighwayTest(parameterized.TestCase):
  @parameterized.parameters(*_MODELS)
  def test_agrees_with_the_equation(self, kind):
    net = _net(kind, gate_bias=-1.0)
    _, params, state = jax.jit(lambda k: net.init(k, _IMAGE))(jax.random.key(1))
    actual, _ = jax.jit(net.apply)(params, state, _input())

    params = jax.tree.map(lambda p: np.asarray(p, np.float64), params)
    x = np.asarray(_input(), np.float64)
    h = x.reshape(6, -1) if kind == 'dense' else x
    h = np.tanh(_affine(kind, params['stem'][0], h))
    for l in range(2):
      layer = jax.tree.map(lambda p, l=l: p[l], params['hidden'].layer)
      np.testing.assert_array_equal(layer.gate.b, -1)
      gate = 1 / (1 + np.exp(-_affine(kind, layer.gate, h)))
      h = gate * np.tanh(_affine(kind, layer.transform[0], h)) + (1 - gate) * h
    if kind == 'dense':
      readout = params['readout']
    else:
      readout, h = params['readout'][1], h.mean((1, 2))
    expected = h @ readout.w + readout.b
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)

  @parameterized.parameters(*_MODELS)
  def test_carries_the_signal_where_gates_are_closed(self, kind):
    """However many the layers, nothing is lost; a plain stack loses it all."""
    net = _net(kind, depth=40, gate_bias=-40.0)
    _, params, state = jax.jit(lambda k: net.init(k, _IMAGE))(jax.random.key(1))
    shallow = _net(kind, depth=1)
    deep, _ = jax.jit(net.apply)(params, state, _input())
    both = ('stem', 'readout')
    alone, _ = jax.jit(shallow.apply)(
      *(units.Units({name: p[name] for name in both}) for p in (params, state)),
      _input(),
    )
    np.testing.assert_allclose(deep, alone, rtol=1e-5, atol=1e-6)

  @parameterized.parameters(*_MODELS)
  def test_gate_bias_is_minus_two_and_may_be_traced(self, kind):
    def bias(**kwargs):
      _, params, _ = _net(kind, **kwargs).init(jax.random.key(0), _IMAGE)
      return params['hidden'].layer.gate.b

    np.testing.assert_array_equal(jax.jit(bias)(), np.full((2, 5), -2))
    traced = jax.jit(jax.vmap(lambda b: bias(gate_bias=b)))(
      jnp.array([-1.0, -3.0])
    )
    np.testing.assert_array_equal(traced[:, 0, 0], [-1, -3])

  def test_a_gate_doubles_the_parameters_of_a_layer(self):
    net = _net('dense', depth=10, width=50, num_classes=10)
    init = lambda key: net.init(key, (784,))[1]
    params = jax.eval_shape(init, jax.random.key(0))
    sizes = [leaf.size for leaf in jax.tree.leaves(params['hidden'])]
    self.assertEqual(sum(sizes), 9 * 2 * (50 * 50 + 50))

  def test_stem_strides_halve_the_resolution(self):
    net = _net('conv', stem_strides=2)
    params, state = jax.eval_shape(
      lambda key: net.init(key, _IMAGE)[1:], jax.random.key(0)
    )
    closed = jax.make_jaxpr(functools.partial(net.apply, train=True))(
      params, state, _input()
    )
    (scan,) = (e for e in closed.jaxpr.eqns if e.primitive.name == 'scan')
    self.assertEqual(scan.outvars[0].aval.shape, (6, 2, 2, 5))

  @parameterized.product(
    kind=tuple(_MODELS),
    row=(
      (dict(depth=0), 'depth must be at least 1, got 0'),
      (dict(width=0), 'width must be at least 1'),
      (dict(norm='bach'), "Unknown norm 'bach'"),
    ),
  )
  def test_refuses(self, kind, row):
    kwargs, message = row
    with self.assertRaisesRegex(ValueError, message):
      _net(kind, **kwargs)


if __name__ == '__main__':
  absltest.main()
