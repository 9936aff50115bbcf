"""Networks on several devices are recorded as on one.

Eight devices, as groups that share batches: batch norm, statistics of layers
and random numbers are those of the whole batch.
"""

import functools
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import chex
import jax
from jaxdl import laboratory
from jaxdl import sweep
import numpy as np

_SIZES = {'depth': 3, 'width': 8, 'batch_size': 16}
_CASES = (
  {
    'testcase_name': 'batch_norm_residual',
    'choices': {'norm': 'batch', 'shortcut': 'identity'},
    'meshes': ('cells:8', 'cells:4,data:2'),
  },
  {
    'testcase_name': 'random_activation_adam_batch_norm',
    'choices': {'norm': 'batch', 'activation': 'rrelu', 'optimizer': 'adam'},
    'meshes': ('data:8',),
  },
  {
    'testcase_name': 'augmented_convolutions',
    'choices': {'model': 'cnn', 'norm': 'batch', 'augment': 'crop:1+flip'},
    'meshes': ('cells:4,data:2',),
  },
)


@functools.cache
def _data():
  rng = np.random.default_rng(0)
  images = rng.normal(size=(64, 8, 8, 1)).astype(np.float32)
  labels = rng.integers(3, size=64).astype(np.int32)
  return sweep.Data(images, labels, images[:8], labels[:8])


def _record(choices, mesh):
  devices, group_size = sweep.mesh.select(mesh, jax.devices())
  cells = [
    laboratory.complete({**laboratory.DEFAULTS, **_SIZES, **choices, 'seed': s})
    for s in range(3)
  ]
  plan = sweep.plan(
    cells,
    laboratory.split,
    devices=devices,
    num_steps=2,
    chunk_steps=2,
    group_size=group_size,
  )
  with tempfile.TemporaryDirectory() as out:
    build = laboratory.builder((8, 8, 1), 3)
    sweep.run(plan, build, _data(), laboratory.batches(64), out)
    return sweep.open_record(out).load()


class ShardingTest(parameterized.TestCase):
  @parameterized.named_parameters(*_CASES)
  def test_record_is_that_of_one_device(self, choices, meshes):
    expected = _record(choices, 'cells:1')
    for mesh in meshes:
      with self.subTest(mesh):
        actual = _record(choices, mesh)
        self.assertEqual(actual.sizes['cell'], 3)
        chex.assert_trees_all_close(
          {name: actual[name].values for name in expected.data_vars},
          {name: expected[name].values for name in expected.data_vars},
          rtol=1e-4,
          atol=1e-5,
        )


if __name__ == '__main__':
  absltest.main()
