"""Tests for `theory/profiles.py`, against networks of `jaxdl.models`."""

import math
from typing import NamedTuple

from absl.testing import absltest
from absl.testing import parameterized
import chex
import jax
import jax.numpy as jnp
from jaxdl import models
from jaxdl import theory
from jaxdl import tracing
from jaxdl import training
from jaxdl.layers import initializers
from jaxdl.theory import profiles
from jaxdl.tracing import statistics
import numpy as np

_DEPTH, _WIDTH = 6, 512
_SCOPES = ('stem', 'hidden/layer')


class _Measured(NamedTuple):
  """Over seeds and layers; cotangents and gradients of one scalar loss."""

  activation_mean: np.ndarray
  activation_rms: np.ndarray
  cotangent_rms: np.ndarray
  gradient_rms: np.ndarray


def _taps(found):
  del found
  activation = tracing.Taps(forward=statistics.forward())
  output = tracing.Taps(backward=statistics.backward())
  return {
    **{f'{scope}/activation': activation for scope in _SCOPES},
    **dict.fromkeys(_SCOPES, output),
  }


def _measure(activation, norm, shortcut, weight_std, bias_std, batch_size):
  """Measures a network of independent inputs of mean square 1, and labels."""
  name, *given = shortcut.split(':')
  names = ('residual_scale', 'shortcut_scale')[: len(given)]
  scales = dict(zip(names, map(float, given), strict=True))
  net = models.build(
    'mlp',
    num_classes=10,
    in_shape=(_WIDTH,),
    depth=_DEPTH,
    width=_WIDTH,
    activation=activation,
    norm=norm,
    shortcut=name,
    weight_init=initializers.normal_fan_in(weight_std),
    bias_init=initializers.normal(bias_std),
    use_bias=norm == 'none',
    **scales,
  )

  def one(key):
    keys = jax.random.split(key, 3)
    _, params, state = net.init(keys[0], (_WIDTH,))
    x = jax.random.normal(keys[1], (batch_size, _WIDTH))
    x = x / jnp.sqrt(jnp.mean(jnp.square(x), axis=1, keepdims=True))
    labels = jax.random.randint(keys[2], (batch_size,), 0, 10)

    def loss_fn(params):
      logits, _ = net.apply(params, state, x, train=True)
      return training.loss.cross_entropy(logits, labels)

    _, grads, profile = tracing.probe(loss_fn, taps=_taps)(params)
    forward = [profile[f'{scope}/activation'].forward for scope in _SCOPES]
    backward = [profile[scope].backward for scope in _SCOPES]
    norms = training.layerwise.norms(grads)
    return _Measured(
      jnp.hstack([each.mean for each in forward]),
      jnp.hstack([each.rms for each in forward]),
      jnp.hstack([each.rms for each in backward]),
      (norms / jnp.sqrt(training.layerwise.sizes(grads)))[:-1],
    )

  num_seeds = 8 if batch_size == 1 else 4
  keys = jax.random.split(jax.random.key(0), num_seeds)
  found = jax.jit(lambda keys: jax.lax.map(one, keys))(keys)
  return _Measured(*map(np.asarray, found))


def _rates(values):
  """Decades a layer from the last layer back to the first."""
  log = np.log10(values)
  return (log[..., 0] - log[..., -1]) / (values.shape[-1] - 1)


