"""Tests for `words.py`."""

from absl.testing import absltest
from jaxdl import diagnosis
from jaxdl.report import tables
from jaxdl.report import words
import numpy as np

from tests import synthetic_record


def _record(cells, kinds, accuracies, **kwargs):
  record = synthetic_record.make(cells, kinds, noise=0, **kwargs)
  record['test_accuracy'].values[:] = accuracies
  return record


def _answer(record):
  judged = diagnosis.diagnose(record)
  passages = words.answer(judged, tables.summary(judged))
  return '\n'.join(
    line for passage in passages for line in (passage.text, *passage.items)
  )


def _cured():
  cells = [
    {'activation': activation, 'norm': norm, 'clip': clip}
    for activation in ('sigmoid', 'relu')
    for norm in ('none', 'batch')
    for clip in ('none', 'norm:1.0')
  ]
  kinds = ['vanishing', 'vanishing'] + ['healthy'] * 6
  accuracies = [0.1, 0.12, 0.84, 0.85, 0.9, 0.9, 0.95, 0.94]
  return _record(cells, kinds, accuracies)


class AnswerTest(absltest.TestCase):
  def test_counts_and_names_the_best(self):
    answer = _answer(_cured())
    self.assertIn('8 configurations: 6 healthy and 2 vanishing.', answer)
    self.assertIn('6 learned (chance is 10%)', answer)
    self.assertIn('95%, by relu, norm=batch, clip=none', answer)

  def test_says_what_cured_what(self):
    answer = _answer(_cured())
    self.assertIn(
      'Without any cure (norm and clip: none) there are 2 configurations: '
      '1 healthy and 1 vanishing at the first step; 1 learned.',
      answer,
    )
    self.assertIn('steepest loss is sigmoid: 3.6 decades', answer)
    self.assertIn(
      'sigmoid, at 10% without a cure: norm=batch took it to 84%; '
      'clip=norm:1.0 (12%) did not make it learn.',
      answer,
    )

  def test_compares_pairs(self):
    answer = _answer(_cured())
    # Differences 74, 73, 5 and 4 points.
    self.assertIn(
      'norm=batch: +39.0 points of test accuracy in the median of 4 pairs, '
      'better by more than a point in 4, worse in 0.',
      answer,
    )
    self.assertIn('by activation: relu 92%, sigmoid 48%.', answer)

  def test_pairs_are_equal_in_all_other_axes(self):
    judged = diagnosis.diagnose(_cured())
    changes = words.differences(judged, 'norm', 'batch', 'none')
    np.testing.assert_allclose(changes, [0.74, 0.73, 0.05, 0.04], atol=1e-6)

  def test_warns_of_a_hidden_learning_rate(self):
    answer = _answer(_cured())
    self.assertIn('in 4 configurations, where it removed 80%', answer)
    self.assertIn('hidden learning rate', answer)

  def test_several_cures_together(self):
    cells = [
      {'norm': norm, 'shortcut': shortcut}
      for norm in ('none', 'batch')
      for shortcut in ('none', 'identity')
    ]
    kinds = ['vanishing'] * 3 + ['healthy']
    answer = _answer(_record(cells, kinds, [0.1, 0.1, 0.1, 0.8]))
    self.assertIn(
      'the network, at 10% without a cure: no cure alone made it learn, '
      'norm=batch and shortcut=identity together took it to 80%.',
      answer,
    )

  def test_nothing_helped(self):
    cells = [{'norm': norm} for norm in ('none', 'batch')]
    answer = _answer(_record(cells, ['vanishing'] * 2, [0.1, 0.1]))
    self.assertIn('Nothing tried made the network learn.', answer)

  def test_axes_without_a_cure(self):
    cells = [
      {'learning_rate': rate, 'depth': depth}
      for rate in (0.01, 0.1)
      for depth in (4, 8)
    ]
    answer = _answer(_record(cells, ['healthy'] * 4, [0.5, 0.6, 0.7, 0.9]))
    self.assertNotIn('cure', answer)
    self.assertIn('by learning_rate: 0.1 80%, 0.01 55%.', answer)
    self.assertIn('by depth: 8 75%, 4 60%.', answer)

  def test_ranks_what_is_equal_in_all_else(self):
    cells = [
      {'model': 'resnet', 'shortcut': 'none'},
      {'model': 'resnet', 'shortcut': 'identity'},
      {'model': 'plain', 'shortcut': 'none'},
    ]
    answer = _answer(_record(cells, ['healthy'] * 3, [0.4, 0.0, 0.3]))
    self.assertIn('by model, all else equal: resnet 40%, plain 30%.', answer)

  def test_ranks_what_has_nothing_in_common(self):
    cells = [
      {'model': 'mlp', 'depth': 5},
      {'model': 'mlp', 'depth': 7},
      {'model': 'resnet', 'depth': 10},
    ]
    answer = _answer(_record(cells, ['healthy'] * 3, [0.4, 0.6, 0.7]))
    self.assertIn('by model: resnet 70%, mlp 50%.', answer)

  def test_one_cell(self):
    answer = _answer(_record([{'norm': 'none'}], ['healthy'], [0.9]))
    self.assertStartsWith(answer, '1 configuration: 1 healthy. 1 learned')
    self.assertIn('the best test accuracy is 90%.', answer)

  def test_unfinished(self):
    cells = [{'norm': norm} for norm in ('none', 'batch')]
    record = _record(cells, ['unmeasured', 'healthy'], [np.nan, np.nan])
    answer = _answer(record)
    self.assertIn('None is finished', answer)
    self.assertIn('1 run had not begun.', answer)

  def test_underflow_is_said_to_be_a_bound(self):
    cells = [{'norm': norm} for norm in ('none', 'batch')]
    answer = _answer(_record(cells, ['underflow', 'healthy'], [0.1, 0.9]))
    self.assertIn('more than 27.7 decades', answer)
    self.assertIn('In 1 run the cotangent falls so low', answer)

  def assertStartsWith(self, text, prefix):
    self.assertEqual(text[: len(prefix)], prefix)


if __name__ == '__main__':
  absltest.main()
