"""What a laboratory compiles can be compiled for a TPU, and for a GPU.

Lowering needs no such device; `lowering.check` says what would show in it. The
programs here are arranged as accelerators have them. What else experiments and
facts compile is lowered where their own tests run it.
"""

import functools

from absl.testing import absltest
from absl.testing import parameterized
import jax
from jaxdl import laboratory
from jaxdl import sweep
from jaxdl.laboratory import recurrent
from jaxdl.sweep import program as program_lib
import numpy as np

from tests import lowering

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


_IMAGES = np.zeros((6, 8, 8, 1), np.float32)
_LABELS = np.zeros(6, np.int32)
_PLATFORMS = ('tpu', 'cuda')


def _check(cell, split, build, data):
  """Lowers the program of a cell, arranged as on accelerators."""
  plan = sweep.plan(
    [cell],
    split,
    devices=jax.devices()[:1],
    num_steps=2,
    chunk_steps=2,
    arrangement='vmap',
  )
  (program,) = plan.programs
  functions, _ = program_lib.trace(
    build(program.static), program, plan, data, cell['batch_size']
  )
  for traced in functions:
    for platform in _PLATFORMS:
      lowering.check(traced, platform)


def _check_study(choices, **options):
  """Lowers the program of a study; `options` are those of its builder."""
  cell = laboratory.complete({**laboratory.DEFAULTS, **_SIZES, **choices})
  build = laboratory.builder((8, 8, 1), 3, **options)
  data = sweep.Data(_IMAGES, _LABELS, _IMAGES, _LABELS)
  _check(cell, laboratory.split, build, data)


class StudyTest(parameterized.TestCase):
  @parameterized.named_parameters(_CASES.items())
  def test_lowers(self, choices):
    _check_study(choices)

  def test_what_is_computed_anew_on_the_way_back_lowers(self):
    model = functools.partial(laboratory.model, rematerialize=True)
    _check_study({'init': 'orthogonal', 'weight_std': 1.0}, make_model=model)


class RecurrentTest(absltest.TestCase):
  def test_lowers(self):
    choices = {'kind': 'lstm', 'clip': 'norm:1.0', 'width': 4, 'batch_size': 2}
    problem = recurrent.PROBLEMS['temporal order']
    drawn = problem.draw(jax.random.key(0), 6, 10)
    _check(
      {**recurrent.DEFAULTS, **choices},
      recurrent.split,
      functools.partial(recurrent.experiment, problem, drawn.inputs.shape[1:]),
      sweep.Data(*map(np.asarray, (*drawn, *drawn))),
    )


if __name__ == '__main__':
  absltest.main()
