"""Tests for `zoo.py`: every row of the table."""

import functools
import inspect
import math

from absl.testing import absltest
from absl.testing import parameterized
import chex
import jax
import jax.numpy as jnp
from jaxdl import layers
from jaxdl import models
from jaxdl.layers import initializers
from jaxdl.models import stack
from jaxdl.tracing import jaxpr
from jaxdl.tracing import sites
import numpy as np


def _shapes(net, in_shape):
  """Returns params and state as shapes, nothing allocated."""
  init = lambda key: net.init(key, in_shape)[1:]
  return jax.eval_shape(init, jax.random.key(0))


def _size(params):
  return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))


def _logits(net, in_shape):
  """Returns the shape of what a network makes of two images in training."""
  params, state = _shapes(net, in_shape)
  x = jax.ShapeDtypeStruct((2, *in_shape), jnp.float32)
  apply = functools.partial(net.apply, train=True)
  y, new_state = jax.eval_shape(apply, params, state, x, key=jax.random.key(0))
  assert jax.tree.structure(state) == jax.tree.structure(new_state)
  return jax.tree.leaves(y)[0].shape  # Auxiliary logits follow, if any.


class EveryArchitectureTest(parameterized.TestCase):
  @parameterized.parameters(*models.names())
  def test_builds_as_published(self, name):
    row = models.architecture(name)
    self.assertIn(row.norm, row.norms)
    self.assertIn(row.shortcut, row.shortcuts)
    self.assertContainsSubset(row.norms, stack.NORMS)
    net = models.build(name, num_classes=row.num_classes, in_shape=row.in_shape)
    self.assertEqual(_logits(net, row.in_shape), (2, row.num_classes))

  def test_activation_may_be_a_function(self):
    choices = dict(num_classes=3, in_shape=(8, 8, 1), depth=2, width=4)
    named = models.build('mlp', activation='tanh', **choices)
    given = models.build('mlp', activation=jnp.tanh, **choices)
    params, state = named.init(jax.random.key(0), (8, 8, 1))[1:]
    x = jnp.ones((2, 8, 8, 1))
    chex.assert_trees_all_close(
      named.apply(params, state, x), given.apply(params, state, x), rtol=1e-5
    )

  def test_vgg_for_cifar_takes_the_images_of_mnist_too(self):
    net = models.build('vgg19_cifar', num_classes=10, in_shape=(28, 28, 1))
    self.assertEqual(_logits(net, (28, 28, 1)), (2, 10))

  @parameterized.parameters(*models.names())
  def test_own_options_are_the_defaults_of_the_builder(self, name):
    row = models.architecture(name)
    parameters = inspect.signature(row.builder).parameters
    for option, value in row.options.items():
      default = parameters[option].default
      if default is not inspect.Parameter.empty:
        self.assertEqual(value, default, option)

  @parameterized.parameters(*models.names())
  def test_every_parameter_of_the_builder_can_be_chosen(self, name):
    row = models.architecture(name)
    fixed = getattr(row.builder, 'keywords', {})
    toggles = {'num_classes', 'activation', 'norm', 'weight_init', 'bias_init'}
    if len(row.shortcuts) > 1:
      toggles.add('shortcut')
    free = set(inspect.signature(row.builder).parameters) - set(fixed) - toggles
    self.assertEqual(free, set(row.options))

  @parameterized.parameters(
    *(
      (name, norm, shortcut)
      for name in ('mlp', 'highway_cnn', 'resnet20', 'preresnet50', 'plain20')
      for norm in models.architecture(name).norms
      for shortcut in models.architecture(name).shortcuts
    )
  )
  def test_every_choice_builds(self, name, norm, shortcut):
    net = models.build(
      name, num_classes=3, in_shape=(32, 32, 3), norm=norm, shortcut=shortcut
    )
    self.assertEqual(_logits(net, (32, 32, 3)), (2, 3))


