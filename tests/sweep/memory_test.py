"""Tests for `memory.py`."""

from unittest import mock

from absl.testing import absltest
import jax
from jaxdl.sweep import memory
from jaxdl.sweep import program as program_lib
import numpy as np

from tests.sweep import linear_study


def _traced(num_devices=1):
  plan = linear_study.plan({'activation': ['relu']}, num_devices=num_devices)
  (program,) = plan.programs
  functions, shapes = program_lib.trace(
    linear_study.build(program.static),
    program,
    plan,
    linear_study.data(),
    linear_study.BATCH,
  )
  return plan, program, functions, shapes


class MemoryTest(absltest.TestCase):
  def test_tree_bytes(self):
    shapes = (np.zeros(3, np.int8), jax.ShapeDtypeStruct((2, 5), np.float32))
    self.assertEqual(memory.tree_bytes(shapes), 43)

  def test_prediction_from_shapes(self):
    _, program, _, shapes = _traced()
    data = linear_study.data()
    # Four cells with two hidden layers and a readout, no bias; the host keeps
    # two more copies. A step records the loss and three gradients.
    states = 4 * 4 * (20 * 20 + 20 * 20 + 20 * 3)
    metrics = 4 * 4 * 4 * (1 + 3)
    self.assertEqual(
      memory.predict_memory(program, shapes, data),
      memory.tree_bytes(data) + 3 * states + metrics,
    )

  def test_prediction_from_the_compiled_program_is_no_smaller(self):
    _, program, functions, shapes = _traced()
    data = linear_study.data()
    compiled = functions.chunk.lower().compile()
    self.assertGreaterEqual(
      memory.predict_memory(program, shapes, data, compiled),
      memory.predict_memory(program, shapes, data),
    )

  def test_machine_has_memory_left(self):
    self.assertGreater(memory.available_memory(jax.devices()[0]), 2**20)

  def test_accelerator_is_asked_for_its_own(self):
    device = mock.Mock(platform='gpu')
    device.memory_stats.return_value = {'bytes_limit': 90, 'bytes_in_use': 30}
    self.assertEqual(memory.available_memory(device), 60)

  def test_devices_of_one_machine_share_its_memory(self):
    plan, program, _, _ = _traced(num_devices=2)
    available = memory.available_memory(program.devices[0])
    memory.check_memory(plan, program, available // 4)
    with self.assertRaisesRegex(
      ValueError, r'program 0 \(4 cells\) needs about .* GiB on this machine'
    ) as caught:
      memory.check_memory(plan, program, available)
    self.assertNotIn('\n', str(caught.exception))


if __name__ == '__main__':
  absltest.main()
