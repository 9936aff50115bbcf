"""Tests for `training/step.py`: every metric against one written by hand."""

import functools
import pathlib
import re

from absl.testing import absltest
from absl.testing import parameterized
import chex
import jax
import jax.numpy as jnp
from jaxdl import laboratory
from jaxdl import sweep
from jaxdl.training import loss
from jaxdl.training import step
import numpy as np

_CLASSES, _BATCH = 3, 6
_DOCUMENT = pathlib.Path(__file__).parents[2] / 'docs' / 'architecture.md'


@functools.cache
def _trained(**axes):
  return _train(_cell(**axes), (6, 6, 1) if 'model' in axes else (4,))


def _cell(**axes):
  return laboratory.DEFAULTS | {'depth': 3, 'width': 5, 'seed': 1} | axes


def _batch(in_shape):
  rng = np.random.default_rng(0)
  x = jnp.asarray(rng.normal(size=(_BATCH, *in_shape)), jnp.float32)
  return x, jnp.asarray(rng.integers(_CLASSES, size=_BATCH))


def _train(cell, in_shape):
  """One step of a cell, jitted; returns it with what went in."""
  static, dynamic = laboratory.split(cell)
  experiment = laboratory.builder(in_shape, _CLASSES)(static)
  key = jax.random.key(0)
  dynamic = jax.tree.map(jnp.float32, dynamic)
  state = jax.jit(experiment.init)(dynamic, key)
  x, labels = _batch(in_shape)
  new, metrics = jax.jit(experiment.step)(state, (x, labels), dynamic, key)
  model = laboratory.model(static, dynamic, _CLASSES)

  def loss_fn(params):
    logits, _ = model.apply(params, state.model_state, x, train=True, key=key)
    return loss.cross_entropy(logits, labels), logits

  (value, logits), grads = jax.jit(jax.value_and_grad(loss_fn, has_aux=True))(
    state.params
  )
  return jax.device_get((state, new, metrics, value, logits, grads))


def _norm(tree):
  leaves = jax.tree.leaves(tree)
  return np.sqrt(sum(np.sum(np.asarray(x, np.float64) ** 2) for x in leaves))


def _layers(tree):
  """The trees of layer 1, of each hidden layer, and of the readout."""
  hidden = tree['hidden'].layer if 'hidden' in tree else ()
  leaves = jax.tree.leaves(hidden)
  depth = len(leaves[0]) if leaves else 0
  each = [jax.tree.map(lambda x, i=i: x[i], hidden) for i in range(depth)]
  return [tree['stem'], *each, tree['readout']]


def _layer_by_hand(params, h, cell, layer):
  """One dense layer in plain jnp: its activation, and its output."""
  branch, gate, is_first = params, None, layer == 0
  if not is_first:  # Without a shortcut it is an identity of scale zero.
    branch, gate = params
  (w, b), *norm, slope = branch
  z = h @ w + (0 if isinstance(b, tuple) else b)
  for scale, bias in norm:
    axis = 0 if cell['norm'] == 'batch' else -1
    mean = jnp.mean(z, axis, keepdims=True)
    var = jnp.mean((z - mean) ** 2, axis, keepdims=True)
    z = scale * (z - mean) / jnp.sqrt(var + 1e-5) + bias
  functions = {
    'relu': lambda z: jnp.where(z > 0, z, 0),
    'tanh': lambda z: 2 / (1 + jnp.exp(-2 * z)) - 1,
    'prelu': lambda z: jnp.where(z > 0, z, slope[0] * z),
  }
  activation = functions[cell['activation']](z)
  if cell['shortcut'] == 'none' or is_first:
    return activation, activation
  if cell['shortcut'] == 'identity':
    return activation, h + activation
  carry = 1 / (1 + jnp.exp(h @ gate.w + gate.b))
  return activation, carry * h + (1 - carry) * activation


