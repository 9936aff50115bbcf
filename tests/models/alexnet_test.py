"""Tests for `alexnet.py`: published sizes, and what each form consists of."""

from absl.testing import absltest
from absl.testing import parameterized
import jax
from jaxdl import layers
from jaxdl.models import alexnet

from tests.models import counting

_SINGLE, _ORIGINAL = (224, 224, 3), (227, 227, 3)


def _net(**kwargs):
  defaults = dict(num_classes=1000, activation=layers.activation('relu'))
  return alexnet.alexnet(**{**defaults, **kwargs})


class AlexnetTest(parameterized.TestCase):
  @parameterized.parameters(
    (1, _SINGLE, 61_100_840, 714_188_480),  # As torchvision states.
    (2, _ORIGINAL, 60_965_224, 724_406_816),
  )
  def test_sizes(self, groups, in_shape, num_params, num_multiplications):
    net = _net(groups=groups)
    params, _ = counting.shapes(net, in_shape)
    self.assertEqual(counting.num_params(params), num_params)
    self.assertEqual(
      counting.num_multiplications(net, in_shape), num_multiplications
    )

  def test_sizes_of_the_original_layer_by_layer(self):
    params, _ = counting.shapes(_net(groups=2), _ORIGINAL)
    sizes = {name: counting.num_params(unit) for name, unit in params.items()}
    expected = {
      'conv1': 34_944,
      'conv2': 307_456,
      'conv3': 885_120,
      'conv4': 663_936,
      'conv5': 442_624,
      'dense1': 37_752_832,
      'dense2': 16_781_312,
      'readout': 4_097_000,
    }
    self.assertEqual(sizes, expected)
    self.assertEqual(list(sizes), list(expected))

  def test_original_takes_224_with_padding(self):
    net = _net(groups=2, stem_padding=2)
    params, _ = counting.shapes(net, _SINGLE)
    self.assertEqual(counting.num_params(params), 60_965_224)
    self.assertEqual(counting.num_multiplications(net, _SINGLE), 724_406_816)

  @parameterized.parameters(
    (2, {}, ['local_response_norm', 'pool']),
    (2, {'norm': 'batch'}, ['pool']),
    (2, {'norm': 'batch', 'local_response': True}, None),
    (2, {'local_response': False}, ['pool']),
    (1, {}, ['pool']),
    (1, {'local_response': True}, ['local_response_norm', 'pool']),
  )
  def test_what_follows_the_activation(self, groups, kwargs, expected):
    scopes = counting.scopes(_net(groups=groups, **kwargs), _ORIGINAL)
    expected = expected or ['local_response_norm', 'pool']
    norm = ['norm'] if 'norm' in kwargs else []
    head = ['conv', *norm, 'activation']
    for unit in ('conv1', 'conv2'):
      self.assertEqual(counting.within(unit, scopes), head + expected)
    for unit, tail in (('conv3', []), ('conv4', []), ('conv5', ['pool'])):
      self.assertEqual(counting.within(unit, scopes), head + tail)

  def test_pooling_overlaps(self):
    pools = [
      eqn.params
      for path, eqn in counting.equations(_net(), _SINGLE)
      if eqn.primitive.name == 'reduce_window_max'
    ]
    self.assertLen(pools, 3)
    for params in pools:
      self.assertEqual(params['window_dimensions'], (1, 3, 3, 1))
      self.assertEqual(params['window_strides'], (1, 2, 2, 1))

  @parameterized.parameters(0, 3)
  def test_refuses_other_groups(self, groups):
    with self.assertRaisesRegex(ValueError, f'groups is {groups}; possible: 1'):
      _net(groups=groups)

  def test_refuses_images_that_are_too_small(self):
    with self.assertRaisesRegex(
      layers.base.LayerError, '^conv5/pool: max_pool leaves no pixel'
    ):
      jax.eval_shape(
        lambda key: _net().init(key, (32, 32, 3))[1:], jax.random.key(0)
      )


if __name__ == '__main__':
  absltest.main()
