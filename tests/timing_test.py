"""Tests for `timing.py`."""

import itertools

from absl.testing import absltest
from jaxdl import timing
import numpy as np


class InterleavedTest(absltest.TestCase):
  def test_sides_take_turns(self):
    calls = []
    sides = {name: lambda name=name: calls.append(name) for name in 'ab'}
    times = timing.interleaved(sides, 3)
    self.assertEqual(''.join(calls), 'ababab')
    self.assertEqual(
      {name: len(each) for name, each in times.items()}, {'a': 3, 'b': 3}
    )
    self.assertGreaterEqual(min(times['a'] + times['b']), 0)

  def test_any_clock_tells_the_time(self):
    ticks = itertools.count()
    clock = lambda: np.array([1, 10]) * next(ticks)
    times = timing.interleaved({'a': lambda: None}, 2, clock)
    np.testing.assert_array_equal(times['a'], [[1, 10], [1, 10]])


if __name__ == '__main__':
  absltest.main()
