"""Tests for `benchmarks/clocks.py`."""

from absl.testing import absltest
from benchmarks import clocks
from benchmarks import results
import numpy as np


class SidesTest(absltest.TestCase):
  def test_wall_comes_first_in_the_unit_that_is_asked_for(self):
    readings = {'a': [np.array([1.0, 2.0]), np.array([3.0, 4.0])]}
    (side,) = clocks.sides(readings, 1e3, {'a': 'warm'})
    self.assertEqual(
      side, results.Side('a', (1000.0, 3000.0), (2000.0, 4000.0), 'warm')
    )


class MachineTest(absltest.TestCase):
  def test_usable_cores_are_among_its_own(self):
    machine = clocks.machine()
    self.assertBetween(machine.usable, 1, machine.cores)
    self.assertGreaterEqual(machine.load, 0)


if __name__ == '__main__':
  absltest.main()
