"""Tests for `planning.py`."""

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st
import jax
from jaxdl.sweep import planning
import numpy as np


def _split(cell):
  return cell['norm'], {'rate': cell['rate']}


def _cells(*sizes):
  """Returns cells of as many programs as there are sizes."""
  return [
    {'norm': str(program), 'rate': 0.5 * i, 'seed': i}
    for program, size in enumerate(sizes)
    for i in range(size)
  ]


def _plan(cells, num_devices=1, split=_split, **options):
  options = {'num_steps': 10, 'chunk_steps': 4, **options}
  devices = jax.devices()[:num_devices]
  return planning.plan(cells, split, devices=devices, **options)


class PlanTest(parameterized.TestCase):
  def test_cells_with_equal_static_parts_share_a_program(self):
    cells = [
      {'rate': rate, 'norm': norm, 'seed': seed}
      for rate in (0.5, 1.0)
      for norm in ('none', 'batch')
      for seed in (7, 8)
    ]

    plan = _plan(cells)

    self.assertEqual([p.static for p in plan.programs], ['none', 'batch'])
    self.assertEqual([p.first_cell for p in plan.programs], [0, 4])
    self.assertEqual(plan.cells, [cells[i] for i in (0, 1, 4, 5, 2, 3, 6, 7)])
    batch = plan.programs[1]
    np.testing.assert_array_equal(batch.dynamic['rate'], [0.5, 0.5, 1.0, 1.0])
    np.testing.assert_array_equal(batch.seeds, [7, 8, 7, 8])

  def test_static_mapping_is_compared_by_content_and_kept(self):
    def split(cell):
      order = ('norm', 'depth') if cell['seed'] else ('depth', 'norm')
      return {name: {**cell, 'depth': 3}[name] for name in order}, {}

    plan = _plan(_cells(2), split=split)

    self.assertLen(plan.programs, 1)
    self.assertEqual(plan.programs[0].static, {'norm': '0', 'depth': 3})

  @parameterized.named_parameters(
    ('integers', 3, 4, np.int32), ('mixed', 3, 0.5, np.float32)
  )
  def test_dynamic_values_have_one_dtype(self, first, second, dtype):
    cells = [{'norm': 'none', 'rate': rate} for rate in (first, second)]
    dynamic = _plan(cells).programs[0].dynamic
    self.assertEqual(dynamic['rate'].dtype, dtype)
    np.testing.assert_array_equal(_plan(cells).programs[0].seeds, [0, 0])

  @parameterized.named_parameters(
    ('even', (8, 8), 4, 4, 1, [8, 8]),
    ('one_cell_each', (1, 1, 1, 1), 4, 1, 4, [1, 1, 1, 1]),
    ('few_cells', (2, 2), 4, 2, 2, [2, 2]),
    ('odd_pair', (3, 3), 2, 1, 2, [3, 3]),
    ('alone', (3,), 2, 2, 1, [4]),
    ('alone_and_small', (1,), 4, 4, 1, [4]),
    ('unequal', (4, 2, 2), 4, 2, 2, [4, 2, 2]),
  )
  def test_devices(self, sizes, num_devices, width, num_lanes, padded):
    plan = _plan(_cells(*sizes), num_devices)

    self.assertEqual(
      [len(p.devices) for p in plan.programs], [width] * len(sizes)
    )
    self.assertEqual(plan.num_lanes, num_lanes)
    self.assertEqual([p.padded_cells for p in plan.programs], padded)
    self.assertEqual([len(p.cells) for p in plan.programs], list(sizes))

  def test_padding_repeats_the_last_cell(self):
    (program,) = _plan(_cells(3), num_devices=2).programs
    np.testing.assert_array_equal(program.seeds, [0, 1, 2, 2])
    np.testing.assert_array_equal(program.dynamic['rate'], [0, 0.5, 1, 1])

  @hypothesis.given(
    st.lists(st.integers(1, 9), min_size=1, max_size=6),
    st.sampled_from([1, 2, 3, 4]),
  )
  def test_lanes_are_disjoint_and_no_other_width_is_shorter(
    self, sizes, num_devices
  ):
    plan = _plan(_cells(*sizes), num_devices)

    lanes = {p.lane: p.devices for p in plan.programs}
    used = [device for devices in lanes.values() for device in devices]
    self.assertLen(set(used), len(used))
    loads = dict.fromkeys(lanes, 0)
    for p in plan.programs:
      self.assertEqual(p.padded_cells % len(p.devices), 0)
      self.assertLess(p.padded_cells - len(p.cells), len(p.devices))
      loads[p.lane] += p.padded_cells // len(p.devices)
    # One program at a time on all devices is always possible.
    together = sum(-(-size // num_devices) for size in sizes)
    self.assertLessEqual(max(loads.values()), together)
    self.assertGreaterEqual(max(loads.values()) * num_devices, sum(sizes))

  def test_groups_of_devices_share_batches(self):
    plan = _plan(_cells(3), num_devices=4, group_size=2)
    (program,) = plan.programs
    self.assertEqual((program.width, program.padded_cells), (2, 4))
    self.assertLen(program.devices, 4)
    self.assertIn('2 of 2 groups of 2 devices to a program', str(plan))

  @parameterized.parameters((4, 3), (2, 4), (3, 2))
  def test_devices_that_form_no_groups_are_refused(self, devices, group_size):
    with self.assertRaisesRegex(ValueError, f'groups of {group_size}; give a'):
      _plan(_cells(2), devices, group_size=group_size)

  def test_part_has_some_of_the_cells_and_devices(self):
    (program,) = _plan(_cells(7), num_devices=4).programs
    part = program.part(2, 5, program.devices[1:3])
    self.assertEqual(part.cells, program.cells[2:5])
    self.assertEqual((part.first_cell, part.width), (2, 2))
    np.testing.assert_array_equal(part.seeds, [2, 3, 4, 4])
    np.testing.assert_array_equal(part.dynamic['rate'], [1, 1.5, 2, 2])

  def test_chunk_is_no_longer_than_the_run(self):
    self.assertEqual(_plan(_cells(1), chunk_steps=99).chunk_steps, 10)

  def test_text_says_what_and_why(self):
    text = str(_plan(_cells(3), num_devices=2))
    self.assertIn('1 programs, 3 cells, 10 steps in chunks of 4', text)
    self.assertIn('2 of 2 devices to a program', text)
    self.assertIn('2 cells in turn (3 with 1)', text)
    self.assertIn('by map, as suits a cpu', text)
    self.assertIn('program 0: 3 cells (+1 copies) on 2 devices', text)

  def test_asked_arrangement_is_taken(self):
    plan = _plan(_cells(1), arrangement='vmap')
    self.assertEqual(plan.arrangement, 'vmap')
    self.assertIn('by vmap, as asked', str(plan))

  @parameterized.named_parameters(
    ('cells', [], {}, 'no cell'),
    ('devices', _cells(1), {'num_devices': 0}, 'no device'),
    ('steps', _cells(1), {'num_steps': 0}, 'num_steps is 0'),
    ('chunk', _cells(1), {'chunk_steps': -1}, 'chunk_steps is -1'),
    (
      'arrangement',
      _cells(1),
      {'arrangement': 'pmap'},
      "'map', 'vmap', 'loop'",
    ),
    ('seed', [{'norm': '', 'rate': 0.0, 'seed': -1}], {}, 'seed is -1'),
    ('axes', [*_cells(1), {'norm': '0'}], {}, 'different axes'),
    (
      'dynamic',
      _cells(2),
      {'split': lambda cell: ('', {str(cell['seed']): 1})},
      'different dynamic values',
    ),
  )
  def test_mistake_is_said_in_one_line(self, cells, options, message):
    with self.assertRaisesRegex(ValueError, message) as caught:
      _plan(cells, **options)
    self.assertNotIn('\n', str(caught.exception))


if __name__ == '__main__':
  absltest.main()
