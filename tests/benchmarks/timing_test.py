"""Tests for `benchmarks/timing.py`."""

from absl.testing import absltest
from benchmarks import results
from benchmarks import timing
import numpy as np


class InterleavedTest(absltest.TestCase):
  def test_sides_take_turns_on_both_clocks(self):
    calls = []
    run = {name: lambda name=name: calls.append(name) for name in 'ab'}
    clocks = timing.interleaved(run, 3)
    self.assertEqual(''.join(calls), 'ababab')
    for side in clocks.values():
      self.assertEqual(np.shape(side), (3, 2))
      self.assertGreaterEqual(np.min(side), 0)


class SidesTest(absltest.TestCase):
  def test_wall_comes_first_in_the_unit_that_is_asked_for(self):
    clocks = {'a': [np.array([1.0, 2.0]), np.array([3.0, 4.0])]}
    (side,) = timing.sides(clocks, 1e3, {'a': 'warm'})
    self.assertEqual(
      side, results.Side('a', (1000.0, 3000.0), (2000.0, 4000.0), 'warm')
    )


class MachineTest(absltest.TestCase):
  def test_usable_cores_are_among_its_own(self):
    machine = timing.machine()
    self.assertBetween(machine.usable, 1, machine.cores)
    self.assertGreaterEqual(machine.load, 0)


if __name__ == '__main__':
  absltest.main()
