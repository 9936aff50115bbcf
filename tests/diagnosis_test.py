"""Tests for `diagnosis.py`."""

import json

from absl.testing import absltest
from absl.testing import parameterized
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from jaxdl import diagnosis
import numpy as np

from tests import synthetic_record

_KINDS = (
  'healthy',
  'vanishing',
  'exploding',
  'diverged',
  'dead',
  'saturated',
  'unmeasured',
)


def _record(*kinds, activation='relu', **kwargs):
  cells = [{'activation': activation, 'seed': i} for i in range(len(kinds))]
  return synthetic_record.make(cells, kinds, **kwargs)


def _geometric(rate, depth, noise=0.0, seed=0, top=1e-3):
  record = _record('healthy', depth=depth, num_steps=10, noise=0.0)
  generator = np.random.default_rng(seed)
  distance = depth - record['layer'].values
  logs = np.log10(top) + rate * distance
  logs = logs + noise * generator.normal(size=(1, 10, depth + 1))
  record['cotangent_rms'].values[:] = 10.0**logs
  record['cotangent_max_abs'].values[:] = 4 * 10.0**logs
  return record


class VerdictTest(parameterized.TestCase):
  @parameterized.parameters(*_KINDS)
  def test_names_each_kind(self, kind):
    activation = 'tanh' if kind == 'saturated' else 'relu'
    result = diagnosis.diagnose(_record(kind, activation=activation))
    self.assertEqual(result['verdict'].item(), kind)
    self.assertIn(kind, diagnosis.VERDICTS)

  def test_start_and_end_are_judged_apart(self):
    result = diagnosis.diagnose(_record('escaped', 'dead', 'diverged', 'nan'))
    self.assertEqual(
      list(result['verdict'].values),
      ['healthy', 'dead', 'diverged', 'diverged'],
    )
    self.assertEqual(
      list(result['verdict_start'].values),
      ['vanishing', 'healthy', 'healthy', 'diverged'],
    )

  @given(order=st.permutations(range(len(_KINDS))))
  @settings(deadline=None, max_examples=20)
  def test_permuting_cells_permutes_verdicts(self, order):
    record = _record(*_KINDS)
    result = diagnosis.diagnose(record).isel(cell=order)
    permuted = diagnosis.diagnose(record.isel(cell=order))
    self.assertTrue(result.identical(permuted))

  def test_a_cell_alone_is_judged_as_among_others(self):
    record = _record(*_KINDS, activation='tanh')
    together = diagnosis.diagnose(record)
    for i in range(len(_KINDS)):
      alone = diagnosis.diagnose(record.isel(cell=[i]))
      self.assertTrue(together.isel(cell=[i]).identical(alone))

  def test_depths_may_differ(self):
    cells = [{'depth': depth} for depth in (1, 2, 3, 10)]
    record = synthetic_record.make(cells, ['vanishing'] * 4, noise=0.0)
    result = diagnosis.diagnose(record)
    np.testing.assert_allclose(
      result['decades_end'], [0.0, -0.4, -0.8, -3.6], atol=1e-5
    )
    np.testing.assert_allclose(
      result['rate_end'], [np.nan, np.nan, -0.4, -0.4], rtol=1e-4
    )
    self.assertEqual(
      list(result['verdict'].values), ['healthy'] * 3 + ['vanishing']
    )

  def test_decades_decide_alone_where_there_is_no_rate(self):
    result = diagnosis.diagnose(_geometric(-4.0, depth=2))
    self.assertEqual(result['verdict'].item(), 'vanishing')
    self.assertEqual(result['layer'].item(), 2)

  def test_one_odd_layer_is_no_trend(self):
    record = _geometric(0.0, depth=30, noise=0.1)
    record['cotangent_rms'].values[..., 0] *= 1e-4
    result = diagnosis.diagnose(record)
    self.assertLess(result['decades_end'].item(), -3)
    self.assertEqual(result['verdict'].item(), 'healthy')

  def test_a_dead_layer_beside_a_shortcut_is_no_death(self):
    record = _record('healthy', depth=10)
    record['activation_dead'].values[..., :4] = 1.0
    self.assertEqual(diagnosis.diagnose(record)['verdict'].item(), 'healthy')
    record['activation_dead'].values[..., :5] = 1.0
    self.assertEqual(diagnosis.diagnose(record)['verdict'].item(), 'dead')

  def test_a_loss_grown_out_of_bounds_has_diverged(self):
    record = _record('healthy')
    record['loss'].values[:, 20:] = 24.0
    result = diagnosis.diagnose(record)
    self.assertEqual(result['verdict'].item(), 'diverged')
    self.assertEqual(result['since'].item(), 20)
    self.assertTrue(np.isnan(result['nonfinite_step'].item()))

  def test_a_transient_infinity_is_evidence_but_no_verdict(self):
    record = _record('healthy')
    record['cotangent_max_abs'].values[:, 2, :4] = np.inf
    result = diagnosis.diagnose(record)
    self.assertEqual(result['verdict'].item(), 'healthy')
    self.assertEqual(result['nonfinite_step'].item(), 2)
    self.assertEqual(result['nonfinite_layer'].item(), 4)

  def test_a_loss_of_zero_leaves_the_first_profile_standing(self):
    record = _record('healthy')
    record['cotangent_rms'].values[:, 20:] = 0
    record['cotangent_max_abs'].values[:, 20:] = 0
    result = diagnosis.diagnose(record)
    self.assertEqual(result['verdict'].item(), 'healthy')
    self.assertTrue(np.isnan(result['decades_end'].item()))
    self.assertEqual(result['underflow_end'].item(), 0)

  def test_unrecorded_steps_are_ignored(self):
    record = _record('escaped', 'vanishing')
    whole = diagnosis.diagnose(record.isel(step=slice(0, 30)))
    for name, variable in record.variables.items():
      if 'step' in variable.dims and name != 'step':
        record[name].values[:, 30:] = np.nan
    record['steps_done'].values[:] = 30
    part = diagnosis.diagnose(record)
    for name in ('verdict', 'decades_end', 'loss', 'nonfinite_step', 'since'):
      np.testing.assert_array_equal(part[name], whole[name])

  @parameterized.parameters(
    ({'decades': 5.0}, 'vanishing', 'healthy'),
    ({'decades': 5.0}, 'exploding', 'healthy'),
    ({'saturated': 1.0}, 'saturated', 'healthy'),
    ({'loss_growth': 0.001}, 'healthy', 'diverged'),
    ({'rate_errors': 1e6}, 'vanishing', 'healthy'),
  )
  def test_thresholds_move_verdicts(self, changes, kind, expected):
    thresholds = diagnosis.Thresholds(**changes)
    result = diagnosis.diagnose(_record(kind, activation='tanh'), thresholds)
    self.assertEqual(result['verdict'].item(), expected)
    recorded = json.loads(result.attrs['thresholds'])
    self.assertEqual(recorded, thresholds._asdict())


