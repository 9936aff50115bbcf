"""Tests for `laboratory/recurrent.py`."""

import math

from absl.testing import absltest
from absl.testing import parameterized
import jax
import jax.numpy as jnp
from jaxdl.data import sequences
from jaxdl.laboratory import best_rate
from jaxdl.laboratory import recurrent
from jaxdl.layers import initializers
from jaxdl.models import recurrent as models
import numpy as np

_LENGTH = 10


def _cell(**values):
  return {**recurrent.DEFAULTS, **values}


class SplitTest(parameterized.TestCase):
  def test_scales_are_dynamic_and_kinds_static(self):
    one, numbers = recurrent.split(_cell(clip='none', seed=1))
    other, _ = recurrent.split(_cell(clip='norm:2.0', recurrent_std=3.0))
    self.assertEqual(one, other)
    self.assertEqual(numbers['threshold'], math.inf)
    self.assertNotEqual(one, recurrent.split(_cell(clip='value:1'))[0])

  @parameterized.parameters(
    (dict(clip='norm'), 'norm:THRESHOLD'),
    (dict(clip='value:0'), 'must be positive'),
    (dict(kind='mlp'), 'Unknown cell'),
  )
  def test_refuses(self, values, message):
    with self.assertRaisesRegex(ValueError, message):
      recurrent.split(_cell(**values))


class TrainRecurrentTest(parameterized.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.record = recurrent.train_recurrent(
      'temporal order',
      {
        'clip': ['none', 'norm:0.125'],
        'learning_rate': [0.03125, 100.0],
        'recurrent_std': [0.0, 1.0],
        'width': [8],
        'seed': [0, 1],
      },
      length=_LENGTH,
      num_steps=60,
      where=lambda cell: cell['learning_rate'] < 1 or cell['clip'] == 'none',
    )

  def _grid(self, **values):
    """The cells of some values, over clip and seed."""
    keep = np.ones(self.record.sizes['cell'], bool)
    for name, value in values.items():
      keep &= self.record[name].values == value
    return best_rate.over_axes(self.record.isel(cell=keep), ['clip'])

  def test_learns_what_a_network_without_memory_cannot(self):
    learned = self._grid(learning_rate=0.03125, recurrent_std=1.0)
    np.testing.assert_array_less(learned['test_loss'].sel(clip='none'), 1.2)
    blind = self._grid(learning_rate=0.03125, recurrent_std=0.0)
    np.testing.assert_allclose(
      blind['test_loss'], sequences.TEMPORAL_ORDER_BASELINE, atol=0.05
    )
    np.testing.assert_array_less(5, blind['decades_lost'])

  def test_begins_where_the_definition_says(self):
    problem = recurrent.PROBLEMS['temporal order']
    first = self._grid(learning_rate=0.03125, recurrent_std=1.0)['loss']
    np.testing.assert_allclose(
      first.isel(step=0, seed=0, clip=0), first.isel(step=0, seed=0, clip=1)
    )
    np.testing.assert_allclose(first.isel(step=0), problem.chance, atol=0.5)

  def test_clip_binds_where_the_norm_is_above_it(self):
    grid = self._grid(learning_rate=0.03125, recurrent_std=1.0)
    norms = grid['global_gradient_norm']
    clipped = grid['clip_bound'].sel(clip='norm:0.125')
    np.testing.assert_array_equal(clipped, norms.sel(clip='norm:0.125') > 0.125)
    np.testing.assert_array_equal(grid['clip_bound'].sel(clip='none'), 0)

  def test_where_leaves_cells_out(self):
    rates = self.record['learning_rate'].values
    self.assertEqual(sum(rates == 100.0), 4)
    self.assertEqual(sum(rates < 1), 8)

  def test_refuses_unknown_axes_and_problems(self):
    sizes = dict(length=_LENGTH, num_steps=1)
    with self.assertRaisesRegex(ValueError, 'no axis is called depth'):
      recurrent.train_recurrent('adding', {'depth': [1]}, **sizes)
    with self.assertRaisesRegex(ValueError, "Unknown problem 'add'"):
      recurrent.train_recurrent('add', {}, **sizes)


class LogCotangentsTest(parameterized.TestCase):
  def test_a_linear_network_multiplies_by_its_weights(self):
    """With U = scale I, and small inputs, dz/dh_t falls as scale^(T - t)."""

    def make_model(scale, num_outputs):
      eye = lambda key, shape: scale * jnp.eye(*shape)
      return models.recurrent(
        cell='rnn',
        width=4,
        num_outputs=num_outputs,
        weight_init=initializers.normal(1e-5),
        recurrent_init=eye,
      )

    logs = recurrent.log_cotangents_in_time(
      'adding', 'rnn', make_model, [0.5, 1.0], length=_LENGTH, num_seeds=2
    )
    self.assertEqual(logs.shape, (2, 2, _LENGTH))
    steps = np.diff(logs, axis=-1)
    np.testing.assert_allclose(steps[0], math.log10(2), atol=1e-4)
    np.testing.assert_allclose(steps[1], 0, atol=1e-4)

  def test_of_an_lstm_it_is_the_cell_state(self):
    """Which an open forget gate lets through whole, unlike the hidden one."""

    def make_model(scale, num_outputs):
      return models.recurrent(
        cell='lstm',
        width=4,
        num_outputs=num_outputs,
        weight_init=initializers.normal(1e-5),
        forget_bias=scale,
        recurrent_init=initializers.zeros(),
      )

    logs = recurrent.log_cotangents_in_time(
      'adding', 'lstm', make_model, [0.0, 30.0], length=_LENGTH, num_seeds=2
    )
    np.testing.assert_allclose(np.diff(logs[1]), 0, atol=1e-5)
    half = np.diff(logs[0])[:, :-1]
    np.testing.assert_allclose(half, math.log10(2), atol=1e-4)


class ChanceTest(parameterized.TestCase):
  @parameterized.parameters(*recurrent.PROBLEMS)
  def test_is_the_loss_of_the_best_constant(self, name):
    problem = recurrent.PROBLEMS[name]
    batch = problem.draw(jax.random.key(0), 20_000, _LENGTH)
    constant = 1.0 if name == 'adding' else 0.0
    outputs = jnp.full((20_000, problem.num_outputs), constant)
    np.testing.assert_allclose(
      problem.loss(outputs, batch.targets), problem.chance, rtol=0.02
    )


if __name__ == '__main__':
  absltest.main()
