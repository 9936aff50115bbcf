"""Tests for `axes.py`."""

import math

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies
from jaxdl import activations
from jaxdl import laboratory
from jaxdl import training
from jaxdl.laboratory import axes
from jaxdl.models import stack
from jaxdl.models import zoo
import numpy as np


def _cell(**axes):
  return laboratory.DEFAULTS | axes


class SplitTest(parameterized.TestCase):
  @parameterized.parameters(
    ('seed', 0, 1),
    ('learning_rate', 0.1, 0.2),
    ('clip', 'none', 'norm:2.0'),
    ('clip', 'value:1', 'value:2'),
    ('activation', 'elu', 'elu:0.5'),
    ('shortcut', 'identity', 'identity:0.1'),
    ('shortcut', 'none', 'identity:0.1:2'),
    ('optimizer', 'momentum', 'momentum:0.5'),
    ('bias_std', 0.1, 0.2),
    ('weight_decay', 0.1, 0.2),
  )
  def test_cells_share_a_program(self, axis, a, b):
    static_a, dynamic_a = laboratory.split(_cell(**{axis: a}))
    static_b, dynamic_b = laboratory.split(_cell(**{axis: b}))
    self.assertEqual(static_a, static_b)
    self.assertEqual(list(dynamic_a), list(dynamic_b))
    self.assertEqual(dynamic_a != dynamic_b, axis != 'seed')

  @parameterized.parameters(
    ('activation', 'relu', 'tanh'),
    ('norm', 'none', 'batch'),
    ('shortcut', 'identity', 'highway'),
    ('depth', 3, 4),
    ('clip', 'norm:1', 'value:1'),
    ('weight_decay', 0.0, 0.1),
    ('bias_std', 0.0, 0.1),
  )
  def test_cells_need_programs_of_their_own(self, axis, a, b):
    static_a, _ = laboratory.split(_cell(**{axis: a}))
    static_b, _ = laboratory.split(_cell(**{axis: b}))
    self.assertNotEqual(static_a, static_b)

  def test_no_shortcut_is_an_identity_of_scale_zero(self):
    static, dynamic = laboratory.split(_cell(shortcut='none'))
    self.assertEqual(static.shortcut, 'identity')
    self.assertEqual(dynamic['shortcut.shortcut_scale'], 0)
    self.assertEqual(dynamic['shortcut.residual_scale'], 1)

  @parameterized.parameters('resnet20', 'plain20', 'vgg16_cifar')
  def test_plain_networks_stay_plain(self, model):
    cell = laboratory.complete(_cell(model=model, norm='own', shortcut='none'))
    static, dynamic = laboratory.split(cell)
    self.assertEqual(static.shortcut, 'none')
    self.assertNotIn('shortcut.shortcut_scale', dynamic)

  def test_not_to_clip_is_to_clip_at_infinity(self):
    _, dynamic = laboratory.split(_cell(clip='none'))
    self.assertEqual(dynamic['clip.threshold'], math.inf)

  @parameterized.parameters(*activations.names())
  def test_takes_every_activation(self, name):
    static, dynamic = laboratory.split(_cell(activation=name))
    self.assertEqual(static.activation, name)
    given = {k for k in dynamic if k.startswith('activation.')}
    self.assertLen(given, len(activations.get(name).hyperparameters))

  @parameterized.parameters(
    ('activation', 'sigmod', 'sigmoid'),
    ('activation', 'elu:x', 'not a finite number'),
    ('norm', 'bach', ', '.join(stack.NORMS)),
    ('shortcut', 'skip', 'none, identity, projection, highway'),
    ('shortcut', 'own', 'none, identity, projection, highway'),
    ('norm', 'own', ', '.join(stack.NORMS)),
    ('shortcut', 'projection', 'possible: none, identity, highway'),
    ('augment', 'spin', 'none, crop, flip'),
    ('compute_dtype', 'float16', 'float32, bfloat16'),
    ('clip', 'norm', 'norm:THRESHOLD'),
    ('clip', 'norm:-1', 'must be positive'),
    ('optimizer', 'momentum:2', 'less than 1'),
    ('optimizer', 'adam:0.9:-1', 'at least 0'),
    ('activation', 'rrelu:0.5:0.1', '0 < LOWER <= UPPER'),
    ('clip', 'max:1', 'norm, value, adaptive'),
    ('init', 'xavier', 'glorot, he, lecun, orthogonal'),
    ('optimizer', 'adamw', ', '.join(training.optimizer.names())),
    ('model', 'rnn', 'mlp, cnn'),
    ('depth', 0, 'depth is 0; it must be an integer'),
    ('depth', -3, 'depth is -3; it must be an integer'),
    ('width', 2.5, 'integer'),
    ('learning_rate', float('nan'), 'finite'),
    ('weight_decay', -0.1, 'at least 0'),
    ('weight_decay', 1e39, 'also in float32'),
    ('activation', 'leaky_relu:1e39', "'1e39' is infinite in float32"),
    ('shortcut', 'identity:1e300', "'1e300' is infinite in float32"),
    ('clip', 'norm:1e-320', "'1e-320' is 0 in float32"),
  )
  def test_says_what_is_wrong_in_one_line(self, axis, value, message):
    with self.assertRaises(ValueError) as caught:
      laboratory.split(_cell(**{axis: value}))
    self.assertIn(message, str(caught.exception))
    self.assertNotIn('\n', str(caught.exception))

  @hypothesis.given(
    axis=strategies.sampled_from(sorted({*laboratory.DEFAULTS} - {'seed'})),
    value=strategies.text()
    | strategies.integers()
    | strategies.floats()
    | strategies.builds(
      '{}{}'.format,
      strategies.sampled_from(
        ['relu', 'rrelu', 'adam', 'norm', 'crop', 'none']
      ),
      strategies.sampled_from(
        ['', ':', ':::', ':nan', ':0:1', ':1e39', '+', '++']
      ),
    ),
  )
  def test_any_value_is_possible_or_refused_in_one_line(self, axis, value):
    try:
      static, dynamic = laboratory.split(_cell(**{axis: value}))
    except ValueError as error:
      self.assertLen(str(error).splitlines(), 1)
    else:
      self.assertIsInstance(hash(static), int)
      infinite = [k for k, v in dynamic.items() if not np.isfinite(v)]
      self.assertIn(infinite, ([], ['clip.threshold']))

  @parameterized.parameters('normal', 'orthogonal', 'delta_orthogonal')
  def test_explicit_scale_of_the_weights(self, init):
    static, dynamic = laboratory.split(_cell(init=init, weight_std=1.5))
    self.assertEqual(static.init, init)
    self.assertEqual(dynamic['weight_std'], 1.5)

  def test_weights_of_a_scale_of_their_own_take_no_other(self):
    with self.assertRaisesRegex(ValueError, 'weight_std.*he.*orthogonal'):
      laboratory.split(_cell(init='he', weight_std=1.5))

  def test_every_shortcut_of_an_architecture_is_known(self):
    for name in zoo.names():
      for shortcut in zoo.architecture(name).shortcuts:
        self.assertIn(shortcut, axes.SHORTCUTS, name)

  @parameterized.parameters(
    ('mlp', True), ('highway_cnn', True), ('resnet20', False), ('vgg16', False)
  )
  def test_which_models_take_sizes(self, model, expected):
    self.assertEqual(axes.takes_sizes(model), expected)


if __name__ == '__main__':
  absltest.main()
