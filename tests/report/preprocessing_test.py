"""Tests for `report/preprocessing.py`."""

from absl.testing import absltest
from absl.testing import parameterized
from jaxdl import diagnosis
from jaxdl.report import comparison
from jaxdl.report import panels
from jaxdl.report import preprocessing
import numpy as np
import pandas as pd

from tests import synthetic_record

_NAMES = ('none', 'unit', 'sample_mean', 'feature_standard')


def _row(name, rate=0.1, **changes):
  return {
    'preprocessing': name,
    'learning_rate': rate,
    'moment_ratio': 1e4,
    'covariance_ratio': 1e4,
    'largest_eigenvalue': 10.0,
    'effective_rank': 5.0,
    'mean_share': 0.1,
    'saturated_first': 0.0,
    'saturated_start': 0.0,
    'dead_start': 0.0,
    'decades_start': -0.3,
    'steps_to_target': 100.0,
    'loss_mean': 0.5,
    'loss_std': 0.01,
    'test_accuracy_mean': 0.8,
    'test_accuracy_std': 0.01,
    **changes,
  }


def _verdict(rows, chosen=None):
  frame = pd.DataFrame(rows)
  kept = frame if chosen is None else frame.iloc[chosen]
  return preprocessing.verdict(frame, kept.reset_index(drop=True), 0.5)


class VerdictTest(parameterized.TestCase):
  def test_conditioning_and_ties(self):
    rows = [
      _row(
        'none', moment_ratio=1e9, mean_share=0.6, largest_eigenvalue=65025.0
      ),
      _row('unit', moment_ratio=1e9, mean_share=0.6, largest_eigenvalue=1.0),
      _row('feature_standard', moment_ratio=4e4, mean_share=0.0),
    ]
    first, second, *_ = _verdict(rows)
    self.assertIn('least uneven under feature_standard', first)
    self.assertIn('most under none (raw) and unit, with 1.0e+09', first)
    self.assertIn('power under none (raw) and unit: 60%', first)
    self.assertIn('equal up to a factor of 255', second)

  @parameterized.parameters(
    (0.99, '99% of the first'), (0.001, 'No preprocessing saturates')
  )
  def test_saturation(self, share, part):
    sentences = _verdict([_row('none', saturated_first=share), _row('unit')])
    self.assertTrue(any(part in s for s in sentences), sentences)

  def test_activations_without_flat_ends_are_not_spoken_of(self):
    rows = [_row(name, saturated_first=np.nan) for name in _NAMES[:2]]
    self.assertFalse(any('saturate' in s and '%' in s for s in _verdict(rows)))

  @parameterized.parameters(
    (0.8, 0.01, ': more than twice the spread'),
    (0.89, 0.01, 'no more than twice the spread'),
    (0.8, np.nan, 'one seed says nothing'),
  )
  def test_accuracy_is_held_against_the_spread(self, worst, std, part):
    rows = [
      _row('none', test_accuracy_mean=worst, test_accuracy_std=std),
      _row('unit', test_accuracy_mean=0.9, test_accuracy_std=std),
    ]
    found = [s for s in _verdict(rows) if s.startswith('At the best rate')]
    self.assertLen(found, 1)
    self.assertIn(part, found[0])
    self.assertIn('unit has the highest test accuracy, 90.0', found[0])

  @parameterized.parameters(
    ((50.0, 125.0), 'takes 50 steps under none (raw) and 2.5 times as many'),
    ((50.0, np.inf), 'under none (raw); unit does not reach it.'),
    ((np.inf, np.inf), 'No preprocessing reaches a training loss of 0.5'),
  )
  def test_speed(self, steps, part):
    rows = [
      _row(name, steps_to_target=count)
      for name, count in zip(_NAMES[:2], steps, strict=True)
    ]
    self.assertIn(part, ' '.join(_verdict(rows)))

  @parameterized.parameters(
    ((1, 2, 3, 4), 'follows the eigenvalue ratio closely', '+1.00'),
    ((4, 3, 2, 1), 'does not follow the eigenvalue ratio', '-1.00'),
    ((2, 1, 4, 3), 'follows the eigenvalue ratio in part', '+0.60'),
  )
  def test_order(self, losses, part, value):
    rows = [
      _row(name, moment_ratio=10.0**i, loss_mean=float(loss))
      for i, (name, loss) in enumerate(zip(_NAMES, losses, strict=True))
    ]
    text = ' '.join(_verdict(rows))
    self.assertIn(part, text)
    self.assertIn(value, text)

  def test_no_order_of_equal_ratios(self):
    rows = [_row(name, loss_mean=i) for i, name in enumerate(_NAMES)]
    self.assertNotIn('rank correlation', ' '.join(_verdict(rows)))

  def test_rates(self):
    rows = [
      _row('none', 0.001),
      _row('none', 0.1, test_accuracy_mean=0.2),
      _row('unit', 0.001),
      _row('unit', 0.1),
    ]
    text = ' '.join(_verdict(rows, [0, 3]))
    self.assertIn('100 times larger', text)
    self.assertIn(
      'At 0.1, none (raw) would have had a test accuracy of 20', text
    )
    self.assertIn('none (raw) is the least tried', text)
    self.assertIn('unit is the largest tried', text)

  def test_one_rate_is_said_to_be_one(self):
    text = ' '.join(_verdict([_row('none'), _row('unit')]))
    self.assertIn('All were trained at the rate 0.1', text)

  def test_one_preprocessing_alone(self):
    for sentence in _verdict([_row('unit')]):
      self.assertNotIn('nan', sentence)
      self.assertNotIn('least uneven', sentence)