class SizesTest(parameterized.TestCase):
  @parameterized.parameters(
    ('resnet18', 11_689_512),
    ('resnet34', 21_797_672),
    ('resnet50', 25_557_032),
    ('preresnet18', 11_687_848),
    ('preresnet34', 21_796_008),
    ('preresnet50', 25_549_480),
    ('resnet20', 269_722),
    ('resnet32', 464_154),
    ('resnet44', 658_586),
    ('resnet56', 853_018),
    ('plain20', 269_722),
    ('plain56', 853_018),
    ('alexnet', 61_100_840),
    ('alexnet_grouped', 60_965_224),
    ('vgg11', 132_863_336),
    ('vgg13', 133_047_848),
    ('vgg16', 138_357_544),
    ('vgg11_cifar', 9_225_610),
    ('vgg13_cifar', 9_410_122),
    ('vgg16_cifar', 14_719_818),
    ('vgg19_cifar', 20_029_514),
    ('nin_imagenet', 7_595_176),
    ('nin_cifar10', 966_986),
    ('googlenet', 6_998_552),
  )
  def test_is_the_published_one(self, name, expected):
    row = models.architecture(name)
    net = models.build(name, num_classes=row.num_classes, in_shape=row.in_shape)
    self.assertEqual(_size(_shapes(net, row.in_shape)[0]), expected)

  @parameterized.parameters(
    ('vgg11', dict(norm='batch'), 132_868_840),
    ('vgg16', dict(norm='batch'), 138_365_992),
    ('googlenet', dict(norm='batch', wide_kernel_size=3), 6_624_904),
    ('googlenet', dict(norm='batch'), 7_005_832),
    (
      'googlenet',
      dict(auxiliary=True),
      6_998_552 + 3_188_840 + 3_190_888,
    ),
    ('resnet20', dict(shortcut='projection'), 272_474),
    ('resnet50', dict(stride_in_1x1=True), 25_557_032),
  )
  def test_of_other_published_forms(self, name, choices, expected):
    row = models.architecture(name)
    net = models.build(
      name, num_classes=row.num_classes, in_shape=row.in_shape, **choices
    )
    self.assertEqual(_size(_shapes(net, row.in_shape)[0]), expected)

  def test_options_reach_the_builder(self):
    build = functools.partial(
      models.build, num_classes=10, in_shape=(32, 32, 3), norm='batch'
    )
    projected = build('preresnet20', shortcut='projection')
    self.assertEqual(_size(_shapes(projected, (32, 32, 3))[0]), 272_282)
    same = build('resnet20', shortcut='projection', preactivation=True)
    self.assertEqual(
      _shapes(same, (32, 32, 3)), _shapes(projected, (32, 32, 3))
    )
    thin = build('mlp', depth=2, width=7)
    expected = 3072 * 7 + 7 + 14 + 7 * 7 + 7 + 14 + 7 * 10 + 10
    self.assertEqual(_size(_shapes(thin, (32, 32, 3))[0]), expected)


class UnitsTest(parameterized.TestCase):
  @parameterized.parameters(
    ('mlp', dict(depth=3)),
    ('highway_cnn', dict(depth=3)),
    ('alexnet', {}),
    ('vgg11_cifar', {}),
    ('nin_cifar10', {}),
    ('googlenet', {}),
    ('resnet18', {}),
    ('preresnet50', {}),
    ('resnet20', {}),
    ('preresnet20', {}),
    ('plain20', {}),
  )
  def test_each_has_parameters_and_an_activation_to_measure(
    self, name, options
  ):
    in_shape = (64, 64, 3)
    net = models.build(name, num_classes=10, in_shape=in_shape, **options)
    params, state = _shapes(net, in_shape)
    x = jax.ShapeDtypeStruct((2, *in_shape), jnp.float32)
    loss_fn = lambda p, s, x, key: jnp.sum(
      net.apply(p, s, x, train=True, key=key)[0]
    )
    closed = jax.make_jaxpr(loss_fn)(params, state, x, jax.random.key(0))
    found = sites.find(jaxpr.graph(closed))
    paths = {path for site in found for path in site.paths}

    without = set()
    for unit, of_unit in params.items():
      self.assertNotEmpty(jax.tree.leaves(of_unit), unit)
      output = unit + '/layer' * isinstance(of_unit, layers.Repeated)
      self.assertIn(output, paths)
      if f'{output}/activation' not in paths:
        without.add(unit)
    # Blocks that activate first follow a convolution alone.
    self.assertEqual(
      without, {'readout'} | ({'stem'} if name == 'preresnet20' else set())
    )


