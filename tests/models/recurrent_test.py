"""Tests for `recurrent.py`."""

from absl.testing import absltest
from absl.testing import parameterized
import chex
import jax
import jax.numpy as jnp
from jaxdl import layers
from jaxdl import tracing
from jaxdl import training
from jaxdl.data import sequences
from jaxdl.layers import initializers
from jaxdl.models import recurrent
from jaxdl.tracing import statistics
import numpy as np

_WIDTH, _LENGTH = 5, 12


def _network(cell='rnn', **choices):
  return recurrent.recurrent(cell=cell, width=_WIDTH, num_outputs=4, **choices)


class RecurrentTest(parameterized.TestCase):
  @parameterized.parameters(('rnn', 1), ('lstm', 4), ('gru', 3))
  def test_reads_the_last_hidden_state(self, cell, gates):
    net = _network(cell)
    shape, params, state = net.init(jax.random.key(0), (_LENGTH, 6))
    self.assertEqual(shape, (4,))
    self.assertEqual(list(params), ['recurrent', 'readout'])
    size = sum(p.size for p in jax.tree.leaves(params['recurrent']))
    self.assertEqual(size, gates * _WIDTH * (6 + _WIDTH + 1))
    batch = sequences.temporal_order(jax.random.key(1), 3, _LENGTH)
    y, _ = net.apply(params, state, batch.inputs)
    layer = getattr(layers, cell)(_WIDTH)
    hs, _ = layer.apply(params['recurrent'], (), batch.inputs)
    dense = params['readout'][1]
    np.testing.assert_allclose(y, hs[:, -1] @ dense.w + dense.b, rtol=1e-5)

  @parameterized.parameters(*recurrent.CELLS)
  def test_probe_sees_every_time_step(self, cell):
    net = _network(cell)
    _, params, state = net.init(jax.random.key(0), (_LENGTH, 6))
    batch = sequences.temporal_order(jax.random.key(1), 3, _LENGTH)

    def loss_fn(params):
      logits, _ = net.apply(params, state, batch.inputs)
      return training.loss.cross_entropy(logits, batch.targets)

    _, _, profile = jax.eval_shape(tracing.probe(loss_fn), params)
    path = f'recurrent/{cell}/step/hidden'
    chex.assert_shape(profile[path].backward.rms, (_LENGTH,))
    for path in ('readout/last_step', 'readout/dense', 'readout'):
      chex.assert_shape(profile[path].backward.rms, ())

  def test_trains_as_other_models_do(self):
    """By the step that all chains of units share, measured or not."""
    net = _network('gru')
    update = training.Update(
      training.clipping.by_norm, 1.0, training.optimizer.sgd(0.1)
    )
    trainer = training.trainer(net, (_LENGTH, 6), statistics.forward(), update)
    state = trainer.init(jax.random.key(0))
    batch = sequences.temporal_order(jax.random.key(1), 8, _LENGTH)
    _, metrics = jax.jit(trainer.step)(state, batch, jax.random.key(2))
    np.testing.assert_allclose(
      metrics['loss'], sequences.TEMPORAL_ORDER_BASELINE, atol=0.7
    )
    chex.assert_shape(metrics['gradient_norm'], (2,))
    chex.assert_shape(metrics['cotangent_rms'], (2,))
    chex.assert_tree_all_finite((metrics['loss'], metrics['gradient_norm']))

  def test_initializers_and_own_choices_reach_the_cell(self):
    net = _network('lstm', forget_bias=3.0, bias_init=initializers.zeros())
    _, params, _ = net.init(jax.random.key(0), (_LENGTH, 6))
    np.testing.assert_array_equal(
      params['recurrent'].b.reshape(4, _WIDTH)[:, 0], [0, 3, 0, 0]
    )
    net = _network(
      activation=layers.activation('relu'),
      recurrent_init=initializers.orthogonal(2.0),
    )
    _, params, state = net.init(jax.random.key(0), (_LENGTH, 6))
    u = params['recurrent'].u
    np.testing.assert_allclose(u.T @ u, 4 * np.eye(_WIDTH), atol=1e-5)
    hidden = layers.rnn(_WIDTH, activation=layers.activation('relu'))
    h, _ = hidden.apply(params['recurrent'], (), jnp.ones((1, _LENGTH, 6)))
    self.assertGreaterEqual(float(h.min()), 0)

  @parameterized.parameters(
    (dict(cell='rnnn'), 'Unknown cell .* rnn, lstm, gru'),
    (dict(width=0), 'width must be at least 1'),
    (dict(num_outputs=0), 'num_outputs must be at least 1'),
    (dict(forget_bias=1.0), 'forget_bias is for the cell lstm, not for rnn'),
    (
      dict(cell='gru', activation=layers.activation('relu')),
      'activation is for the cell rnn, not for gru',
    ),
  )
  def test_refuses_in_one_line(self, choices, message):
    with self.assertRaisesRegex(ValueError, message) as caught:
      recurrent.recurrent(
        **{'cell': 'rnn', 'width': 3, 'num_outputs': 2, **choices}
      )
    self.assertNotIn('\n', str(caught.exception))


if __name__ == '__main__':
  absltest.main()
