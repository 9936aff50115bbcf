"""Tests for `parts.py`."""

import types

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st
from jaxdl.sweep import parts
from jaxdl.sweep import planning
import numpy as np


def _plan(sizes, num_processes, devices_each, group_size=1):
  devices = [
    types.SimpleNamespace(process_index=process, id=i, platform='cpu')
    for process in range(num_processes)
    for i in range(devices_each * group_size)
  ]
  cells = [
    {'norm': str(program), 'seed': i}
    for program, size in enumerate(sizes)
    for i in range(size)
  ]
  return planning.plan(
    cells,
    lambda cell: (cell['norm'], {}),
    devices=devices,
    num_steps=10,
    chunk_steps=4,
    group_size=group_size,
  )


def _ranges(programs):
  return [(p.first_cell, p.first_cell + len(p.cells)) for p in programs]


class PartsTest(parameterized.TestCase):
  def test_process_alone_has_every_program_whole(self):
    plan = _plan([3, 2], 1, 2)
    (first, second) = parts.of_process(plan, 0)
    self.assertEqual(_ranges([first, second]), [(0, 3), (3, 5)])
    self.assertEqual(first.devices, plan.programs[0].devices)
    np.testing.assert_array_equal(first.seeds, plan.programs[0].seeds)

  def test_large_program_is_shared_out(self):
    plan = _plan([8], 2, 2)
    for process, expected in ((0, (0, 4)), (1, (4, 8))):
      (part,) = parts.of_process(plan, process)
      self.assertEqual(_ranges([part]), [expected])
      self.assertEqual({d.process_index for d in part.devices}, {process})

  def test_small_programs_are_not(self):
    # Each process compiles its own programs alone.
    plan = _plan([2, 2, 2, 2], 2, 2)
    owned = [parts.of_process(plan, process) for process in (0, 1)]
    self.assertEqual([len(programs) for programs in owned], [2, 2])
    self.assertEqual({len(p.cells) for part in owned for p in part}, {2})

  def test_process_without_a_cell_has_no_part(self):
    plan = _plan([1], 2, 1)
    self.assertEqual(
      sorted(len(parts.of_process(plan, process)) for process in (0, 1)), [0, 1]
    )

  @hypothesis.given(
    st.lists(st.integers(1, 9), min_size=1, max_size=5),
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(1, 2),
    st.integers(1, 4),
  )
  def test_each_cell_has_one_process_and_no_file_two(
    self, sizes, num_processes, devices_each, group_size, unit
  ):
    sizes = [unit * size for size in sizes]
    plan = _plan(sizes, num_processes, devices_each, group_size)
    trained = []
    for process in range(num_processes):
      for part in parts.of_process(plan, process, unit):
        self.assertEqual(part.first_cell % unit, 0)
        self.assertEqual(len(part.cells) % unit, 0)
        self.assertEqual({d.process_index for d in part.devices}, {process})
        self.assertEqual(len(part.devices), part.width * group_size)
        trained += range(part.first_cell, part.first_cell + len(part.cells))
    self.assertCountEqual(trained, range(sum(sizes)))

  def test_file_holds_no_cells_of_two_parts(self):
    self.assertEqual(parts.unit(_plan([4, 6], 1, 1)), 2)
    self.assertEqual(parts.unit(_plan([1024], 1, 1)), 64)
    self.assertEqual(parts.unit(_plan([12], 4, 1)), 3)

  def test_cells_go_on_from_where_each_is(self):
    (program, other) = parts.of_process(_plan([5, 2], 1, 1), 0)
    steps = np.array([4, 4, 8, 10, 4, 10, 10])
    left = parts.pending([program, other], steps, 10)
    self.assertEqual(_ranges(left), [(0, 2), (2, 3), (4, 5)])
    np.testing.assert_array_equal(left[1].seeds, [2])


if __name__ == '__main__':
  absltest.main()
