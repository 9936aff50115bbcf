"""Tests for `laboratory.py`."""

import math

from absl.testing import absltest
from absl.testing import parameterized
import chex
import jax
import jax.numpy as jnp
from jaxdl import activations
from jaxdl import laboratory
from jaxdl import training
from jaxdl.layers import initializers
from jaxdl.models import stack
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
    ('shortcut', 'none', 'identity'),
    ('depth', 3, 4),
    ('clip', 'norm:1', 'value:1'),
    ('weight_decay', 0.0, 0.1),
    ('bias_std', 0.0, 0.1),
  )
  def test_cells_need_programs_of_their_own(self, axis, a, b):
    static_a, _ = laboratory.split(_cell(**{axis: a}))
    static_b, _ = laboratory.split(_cell(**{axis: b}))
    self.assertNotEqual(static_a, static_b)

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
    ('shortcut', 'skip', 'none, identity, projection, highway, own'),
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
  )
  def test_says_what_is_wrong_in_one_line(self, axis, value, message):
    with self.assertRaises(ValueError) as caught:
      laboratory.split(_cell(**{axis: value}))
    self.assertIn(message, str(caught.exception))
    self.assertNotIn('\n', str(caught.exception))

  def test_own_is_what_a_model_was_published_with(self):
    own = {'norm': 'own', 'shortcut': 'own'}
    static, _ = laboratory.split(_cell(model='resnet20', **own))
    self.assertEqual((static.norm, static.shortcut), ('batch', 'identity'))
    static, _ = laboratory.split(_cell(**own))
    self.assertEqual((static.norm, static.shortcut), ('none', 'none'))

  def test_toggle_without_meaning_is_refused(self):
    with self.assertRaisesRegex(ValueError, 'plain20 has no shortcuts'):
      laboratory.split(_cell(model='plain20', shortcut='identity'))

  def test_size_of_a_model_that_has_its_own_is_refused(self):
    with self.assertRaisesRegex(ValueError, 'resnet20 has a depth of its own'):
      laboratory.complete(_cell(model='resnet20', depth=5))

  def test_depth_of_a_model_that_has_its_own(self):
    cell = laboratory.complete(_cell(model='resnet32'))
    self.assertEqual((cell['depth'], cell['width']), (16, 0))
    self.assertEqual(laboratory.complete(_cell(depth=7))['depth'], 7)

  def test_auxiliary_classifiers_are_no_part_of_the_depth(self):
    names = laboratory.layer_names('googlenet_auxiliary')
    self.assertEqual(names[-3:], ('readout', 'auxiliary1', 'auxiliary2'))
    plain, heads = (
      laboratory.complete(_cell(model=model))['depth']
      for model in ('googlenet', 'googlenet_auxiliary')
    )
    self.assertEqual(plain, heads)

  def test_explicit_scale_of_the_weights(self):
    cell = _cell(init='normal', weight_std=1.5)
    static, dynamic = laboratory.split(cell)
    self.assertEqual(static.init, 'normal')
    self.assertEqual(dynamic['weight_std'], 1.5)


class BuilderTest(parameterized.TestCase):
  def _metrics(self, **axes):
    """Traces one step of a cell; returns the shapes of the metrics."""
    small = {'depth': 3, 'width': 4, 'batch_size': 5}
    static, dynamic = laboratory.split(_cell(**small, **axes))
    experiment = laboratory.builder((3, 3, 1), 2)(static)
    key = jax.random.key(0)
    state = jax.eval_shape(experiment.init, dynamic, key)
    batch = (
      jax.ShapeDtypeStruct((5, 3, 3, 1), np.float32),
      jax.ShapeDtypeStruct((5,), np.int32),
    )
    new, metrics = jax.eval_shape(experiment.step, state, batch, dynamic, key)
    chex.assert_trees_all_equal_shapes_and_dtypes(new, state)
    return metrics

  @parameterized.parameters(
    *({'activation': name} for name in activations.names()),
    *({'optimizer': name} for name in training.optimizer.names()),
    *({'clip': f'{name}:0.1'} for name in training.clipping.names()),
    *({'init': name} for name in initializers.names()),
    *({'norm': norm} for norm in stack.NORMS),
    *({'shortcut': s} for s in ('none', 'identity:0.5', 'highway:-1', 'own')),
    {'augment': 'crop:1+flip', 'model': 'cnn'},
    {'compute_dtype': 'bfloat16', 'norm': 'batch'},
    {'model': 'cnn'},
    {'weight_decay': 0.1, 'activation': 'prelu'},
    {'weight_std': 1.5, 'init': 'normal'},
  )
  def test_every_choice_trains(self, **axes):
    metrics = self._metrics(**axes)
    self.assertEqual(metrics['loss'].shape, ())
    self.assertEqual(metrics['gradient_norm'].shape, (4,))
    self.assertEqual(metrics['activation_rms'].shape, (4,))
    self.assertEqual(metrics['cotangent_rms'].shape, (4,))

  def test_every_unit_of_an_architecture_is_measured(self):
    cell = _cell(model='resnet32', norm='own', shortcut='own', batch_size=2)
    static, dynamic = laboratory.split(cell)
    experiment = laboratory.builder((8, 8, 1), 2)(static)
    key = jax.random.key(0)
    state = jax.eval_shape(experiment.init, dynamic, key)
    batch = jnp.zeros((2, 8, 8, 1)), jnp.zeros(2, jnp.int32)
    _, metrics = jax.eval_shape(experiment.step, state, batch, dynamic, key)
    names = training.layerwise.names(state.params)
    # 32 layers: 15 blocks of two, a stem and a readout.
    self.assertLen(names, 17)
    self.assertEqual(names[0], 'stem')
    self.assertEqual(names[-2:], ('stage3/3', 'readout'))
    for name in ('gradient_norm', 'activation_dead', 'cotangent_rms'):
      self.assertEqual(metrics[name].shape, (17,))

  @parameterized.parameters(0.5, 2.0)
  def test_weights_have_the_scale_that_is_asked_for(self, std):
    cell = _cell(init='normal', weight_std=std, depth=2, width=200)
    static, dynamic = laboratory.split(cell)
    experiment = laboratory.builder((100,), 2)(static)
    state = jax.jit(experiment.init)(dynamic, jax.random.key(0))
    w = np.asarray(state.params['stem'][0].w)
    np.testing.assert_allclose(w.std() * math.sqrt(100), std, rtol=0.02)


class BatchesTest(parameterized.TestCase):
  def test_cells_of_one_seed_see_the_same_batches(self):
    indices = laboratory.batches(50)
    relu = indices(_cell(activation='relu', batch_size=8), 2, 3)
    tanh = indices(_cell(activation='tanh', batch_size=8), 2, 3)
    np.testing.assert_array_equal(relu, tanh)
    other = indices(_cell(seed=1, batch_size=8), 2, 3)
    self.assertFalse(np.array_equal(relu, other))


if __name__ == '__main__':
  absltest.main()
