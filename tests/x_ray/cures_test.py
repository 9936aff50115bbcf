"""Tests for `x_ray/cures.py`."""

import functools
import math

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies
import jax
from jax import lax
import jax.numpy as jnp
from jaxdl.x_ray import cures
from jaxdl.x_ray import examination
import numpy as np
import optax

_DEPTH, _WIDTH, _CLASSES = 8, 12, 3
_RNG = np.random.RandomState(0)
_X = jnp.asarray(_RNG.randn(24, 6), jnp.float32)
_LABELS = jnp.asarray(_RNG.randint(_CLASSES, size=24))


def _params(gain, dtype=jnp.float32):
  """Kernels of a standard deviation of `gain / sqrt(fan-in)`."""
  shapes = {
    'stem': (6, _WIDTH),
    'blocks': (_DEPTH, _WIDTH, _WIDTH),
    'readout': (_WIDTH, _CLASSES),
  }
  rng = np.random.RandomState(1)
  return {
    name: jnp.asarray(gain * rng.randn(*s) / math.sqrt(s[-2]), dtype)
    for name, s in shapes.items()
  }


def _loss(activation):
  def loss(params, x, labels):
    def block(x, w):
      with jax.named_scope('dense'):
        x = x @ w
      return activation(x), None

    with jax.named_scope('stem'):
      x = activation(x @ params['stem'])
    with jax.named_scope('blocks'):
      x, _ = lax.scan(block, x, params['blocks'])
    with jax.named_scope('readout'):
      logits = x @ params['readout']
    cross_entropy = optax.softmax_cross_entropy_with_integer_labels
    return jnp.mean(cross_entropy(logits, labels))

  return loss


def _cures(activation, params, x=_X, **options):
  subject = examination.subject(_loss(activation), params, (x, _LABELS), False)
  return cures.try_cures(subject, **options)


def _by_name(found):
  return {trial.change: trial for trial in found.trials}


_BATCHES = [(_X, _LABELS), (2 * _X, _LABELS), (-_X, _LABELS)]


@functools.cache
def _of_a_small_start():
  return _cures(jax.nn.sigmoid, _params(0.2), batches=_BATCHES)


