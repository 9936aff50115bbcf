"""Tests for `tables.py` and `configurations.py`."""

import io

from absl.testing import absltest
from absl.testing import parameterized
from jaxdl import diagnosis
from jaxdl.report import configurations
from jaxdl.report import tables
import numpy as np
import pandas as pd
import rich.console

from tests import synthetic_record


def _printed(judged, width=100):
  table = tables.terminal(judged, tables.summary(judged), width)
  console = rich.console.Console(file=io.StringIO(), width=width)
  console.print(table)
  return console.file.getvalue()


class SummaryTest(parameterized.TestCase):
  def test_one_row_a_configuration_over_its_seeds(self):
    cells = [{'activation': a, 'seed': s} for a in ('a', 'b') for s in range(3)]
    kinds = ['healthy', 'healthy', 'vanishing', 'dead', 'diverged', 'healthy']
    judged = diagnosis.diagnose(synthetic_record.make(cells, kinds))
    frame = tables.summary(judged).set_index('activation')
    self.assertEqual(frame.loc['a', 'verdict'], 'healthy')
    self.assertEqual(frame.loc['a', 'verdict_seeds'], 2)
    self.assertEqual(frame.loc['a', 'learned_seeds'], 2)
    # Of one each, the worst.
    self.assertEqual(frame.loc['b', 'verdict'], 'diverged')
    accuracy = judged['test_accuracy'].values[:3]
    self.assertAlmostEqual(frame.loc['a', 'test_accuracy'], np.median(accuracy))
    self.assertEqual(frame.loc['a', 'test_accuracy_min'], accuracy.min())
    self.assertEqual(frame.loc['a', 'test_accuracy_max'], accuracy.max())
    self.assertEqual(frame.loc['b', 'nonfinite_direction'], 'forward')
    self.assertEqual(frame.loc['b', 'since'], 13)

  def test_a_median_is_a_bound_only_if_bounds_reach_it(self):
    cells = [{'seed': seed} for seed in range(3)]
    for kinds, expected in (
      (('healthy', 'healthy', 'underflow'), False),
      (('healthy', 'underflow', 'underflow'), True),
    ):
      record = synthetic_record.make(cells, kinds, noise=0)
      frame = tables.summary(diagnosis.diagnose(record))
      self.assertEqual(frame['bound_end'].item(), expected)

  def test_best_comes_first(self):
    judged = diagnosis.diagnose(synthetic_record.study(num_steps=20))
    frame = tables.summary(judged)
    good = (frame['verdict'] == 'healthy') & (frame['learned_seeds'] == 2)
    self.assertTrue(good.iloc[: good.sum()].all())
    self.assertTrue(
      frame['test_accuracy'].iloc[: good.sum()].is_monotonic_decreasing
    )

  def test_csv_reads_back(self):
    judged = diagnosis.diagnose(synthetic_record.study(num_steps=20))
    frame = tables.summary(judged)
    back = pd.read_csv(io.StringIO(tables.csv(frame)), keep_default_na=False)
    self.assertLen(back, 56)
    self.assertEqual(list(back['verdict']), list(frame['verdict']))
    self.assertEqual(list(back['norm']), list(frame['norm']))
    self.assertTrue((back['learning_rate'].astype(float) == 0.1).all())
    np.testing.assert_allclose(
      back['test_accuracy'].astype(float), frame['test_accuracy'], rtol=1e-5
    )
    self.assertNotIn('cells', back)