class OfNetworksTest(parameterized.TestCase):
  def assert_agrees(self, measured, predicted, finite_width):
    """Within four standard errors, and what a width of 512 makes."""
    error = np.std(measured, axis=0) / math.sqrt(len(measured))
    deviation = np.abs(np.mean(measured, axis=0) - predicted)
    np.testing.assert_array_less(error, 3 * finite_width)
    np.testing.assert_array_less(deviation, 4 * error + finite_width)

  @parameterized.parameters(
    # Predicted rate of the cotangent, in decades a layer, going backward.
    (-0.6283, 'sigmoid', 'none', 'none', 1.0, 0.1, 1),
    (0.0912, 'relu', 'batch', 'none', 0.6, 0.0, 32),
    (0.0476, 'relu', 'none', 'identity:0.5', 1.4, 0.1, 1),
    (0.0905, 'tanh', 'batch', 'identity', 1.0, 0.0, 32),
    (-0.0265, 'relu', 'none', 'identity:0.5:0.8', 1.4, 0.1, 1),
  )
  def test_agrees(self, rate, *network):
    activation, norm, shortcut, weight_std, bias_std, batch_size = network
    measured = _measure(*network)
    profile, reason = profiles.predict(
      depth=_DEPTH,
      activation=activation,
      norm=norm,
      shortcut=shortcut,
      weight_std=weight_std,
      bias_std=bias_std,
      batch_size=batch_size,
    )
    self.assertEqual(reason, '')
    size = np.max(profile.activation_rms)
    for name in ('activation_mean', 'activation_rms'):
      self.assert_agrees(
        getattr(measured, name), getattr(profile, name), 0.01 * size
      )
    predicted = _rates(profile.cotangent_rms)
    self.assertAlmostEqual(predicted, rate, delta=1e-4)
    self.assert_agrees(_rates(measured.cotangent_rms), predicted, 2e-3)
    self.assert_agrees(
      _rates(measured.gradient_rms[:, 1:]),
      _rates(10 ** profile.log10_gradient_rms[1:]),
      2e-3,
    )


class PredictTest(parameterized.TestCase):
  def test_is_reached_by_the_package(self):
    self.assertIs(theory.predict, profiles.predict)

  def test_he_keeps_the_signal_of_relu(self):
    """He et al., 2015; correlations by the arc-cosine kernel."""
    profile, _ = profiles.predict(
      depth=11, activation='relu', first_correlation=0.0
    )
    np.testing.assert_allclose(profile.variance, 2.0, rtol=1e-12)
    np.testing.assert_allclose(profile.activation_rms, 1.0, rtol=1e-12)
    np.testing.assert_allclose(profile.cotangent_rms, 1.0, rtol=1e-12)
    np.testing.assert_allclose(
      profile.correlation,
      [
        0, 0.3183099, 0.4937311, 0.6048257, 0.6809535, 0.7359464, 0.7772287,
        0.8091481, 0.8344163, 0.8548092, 0.8715355,
      ],
      atol=6e-8,
    )  # fmt: skip

  def test_deep_in_a_plain_network_the_fixed_point_holds(self):
    """Poole et al., 2016; Schoenholz et al., 2017: q_star and chi_1 of tanh."""
    profile, _ = profiles.predict(
      depth=60,
      activation='tanh',
      weight_std=math.sqrt(2.5),
      bias_std=math.sqrt(0.05),
      first_variance=4.0,
      first_correlation=0.9,
    )
    self.assertEqual(profile.variance[0], 4.0)
    self.assertAlmostEqual(profile.variance[-1], 1.06395838, delta=6e-9)
    steps = -np.diff(profile.log10_cotangent_rms)
    self.assertAlmostEqual(100 ** steps[-1], 1.13351570, delta=6e-9)
    # c_star = 0.446804: what is left of the way falls by chi_star a layer.
    left = profile.correlation - 0.446804
    self.assertAlmostEqual(left[-1] / left[-2], 0.918717, delta=1e-3)

  @parameterized.parameters('batch', 'batch_plain')
  def test_batch_norm_explodes_whatever_the_weights(self, norm):
    """Yang et al., 2019: pi / (pi - 1) a layer, squared."""
    for weight_std in (0.2, 10.0):
      profile, _ = profiles.predict(
        depth=5, activation='relu', norm=norm, weight_std=weight_std
      )
      for log in (
        profile.log10_cotangent_rms, profile.log10_gradient_rms[1:],
      ):  # fmt: skip
        growth = 100 ** -np.diff(log)
        np.testing.assert_allclose(growth, math.pi / (math.pi - 1), rtol=1e-12)

  def test_relu_past_shortcuts(self):
    """With q = 2 p of a stream of mean m and mean square p, by hand."""
    profile, _ = profiles.predict(
      depth=12, activation='relu', shortcut='identity:0.5'
    )
    mean, square = math.sqrt(1 / math.pi), 1.0
    for layer in range(1, 12):
      added = math.sqrt(square / math.pi)
      square += mean * added + 0.25 * square
      mean += 0.5 * added
      self.assertAlmostEqual(
        profile.stream_rms[layer], math.sqrt(square), delta=1e-9
      )
    growth = 100 ** -np.diff(profile.log10_cotangent_rms)
    np.testing.assert_allclose(growth, 1.25, rtol=1e-12)

  def test_a_shortcut_at_scale_0_is_none(self):
    network = {'depth': 9, 'activation': 'tanh', 'first_correlation': 0.3}
    plain, scaled = (
      profiles.predict(shortcut=shortcut, **network).profile
      for shortcut in ('none', 'identity:1:0')
    )
    chex.assert_trees_all_equal(plain, scaled)

  def test_past_shortcuts_gradients_of_tanh_grow_subexponentially(self):
    """As exp(O(sqrt(depth))): Yang & Schoenholz, 2017."""
    profile, _ = profiles.predict(
      depth=400, activation='tanh', shortcut='identity', weight_std=1.0
    )
    grown = profile.log10_cotangent_rms
    exponent = math.log((grown[0] - grown[399]) / (grown[0] - grown[99]), 4)
    self.assertAlmostEqual(exponent, 0.5, delta=0.02)

  @parameterized.parameters(
    (dict(norm='layer'), 'norm=layer'),
    (dict(shortcut='highway:-2.0'), 'shortcut=highway'),
    (dict(shortcut='identity:0:0', bias_std=0.1), 'nothing flows'),
    (dict(activation='rrelu'), 'random'),
    (dict(norm='batch', batch_size=3), 'over 3 examples'),
    (dict(norm='batch', weight_std=1e-3), 'epsilon'),
    (dict(weight_std=1e-5), 'leaves the range'),
    (dict(activation=jnp.exp, first_variance=900), 'do not converge'),
    (dict(activation=lambda x: 0 * x + 1), 'no slope'),
  )
  def test_says_why_there_is_none(self, choices, reason):
    network = {'depth': 9, 'activation': 'relu', **choices}
    prediction = profiles.predict(**network)
    self.assertIsNone(prediction.profile)
    self.assertIn(reason, prediction.reason)

  @parameterized.parameters(
    (dict(depth=0), 'depth must be'),
    (dict(depth=2.5), 'depth must be'),
    (dict(activation='rely'), 'Unknown activation'),
    (dict(shortcut='identity:a'), 'not a finite number'),
    (dict(shortcut='identity:1:0.5:2'), 'write identity:RESIDUAL_SCALE:SHORT'),
    (dict(weight_std=0), 'weight_std must be'),
    (dict(first_variance=-1), 'q_start must be'),
    (dict(first_correlation=1.5), 'first_correlation is'),
  )
  def test_refuses(self, choices, message):
    network = {'depth': 9, 'activation': 'relu', **choices}
    with self.assertRaisesRegex(ValueError, message):
      profiles.predict(**network)

  def test_depth_one(self):
    profile, _ = profiles.predict(depth=1, activation='tanh')
    np.testing.assert_array_equal(profile.cotangent_rms, [1.0])
    np.testing.assert_array_equal(profile.log10_gradient_rms, [np.nan])


