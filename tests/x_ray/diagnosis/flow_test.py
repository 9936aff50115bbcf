"""Tests for `flow.py`, `path.py` and `gain.py` of `diagnosis/`."""

import contextlib
import math

from absl.testing import absltest
from absl.testing import parameterized
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import jax
from jax import lax
import jax.numpy as jnp
from jaxdl.x_ray.diagnosis import flow
from jaxdl.x_ray.diagnosis import gain
from jaxdl.x_ray.diagnosis import path
from jaxdl.x_ray.diagnosis import thresholds
import numpy as np

from tests.x_ray.diagnosis import networks

_LIMITS = thresholds.Thresholds()


def _examined(depth=6, gain=2**0.5, activation=jax.nn.relu, scale=1.0):
  return networks.examined(
    networks.loss(activation, scale),
    networks.params(depth, gain),
    *networks.data(),
  )


class RuleTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('vanishing', 0.3, 'vanishing', 'shrink'),
    ('exploding', 9.0, 'exploding', 'stretch'),
  )
  def test_a_wrong_gain(self, value, verdict, does):
    (found,) = flow.rule(_examined(gain=value), _LIMITS)
    self.assertEqual(found.verdict, verdict)
    self.assertEqual(found.where, 'dense_05')
    self.assertIn('over 6 layers', found.evidence)
    self.assertIn('gain sqrt(2) (He et al., 2015)', found.remedies[0])
    self.assertIn(does, found.remedies[0])

  def test_the_right_gain(self):
    self.assertEmpty(flow.rule(_examined(), _LIMITS))

  def test_a_loss_of_another_scale_is_judged_alike(self):
    for value in (2**0.5, 0.3):
      plain = flow.rule(_examined(gain=value), _LIMITS)
      scaled = flow.rule(_examined(gain=value, scale=1e-6), _LIMITS)
      self.assertEqual([s.where for s in plain], [s.where for s in scaled])

  def test_sigmoids_are_named(self):
    examined = _examined(gain=0.5, activation=jax.nn.sigmoid)
    found = flow.rule(examined, _LIMITS)
    self.assertEqual(found[0].verdict, 'vanishing')
    self.assertIn('in place of sigmoid', found[0].remedies[0])

  def test_it_starts_where_the_gradient_begins_to_shrink(self):
    params = networks.params(6)
    for l in (2, 3, 4):
      params[f'dense_{l:02}']['kernel'] *= 0.05
    examined = networks.examined(networks.loss(), params, *networks.data())
    (found,) = flow.rule(examined, _LIMITS)
    self.assertEqual(found.where, 'dense_04')

  def test_one_layer_alone(self):
    params = networks.params(6)
    params['dense_02']['kernel'] *= 1e-5
    examined = networks.examined(networks.loss(), params, *networks.data())
    (found,) = flow.rule(examined, _LIMITS)
    self.assertEqual((found.verdict, found.where), ('vanishing', 'dense_02'))
    self.assertIn('of them at `dense_02`', found.evidence)

  def test_values_that_overflow(self):
    examined = _examined(gain=1e8)
    self.assertFalse(math.isfinite(examined.loss))
    (found,) = flow.rule(examined, _LIMITS)
    self.assertEqual(found.verdict, 'exploding')
    self.assertIn('until they are infinite', found.evidence)

  def test_steps_in_time(self):
    def loss(params, x):
      def step(h, x):
        with jax.named_scope('cell'):
          h = jnp.tanh(h @ params['recurrent'] + x @ params['input'])
        return h, None

      h, _ = lax.scan(step, jnp.zeros((4, 8)), x)
      with jax.named_scope('head'):
        return jnp.mean((h @ params['head']) ** 2)

    random = np.random.RandomState(0)
    orthogonal = np.linalg.qr(random.randn(8, 8))[0]
    params = {
      'recurrent': jnp.asarray(orthogonal, jnp.float32),
      'input': jnp.asarray(random.randn(3, 8) / 8, jnp.float32),
      'head': jnp.asarray(random.randn(8, 2), jnp.float32),
    }
    x = jnp.asarray(random.randn(20, 4, 3), jnp.float32)
    self.assertEmpty(flow.rule(networks.examined(loss, params, x), _LIMITS))
    params['recurrent'] *= 0.4
    (found,) = flow.rule(networks.examined(loss, params, x), _LIMITS)
    self.assertEqual((found.verdict, found.where), ('vanishing', 'cell[19]'))
    self.assertIn('orthogonal', ' '.join(found.remedies))

  @parameterized.named_parameters(
    ('without_a_scope', contextlib.nullcontext, ''),
    ('in_one_scope', lambda: jax.named_scope('net'), 'net/tanh#5'),
  )
  def test_layers_in_a_loop(self, scope, where):
    def loss(params, x):
      with scope():
        for p in params:
          x = jnp.tanh(x @ p['kernel'] + p['bias'])
      return jnp.mean(x**2)

    params = [
      {'kernel': 0.1 * jnp.eye(8), 'bias': jnp.zeros(8)} for _ in range(6)
    ]
    examined = networks.examined(loss, params, networks.data()[0])
    (found,) = flow.rule(examined, _LIMITS)
    self.assertEqual(found.verdict, 'vanishing')
    self.assertIn('over 5 layers', found.evidence)
    self.assertIn(where, found.where)
    self.assertIn('gain 5/3', found.remedies[0])

  def test_what_a_gate_forgets_is_no_fault(self):
    def loss(params, x):
      def step(h, x):
        with jax.named_scope('cell'):
          gate = jax.nn.sigmoid(x @ params['gate'])
          h = gate * h + (1 - gate) * jnp.tanh(x @ params['input'])
        return h, None

      h, _ = lax.scan(step, jnp.zeros((4, 8)), x)
      with jax.named_scope('head'):
        return jnp.mean((h @ params['head']) ** 2)

    random = np.random.RandomState(0)
    draw = lambda *shape: jnp.asarray(random.randn(*shape), jnp.float32)
    params = {'gate': draw(3, 8), 'input': draw(3, 8), 'head': draw(8, 2)}
    examined = networks.examined(loss, params, draw(30, 4, 3))
    cells = [row for row in examined.rows if row.name.startswith('cell')]
    self.assertLess(cells[0].backward.rms, 1e-3 * cells[-1].backward.rms)
    self.assertEmpty(flow.rule(examined, _LIMITS))