class TerminalTest(parameterized.TestCase):
  def test_fits_a_hundred_columns_as_plain_text(self):
    judged = diagnosis.diagnose(synthetic_record.study(num_steps=20))
    printed = _printed(judged)
    self.assertNotIn('\x1b', printed)
    self.assertNotIn('…', printed)
    self.assertLessEqual(max(map(len, printed.splitlines())), 100)
    self.assertIn('Left out for width: final loss', printed)
    self.assertRegex(printed, r'sigmoid +none +none +none +vanishing')

  def test_shows_only_axes_that_vary(self):
    cells = [{'norm': norm, 'depth': 10} for norm in ('none', 'batch')]
    record = synthetic_record.make(cells, ['vanishing', 'healthy'], noise=0)
    printed = _printed(diagnosis.diagnose(record))
    self.assertIn('norm', printed)
    self.assertNotIn('depth', printed)
    self.assertIn('-3.6 > -3.6', printed)

  def test_marks_bounds_and_dead_ends(self):
    cells = [{'norm': str(i)} for i in range(3)]
    kinds = ['underflow', 'dead', 'diverged']
    record = synthetic_record.make(cells, kinds, noise=0)
    printed = _printed(diagnosis.diagnose(record))
    self.assertRegex(printed, r'<-27\.7 > <-27\.7')
    self.assertRegex(printed, r'-0\.\d > -inf')
    self.assertRegex(printed, r'13:3')

  def test_markup_in_values_shows_as_text(self):
    cells = [{'norm': norm} for norm in ('[red]none[/red]', 'b')]
    record = synthetic_record.make(cells, ['healthy'] * 2)
    self.assertIn('[red]none[/red]', _printed(diagnosis.diagnose(record)))

  def test_control_characters_do_not_reach_the_terminal(self):
    cells = [{'norm': norm} for norm in ('\x1b[31m', '[/]')]
    record = synthetic_record.make(cells, ['healthy'] * 2)
    printed = _printed(diagnosis.diagnose(record))
    self.assertIn(r'\x1b[31m', printed)
    self.assertNotIn('\x1b', printed)

  def test_one_cell(self):
    record = synthetic_record.make([{'norm': 'none'}], ['nan'], depth=1)
    printed = _printed(diagnosis.diagnose(record))
    self.assertIn('diverged', printed)
    self.assertNotIn('norm', printed)


class ConfigurationsTest(parameterized.TestCase):
  def test_seeds_are_pooled_and_all_cells_kept(self):
    record = synthetic_record.study(num_steps=4, seeds=range(3))
    groups = configurations.configurations(record)
    self.assertLen(groups, 56)
    cells = np.concatenate([group.cells for group in groups])
    self.assertCountEqual(cells, range(168))
    for group in groups:
      for axis, value in group.values.items():
        self.assertTrue((record[axis].values[group.cells] == value).all())

  def test_axes_of_a_selection_are_those_that_vary_in_it(self):
    record = synthetic_record.study(num_steps=4)
    part = record.isel(cell=(record['norm'] == 'batch').values)
    self.assertEqual(
      configurations.varying_axes(part), ['activation', 'shortcut', 'clip']
    )
    self.assertCountEqual(
      configurations.held_axes(part),
      ['norm', 'depth', 'width', 'learning_rate'],
    )

  def test_sizes_that_follow_from_the_model_are_no_axes(self):
    cells = [
      {'model': model, 'depth': depth, 'width': width}
      for model, depth, width in (
        ('mlp', 5, 8),
        ('mlp', 9, 8),
        ('resnet20', 10, 0),
        ('resnet32', 16, 0),
      )
    ]
    record = synthetic_record.make(cells, ['healthy'] * 4)
    self.assertCountEqual(
      configurations.varying_axes(record), ['model', 'depth']
    )
    several = record.isel(cell=[2, 3])
    self.assertEqual(configurations.varying_axes(several), ['model'])
    frame = tables.summary(diagnosis.diagnose(several)).set_index('model')
    self.assertEqual(frame['depth'].to_dict(), {'resnet20': 10, 'resnet32': 16})

  @parameterized.parameters(
    ({'activation': 'relu', 'learning_rate': 0.1}, 'relu, learning_rate=0.1'),
    ({'depth': 30, 'norm': 'none'}, 'depth=30, norm=none'),
    ({}, 'the only configuration'),
  )
  def test_label(self, values, expected):
    self.assertEqual(configurations.label(values), expected)

  def test_treatment_leaves_out_none(self):
    values = {'norm': 'none', 'clip': 'norm:1.0'}
    self.assertEqual(configurations.treatment(values), 'clip=norm:1.0')
    self.assertEqual(configurations.treatment({'norm': 'none'}), 'no cure')


if __name__ == '__main__':
  absltest.main()
