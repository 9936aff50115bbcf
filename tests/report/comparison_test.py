"""Tests for `comparison.py`."""

import io
import json
import pathlib

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies
from jaxdl import diagnosis
from jaxdl.report import comparison
from jaxdl.report import panels
import numpy as np
import pandas as pd
import rich.console
import xarray as xr

from tests import synthetic_record

_RATES = (0.01, 0.1)


def _record(kind, seeds=3, depth=4, rates=_RATES):
  cells = [
    {'activation': 'tanh', 'learning_rate': rate, 'depth': depth, 'seed': seed}
    for rate in rates
    for seed in range(seeds)
  ]
  return synthetic_record.make(cells, [kind] * len(cells), num_steps=30)


def _joined(**kinds):
  records = {name: _record(kind) for name, kind in kinds.items()}
  return comparison.join(records, 'treatment')


def _summary(record, target=1.0):
  return comparison.summary(record, diagnosis.diagnose(record), target)


class JoinTest(absltest.TestCase):
  def test_each_record_is_found_again_under_its_value(self):
    records = {'a': _record('healthy'), 'b': _record('vanishing')}
    joined = comparison.join(records, 'treatment')
    self.assertEqual(json.loads(joined.attrs['axes'])[0], 'treatment')
    self.assertEqual(joined.attrs['num_classes'], 10)
    for name, record in records.items():
      found = joined.sel(treatment=name)
      for variable in ('loss', 'cotangent_rms', 'test_accuracy'):
        np.testing.assert_array_equal(found[variable], record[variable])
      for axis in ('learning_rate', 'seed', 'depth'):
        np.testing.assert_array_equal(found[axis], record[axis])

  def test_layers_that_one_lacks_are_nan(self):
    records = {
      'shallow': _record('healthy', depth=3),
      'deep': _record('healthy', depth=6),
    }
    joined = comparison.join(records, 'treatment')
    self.assertEqual(joined.sizes['layer'], 7)
    shallow = joined.sel(treatment='shallow')['cotangent_rms']
    self.assertTrue(np.isnan(shallow.isel(layer=slice(4, None))).all())
    self.assertTrue(np.isfinite(shallow.isel(layer=slice(0, 4))).all())
    verdicts = diagnosis.diagnose(joined)['verdict'].values
    self.assertEqual(set(verdicts), {'healthy'})

  def test_one_record_alone(self):
    joined = comparison.join({'a': _record('healthy')}, 'treatment')
    self.assertEqual(set(joined['treatment'].values), {'a'})


class SummaryTest(parameterized.TestCase):
  def test_means_and_standard_deviations_are_those_of_numpy(self):
    record = _joined(a='healthy', b='vanishing')
    frame = _summary(record)
    self.assertLen(frame, 4)
    for _, row in frame.iterrows():
      accuracy = record.sel(
        treatment=row['treatment'], learning_rate=row['learning_rate']
      )['test_accuracy'].values.astype(float)
      self.assertLen(accuracy, 3)
      self.assertAlmostEqual(row['test_accuracy_mean'], accuracy.mean())
      self.assertAlmostEqual(row['test_accuracy_std'], accuracy.std(ddof=1))

  def test_shares_at_the_first_step(self):
    record = _record('healthy')
    shares = np.zeros(record['activation_saturated'].shape)
    shares[:, 0, :] = [0.5, 0.2, 0.9, 0.1, 1.0]  # The last is the readout.
    shares[:, 1:, :] = 0.77
    dims = ('cell', 'step', 'layer')
    record = record.assign(activation_saturated=(dims, shares))
    frame = _summary(record)
    np.testing.assert_allclose(frame['saturated_first'], 0.5)
    np.testing.assert_allclose(frame['saturated_start'], 0.9)

  def test_one_seed_has_no_spread(self):
    frame = _summary(_record('healthy', seeds=1))
    self.assertTrue(frame['test_accuracy_std'].isna().all())
    self.assertTrue(frame['test_accuracy_mean'].notna().all())

  @parameterized.parameters((0, np.inf), (1, np.inf), (2, 14), (3, 14))
  def test_steps_are_the_median_over_seeds(self, reaching, steps):
    # These reach the target at steps 13, 14 and 15; the others never.
    record = _record('healthy', rates=(0.1,))
    loss = np.full((3, 30), 5.0)
    for seed in range(reaching):
      loss[seed, 4 + seed :] = 0.5
    record = record.assign(loss=(('cell', 'step'), loss))
    row = _summary(record).iloc[0]
    self.assertEqual(row['reached'], reaching)
    self.assertEqual(row['steps_to_target'], steps)


