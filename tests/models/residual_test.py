"""Tests for `residual.py`: networks of every kind of block, written by hand."""

import functools
import math

from absl.testing import absltest
from absl.testing import parameterized
import chex
import jax
import jax.numpy as jnp
from jaxdl import layers
from jaxdl.layers import initializers
from jaxdl.models import residual
from jaxdl.models import resnet
import numpy as np

_EPS = 1e-5


def _net(model, **kwargs):
  defaults = dict(num_classes=5, activation=layers.activation('relu'))
  return model(**{**defaults, **kwargs})


def _shapes(net, in_shape):
  """Returns params and state as shapes, nothing allocated."""
  init = lambda key: net.init(key, in_shape)[1:]
  return jax.eval_shape(init, jax.random.key(0))


def _of_kind(params, kind):
  """Returns all params of layers of one kind, in order."""
  is_kind = lambda node: isinstance(node, kind)
  return list(filter(is_kind, jax.tree.leaves(params, is_leaf=is_kind)))


def _convolve(x, w, strides):
  """A convolution in float64, padded by half the kernel on every side."""
  size, pad = w.shape[0], w.shape[0] // 2
  height, width = x.shape[1:3]
  x = np.pad(x, [(0, 0), (pad, pad), (pad, pad), (0, 0)])
  return sum(
    x[:, i : i + height : strides, j : j + width : strides] @ w[i, j]
    for i in range(size)
    for j in range(size)
  )


def _normalize(params, x):
  mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
  return (x - mean) / np.sqrt(var + _EPS) * params.scale + params.bias


def _relu(x):
  return np.maximum(x, 0)


def _subsampled(x, features, strides):
  x = x[:, ::strides, ::strides]
  zeros = np.zeros((*x.shape[:3], features - x.shape[-1]))
  return np.concatenate([x, zeros], -1)


class _ByHand:
  """A residual network in float64, block by block."""

  def __init__(self, shortcut, preactivation, scale, strides):
    self.shortcut = shortcut
    self.preactivation = preactivation
    self.scale = scale
    self.strides = strides  # Of the convolutions of a block that has any.

  def _skip(self, params, x, strides, features):
    changes = strides != 1 or features != x.shape[-1]
    if not changes:
      return x
    if self.shortcut == 'identity':
      return _subsampled(x, features, strides)
    if self.preactivation:
      return _convolve(x, params[0].w, strides)
    conv, norm = params
    return _normalize(norm, _convolve(x, conv.w, strides))

  def block(self, params, x, strides):
    each = [strides if s else 1 for s in self.strides]
    count = len(each)
    convs = _of_kind(params, layers.ConvParams)
    norms = _of_kind(params, layers.NormParams)
    skip_params = [*convs[count:], *norms[count:]]
    features = convs[count - 1].w.shape[-1]
    changes = strides != 1 or features != x.shape[-1]
    h = x
    for i in range(count):
      if self.preactivation:
        h = _relu(_normalize(norms[i], h))
        if i == 0 and changes:
          x = h
        h = _convolve(h, convs[i].w, each[i])
      else:
        h = _normalize(norms[i], _convolve(h, convs[i].w, each[i]))
        h = _relu(h) if i < count - 1 else h
    if self.shortcut != 'none':
      h = self._skip(skip_params, x, strides, features) + self.scale * h
    return h if self.preactivation else _relu(h)

  def stages(self, params, x):
    for name, unit in params.items():
      if not name.startswith('stage'):
        continue
      if name.endswith('_first'):
        x = self.block(unit, x, 1 if name == 'stage1_first' else 2)
        continue
      for i in range(len(jax.tree.leaves(unit)[0])):
        x = self.block(jax.tree.map(lambda p, i=i: p[i], unit.layer), x, 1)
    return x

  def readout(self, params, x):
    if self.preactivation:
      x = _relu(_normalize(params[0], x))
    return x.mean((1, 2)) @ params[-1].w + params[-1].b


def _max_pool(x):
  height, width = x.shape[1:3]
  x = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)], constant_values=-np.inf)
  return np.max(
    [
      x[:, i : i + height : 2, j : j + width : 2]
      for i in range(3)
      for j in range(3)
    ],
    axis=0,
  )


def _drawn(shapes):
  """Params of the given shapes; weights about as large as he's."""
  rng = np.random.default_rng(0)

  def draw(path, leaf):
    values = rng.normal(size=leaf.shape)
    if path[-1].name == 'w':
      values *= math.sqrt(2 / math.prod(leaf.shape[-4:-1]))
    else:
      values = 0.1 * values + (path[-1].name == 'scale')
    return np.asarray(values, np.float32)

  return jax.tree.map_with_path(draw, shapes)


def _wide(params):
  return jax.tree.map(lambda p: np.asarray(p, np.float64), params)