class EvidenceTest(parameterized.TestCase):
  @given(
    rate=st.floats(-0.9, 0.9),
    depth=st.integers(3, 30),
    noise=st.sampled_from([0.0, 0.01, 0.1]),
    seed=st.integers(0, 2**31),
  )
  @settings(deadline=None, max_examples=50)
  def test_fits_the_rate_within_its_uncertainty(self, rate, depth, noise, seed):
    result = diagnosis.diagnose(_geometric(rate, depth, noise, seed, top=1e-2))
    error = result['rate_error_start'].item()
    # With few degrees of freedom Student's t has long tails.
    allowed = 6 * error if depth > 10 else 1000 * error
    self.assertLessEqual(
      abs(result['rate_start'].item() - rate), allowed + 1e-6
    )

  def test_agrees_with_polyfit(self):
    record = _geometric(-0.3, depth=12, noise=0.2, seed=3)
    result = diagnosis.diagnose(record)
    layer = np.arange(1, 13)
    logs = np.log10(record['cotangent_rms'].values[0, 0, :12].astype(float))
    (slope, _), covariance = np.polyfit(12 - layer, logs, 1, cov=True)
    self.assertAlmostEqual(result['rate_start'].item(), slope)
    self.assertAlmostEqual(
      result['rate_error_start'].item(), np.sqrt(covariance[0, 0])
    )

  def test_underflow_is_counted_and_kept_out_of_the_fit(self):
    result = diagnosis.diagnose(_record('underflow', depth=10, noise=0.0))
    # 10**(-3 - 5 d) < 2**-102 / 4 from distance d = 6 on.
    self.assertEqual(result['underflow_start'].item(), 4)
    self.assertTrue(result['bound_start'].item())
    self.assertAlmostEqual(result['rate_start'].item(), -5.0, places=4)
    self.assertAlmostEqual(
      result['decades_start'].item(), np.log10(2.0**-102) + 3, places=4
    )
    self.assertEqual(result['verdict'].item(), 'vanishing')

  def test_below_a_dead_layer_is_no_underflow(self):
    result = diagnosis.diagnose(_record('dead'))
    self.assertEqual(result['underflow_end'].item(), 0)
    self.assertEqual(result['decades_end'].item(), -np.inf)
    self.assertEqual(result['layer'].item(), 5)
    self.assertEqual(result['since'].item(), 10)
    self.assertEqual(result['dead_worst'].item(), 1.0)

  @parameterized.parameters(
    ('diverged', 'forward', 13, 3),
    ('diverged_backward', 'backward', 13, 3),
    ('nan', 'forward', 0, 1),
  )
  def test_locates_the_first_non_finite_value(
    self, kind, direction, step, layer
  ):
    result = diagnosis.diagnose(_record(kind))
    self.assertEqual(result['nonfinite_direction'].item(), direction)
    self.assertEqual(result['nonfinite_step'].item(), step)
    self.assertEqual(result['nonfinite_layer'].item(), layer)
    self.assertEqual(result['layer'].item(), layer)
    self.assertEqual(result['since'].item(), step)

  def test_vanishing_names_the_steepest_layer(self):
    record = _geometric(-0.4, depth=10)
    record['cotangent_rms'].values[..., :6] *= 1e-2
    result = diagnosis.diagnose(record)
    self.assertEqual(result['layer'].item(), 7)
    self.assertEqual(result['since'].item(), 0)

  def test_clipping_is_a_hidden_learning_rate(self):
    record = synthetic_record.make(
      [{'clip': 'none'}, {'clip': 'norm:1.0'}], ['healthy'] * 2
    )
    result = diagnosis.diagnose(record)
    np.testing.assert_allclose(result['clip_bound'], [0, 1])
    np.testing.assert_allclose(result['clip_removed'], [np.nan, 0.8], 1e-6)

  def test_learned_asks_for_more_than_chance(self):
    record = _record('healthy', 'healthy', 'unmeasured')
    record['test_accuracy'].values[:2] = 0.21, 0.19
    result = diagnosis.diagnose(record)
    self.assertEqual(list(result['learned'].values), [True, False, False])

  def test_names_what_a_record_lacks(self):
    with self.assertRaisesRegex(ValueError, 'lacks cotangent_rms'):
      diagnosis.diagnose(_record('healthy').drop_vars('cotangent_rms'))
    with self.assertRaisesRegex(ValueError, 'empty'):
      diagnosis.diagnose(_record('healthy').isel(step=slice(0)))

  @parameterized.parameters(
    ('num_classes', 'ten'),
    ('num_classes', [10]),
    ('num_classes', 0),
    ('axes', '[1'),
    ('axes', 5),
    ('layers', '[' * 100_000),
    ('layers', '[]'),
  )
  def test_attributes_that_are_none_of_a_record_are_said(self, name, value):
    record = _record('healthy').assign_attrs({name: value})
    with self.assertRaisesRegex(ValueError, '^The record is damaged: of its'):
      diagnosis.diagnose(record)

  @parameterized.parameters('U3', 'M8[s]', 'S1')
  def test_variables_that_are_no_numbers_are_said(self, dtype):
    record = _record('healthy')
    record['steps_done'] = record['steps_done'].variable.astype(dtype)
    with self.assertRaisesRegex(ValueError, 'steps_done must be numbers'):
      diagnosis.diagnose(record)


if __name__ == '__main__':
  absltest.main()