class StepsToLossTest(parameterized.TestCase):
  @hypothesis.given(
    strategies.lists(strategies.floats(0, 10), min_size=1, max_size=40),
    strategies.floats(0.1, 10),
  )
  def test_agrees_with_a_loop(self, losses, target):
    window = min(10, len(losses))
    expected = np.inf
    for stop in range(window, len(losses) + 1):
      if np.mean(losses[stop - window : stop]) <= target:
        expected = stop
        break
    loss = xr.DataArray([losses], dims=('cell', 'step'))
    found = comparison.steps_to_loss(loss, target)
    np.testing.assert_array_equal(found, [expected])

  def test_nan_never_reaches_it(self):
    loss = xr.DataArray(np.full((2, 20), np.nan), dims=('cell', 'step'))
    found = comparison.steps_to_loss(loss, 100.0)
    np.testing.assert_array_equal(found, [np.inf, np.inf])


class BestTest(absltest.TestCase):
  def _frame(self, losses, accuracies):
    return pd.DataFrame(
      {
        'treatment': ['a', 'a', 'b', 'b'],
        'learning_rate': [0.1, 1.0, 0.1, 1.0],
        'loss_mean': losses,
        'test_accuracy_mean': accuracies,
      }
    )

  def test_the_lowest_training_loss_decides_and_not_the_accuracy(self):
    frame = self._frame([0.5, 0.4, 0.2, 0.3], [0.9, 0.8, 0.7, 0.99])
    best = comparison.best(frame, 'treatment')
    self.assertEqual(best['treatment'].tolist(), ['b', 'a'])
    self.assertEqual(best['learning_rate'].tolist(), [0.1, 1.0])

  def test_a_loss_that_is_not_finite_is_the_worst(self):
    frame = self._frame([np.nan, 9.0, np.inf, np.nan], [0.9, 0.1, 0.2, 0.3])
    best = comparison.best(frame, 'treatment')
    self.assertEqual(best['treatment'].tolist(), ['a', 'b'])
    self.assertEqual(best['learning_rate'].tolist(), [1.0, 1.0])


class WordsTest(parameterized.TestCase):
  @parameterized.parameters(
    (81.26, 0.44, '81.3±0.4'), (81.26, np.nan, '81.3'), (np.nan, np.nan, '-')
  )
  def test_spread(self, mean, std, expected):
    self.assertEqual(comparison.with_spread(mean, std), expected)

  def test_columns_are_left_out_where_the_table_is_too_wide(self):
    columns = {
      'name': ['first', 'second'],
      'long\nheading': ['1' * 60, '2'],
      'kept': ['x' * 50, 'y'],
    }
    console = rich.console.Console(file=io.StringIO(), width=20)
    comparison.show(columns, ['A sentence.'], console, ['long\nheading'])
    printed = console.file.getvalue()
    self.assertIn('x' * 50, printed)
    self.assertNotIn('1' * 60, printed)
    self.assertIn('Left out for width: long heading.', printed)
    self.assertIn('\nA sentence.', printed)
    self.assertLessEqual(max(map(len, printed.splitlines())), 100)

  def test_nothing_is_left_out_where_it_fits(self):
    console = rich.console.Console(file=io.StringIO(), width=120)
    comparison.show({'a': ['1'], 'b': ['2']}, [], console, ['b'])
    self.assertNotIn('Left out', console.file.getvalue())


class WriteTest(absltest.TestCase):
  def test_files_appear_whole(self):
    out = pathlib.Path(self.create_tempdir().full_path)
    x = np.arange(3.0)
    panel = panels.Panel('t', 'x', 'y', {'a': panels.Series(x, x, x, x)})
    frame = pd.DataFrame({'treatment': ['a'], 'cells': [[0]]})
    comparison.write(out, 'name', frame, panels.draw([panel], ['a']))
    names = sorted(path.name for path in out.iterdir())
    self.assertEqual(names, ['name.csv', 'name.png', 'name.svg'])
    self.assertEqual((out / 'name.csv').read_text(), 'treatment\na\n')
    self.assertStartsWith((out / 'name.svg').read_text(), '<?xml')


if __name__ == '__main__':
  absltest.main()
