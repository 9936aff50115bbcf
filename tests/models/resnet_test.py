"""Tests for `resnet.py`: published sizes, and networks written by hand."""

import functools
import math

from absl.testing import absltest
from absl.testing import parameterized
import chex
import jax
import jax.numpy as jnp
from jaxdl import layers
from jaxdl.models import resnet
from jaxdl.models import stack
import numpy as np

_RELU = layers.activation('relu')
_AFFINE = (layers.ConvParams, layers.DenseParams)
_EPS = 1e-5


def setUpModule():
  jax.config.update('jax_disable_most_optimizations', True)  # Compile quickly.


def tearDownModule():
  jax.config.update('jax_disable_most_optimizations', False)


def _imagenet(depth, **kwargs):
  defaults = dict(num_classes=1000, activation=_RELU)
  return resnet.resnet(depth=depth, **{**defaults, **kwargs})


def _cifar(depth, **kwargs):
  defaults = dict(num_classes=10, activation=_RELU)
  return resnet.resnet_cifar(depth=depth, **{**defaults, **kwargs})


def _shapes(net, in_shape):
  """Returns params and state as shapes, nothing allocated."""
  init = lambda key: net.init(key, in_shape)[1:]
  return jax.eval_shape(init, jax.random.key(0))


def _of_kind(params, kind):
  """Returns all params of layers of one kind, in order."""
  is_kind = lambda node: isinstance(node, kind)
  return list(filter(is_kind, jax.tree.leaves(params, is_leaf=is_kind)))


def _num_params(params, *kinds):
  """Counts the numbers in all layers of some kinds."""
  leaves = jax.tree.leaves([_of_kind(params, kind) for kind in kinds])
  return sum(math.prod(leaf.shape) for leaf in leaves)


def _jaxpr(net, in_shape):
  params, state = _shapes(net, in_shape)
  x = jax.ShapeDtypeStruct((1, *in_shape), jnp.float32)
  apply = functools.partial(net.apply, train=True)
  return jax.make_jaxpr(apply)(params, state, x).jaxpr


def _inner(equation):
  for value in equation.params.values():
    inner = getattr(value, 'jaxpr', None)
    if inner is not None:
      yield inner


def _num_multiply_accumulates(jaxpr):
  """Counts those of convolutions and matrix products, scans unrolled."""
  total = 0
  for equation in jaxpr.eqns:
    size = math.prod(equation.outvars[0].aval.shape)
    if equation.primitive.name == 'conv_general_dilated':
      total += size * math.prod(equation.invars[1].aval.shape[:3])
    elif equation.primitive.name == 'dot_general':
      total += size * equation.invars[1].aval.shape[0]
    times = equation.params.get('length', 1)
    total += times * sum(map(_num_multiply_accumulates, _inner(equation)))
  return total


def _num_equations(jaxpr):
  return sum(
    1 + sum(map(_num_equations, _inner(equation))) for equation in jaxpr.eqns
  )