def _signals_by_hand(params, cell, x, labels):
  """Activations, and derivatives of the loss by each layer's output."""

  def loss_of(nudges):
    h, values = x, []
    for i, layer_params in enumerate(_layers(params)[:-1]):
      activation, h = _layer_by_hand(layer_params, h, cell, i)
      values.append(activation)
      h = h + nudges[i]
    logits = h @ params['readout'].w + params['readout'].b + nudges[-1]
    log_p = logits - jnp.log(jnp.sum(jnp.exp(logits), -1, keepdims=True))
    return -jnp.mean(log_p[jnp.arange(_BATCH), labels]), [*values, logits]

  shape = (_BATCH, cell['width'])
  nudges = [jnp.zeros(shape)] * cell['depth'] + [jnp.zeros((_BATCH, _CLASSES))]
  cotangents, values = jax.jit(jax.grad(loss_of, has_aux=True))(nudges)
  as_float64 = lambda arrays: [np.asarray(a, np.float64) for a in arrays]
  return as_float64(values), as_float64(cotangents)


_CELLS = (
  ('plain', {}),
  ('tanh_batch_identity', dict(
    activation='tanh', norm='batch', shortcut='identity')),
  ('prelu_layer_highway', dict(
    activation='prelu', norm='layer', shortcut='highway')),
  ('rrelu_clipped', dict(activation='rrelu', clip='norm:0.01')),
  ('identity', dict(activation='identity', norm='batch_plain')),
  ('depth_1', dict(depth=1)),
  ('adam_decay', dict(optimizer='adam', weight_decay=0.1, clip='value:1e-3')),
  ('cnn', dict(model='cnn', norm='batch', shortcut='identity', depth=2)),
)  # fmt: skip


