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

_RELU = layers.activation('relu')
_AFFINE = (layers.ConvParams, layers.DenseParams)
_EPS = 1e-5


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
