"""Tests for `networks.py`."""

import math

from absl.testing import absltest
from absl.testing import parameterized
import chex
import jax
import jax.numpy as jnp
from jaxdl import activations
from jaxdl import laboratory
from jaxdl import training
from jaxdl.laboratory import networks
from jaxdl.layers import initializers
from jaxdl.models import stack
from jaxdl.models import zoo
import numpy as np


def _cell(**axes):
  return laboratory.DEFAULTS | axes


class BuilderTest(parameterized.TestCase):
  def _metrics(self, **axes):
    """Traces one step of a cell; returns the shapes of the metrics."""
    small = {'depth': 3, 'width': 4, 'batch_size': 5}
    static, dynamic = laboratory.split(_cell(**small, **axes))
    experiment = networks.builder((3, 3, 1), 2)(static)
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
    *({'shortcut': s} for s in ('none', 'identity:0.5', 'highway:-1')),
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
    cell = laboratory.complete(
      _cell(model='resnet32', norm='own', shortcut='own', batch_size=2)
    )
    static, dynamic = laboratory.split(cell)
    experiment = networks.builder((8, 8, 1), 2)(static)
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
    experiment = networks.builder((100,), 2)(static)
    state = jax.jit(experiment.init)(dynamic, jax.random.key(0))
    w = np.asarray(state.params['stem'][0].w)
    np.testing.assert_allclose(w.std() * math.sqrt(100), std, rtol=0.02)

  @parameterized.parameters('mlp', 'cnn')
  def test_without_shortcuts_it_is_the_plain_network(self, name):
    cell = _cell(model=name, activation='tanh', depth=3, width=4)
    experiment = networks.builder((4, 4, 1), 2)(laboratory.split(cell)[0])
    dynamic = laboratory.split(cell)[1]
    key = jax.random.key(0)
    state = jax.jit(experiment.init)(dynamic, key)
    plain = zoo.build(
      name,
      in_shape=(4, 4, 1),
      num_classes=2,
      activation='tanh',
      weight_init='he',
      depth=3,
      width=4,
    )
    _, params, plain_state = plain.init(key, (4, 4, 1))
    chex.assert_trees_all_close(
      jax.tree.leaves(state.params), jax.tree.leaves(params), rtol=1e-6
    )
    batch = jax.random.normal(key, (5, 4, 4, 1)), jnp.zeros(5, jnp.int32)
    new, metrics = jax.jit(experiment.step)(state, batch, dynamic, key)

    def loss(params):
      logits, _ = plain.apply(params, plain_state, batch[0], train=True)
      return training.loss.cross_entropy(logits, batch[1])

    value, grads = jax.jit(jax.value_and_grad(loss))(params)
    np.testing.assert_allclose(metrics['loss'], value, rtol=1e-5)
    chex.assert_trees_all_close(
      jax.tree.leaves(new.params),
      [
        p - dynamic['learning_rate'] * g
        for p, g in zip(
          jax.tree.leaves(params), jax.tree.leaves(grads), strict=True
        )
      ],
      rtol=1e-4,
      atol=1e-6,
    )


class NumbersTest(parameterized.TestCase):
  def test_are_those_of_the_axis(self):
    cell = _cell(activation='elu:0.5', shortcut='identity:0.25')
    _, dynamic = laboratory.split(cell)
    self.assertEqual(networks.numbers('activation', dynamic), {'alpha': 0.5})
    self.assertEqual(
      networks.numbers('shortcut', dynamic),
      {'residual_scale': 0.25, 'shortcut_scale': 1.0},
    )


class BatchesTest(parameterized.TestCase):
  def test_cells_of_one_seed_see_the_same_batches(self):
    indices = networks.batches(50)
    relu = indices(_cell(activation='relu', batch_size=8), 2, 3)
    tanh = indices(_cell(activation='tanh', batch_size=8), 2, 3)
    np.testing.assert_array_equal(relu, tanh)
    other = indices(_cell(seed=1, batch_size=8), 2, 3)
    self.assertFalse(np.array_equal(relu, other))


if __name__ == '__main__':
  absltest.main()