class ActivationTest(absltest.TestCase):
  def _value(self, activation):
    """Returns what the activation of a net makes of -1 and 0.5."""
    net = models.build(
      'mlp',
      num_classes=1,
      in_shape=(1,),
      activation=activation,
      depth=1,
      width=1,
      weight_init=initializers.constant(1.0),
    )
    _, params, state = net.init(jax.random.key(0), (1,))
    y, _ = net.apply(params, state, jnp.array([[-1.0], [0.5]]))
    return [round(float(value), 4) for value in y[:, 0]]

  def test_is_a_name_with_numbers_or_a_layer(self):
    self.assertEqual(self._value('relu'), [0.0, 0.5])
    self.assertEqual(self._value('leaky_relu:0.2'), [-0.2, 0.5])
    self.assertEqual(self._value(layers.activation('identity')), [-1.0, 0.5])


class ArgumentsTest(absltest.TestCase):
  def test_numbers_of_numpy_are_numbers(self):
    plain = models.build(
      'cnn',
      num_classes=10,
      in_shape=(8, 8, 3),
      depth=3,
      width=4,
      kernel_size=(3, 5),
      use_bias=False,
    )
    of_numpy = models.build(
      'cnn',
      num_classes=np.int64(10),
      in_shape=[8, np.int32(8), 3],
      depth=np.int64(3),
      width=np.uint8(4),
      kernel_size=[3, np.int64(5)],
      use_bias=np.bool_(False),
    )
    self.assertEqual(_shapes(of_numpy, (8, 8, 3)), _shapes(plain, (8, 8, 3)))

  def test_initializers_have_names(self):
    def params(weight_init, bias_init):
      net = models.build(
        'mlp',
        num_classes=2,
        in_shape=(3,),
        depth=1,
        width=3,
        weight_init=weight_init,
        bias_init=bias_init,
      )
      return net.init(jax.random.key(0), (3,))[1]

    chex.assert_trees_all_equal(
      params('orthogonal', 'zeros'),
      params(initializers.orthogonal(), initializers.zeros()),
    )


class TracedNumbersTest(parameterized.TestCase):
  @parameterized.parameters(
    ('resnet20', 'residual_scale', None),
    ('mlp', 'residual_scale', 'identity'),
    ('mlp', 'gate_bias', 'highway'),
    ('highway_cnn', 'gate_bias', None),
  )
  def test_options_may_be_traced(self, name, option, shortcut):
    def logits(value, std):
      net = models.build(
        name,
        num_classes=3,
        in_shape=(8, 8, 3),
        shortcut=shortcut,
        weight_init=initializers.normal_fan_in(std),
        bias_init=initializers.normal(std),
        **{option: value},
      )
      _, params, state = net.init(jax.random.key(0), (8, 8, 3))
      return net.apply(params, state, jnp.ones((1, 8, 8, 3)))[0]

    closed = jax.make_jaxpr(jax.vmap(logits))(jnp.ones(2), jnp.ones(2))
    self.assertEqual(closed.out_avals[0].shape, (2, 1, 3))
    used = {str(v) for e in closed.jaxpr.eqns for v in e.invars}
    for variable in closed.jaxpr.invars:
      self.assertIn(str(variable), used)


if __name__ == '__main__':
  absltest.main()