class PublishedSizesTest(parameterized.TestCase):
  @parameterized.parameters(
    (18, 11_689_512, 9_600, 1_814_073_344),
    (34, 21_797_672, 17_024, 3_663_761_408),
    (50, 25_557_032, 53_120, 4_089_184_256),
  )
  def test_imagenet(self, depth, params, norm_params, multiply_accumulates):
    net, in_shape = _imagenet(depth), (224, 224, 3)
    shapes, _ = _shapes(net, in_shape)
    of_norms = _num_params(shapes, layers.NormParams)
    self.assertEqual(of_norms, norm_params)
    self.assertEqual(_num_params(shapes, *_AFFINE) + of_norms, params)
    self.assertEqual(
      _num_multiply_accumulates(_jaxpr(net, in_shape)), multiply_accumulates
    )

  @parameterized.parameters(
    (20, 269_722, 1_376, 40_551_040),
    (32, 464_154, 2_272, 68_862_592),
    (44, 658_586, 3_168, 97_174_144),
    (56, 853_018, 4_064, 125_485_696),
  )
  def test_cifar(self, depth, params, norm_params, multiply_accumulates):
    for shortcut in ('identity', 'none'):
      net, in_shape = _cifar(depth, shortcut=shortcut), (32, 32, 3)
      shapes, _ = _shapes(net, in_shape)
      of_norms = _num_params(shapes, layers.NormParams)
      self.assertEqual(of_norms, norm_params)
      self.assertEqual(_num_params(shapes, *_AFFINE) + of_norms, params)
      self.assertEqual(
        _num_multiply_accumulates(_jaxpr(net, in_shape)), multiply_accumulates
      )

  @parameterized.parameters(
    (_cifar, dict(depth=20, shortcut='projection'), 272_474),
    (_cifar, dict(depth=56, shortcut='projection'), 855_770),
    (_cifar, dict(depth=20, num_classes=100), 275_572),
    (
      _cifar,
      dict(depth=20, shortcut='projection', preactivation=True),
      272_282,
    ),
    (
      _cifar,
      dict(depth=56, shortcut='projection', preactivation=True),
      855_578,
    ),
    (_imagenet, dict(depth=18, preactivation=True), 11_687_848),
    (_imagenet, dict(depth=34, preactivation=True), 21_796_008),
    (_imagenet, dict(depth=50, preactivation=True), 25_549_480),
    (_imagenet, dict(depth=50, stride_in_1x1=True), 25_557_032),
  )
  def test_variants(self, model, kwargs, expected):
    shapes, _ = _shapes(model(**kwargs), (64, 64, 3))
    sizes = [math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes)]
    self.assertEqual(sum(sizes), expected)

  @parameterized.parameters(101, 152)
  def test_depth_counts_the_layers_with_weights(self, depth):
    shapes, _ = _shapes(_imagenet(depth, shortcut='none'), (64, 64, 3))
    weights = [p.w for p in _of_kind(shapes, layers.ConvParams)]
    scanned = [w.shape[0] for w in weights if w.ndim == 5]
    alone = [w for w in weights if w.ndim == 4]
    self.assertEqual(sum(scanned) + len(alone) + 1, depth)  # And the readout.

  def test_earlier_stride_saves_work(self):
    late, early = (
      _num_multiply_accumulates(
        _jaxpr(_imagenet(50, stride_in_1x1=early), (224, 224, 3))
      )
      for early in (False, True)
    )
    # The 1x1 and 3x3 of three blocks: only the 1x1 has less to do.
    saved = sum(
      (4 * side * side - side * side) * width_in * width
      for side, width_in, width in (
        (28, 256, 128),
        (14, 512, 256),
        (7, 1024, 512),
      )
    )
    self.assertEqual(late - early, saved)

  @parameterized.parameters(False, True)
  def test_program_is_as_small_at_any_depth(self, preactivation):
    counts = {
      _num_equations(
        _jaxpr(_cifar(depth, preactivation=preactivation), (32, 32, 3))
      )
      for depth in (20, 1202)
    }
    self.assertLen(counts, 1)


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

  @parameterized.product(shortcut=resnet.SHORTCUTS, preactivation=(False, True))
  def test_cifar(self, shortcut, preactivation):
    net = _cifar(
      14,
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
    net = _imagenet(
      50,
      stem_width=2,
      num_classes=5,
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


class ChoicesTest(parameterized.TestCase):
  @parameterized.product(
    norm=stack.NORMS, shortcut=resnet.SHORTCUTS, preactivation=(False, True)
  )
  def test_shapes(self, norm, shortcut, preactivation):
    net = _cifar(14, norm=norm, shortcut=shortcut, preactivation=preactivation)
    params, state = _shapes(net, (8, 8, 3))
    x = jax.ShapeDtypeStruct((2, 8, 8, 3), jnp.float32)
    y, new_state = jax.eval_shape(
      functools.partial(net.apply, train=True), params, state, x
    )
    self.assertEqual(y.shape, (2, 10))
    chex.assert_trees_all_equal_shapes_and_dtypes(state, new_state)
    for conv in _of_kind(params, layers.ConvParams):
      self.assertEqual(conv.b == (), norm != 'none')

  def test_random_and_learned_activations_reach_every_block(self):
    for name in ('rrelu', 'prelu'):
      net = _cifar(14, activation=layers.activation(name))
      params, state = _shapes(net, (8, 8, 3))
      slopes = _of_kind(params, layers.PreluParams)
      self.assertLen(slopes, 1 + 2 * 5 if name == 'prelu' else 0)
      apply = functools.partial(net.apply, train=True)
      x = jax.ShapeDtypeStruct((2, 8, 8, 3), jnp.float32)
      y, _ = jax.eval_shape(apply, params, state, x, key=jax.random.key(0))
      self.assertEqual(y.shape, (2, 10))

  def test_scale_of_the_branch_may_be_traced(self):
    shapes, state = _shapes(_cifar(8, stem_width=2, norm='none'), (4, 4, 1))
    params = _drawn(shapes)

    def logits(scale):
      net = _cifar(8, stem_width=2, norm='none', residual_scale=scale)
      return net.apply(params, state, jnp.ones((1, 4, 4, 1)))[0]

    zero, half = jax.jit(jax.vmap(logits))(jnp.array([0.0, 0.5]))
    np.testing.assert_allclose(half, jax.jit(logits)(0.5), rtol=1e-4)
    stem = np.maximum(
      _convolve(np.ones((1, 4, 4, 1)), params['stem'][0].w, 1)
      + params['stem'][0].b,
      0,
    )
    mean = np.pad(stem[:, ::4, ::4].mean((1, 2)), [(0, 0), (0, 6)])
    readout = params['readout'][1]
    np.testing.assert_allclose(zero, mean @ readout.w + readout.b, rtol=1e-4)

  def test_subsampling_is_that_of_slim(self):
    subsample = resnet._subsample(2, 2)
    for size, expected in ((3, [0, 2, 6, 8]), (4, [0, 2, 8, 10])):
      x = jnp.arange(size * size).reshape(1, size, size, 1)
      y, _ = subsample.apply((), (), x)
      np.testing.assert_array_equal(y[..., 0].ravel(), expected)
      np.testing.assert_array_equal(y[..., 1], 0)
      self.assertEqual(subsample.init(None, x.shape[1:])[0], y.shape[1:])


class ScopesTest(parameterized.TestCase):
  def _paths(self, net, in_shape):
    """Returns the scopes of all operations, those in scans below the scan's."""

    def walk(jaxpr, prefix):
      for equation in jaxpr.eqns:
        stack_of_names = str(equation.source_info.name_stack)
        path = '/'.join(filter(None, [prefix, stack_of_names]))
        yield path
        for inner in _inner(equation):
          yield from walk(inner, path)

    paths = set(walk(_jaxpr(net, in_shape), ''))
    return {
      '/'.join(path.split('/')[: n + 1])
      for path in paths
      for n in range(path.count('/') + 1)
    }

  @parameterized.product(shortcut=resnet.SHORTCUTS, preactivation=(False, True))
  def test_shortcuts_leave_the_scopes_of_blocks(self, shortcut, preactivation):
    net = _cifar(20, shortcut=shortcut, preactivation=preactivation)
    paths = self._paths(net, (8, 8, 3))
    for unit in ('stage1/layer', 'stage2_first', 'stage2/layer'):
      names = ('conv1', 'norm1', 'activation1', 'conv2', 'norm2', 'activation')
      self.assertContainsSubset({f'{unit}/{name}' for name in names}, paths)
    self.assertEqual(
      'stage2_first/shortcut' in paths, shortcut != 'none', paths
    )
    self.assertNotIn('stage2/layer/shortcut', paths)
    self.assertNotIn('readout/activation', paths)
    self.assertEqual('readout/activation1' in paths, preactivation)

  def test_stem_of_imagenet_pools_after_its_activation(self):
    paths = self._paths(_imagenet(18), (32, 32, 3))
    names = ('conv', 'norm', 'activation', 'pool')
    self.assertContainsSubset({f'stem/{name}' for name in names}, paths)


class RefusalsTest(parameterized.TestCase):
  @parameterized.parameters(
    (_imagenet, dict(depth=20), 'is one of 18, 34, 50, 101, 152, got 20'),
    (_imagenet, dict(depth=18, stride_in_1x1=True), 'depth is 18: leave it'),
    (_cifar, dict(depth=18), r'6 n \+ 2 \(8, 14, .*\), got 18'),
    (_cifar, dict(depth=2), r'6 n \+ 2 .*, got 2'),
    (
      _cifar,
      dict(depth=20, stem_width=0),
      'stem_width must be at least 1, got 0',
    ),
    (_cifar, dict(depth=20, num_classes=0), 'num_classes must be at least 1'),
    (_cifar, dict(depth=20, norm='bach'), "Unknown norm 'bach'"),
    (_cifar, dict(depth=20, shortcut='highway'), 'none, identity, projection'),
  )
  def test_says_what_is_possible(self, model, kwargs, message):
    with self.assertRaisesRegex(ValueError, message):
      model(**kwargs)

  def test_names_the_layer_that_takes_no_vector(self):
    with self.assertRaisesRegex(layers.base.LayerError, '^stem/conv: .*images'):
      _cifar(20).init(jax.random.key(0), (784,))


if __name__ == '__main__':
  absltest.main()