class TableTest(absltest.TestCase):
  def test_one_row_a_preprocessing_and_no_empty_column(self):
    rows = [
      _row('none', saturated_first=np.nan, steps_to_target=np.inf),
      _row('unit', saturated_first=np.nan),
    ]
    table = preprocessing.table(pd.DataFrame(rows), 0.5, 300)
    self.assertEqual(table['preprocessing'], ['none (raw)', 'unit'])
    self.assertEqual(table['steps to\nloss 0.5'], ['>300', '100'])
    self.assertEqual(table['test\nacc %'], ['80.0±1.0'] * 2)
    self.assertNotIn('sat\nlayer 1 %', table)
    self.assertContainsSubset(preprocessing.LEFT_OUT_FIRST, table)


class PanelsTest(parameterized.TestCase):
  @parameterized.parameters(
    ('tanh', (0.01, 0.1), 6, 'Saturated at the first step'),
    ('relu', (0.1,), 5, 'Dead at the first step'),
  )
  def test_panels_of_a_record(self, activation, rates, count, title):
    cells = [
      {'activation': activation, 'learning_rate': rate, 'seed': seed}
      for rate in rates
      for seed in range(2)
    ]
    record = comparison.join(
      {
        name: synthetic_record.make(cells, ['healthy'] * len(cells))
        for name in _NAMES
      },
      preprocessing.AXIS,
    )
    frame = comparison.summary(record, diagnosis.diagnose(record), 1.0)
    chosen = comparison.best(frame, preprocessing.AXIS)
    eigenvalues = dict.fromkeys(_NAMES, np.array([4.0, 1.0, 1e-30, 0.0]))
    found = preprocessing.figure_panels(record, frame, chosen, eigenvalues)
    self.assertLen(found, count)
    self.assertIn(title, [panel.title for panel in found])
    names = [preprocessing.name(name) for name in _NAMES]
    for panel in found:
      self.assertCountEqual(panel.series, names)
    spectrum = found[0].series['unit'].middle
    np.testing.assert_array_equal(spectrum, [1, 0.25, np.nan, np.nan])
    self.assertLen(panels.draw(found, names).axes, count)


if __name__ == '__main__':
  absltest.main()