class PathTest(parameterized.TestCase):
  def test_layers_are_the_hidden_ones(self):
    examined = networks.healthy()
    layers = [examined.rows[i].name for i in path.hidden_layers(examined)]
    self.assertEqual(layers, [f'dense_{l:02}' for l in range(6)])

  def test_normalizations_are_no_layers(self):
    def loss(params, x):
      for l in range(3):
        with jax.named_scope(f'dense_{l}'):
          x = x @ params['kernel'][l]
        with jax.named_scope(f'norm_{l}'):
          x = x / jnp.std(x, -1, keepdims=True) * params['scale'][l]
      return jnp.mean(x**4)

    params = {
      'kernel': [jnp.eye(8) + 0.1] * 3,
      'scale': [jnp.ones(8)] * 3,
    }
    examined = networks.examined(loss, params, networks.data()[0])
    layers = [examined.rows[i].name for i in path.hidden_layers(examined)]
    self.assertEqual(layers, ['dense_0', 'dense_1'])

  def test_kernels_of_a_scan_over_layers_and_over_time(self):
    def loss(params, x):
      def layer(x, p):
        def step(h, x):
          with jax.named_scope('cell'):
            h = jnp.tanh(x @ p['kernel'] + h * p['scale'])
          return h, h

        return lax.scan(step, jnp.zeros((4, 6)), x)[1], None

      x, _ = lax.scan(layer, x, params)
      return jnp.mean(x**2)

    params = {'kernel': jnp.ones((2, 6, 6)) / 6, 'scale': jnp.ones((2, 6))}
    examined = networks.examined(loss, params, jnp.ones((3, 4, 6)))
    names = [p.name for p in examined.parameters]
    expected = {names.index('kernel'): (6, 6)}
    cells = [
      shapes
      for row, shapes in zip(examined.rows, path.kernels(examined), strict=True)
      if row.name.startswith('cell[')
    ]
    self.assertEqual(cells, [expected] * 6)

  def test_a_gradient_is_measured_by_its_norm(self):
    params, (x, labels) = networks.params(6), networks.data()
    examined = networks.healthy()
    first = params.pop('dense_00')
    h = x @ first['kernel'] + first['bias']
    rest = lambda h: networks.loss()(params, jax.nn.relu(h), labels)
    expected = np.linalg.norm(jax.grad(rest)(h))
    row = examined.rows[path.hidden_layers(examined)[0]]
    np.testing.assert_allclose(path.gradient_norm(row), expected, rtol=1e-5)
    np.testing.assert_allclose(
      path.value_norm(row), np.linalg.norm(h), rtol=1e-5
    )

  @given(
    rate=st.floats(-2, 2), offset=st.floats(-9, 9), depth=st.integers(3, 30)
  )
  @settings(deadline=None)
  def test_trend_of_a_geometric_profile(self, rate, offset, depth):
    rows = networks.healthy().rows[:1] * depth
    values = offset + rate * np.arange(depth)[::-1]
    found = path.trend(rows, values)
    np.testing.assert_allclose(found.rate, rate, atol=1e-9)
    np.testing.assert_allclose(found.decades, rate * (depth - 1), atol=1e-9)
    self.assertLess(found.error, 1e-6)

  def test_trend_of_one_layer(self):
    rows = networks.healthy().rows[:1]
    self.assertEqual(path.trend(rows, np.zeros(1)).decades, 0)

  def test_where_a_parameter_is_used_first(self):
    examined = networks.healthy()
    names = [p.name for p in examined.parameters]
    at = path.first_use(examined, names.index('dense_02/kernel'))
    self.assertEqual(examined.rows[at].name, 'dense_02')
    self.assertEqual(path.first_named(examined, 'dense_02'), at)
    self.assertEqual(path.first_named(examined, 'elsewhere'), -1)


class GainTest(parameterized.TestCase):
  @parameterized.parameters((2**0.5,), (0.3,))
  def test_is_that_of_the_initializer(self, value):
    examined = _examined(6, value)
    row = examined.rows[path.first_named(examined, 'dense_01')]
    found = gain.of_row(examined, row)
    kernel = networks.params(6, value)['dense_01']['kernel']
    self.assertAlmostEqual(found, float(np.std(kernel)) * 4, delta=0.05)

  def test_activations_behind(self):
    examined = networks.healthy()
    at = path.first_named(examined, 'dense_01')
    self.assertEqual(gain.activation_behind(examined, at), 'relu')
    readout = path.first_named(examined, 'dense_06')
    self.assertEqual(gain.activation_behind(examined, readout), '')
    self.assertEqual(gain.wanted('relu')[0], 2**0.5)
    self.assertEqual(gain.wanted('')[0], 1)


if __name__ == '__main__':
  absltest.main()
