"""Tests for `googlenet.py`: published sizes, and its auxiliary classifiers."""

import functools

from absl.testing import absltest
from absl.testing import parameterized
import chex
import jax
import jax.numpy as jnp
from jaxdl import layers
from jaxdl.models import googlenet
from jaxdl.models import units
import numpy as np

from tests.models import counting

_IMAGENET = (224, 224, 3)
_BLOCK_SIZES = {
  '3a': 163_696,
  '3b': 388_736,
  '4a': 376_176,
  '4b': 449_160,
  '4c': 510_104,
  '4d': 605_376,
  '4e': 868_352,
  '5a': 1_043_456,
  '5b': 1_444_080,
}


def _net(**kwargs):
  defaults = dict(num_classes=1000, activation=layers.activation('relu'))
  return googlenet.googlenet(**{**defaults, **kwargs})


def _outputs(net, in_shape, **kwargs):
  params, state = counting.shapes(net, in_shape)
  x = jax.ShapeDtypeStruct((2, *in_shape), jnp.float32)
  apply = functools.partial(net.apply, **kwargs)
  return jax.eval_shape(apply, params, state, x)


class GooglenetTest(parameterized.TestCase):
  @parameterized.parameters(
    ('none', 5, 6_998_552, 1_582_671_872),
    ('batch', 5, 7_005_832, 1_582_671_872),
    ('batch', 3, 6_624_904, 1_498_376_192),  # As torchvision states.
  )
  def test_sizes(self, norm, wide, num_params, num_multiplications):
    net = _net(norm=norm, wide_kernel_size=wide)
    params, _ = counting.shapes(net, _IMAGENET)
    self.assertEqual(counting.num_params(params), num_params)
    self.assertEqual(
      counting.num_multiplications(net, _IMAGENET), num_multiplications
    )

  def test_sizes_of_each_block_and_classifier(self):
    params, _ = counting.shapes(_net(auxiliary=True), _IMAGENET)
    blocks = {f'inception{name}': n for name, n in _BLOCK_SIZES.items()}
    self.assertEqual(
      list(params),
      ['conv1', 'conv2_reduce', 'conv2', *blocks]
      + ['readout', 'auxiliary1', 'auxiliary2'],
    )
    expected = {**blocks, 'auxiliary1': 3_188_840, 'auxiliary2': 3_190_888}
    sizes = {name: counting.num_params(params[name]) for name in expected}
    self.assertEqual(sizes, expected)

  def test_resolution_and_channels_of_each_block(self):
    """As TF-Slim's inception_v1_test asserts for images of 224x224."""
    joined = {
      path.split('/')[0]: eqn.outvars[0].aval.shape[1:]
      for path, eqn in counting.equations(_net(), _IMAGENET)
      if eqn.primitive.name == 'concatenate'
    }
    channels = (256, 480, 512, 512, 512, 528, 832, 832, 1024)
    sizes = (28, 28, 14, 14, 14, 14, 14, 7, 7)
    expected = {
      f'inception{name}': (size, size, out)
      for name, size, out in zip(_BLOCK_SIZES, sizes, channels, strict=True)
    }
    self.assertEqual(joined, expected)

  def test_what_follows_the_activation(self):
    scopes = counting.scopes(_net(), _IMAGENET)
    pool, response = ['pool'], ['local_response_norm']
    for unit, expected in (
      ('conv1', ['conv', 'activation', *pool, *response]),
      ('conv2_reduce', ['conv', 'activation']),
      ('conv2', ['conv', 'activation', *response, *pool]),
      ('inception3a', ['branches', 'activation']),
      ('inception3b', ['branches', 'activation', *pool]),
      ('inception4e', ['branches', 'activation', *pool]),
      ('inception5b', ['branches', 'activation']),
      ('readout', ['pool', 'dense']),
    ):
      self.assertEqual(counting.within(unit, scopes), expected)
    for kwargs in (dict(norm='batch'), dict(local_response=False)):
      paths = counting.scopes(_net(**kwargs), _IMAGENET)
      self.assertFalse([p for p in paths if 'local_response' in p])

  @parameterized.parameters('none', 'batch')
  def test_classifiers_answer_in_training_alone(self, norm):
    net = _net(norm=norm, auxiliary=True, num_classes=7)
    key = jax.random.key(0)
    trained, state = _outputs(net, _IMAGENET, train=True, key=key)
    self.assertEqual([y.shape for y in trained], [(2, 7)] * 3)
    tested, same = _outputs(net, _IMAGENET)
    self.assertEqual(tested.shape, (2, 7))
    chex.assert_trees_all_equal_shapes_and_dtypes(state, same)
    scopes = counting.scopes(net, _IMAGENET)
    self.assertFalse([p for p in scopes if p.startswith('auxiliary')])

  def test_out_shape_is_that_of_the_logits(self):
    net = _net(auxiliary=True, num_classes=7)
    shape = []
    init = lambda key: shape.append(net.init(key, _IMAGENET)[0])
    jax.eval_shape(init, jax.random.key(0))
    self.assertEqual(shape, [(7,)])

  @parameterized.product(
    (
      dict(rates=(0.0, 0.0), needs=False),
      dict(rates=(0.4, 0.0), needs=True),
      dict(rates=(0.0, 0.7), needs=True),
    ),
  )
  def test_training_needs_a_key_for_dropout(self, rates, needs):
    net = _net(
      auxiliary=True, dropout_rate=rates[0], auxiliary_dropout_rate=rates[1]
    )
    if needs:
      with self.assertRaisesRegex(ValueError, 'dropout is random'):
        _outputs(net, _IMAGENET, train=True)
    else:
      self.assertLen(_outputs(net, _IMAGENET, train=True)[0], 3)

  def test_error_names_the_classifier_that_images_are_too_small_for(self):
    counting.shapes(_net(), (32, 32, 3))
    with self.assertRaisesRegex(
      layers.base.LayerError, r'^auxiliary1/pool: .* no pixel.* \(2, 2, 512\)'
    ):
      counting.shapes(_net(auxiliary=True), (32, 32, 3))


class WithHeadsTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.trunk = {
      'one': layers.serial(layers.dense(4), layers.batch_norm()),
      'two': layers.serial(layers.dense(5), layers.dropout(0.5)),
      'readout': layers.dense(3),
    }
    self.heads = {
      'first': googlenet.Head('one', layers.dense(2)),
      'second': googlenet.Head(
        'two', layers.serial(layers.batch_norm(), layers.dropout(0.5))
      ),
    }
    self.net = googlenet.with_heads(self.trunk, self.heads)
    self.x = jax.random.normal(jax.random.key(1), (6, 7))

  def test_trunk_is_the_chain_without_heads(self):
    chain = units.chain(self.trunk)
    _, expected, chain_state = chain.init(jax.random.key(0), (7,))
    out_shape, params, state = self.net.init(jax.random.key(0), (7,))
    self.assertEqual(out_shape, (3,))
    self.assertEqual(list(params), ['one', 'two', 'readout', 'first', 'second'])
    for name in self.trunk:
      chex.assert_trees_all_equal(params[name], expected[name])

    key = jax.random.key(2)
    for train in (False, True):
      y, new_state = self.net.apply(params, state, self.x, train=train, key=key)
      logits, chain_state_after = chain.apply(
        expected, chain_state, self.x, train=train, key=key
      )
      chex.assert_trees_all_equal(y[0] if train else y, logits)
      for name in self.trunk:
        chex.assert_trees_all_equal(new_state[name], chain_state_after[name])

  def test_heads_take_the_output_of_their_source(self):
    _, params, state = self.net.init(jax.random.key(0), (7,))
    key = jax.random.key(2)
    (_, first, second), new_state = self.net.apply(
      params, state, self.x, train=True, key=key
    )
    one, _ = self.trunk['one'].apply(
      params['one'], state['one'], self.x, train=True
    )
    np.testing.assert_allclose(
      first, one @ params['first'].w + params['first'].b, rtol=1e-5
    )
    self.assertEqual(second.shape, (6, 5))
    # Its running mean has moved; at test time it stays.
    self.assertFalse(jnp.all(new_state['second'][0].mean == 0))
    _, kept = self.net.apply(params, new_state, self.x)
    chex.assert_trees_all_equal(kept, new_state)

  def test_heads_draw_apart_from_the_trunk(self):
    drop = layers.dropout(0.5)
    net = googlenet.with_heads(
      {'one': layers.identity(), 'readout': drop},
      {'first': googlenet.Head('one', drop)},
    )
    x = jnp.ones((1, 10_000))
    _, params, state = net.init(jax.random.key(0), (10_000,))
    (y, first), _ = net.apply(
      params, state, x, train=True, key=jax.random.key(1)
    )
    np.testing.assert_allclose(jnp.mean(y * first != 0), 0.25, atol=0.02)


if __name__ == '__main__':
  absltest.main()
