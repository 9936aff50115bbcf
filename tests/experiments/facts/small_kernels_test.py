"""Tests for `experiments/facts/small_kernels.py`."""

from absl.testing import absltest
from absl.testing import parameterized
from experiments.facts import small_kernels
from jaxdl import atlas
from jaxdl.atlas import Verdict
import numpy as np


def _verdicts(data):
  return [atlas.judge(claim).verdict for claim in small_kernels.claims(data)]


class SmallKernelsTest(parameterized.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.data = small_kernels.measure(6, width=2, num_steps=10, norms=['batch'])

  def test_counts_by_hand(self):
    counted = self.data.sel(channels=16)
    squares = np.array([25, 18, 49, 27])
    np.testing.assert_array_equal(counted['weights'], 256 * squares)
    np.testing.assert_array_equal(counted['macs'], 14 * 14 * 256 * squares)
    np.testing.assert_array_equal(counted['depth'], [1, 2, 1, 3])
    np.testing.assert_array_equal(counted['field'], [5, 5, 7, 7])
    self.assertEqual(_verdicts(self.data)[:5], 5 * [Verdict.CONFIRMED])

  @parameterized.parameters(
    ('field', [0]), ('weights', [1, 3]), ('macs', [2]), ('depth', [4])
  )
  def test_equal_numbers_refute(self, name, refuted):
    """As if all blocks were alike, but the field of the stacks larger."""
    wrong = self.data[name].copy()
    wrong[:] = np.array([1, 2, 1, 2] if name == 'field' else 4 * [1])[:, None]
    verdicts = _verdicts(self.data.assign({name: wrong}))[:5]
    for index, verdict in enumerate(verdicts):
      expected = Verdict.REFUTED if index in refuted else Verdict.CONFIRMED
      self.assertEqual(verdict, expected, index)

  @parameterized.parameters((0.7, Verdict.CONFIRMED), (0.6, Verdict.REFUTED))
  def test_accuracy_is_judged_both_ways(self, level, verdict):
    accuracy = self.data['test_accuracy'].copy()
    accuracy[:] = np.array([0.65, level, 0.65, level])[:, None, None]
    found = _verdicts(self.data.assign(test_accuracy=accuracy))
    self.assertEqual(found[-1], verdict)

  def test_draws_costs_training_and_accuracy(self):
    for axes in small_kernels.draw(self.data).get_axes():
      self.assertLen(axes.get_lines(), len(small_kernels.KERNELS))


if __name__ == '__main__':
  absltest.main()
