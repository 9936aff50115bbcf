"""What a laboratory compiles can be compiled for a TPU, and for a GPU.

Lowering needs no such device; `lowering.check` says what would show in it.
"""

import functools

from absl.testing import absltest
from absl.testing import parameterized
import jax
from jaxdl import laboratory
from jaxdl import sweep
from jaxdl.data import sources
from jaxdl.laboratory import backward
from jaxdl.laboratory import inactivity
from jaxdl.laboratory import initialization
from jaxdl.laboratory import recurrent
from jaxdl.models import recurrent as recurrent_models
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

  @parameterized.parameters(
    laboratory.on_both_splits, laboratory.on_test_split_and_shifts
  )
  def test_lowers_without_layers_however_it_is_evaluated(self, evaluate):
    _check_study({}, layerwise=False, evaluate=evaluate)

  def test_what_is_computed_anew_on_the_way_back_lowers(self):
    model = functools.partial(laboratory.model, rematerialize=True)
    _check_study({'init': 'orthogonal', 'weight_std': 1.0}, make_model=model)

  def test_watched_units_lower(self):
    cell = laboratory.complete({**laboratory.DEFAULTS, **_SIZES})
    build = laboratory.builder((8, 8, 1), 3, layerwise=False)
    _check(
      cell,
      laboratory.split,
      inactivity.watching(build, _IMAGES, 3),
      sweep.Data(_IMAGES, _LABELS, _IMAGES, _LABELS),
    )


class RecurrentTest(parameterized.TestCase):
  @parameterized.parameters(
    ('adding', 'rnn', 'none'), ('temporal order', 'lstm', 'norm:1.0')
  )
  def test_lowers(self, problem, kind, clip):
    choices = {'kind': kind, 'clip': clip, 'width': 4, 'batch_size': 2}
    chosen = recurrent.PROBLEMS[problem]
    drawn = chosen.draw(jax.random.key(0), 6, 10)
    _check(
      {**recurrent.DEFAULTS, **choices},
      recurrent.split,
      functools.partial(recurrent.experiment, chosen, drawn.inputs.shape[1:]),
      sweep.Data(*map(np.asarray, (*drawn, *drawn))),
    )


class BeforeTrainingTest(absltest.TestCase):
  """What is measured before training is lowered, and then runs here."""

  def test_signals_gradients_and_correlations(self):
    inputs = np.random.default_rng(0).normal(size=(1, 2, 3))
    with lowering.too() as checked:
      initialization.measure(
        'tanh', [1.0], [0.1], inputs, width=4, depth=2, num_seeds=1
      )
    self.assertLen(checked, 1)

  def test_gradients_over_layers(self):
    dataset = sources.Dataset(
      _IMAGES, _LABELS, _IMAGES, _LABELS, num_classes=3, name='zeros'
    )
    with lowering.too() as checked:
      backward.log_cotangents(_SIZES, dataset, 1)
    self.assertLen(checked, 1)

  def test_gradients_through_time(self):
    def model(scale, num_outputs):
      del scale
      return recurrent_models.recurrent(
        cell='lstm', width=4, num_outputs=num_outputs
      )

    with lowering.too() as checked:
      recurrent.log_cotangents_in_time(
        'adding', 'lstm', model, [1.0], length=10, num_seeds=1
      )
    self.assertLen(checked, 1)


if __name__ == '__main__':
  absltest.main()
