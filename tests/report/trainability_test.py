"""Tests for `report/trainability.py`, on records made up by a rule."""

import functools
import math

from absl.testing import absltest
from absl.testing import parameterized
from jaxdl import theory
from jaxdl.report import trainability
import numpy as np
import xarray as xr

_BIAS = 0.05**0.5
_WEIGHT_STDS = (1.0, 1.2, 1.33, 1.5, 2.0)
_DEPTHS = (5, 10, 20, 40, 60, 80, 120, 300)


@functools.cache
def _xi_c(activation, weight_std, bias_std=_BIAS):
  return theory.mean_field(activation, weight_std, bias_std).xi_c


def record(trains, activation='tanh', weight_stds=_WEIGHT_STDS, bias_std=_BIAS):
  """A record of networks that reach 80% where `trains(depth, xi_c)`, else 10%.

  Of two seeds, one is 2% better and one 2% worse.
  """
  cells = [
    (depth, std, seed)
    for depth in _DEPTHS
    for std in weight_stds
    for seed in (0, 1)
  ]
  depth, std, seed = np.array(cells).T
  xi = np.array([_xi_c(activation, s, bias_std) or math.nan for s in std])
  reached = np.where(
    [trains(*p) for p in zip(depth, xi, strict=True)], 0.8, 0.1
  )
  reached += np.where(seed == 0, 0.02, -0.02)
  # It counts what is reached at the end.
  accuracy = np.where(np.arange(30) < 10, 0.5, reached[:, None])
  whole = np.ones(len(cells), str)
  return xr.Dataset(
    {
      'accuracy': (('cell', 'step'), accuracy),
      'loss': (('cell', 'step'), 1 - accuracy),
      'test_accuracy': ('cell', reached - 0.05),
    },
    coords={
      'depth': ('cell', depth.astype(int)),
      'weight_std': ('cell', std),
      'bias_std': ('cell', np.full(len(cells), bias_std)),
      'seed': ('cell', seed.astype(int)),
      'activation': ('cell', np.full_like(whole, activation, 'U9')),
      'norm': ('cell', np.full_like(whole, 'none', 'U9')),
      'shortcut': ('cell', np.full_like(whole, 'none', 'U9')),
      'width': ('cell', np.full(len(cells), 64)),
      'learning_rate': ('cell', np.full(len(cells), 0.01)),
    },
    attrs={'num_classes': 10, 'data': 'made_up', 'command': 'trainability'},
  )


def by_scales(k):
  """A record of networks that train if they are no deeper than k xi_c."""
  return record(lambda depth, xi_c: depth <= k * xi_c)


@functools.cache
def summary(k):
  """The summary of that record."""
  return trainability.summary(by_scales(k))


@functools.cache
def boundaries():
  """Their curve, of few points: each is a third of a second of theory."""
  return {
    _BIAS: trainability.boundary(
      'tanh', _BIAS, np.array(_WEIGHT_STDS), points=4
    )
  }


class SummaryTest(absltest.TestCase):
  def test_one_row_a_network_with_its_theory(self):
    frame = summary(3)
    self.assertLen(frame, len(_DEPTHS) * len(_WEIGHT_STDS))
    row = frame.set_index(['weight_std', 'depth']).loc[(1.2, 10)]
    np.testing.assert_allclose(row['accuracy'], 0.8)
    np.testing.assert_allclose(row['test_accuracy'], 0.75)
    np.testing.assert_allclose(row['loss'], 0.2)
    np.testing.assert_allclose(row['xi_c'], _xi_c('tanh', 1.2))
    self.assertEqual(row['phase'], 'ordered')
    self.assertTrue(row['trained'])

  def test_what_is_halfway_from_chance_to_the_best_is_trained(self):
    made = by_scales(3)
    for std, accuracy in zip(
      _WEIGHT_STDS, (0.9, 0.501, 0.499, 0.1, np.nan), strict=True
    ):
      made['accuracy'].values[made['weight_std'].values == std] = accuracy
    trained = trainability.summary(made).groupby('weight_std')['trained']
    self.assertEqual(trained.mean().tolist(), [1, 1, 0, 0, 0])

  def test_a_network_that_diverged_is_not_trained(self):
    made = by_scales(3)
    made['loss'].values[0] = np.nan
    frame = trainability.summary(made)
    self.assertEqual(frame['loss'].isna().sum(), 0)  # Of one seed of two.
    made['loss'].values[:2] = np.nan
    self.assertEqual(trainability.summary(made)['loss'].isna().sum(), 1)