class NetworkByHandTest(parameterized.TestCase):
  def _run(self, net, in_shape):
    x = np.asarray(np.random.default_rng(1).normal(size=(4, *in_shape)), 'f')
    params, state = _shapes(net, in_shape)
    params = _drawn(params)
    state = jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), state)
    y, new_state = jax.jit(functools.partial(net.apply, train=True))(
      params, state, x
    )
    chex.assert_trees_all_equal_shapes_and_dtypes(state, new_state)
    return _wide(params), np.asarray(x, np.float64), y

  @parameterized.product(
    shortcut=residual.SHORTCUTS, preactivation=(False, True)
  )
  def test_cifar(self, shortcut, preactivation):
    net = _net(
      resnet.resnet_cifar,
      depth=14,
      stem_width=4,
      shortcut=shortcut,
      preactivation=preactivation,
      residual_scale=0.5,
    )
    params, x, actual = self._run(net, (9, 8, 3))

    by_hand = _ByHand(shortcut, preactivation, 0.5, strides=(True, False))
    h = _convolve(x, params['stem'][0].w, 1)
    if not preactivation:
      h = _relu(_normalize(params['stem'][1], h))
    expected = by_hand.readout(params['readout'], by_hand.stages(params, h))
    np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-3)

  @parameterized.parameters(
    dict(),
    dict(stride_in_1x1=True, shortcut='identity'),
    dict(preactivation=True),
  )
  def test_bottlenecks(
    self, stride_in_1x1=False, shortcut='projection', preactivation=False
  ):
    net = _net(
      resnet.resnet,
      depth=50,
      stem_width=2,
      shortcut=shortcut,
      preactivation=preactivation,
      stride_in_1x1=stride_in_1x1,
    )
    params, x, actual = self._run(net, (35, 48, 3))

    strides = (stride_in_1x1, not stride_in_1x1, False)
    by_hand = _ByHand(shortcut, preactivation, 1.0, strides)
    h = _convolve(x, params['stem'][0].w, 2)
    h = _max_pool(_relu(_normalize(params['stem'][1], h)))
    expected = by_hand.readout(params['readout'], by_hand.stages(params, h))
    np.testing.assert_allclose(actual, expected, rtol=2e-3, atol=2e-3)


class ScaleTest(absltest.TestCase):
  def test_of_the_branch_may_be_traced_and_zero_leaves_the_shortcut(self):
    def net(scale):
      return _net(
        resnet.resnet_cifar,
        depth=8,
        stem_width=2,
        norm='none',
        residual_scale=scale,
      )

    shapes, state = _shapes(net(1.0), (4, 4, 1))
    params = _drawn(shapes)
    x = np.ones((1, 4, 4, 1), np.float32)
    logits = lambda scale: net(scale).apply(params, state, x)[0]

    zero, half = jax.jit(jax.vmap(logits))(jnp.array([0.0, 0.5]))
    np.testing.assert_allclose(half, jax.jit(logits)(0.5), rtol=1e-4)
    stem, readout = params['stem'][0], params['readout'][1]
    h = _relu(_convolve(x, stem.w, 1) + stem.b)
    mean = _subsampled(h, 8, 4).mean((1, 2))
    np.testing.assert_allclose(zero, mean @ readout.w + readout.b, rtol=1e-4)

  def test_of_the_shortcuts_at_zero_leaves_the_plain_network(self):
    small = dict(depth=8, stem_width=2, norm='none')
    plain = _net(resnet.resnet_cifar, shortcut='none', **small)
    shapes, plain_state = _shapes(plain, (4, 4, 1))
    params = _drawn(shapes)
    x = jnp.ones((1, 4, 4, 1))

    @jax.jit
    def logits(scale):
      net = _net(resnet.resnet_cifar, shortcut_scale=scale, **small)
      shapes, state = _shapes(net, (4, 4, 1))
      same = jax.tree.unflatten(
        jax.tree.structure(shapes), jax.tree.leaves(params)
      )
      return net.apply(same, state, x)[0]

    expected, _ = plain.apply(params, plain_state, x)
    np.testing.assert_allclose(logits(0.0), expected, rtol=1e-5)
    self.assertGreater(np.abs(logits(1.0) - expected).max(), 1e-2)


class SubsampleTest(absltest.TestCase):
  def test_agrees_with_the_one_of_tensorflow_models(self):
    """The numbers of `SubsampleThreeByThree` and `...FourByFour` in slim."""
    subsample = residual.subsample(2, 2)
    for size, expected in ((3, [0, 2, 6, 8]), (4, [0, 2, 8, 10])):
      x = jnp.arange(size * size).reshape(1, size, size, 1)
      y, _ = subsample.apply((), (), x)
      np.testing.assert_array_equal(y[..., 0].ravel(), expected)
      np.testing.assert_array_equal(y[..., 1], 0)
      out_shape, _, _ = subsample.init(jax.random.key(0), x.shape[1:])
      self.assertEqual(out_shape, y.shape[1:])

  def test_refuses_to_drop_channels(self):
    with self.assertRaisesRegex(ValueError, 'no less than the 3 of its input'):
      residual.subsample(2, 1).init(jax.random.key(0), (4, 4, 3))


class BlockTest(parameterized.TestCase):
  @parameterized.parameters(False, True)
  def test_width_changes_without_a_stride(self, preactivation):
    style = residual.Style(
      activation=layers.activation('relu'),
      norm='batch',
      shortcut='projection',
      preactivation=preactivation,
      residual_scale=1.0,
      shortcut_scale=1.0,
      weight_init=initializers.he(),
      bias_init=None,
    )
    block = residual.block(style, residual.bottleneck(2, 1), in_features=3)
    init = lambda key: block.init(key, (6, 6, 3))[1:]
    params, _ = jax.eval_shape(init, jax.random.key(0))
    shapes = [p.w.shape for p in _of_kind(params, layers.ConvParams)]
    self.assertEqual(
      shapes, [(1, 1, 3, 2), (3, 3, 2, 2), (1, 1, 2, 8), (1, 1, 3, 8)]
    )


if __name__ == '__main__':
  absltest.main()
