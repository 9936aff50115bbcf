"""Tests for `atlas/intervals.py`."""

from absl.testing import absltest
from absl.testing import parameterized
from jaxdl.atlas import intervals
import numpy as np


class OfMedianTest(parameterized.TestCase):
  def test_six_seeds_are_spanned(self):
    found = intervals.of_median(np.array([3.0, 1, 2, 6, 5, 4]))
    self.assertEqual(found, (3.5, 1.0, 6.0, 6, 1 - 2 / 2**6))

  @parameterized.parameters(
    # Ranks of the 95% interval as tabulated (Conover, 1999, table A3).
    (8, 1, 8),
    (9, 2, 8),
    (12, 3, 10),
    (20, 6, 15),
    (30, 10, 21),
  )
  def test_ranks_are_those_of_the_tables(self, count, low, high):
    found = intervals.of_median(np.arange(1.0, count + 1)[::-1])
    self.assertEqual((found.low, found.high), (low, high))

  @parameterized.parameters(6, 9, 20)
  def test_holds_the_median_as_often_as_it_says(self, count):
    draws = np.random.default_rng(0).lognormal(size=(4000, count))
    found = [intervals.of_median(draw) for draw in draws]
    held = np.mean([each.low <= 1.0 <= each.high for each in found])
    self.assertAlmostEqual(held, found[0].confidence, delta=0.015)
    self.assertGreaterEqual(found[0].confidence, intervals.CONFIDENCE)

  def test_what_never_came_is_infinite(self):
    found = intervals.of_median(
      np.array([10.0, 20, 30, np.inf, np.inf, np.inf])
    )
    self.assertEqual((found.low, found.high), (10.0, np.inf))
    self.assertEqual(found.middle, np.inf)
    never = intervals.of_median(np.full(6, np.inf))
    self.assertEqual((never.middle, never.low), (np.inf, np.inf))

  def test_refuses_too_few_seeds_and_nothing_known(self):
    with self.assertRaisesRegex(ValueError, '5 seeds .* at least 6'):
      intervals.of_median(np.arange(5.0))
    with self.assertRaisesRegex(ValueError, 'all 6 samples are NaN'):
      intervals.of_median(np.full(6, np.nan))

  def test_what_is_unknown_may_be_at_either_end(self):
    found = intervals.of_median(np.array([3.0, 1, np.nan, 2, 5, 4]))
    self.assertEqual(found[:3], (3.0, -np.inf, np.inf))
    many = intervals.of_median(np.array([*np.arange(19.0), np.nan]))
    self.assertEqual((many.low, many.high), (4.0, 14.0))  # Of ranks 6 and 15.


class OfAllTest(absltest.TestCase):
  def test_spans_all_samples(self):
    found = intervals.of_all(np.array([[2.0, 1.0], [7.0, 3.0]]))
    self.assertEqual(found, (2.5, 1.0, 7.0, 4, 1.0))

  def test_refuses_none(self):
    with self.assertRaisesRegex(ValueError, 'no samples'):
      intervals.of_all(np.array([]))


if __name__ == '__main__':
  absltest.main()
