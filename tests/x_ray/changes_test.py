"""Tests for `x_ray/changes.py`."""

import math

from absl.testing import absltest
from absl.testing import parameterized
import chex
import hypothesis
from hypothesis import strategies
import jax.numpy as jnp
from jaxdl.x_ray import changes
from jaxdl.x_ray import kernels
import numpy as np
import optax

_PARAMS = (jnp.full([8, 2], 3.0), jnp.ones(2))
_KERNELS = kernels.Kernels({0: kernels.Fans(8, 2)}, frozenset({0}))
_X = jnp.asarray(np.random.RandomState(0).randn(1, 16, 8), jnp.float32)
_PLAIN = changes.Setting(1.0, math.inf, 1.0, (), ())


def _situation(**parts):
  return changes.Situation(
    **{
      'params': _PARAMS,
      'kernels': _KERNELS,
      'batch': [_X],
      'optimizer': optax.sgd(0.1),
      'is_half': False,
      'activations': frozenset(),
      **parts,
    }
  )


def _changes(**parts):
  return {change.name: change for change in changes.of(_situation(**parts))}


class OfTest(parameterized.TestCase):
  def test_the_first_changes_nothing(self):
    first, *others = changes.of(_situation())
    self.assertEqual(first.name, changes.NO_CHANGE)
    self.assertEqual(first.initial(_PARAMS), _PARAMS)
    self.assertEqual(first.setting, _PLAIN._replace(shift=(0.0,), scale=(1.0,)))
    for change in others:
      self.assertTrue(
        change.setting != first.setting
        or change.optimizer is not None
        or not np.array_equal(change.initial(_PARAMS)[0], _PARAMS[0])
      )

  @parameterized.parameters(
    ('kernels scaled as He', math.sqrt(2 / 8)),
    ('kernels scaled as LeCun', math.sqrt(1 / 8)),
    ('kernels scaled as LeCun, times 4', math.sqrt(16 / 8)),
    ('kernels scaled as Glorot', math.sqrt(2 / 10)),
    ('kernels scaled as an orthogonal matrix', math.sqrt(1 / 8)),
  )
  def test_kernels_are_rescaled_and_nothing_else(self, name, scale):
    change = _changes(activations=frozenset({'sigmoid'}))[name]
    kernel, bias = change.initial(_PARAMS)
    np.testing.assert_allclose(kernel, np.full([8, 2], scale), rtol=1e-6)
    np.testing.assert_array_equal(bias, _PARAMS[1])

  def test_kernels_of_zeros_are_drawn_but_not_rescaled(self):
    found = _changes(params=(jnp.zeros([8, 2]), jnp.ones(2)))
    self.assertNotIn('kernels scaled', ' '.join(found))
    drawn = found['kernels drawn anew as He'].initial(_PARAMS)[0]
    self.assertLen(np.unique(drawn), 16)
    np.testing.assert_allclose(np.std(drawn), math.sqrt(2 / 8), rtol=0.4)

  def test_kernels_that_have_a_scale_are_left_out(self):
    he = jnp.full([8, 2], math.sqrt(2 / 8))
    names = ' '.join(_changes(params=(he, jnp.ones(2))))
    self.assertNotIn('scaled as He', names)
    self.assertIn('scaled as LeCun', names)
    self.assertNotIn('times 4', names)

  @parameterized.parameters(
    (optax.sgd(0.1), True),
    (optax.adam(0.1), False),
    (optax.chain(optax.clip(1.0), optax.adamw(0.1)), False),
  )
  def test_adam_is_tried_where_there_is_none(self, optimizer, tried):
    self.assertEqual('Adam at 0.001' in _changes(optimizer=optimizer), tried)

  def test_loss_scales_are_tried_in_16_bits(self):
    self.assertNotIn('loss scale', ' '.join(_changes()))
    setting = _changes(is_half=True)['loss scale 32768'].setting
    self.assertEqual(setting.loss_scale, 2**15)

  @parameterized.parameters(
    (lambda x: x, False),
    (lambda x: x + 2, False),
    (lambda x: 100 * x, True),
    (lambda x: x / 100, True),
    (lambda x: x + 5, True),
    (lambda x: x.astype(jnp.int32) * 100, False),
    (lambda x: jnp.full_like(x, 300), False),  # It has no deviation.
  )
  def test_inputs_that_are_not_of_order_one_are_standardized(self, fn, tried):
    x = fn(_X)
    found = [c for n, c in _changes(batch=[x]).items() if 'standardize' in n]
    self.assertLen(found, int(tried))
    for change in found:
      moved = (x - change.setting.shift[0]) * change.setting.scale[0]
      np.testing.assert_allclose(np.mean(moved), 0, atol=1e-5)
      np.testing.assert_allclose(np.std(moved), 1, rtol=1e-5)

  def test_labels_are_not_standardized(self):
    found = _changes(
      kernels=_KERNELS._replace(fed=frozenset()), batch=[99 * _X]
    )
    self.assertNotIn('standardize', ' '.join(found))


class OptimizerTest(parameterized.TestCase):
  @hypothesis.settings(deadline=None, max_examples=20)
  @hypothesis.given(strategies.floats(1e-3, 1e3), strategies.floats(1e-3, 1e3))
  def test_is_the_chain_of_its_parts(self, clip, rate):
    inner = optax.adam(0.1)
    setting = _PLAIN._replace(clip=clip, learning_rate=rate)
    expected = optax.chain(
      optax.clip_by_global_norm(clip), inner, optax.scale(rate)
    )
    gradients = tuple(7 * x for x in _PARAMS)
    results = []
    for optimizer in (changes.optimizer(inner, setting), expected):
      updates, _ = optimizer.update(gradients, optimizer.init(_PARAMS), _PARAMS)
      results.append(tuple(updates))
    chex.assert_trees_all_close(*results, rtol=1e-5)

  def test_unscales_before_16_bits_lose_the_gradient(self):
    setting = _PLAIN._replace(loss_scale=2.0**15)
    optimizer = changes.optimizer(optax.sgd(1.0), setting)
    params = (jnp.zeros(3, jnp.float16),)
    gradients = (jnp.full(3, 2.0**-14, jnp.float16),)
    updates, _ = optimizer.update(gradients, optimizer.init(params), params)
    np.testing.assert_array_equal(updates[0], np.full(3, -(2.0**-29)))
    self.assertEqual(updates[0].dtype, jnp.float32)

  def test_clips_gradients_whose_squares_overflow(self):
    setting = _PLAIN._replace(clip=1.0)
    optimizer = changes.optimizer(optax.sgd(1.0), setting)
    gradients = (jnp.full(4, 1e30),)
    updates, _ = optimizer.update(gradients, optimizer.init(gradients))
    np.testing.assert_allclose(updates[0], np.full(4, -0.5), rtol=1e-6)


if __name__ == '__main__':
  absltest.main()