class StepTest(parameterized.TestCase):
  @parameterized.named_parameters(*_CELLS)
  def test_metrics_equal_those_by_hand(self, axes):
    state, new, metrics, value, logits, grads = _trained(**axes)

    close = lambda name, expected: np.testing.assert_allclose(
      metrics[name], expected, rtol=2e-4, atol=1e-7, err_msg=name
    )
    close('loss', value)
    close('gradient_norm', [_norm(layer) for layer in _layers(grads)])
    close('global_gradient_norm', _norm(grads))
    close('parameter_norm', [_norm(layer) for layer in _layers(state.params)])
    update = jax.tree.map(
      lambda a, b: np.asarray(a, np.float64) - b, new.params, state.params
    )
    np.testing.assert_allclose(
      metrics['update_ratio'],
      [
        _norm(u) / _norm(p)
        for u, p in zip(_layers(update), _layers(state.params), strict=True)
      ],
      rtol=2e-2,  # New minus old parameters, in float32, cancel.
    )
    np.testing.assert_allclose(
      metrics['activation_rms'][-1], np.sqrt(np.mean(logits**2)), rtol=1e-4
    )

  @parameterized.named_parameters(
    ('plain', dict(activation='relu')),
    ('one_layer', dict(depth=1)),
    ('five_layers', dict(depth=5, clip='norm:0.1')),
    ('batch_identity', dict(
      activation='tanh', norm='batch', shortcut='identity')),
    ('layer_highway', dict(
      activation='prelu', norm='layer', shortcut='highway', depth=2)),
  )  # fmt: skip
  def test_signals_equal_those_of_a_network_written_by_hand(self, axes):
    cell = _cell(**axes)
    state, _, metrics, *_ = _trained(**axes)
    values, cotangents = _signals_by_hand(state.params, cell, *_batch((4,)))

    def check(name, statistic, arrays):
      np.testing.assert_allclose(
        metrics[name],
        [statistic(a) for a in arrays],
        rtol=1e-3, atol=1e-6, err_msg=name,
      )  # fmt: skip

    rms = lambda a: np.sqrt(np.mean(a**2))
    check('activation_mean', np.mean, values)
    check('activation_std', np.std, values)
    check('activation_rms', rms, values)
    check('activation_max_abs', lambda a: np.abs(a).max(), values)
    check('activation_zero', lambda a: np.mean(a == 0), values)
    check('activation_dead', lambda a: np.mean((a == 0).all(0)), values)
    check('cotangent_rms', rms, cotangents)
    check('cotangent_max_abs', lambda a: np.abs(a).max(), cotangents)
    saturated = [np.nan] * len(values)
    if cell['activation'] == 'tanh':
      saturated[:-1] = [np.mean(np.abs(a) > 0.98) for a in values[:-1]]
    np.testing.assert_allclose(metrics['activation_saturated'], saturated)

  def test_without_its_layers_a_network_trains_alike(self):
    measured_state, new, metrics, *_ = _trained(depth=5, clip='norm:0.1')
    static, dynamic = laboratory.split(_cell(depth=5, clip='norm:0.1'))
    build = laboratory.builder((4,), _CLASSES, layerwise=False)
    step = jax.jit(build(static).step)
    dynamic = jax.tree.map(jnp.float32, dynamic)
    state, whole = step(
      measured_state, _batch((4,)), dynamic, jax.random.key(0)
    )
    chex.assert_trees_all_close(state, new, rtol=1e-5, atol=1e-7)
    self.assertContainsSubset({'loss', 'accuracy'}, whole)
    for name, value in whole.items():
      np.testing.assert_allclose(value, metrics[name], rtol=1e-5)
    self.assertEmpty([name for name, x in whole.items() if x.ndim])

  @parameterized.named_parameters(*_CELLS)
  def test_records_what_the_document_lists(self, axes):
    cell = _cell(**axes)
    metrics = _trained(**axes)[2]
    text = _DOCUMENT.read_text()
    for dims, shape in (
      ('cell, step, layer', (cell['depth'] + 1,)),
      ('cell, step', ()),
    ):
      rows = re.findall(rf'^\| (`.*`) \| {dims} \|', text, re.MULTILINE)
      names = re.findall(r'`(\w+)`', ' '.join(rows))
      self.assertNotEmpty(names)
      for name in names:
        chex.assert_shape(metrics[name], shape)

  def test_clipping_is_what_the_record_says(self):
    free = _trained()[2]
    clipped = _trained(clip='norm:0.01')[2]
    self.assertEqual(free['clip_bound'], 0)
    self.assertEqual(clipped['clip_bound'], 1)
    np.testing.assert_allclose(
      clipped['global_gradient_norm_clipped'], 0.01, rtol=1e-5
    )
    np.testing.assert_allclose(
      clipped['gradient_removed'],
      1 - 0.01 / clipped['global_gradient_norm'],
      rtol=1e-5,
    )

  @parameterized.parameters(7, 500, 1203)
  def test_evaluation_in_slices_is_that_at_once(self, count):
    cell = _cell()
    static, dynamic = laboratory.split(cell)
    experiment = laboratory.builder((4,), _CLASSES)(static)
    state = jax.jit(experiment.init)(dynamic, jax.random.key(0))
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(count, 4)), jnp.float32)
    labels = jnp.asarray(rng.integers(_CLASSES, size=count))
    model = laboratory.model(static, dynamic, _CLASSES)
    logits, _ = jax.jit(model.apply)(state.params, state.model_state, x)
    data = sweep.Data(x, labels, x, labels)
    scores = jax.jit(experiment.finish)(state, dynamic, data)
    np.testing.assert_allclose(
      scores['test_loss'], loss.cross_entropy(logits, labels), rtol=1e-5
    )
    np.testing.assert_allclose(
      scores['test_accuracy'], loss.accuracy(logits, labels), rtol=1e-6
    )

  def test_states_are_what_the_next_step_needs(self):
    state, new, *_ = _trained(**dict(_CELLS)['tanh_batch_identity'])
    self.assertIsInstance(new, step.TrainState)
    chex.assert_trees_all_equal_shapes_and_dtypes(state, new)


if __name__ == '__main__':
  absltest.main()