class HiddenWeightStdTest(parameterized.TestCase):
  @parameterized.parameters(*initializers.names())
  def test_is_that_of_the_initializer(self, name):
    init = initializers.get(name)()
    weights = init(jax.random.key(0), (400, 400), jnp.float32)
    self.assertAlmostEqual(
      20 * np.std(weights), profiles.hidden_weight_std(name), delta=0.01
    )

  def test_refuses(self):
    with self.assertRaisesRegex(ValueError, 'Unknown initializer'):
      profiles.hidden_weight_std('xavier')


class VarianceOfTest(parameterized.TestCase):
  @parameterized.product(
    activation=('relu', 'tanh', 'sigmoid', 'gelu', 'identity'),
    variance=(1e-3, 1.0, 30.0),
  )
  def test_is_the_inverse(self, activation, variance):
    profile, _ = profiles.predict(
      depth=1, activation=activation, first_variance=variance
    )
    found = profiles.variance_of(activation, profile.activation_std[0])
    np.testing.assert_allclose(found, variance, rtol=1e-6)

  @parameterized.parameters(('tanh', 1.5), (lambda x: x * jnp.exp(-x * x), 0.1))
  def test_is_none_where_there_is_not_one(self, activation, activation_std):
    self.assertIsNone(profiles.variance_of(activation, activation_std))

  def test_refuses(self):
    with self.assertRaisesRegex(ValueError, 'activation_std must be'):
      profiles.variance_of('tanh', math.nan)


if __name__ == '__main__':
  absltest.main()