class TryCuresTest(parameterized.TestCase):
  def test_a_small_start_is_cured_by_larger_kernels(self):
    found = _of_a_small_start()
    trials = _by_name(found)
    self.assertLess(trials['no change'].decades_before, -8)
    larger = trials['kernels scaled as He']
    self.assertGreater(larger.decades_before, -6)
    self.assertEqual(found.best.change, 'kernels scaled as LeCun, times 4')
    self.assertTrue(larger.helps)
    for factor in ('0.1', '0.3', '3'):
      self.assertFalse(trials[f'learning rate times {factor}'].helps)

  def test_trains_on_the_batches_in_turn(self):
    """As a loop written by hand does."""
    params = _params(0.2)
    value_and_grad = jax.jit(jax.value_and_grad(_loss(jax.nn.sigmoid)))
    for step in range(20):
      _, grads = value_and_grad(params, *_BATCHES[step % 3])
      params = jax.tree.map(lambda p, g: p - 0.1 * g, params, grads)
    loss, _ = value_and_grad(params, *_BATCHES[0])
    trial = _by_name(_of_a_small_start())['no change']
    np.testing.assert_allclose(trial.loss_after, loss, rtol=1e-5)
    self.assertGreater(abs(trial.loss_before - loss), 1e-3)

  def test_prints_a_table_best_first(self):
    found = _of_a_small_start()
    summary, header, first, *_ = str(found).splitlines()
    self.assertRegex(summary, r'^After 20 steps: \d of 11 help, best first')
    self.assertRegex(header, 'change +decades +loss +verdict after')
    self.assertIn(found.best.change, first)
    self.assertEqual(found.best, found.trials[0])

  def test_a_large_start_is_cured_by_smaller_kernels_and_by_clipping(self):
    found = _cures(jax.nn.relu, _params(6.0), optimizer=optax.sgd(0.1))
    self.assertStartsWith(found.best.change, 'kernels ')
    trials = _by_name(found)
    self.assertTrue(math.isnan(trials['no change'].loss_after))
    self.assertEqual(trials['no change'].verdict, 'nonfinite')
    clipped = trials["clip the gradient's norm at 1"]
    self.assertTrue(clipped.helps)
    self.assertLess(clipped.loss_after, clipped.loss_before)
    self.assertEqual(clipped.loss_before, trials['no change'].loss_before)

  def test_too_large_a_learning_rate_is_cured_by_a_smaller_one(self):
    found = _cures(jnp.tanh, _params(1.0), optimizer=optax.adam(1.0))
    smaller = ('learning rate times 0.1', 'learning rate times 0.3')
    self.assertIn(found.best.change, smaller)
    trials = _by_name(found)
    self.assertFalse(trials['learning rate times 3'].helps)

  def test_nothing_helps_where_nothing_ails(self):
    found = _cures(jnp.tanh, _params(1.0), optimizer=optax.adam(0.02), steps=80)
    self.assertIsNone(found.best, found)
    self.assertIn('none helps', str(found))
    self.assertEqual(_by_name(found)['no change'].verdict, 'healthy')
    self.assertEqual(_by_name(found)['no change'].score, 0)

  def test_input_far_from_order_one_is_standardized(self):
    found = _cures(
      jnp.tanh,
      _params(1.0),
      300 + 100 * _X,
      steps=30,
      optimizer=optax.adam(0.01),
    )
    self.assertStartsWith(found.best.change, 'standardize the input (mean 31')

  def test_a_loss_scale_saves_a_gradient_in_16_bits(self):
    half = lambda x: jnp.tanh(x).astype(jnp.float16)
    found = _cures(
      half,
      _params(0.12, jnp.float16),
      _X.astype(jnp.float16),
      optimizer=optax.adam(0.01),
    )
    trials = _by_name(found)
    self.assertEqual(trials['no change'].decades_before, -math.inf)
    self.assertGreater(trials['loss scale 32768'].decades_before, -12)
    self.assertAlmostEqual(
      trials['loss scale 32768'].loss_before,
      trials['no change'].loss_before,
      places=2,
    )

  @parameterized.parameters(
    ({'steps': 0}, 'steps is 0; give 1 or more'),
    ({'batches': []}, 'batches is empty'),
    ({'batches': [(_X, _LABELS), (_X[:3], _LABELS)]}, 'batch 1 of batches'),
    ({'batches': [_X]}, 'batch 0 .* give tuples'),
  )
  def test_refuses(self, options, message):
    with self.assertRaisesRegex(ValueError, message):
      _cures(jnp.tanh, _params(1.0), **options)


def _trial(loss_after=1.0, decades=0.0):
  return cures.Trial(
    '', decades, decades, 2.0, loss_after, 'healthy', 0.0, False
  )


class ScoreTest(parameterized.TestCase):
  @hypothesis.given(
    strategies.floats(allow_nan=True), strategies.floats(allow_nan=True)
  )
  def test_no_change_is_worth_nothing_and_no_change_more_than_three(
    self, loss, decades
  ):
    trial = _trial(loss, decades)
    self.assertEqual(cures.score(trial, trial), 0)
    self.assertLessEqual(abs(cures.score(trial, _trial())), 3)

  @parameterized.parameters(
    (_trial(0.5), _trial(1.0)),
    (_trial(100.0), _trial(math.nan)),
    (_trial(decades=-2.0), _trial(decades=-9.0)),
    (_trial(decades=4.0), _trial(decades=math.inf)),
    (_trial(decades=4.0), _trial(decades=math.nan)),
    (_trial(decades=-5.0), _trial(decades=9.0)),
  )
  def test_better_is_more(self, better, worse):
    if math.isnan(worse.loss_after):
      better = better._replace(loss_after=1.9)
    self.assertGreater(cures.score(better, worse), 0)
    self.assertLess(cures.score(worse, better), 0)


if __name__ == '__main__':
  absltest.main()
