"""What a study compiles can be compiled for a TPU, and for a GPU.

Lowering needs no such device. A step that asks the host for something, or has
no static shape, does not lower, or shows a callback.
"""

from absl.testing import absltest
from absl.testing import parameterized
import jax
from jaxdl import laboratory
from jaxdl import sweep
from jaxdl.sweep import program as program_lib
import numpy as np

_SIZES = {'depth': 3, 'width': 8, 'batch_size': 4}
_CASES = {
  'default': {},
  'batch_norm_residual_value_clip': {
    'norm': 'batch',
    'shortcut': 'identity',
    'clip': 'value:1.0',
  },
  'layer_norm_highway_adaptive_clip': {
    'norm': 'layer',
    'shortcut': 'highway',
    'clip': 'adaptive:0.01',
  },
  'random_activation_adam': {'activation': 'rrelu', 'optimizer': 'adam'},
  'learned_activation_decay': {'activation': 'prelu', 'weight_decay': 1e-4},
  'erf_orthogonal': {
    'activation': 'erf',
    'init': 'orthogonal',
    'weight_std': 1.1,
    'bias_std': 0.1,
  },
  'half_precision': {'compute_dtype': 'bfloat16', 'norm': 'batch'},
  'augmented_convolutions': {'model': 'cnn', 'augment': 'crop:1+flip'},
  'delta_orthogonal_convolutions': {
    'model': 'cnn',
    'init': 'delta_orthogonal',
    'weight_std': 1.0,
  },
  'resnet': {'model': 'resnet20', 'norm': 'own', 'shortcut': 'own'},
}


class LoweringTest(parameterized.TestCase):
  @parameterized.named_parameters(_CASES.items())
  def test_program_lowers_without_asking_the_host(self, choices):
    cell = laboratory.complete({**laboratory.DEFAULTS, **_SIZES, **choices})
    plan = sweep.plan(
      [cell],
      laboratory.split,
      devices=jax.devices()[:1],
      num_steps=2,
      chunk_steps=2,
      arrangement='vmap',  # That of accelerators.
    )
    images, labels = np.zeros((6, 8, 8, 1), np.float32), np.zeros(6, np.int32)
    (program,) = plan.programs
    functions, _ = program_lib.trace(
      laboratory.builder((8, 8, 1), 3)(program.static),
      program,
      plan,
      sweep.Data(images, labels, images, labels),
      cell['batch_size'],
    )
    for traced in functions:
      for platform in ('tpu', 'cuda'):
        text = traced.lower(lowering_platforms=(platform,)).as_text()
        self.assertIn('func.func public @main', text)
        self.assertNotIn('callback', text)


if __name__ == '__main__':
  absltest.main()
