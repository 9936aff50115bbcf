"""Tests for `mesh.py`."""

import types

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st
from jaxdl.sweep import mesh


def _devices(*processes, platform='cpu'):
  return [
    types.SimpleNamespace(id=i, process_index=process, platform=platform)
    for i, process in enumerate(processes)
  ]


class SelectTest(parameterized.TestCase):
  @parameterized.parameters(
    ('', 8, 1),
    ('cells:8', 8, 1),
    ('cells:4,data:2', 8, 2),
    ('data:2,cells:4', 8, 2),
    ('data:4', 8, 4),
    ('data:3', 6, 3),
    ('cells:3', 3, 1),
  )
  def test_takes_as_many_devices_as_are_named(self, text, count, group_size):
    devices = _devices(*[0] * 8)
    selected = mesh.select(text, devices)
    self.assertEqual(selected, (tuple(devices[:count]), group_size))

  @parameterized.parameters(
    'cells', 'cells:', 'cells:0', 'cells:-1', 'rows:2', 'cells:2,cells:4',
    'cells:2 data:2', 'data:1.5', 'cells:٣', 'data:' + '9' * 5000,
  )  # fmt: skip
  def test_what_is_no_mesh_is_refused(self, text):
    with self.assertRaisesRegex(ValueError, 'cells and data .* cells:4,data:2'):
      mesh.select(text, _devices(0, 0))

  def test_too_many_devices_are_refused(self):
    with self.assertRaisesRegex(
      ValueError, 'takes 8 devices, and there are 2 .*JAX_NUM_CPU_DEVICES=8'
    ):
      mesh.select('cells:4,data:2', _devices(0, 0))
    with self.assertRaisesRegex(ValueError, 'and there are 2; give'):
      mesh.select('data:4', _devices(0, 0, platform='tpu'))

  @parameterized.parameters(
    ('', 1), ('cells:8', 8), ('data:3', 3), ('cells:4,data:2', 8)
  )
  def test_size_is_what_it_takes_at_least(self, text, size):
    self.assertEqual(mesh.size(text), size)

  def test_several_processes_use_all_devices(self):
    with self.assertRaisesRegex(ValueError, 'in 2 processes: use all of them'):
      mesh.select('cells:3', _devices(0, 0, 1, 1))

  @hypothesis.given(st.text(), st.integers(1, 9))
  def test_any_text_is_a_mesh_or_one_line(self, text, count):
    try:
      selected = mesh.select(text, _devices(*[0] * count))
    except ValueError as error:
      self.assertNotIn('\n', str(error))
    else:
      self.assertEqual(len(selected.devices) % selected.group_size, 0)


if __name__ == '__main__':
  absltest.main()
