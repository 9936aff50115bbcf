"""Tests for `report/small_kernels.py`."""

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies
from jaxdl import diagnosis
from jaxdl.report import comparison
from jaxdl.report import panels
from jaxdl.report import small_kernels
import numpy as np
import pandas as pd

from tests import synthetic_record

_KINDS = ('7', '5+3', '3+3+3')


def _row(kind, **changes):
  return {
    'kernels': kind,
    'learning_rate': 0.01,
    'parameters': 49_000,
    'macs': 4.9e6,
    'field': 13.0,
    'effective_size': 10.0,
    'step_seconds': 0.02,
    'step_seconds_min': 0.019,
    'step_seconds_max': 0.03,
    'decades_start': 0.1,
    'steps_to_target': 90.0,
    'loss_mean': 0.9,
    'loss_std': 0.05,
    'test_accuracy_mean': 0.7,
    'test_accuracy_std': 0.01,
    **changes,
  }


def _verdict(*rows):
  return ' '.join(small_kernels.verdict(pd.DataFrame(rows)))


class EffectiveSizeTest(absltest.TestCase):
  @hypothesis.given(strategies.integers(1, 40), strategies.integers(0, 9))
  def test_of_pixels_that_matter_alike_is_their_number(self, count, before):
    profile = np.concatenate([np.zeros(before), np.ones(count), np.zeros(3)])
    found = small_kernels.effective_size(profile[None])
    self.assertAlmostEqual(found, count, places=5)

  def test_a_bell_is_narrower_than_what_it_sees(self):
    # Three averages over 3 pixels: each has the variance (9 - 1) / 12.
    bell = np.convolve(np.convolve([1, 1, 1], [1, 1, 1]), [1, 1, 1])
    found = small_kernels.effective_size(np.stack([bell, bell]))
    self.assertAlmostEqual(found, np.sqrt(12 * 3 * 8 / 12 + 1))
    self.assertLess(found, 7)


class VerdictTest(parameterized.TestCase):
  def test_equal_fields(self):
    text = _verdict(_row('7'), _row('3+3+3', effective_size=8.04))
    self.assertIn('Every kind sees 13 pixels in theory', text)
    self.assertIn('10.0 (7), 8.0 (3+3+3)', text)

  def test_unequal_fields(self):
    text = _verdict(_row('5', field=9.0), _row('7'))
    self.assertIn('unequal fields in theory, 9 (5), 13 (7)', text)

  @parameterized.parameters(
    (0.01, 'as fast'), (0.02, '2.00 times slower'), (0.005, '2.00 times faster')
  )
  def test_cost(self, seconds, part):
    other = _row('3', parameters=24_500, macs=2.45e6, step_seconds=seconds)
    text = _verdict(_row('7'), other)
    self.assertIn('3 has 0.50 times the parameters of 7', text)
    self.assertIn(f'a multiply-accumulate is {part}.', text)

  @parameterized.parameters(
    (0.71, 0.01, 'no more than twice the spread'),
    (0.73, 0.01, 'better beyond the spread'),
    (0.67, 0.01, 'worse beyond the spread'),
    (0.73, np.nan, 'one seed says nothing'),
  )
  def test_gain_is_held_against_the_spread(self, accuracy, std, part):
    text = _verdict(
      _row('7', test_accuracy_std=std),
      _row('3', test_accuracy_mean=accuracy, test_accuracy_std=std),
    )
    self.assertIn(part, text)

  def test_every_other_kind_is_held_against_the_first(self):
    text = _verdict(*map(_row, _KINDS))
    for kind in _KINDS[1:]:
      self.assertIn(f'{kind} has 1.00 times the parameters of 7', text)

  def test_one_kind_alone(self):
    text = _verdict(_row('7'))
    self.assertNotIn('times the parameters', text)
    self.assertIn('Every kind sees 13', text)


class TableTest(absltest.TestCase):
  def test_one_row_a_kind(self):
    rows = [_row('7', steps_to_target=np.inf), _row('3+3+3')]
    table = small_kernels.table(pd.DataFrame(rows), 1.0, 200)
    self.assertEqual(table['kernels'], ['7', '3+3+3'])
    self.assertEqual(table['param-\neters'], ['49,000'] * 2)
    self.assertEqual(table['steps to\nloss 1'], ['>200', '90'])
    self.assertEqual(table['test\nacc %'], ['70.0±1.0'] * 2)
    self.assertContainsSubset(small_kernels.LEFT_OUT_FIRST, table)


class PanelsTest(absltest.TestCase):
  def test_panels_of_a_record(self):
    cells = [
      {'kernels': kind, 'learning_rate': 0.01, 'seed': seed}
      for kind in _KINDS
      for seed in range(2)
    ]
    record = synthetic_record.make(cells, ['healthy'] * 6, depth=3)
    frame = comparison.summary(record, diagnosis.diagnose(record), 1.0)
    numbers = pd.DataFrame([_row(kind) for kind in frame['kernels']])
    columns = [c for c in numbers if c not in frame]
    chosen = frame.join(numbers[columns])
    seen = {kind: np.array([[0.0, 1, 2, 1], [0, 1, 3, 1]]) for kind in _KINDS}
    found = small_kernels.figure_panels(record, chosen, seen)
    self.assertLen(panels.draw(found, _KINDS).axes, 6)
    for panel in found:
      self.assertCountEqual(panel.series, _KINDS)
    by_title = {panel.title: panel for panel in found}
    field = by_title['Effective field at initialization'].series['7']
    np.testing.assert_array_equal(field.x[1:], [-1, 0, 1])
    np.testing.assert_allclose(field.middle, [0, 0.4, 1, 0.4])
    cost = by_title['Cost'].series['7']
    np.testing.assert_allclose(cost.middle, 1)
    np.testing.assert_allclose((cost.low[-1], cost.high[-1]), (0.95, 1.5))


if __name__ == '__main__':
  absltest.main()