class RuleTest(parameterized.TestCase):
  @parameterized.parameters(2.0, 6.0, 11.0)
  def test_finds_the_rule_by_which_the_record_was_made(self, k):
    rule = trainability.rule(summary(k))
    self.assertEqual(rule.right, rule.known)
    self.assertBetween(k, rule.low, rule.high)
    self.assertBetween(rule.k, rule.low, rule.high)

  def test_counts_what_six_scales_are_right_about(self):
    frame = summary(3)
    between = (frame['depth'] > 3 * frame['xi_c']) & (
      frame['depth'] <= 6 * frame['xi_c']
    )
    rule = trainability.rule(frame)
    self.assertEqual(rule.known - rule.right_at_6, between.sum())
    self.assertGreater(between.sum(), 0)

  def test_where_all_train_no_number_is_best(self):
    made = record(lambda *_: True, weight_stds=(1.2, 2.0))
    rule = trainability.rule(trainability.summary(made))
    self.assertEqual(rule.high, math.inf)
    self.assertTrue(math.isnan(rule.k))

  def test_what_depends_on_nothing_of_theory_has_no_best_number(self):
    made = record(lambda depth, _: depth == 300)
    rule = trainability.rule(trainability.summary(made))
    self.assertTrue(math.isnan(rule.k))

  def test_no_depth_scale_no_rule(self):
    made = record(lambda *_: True, 'identity', weight_stds=(1.0,), bias_std=0.0)
    frame = trainability.summary(made)
    frame['xi_c'] = math.nan
    self.assertIsNone(trainability.rule(frame))


class BoundaryTest(absltest.TestCase):
  def test_six_scales_with_the_critical_point(self):
    curve = trainability.boundary('tanh', _BIAS, np.array([1.0, 2.0]), 5)
    np.testing.assert_allclose(curve.critical, 1.76095464**0.5, rtol=1e-8)
    for std in (1.0, 1.25, 2.0):
      (at,) = np.flatnonzero(np.isclose(curve.weight_std, std))
      np.testing.assert_allclose(curve.depth[at], 6 * _xi_c('tanh', std))
    self.assertGreater(curve.depth.max(), 1000)  # Points beside the pole.

  def test_no_critical_point(self):
    curve = trainability.boundary('relu', 0.3, np.array([1.0, 1.3]), 3)
    self.assertTrue(math.isnan(curve.critical))
    self.assertTrue(np.isfinite(curve.depth).all())


class SentencesTest(absltest.TestCase):
  def _said(self, made):
    frame = trainability.summary(made)
    return ' '.join(trainability.sentences(made, frame, boundaries()))

  def test_says_how_often_theory_is_right(self):
    said = self._said(by_scales(6))
    self.assertIn('is right about 40 of 40 (100%)', said)
    self.assertIn('theory is critical at weight_std 1.327', said)
    self.assertIn('the deepest that trains has 300 layers', said)
    self.assertNotIn('plain network', said)

  def test_says_where_theory_is_out_of_the_ordinary(self):
    made = record(lambda *_: True, 'relu', weight_stds=(1.0, 1.5), bias_std=0.0)
    frame = trainability.summary(made)
    said = trainability.sentences(made, frame, {})
    self.assertIn(
      'At bias_std 0 and weight_std 1: The variance tends to 0.', said
    )

  def test_says_that_theory_is_of_the_plain_network(self):
    made = by_scales(6)
    made['norm'].values[...] = 'batch'
    self.assertIn('The curve is of the plain network', self._said(made))


if __name__ == '__main__':
  absltest.main()
