"""Records with known verdicts, for tests of what reads records.

No training: each kind of cell is a formula, with noise, for what the gradient
and the activations of such a network look like.
"""

from collections.abc import Iterable, Mapping, Sequence
import itertools
import json
from typing import Any

import numpy as np
import xarray as xr

_PER_LAYER = (
  'activation_mean',
  'activation_std',
  'activation_rms',
  'activation_max_abs',
  'activation_zero',
  'activation_dead',
  'activation_saturated',
  'cotangent_rms',
  'cotangent_max_abs',
  'gradient_norm',
  'gradient_rms',
  'gradient_removed',
  'parameter_norm',
  'update_ratio',
)
_PER_STEP = (
  'loss',
  'accuracy',
  'global_gradient_norm',
  'global_gradient_norm_clipped',
  'clip_bound',
)
_RATES = {'vanishing': -0.4, 'exploding': 0.4}


def make(
  cells: Sequence[Mapping[str, Any]],
  kinds: Sequence[str],
  *,
  num_steps: int = 40,
  depth: int = 10,
  noise: float = 0.05,
  seed: int = 0,
) -> xr.Dataset:
  """Makes a record with one cell for each of `cells`, of the kind named.

  Kinds: `healthy`, `vanishing`, `exploding`, `escaped` (vanishing at first,
  then healthy), `diverged`, `diverged_backward`, `dead`, `saturated`,
  `underflow`, `nan` (from the first step), `unmeasured`.

  Args:
    cells: the axes' values of each cell; `depth` and `seed` have defaults.
    kinds: the kind of each cell.
    num_steps: number of recorded steps.
    depth: number of hidden layers, where a cell does not say.
    noise: standard deviation of the profile's residuals, in decades.
    seed: of the noise.

  Returns:
    A record (see `docs/architecture.md`).
  """
  cells = [{'depth': depth, 'seed': 0, **cell} for cell in cells]
  generator = np.random.default_rng(seed)
  num_layers = max(cell['depth'] for cell in cells) + 1
  parts = [
    _cell(kind, cell, num_steps, num_layers, noise, generator)
    for cell, kind in zip(cells, kinds, strict=True)
  ]
  dims = {
    **dict.fromkeys(_PER_LAYER, ('cell', 'step', 'layer')),
    **dict.fromkeys(_PER_STEP, ('cell', 'step')),
    **dict.fromkeys(('test_loss', 'test_accuracy', 'steps_done'), ('cell',)),
  }
  data = {
    name: (dim, np.stack([part[name] for part in parts]).astype(np.float32))
    for name, dim in dims.items()
  }
  axes = {name: [cell[name] for cell in cells] for name in cells[0]}
  coords = {name: ('cell', values) for name, values in axes.items()}
  coords |= {'step': np.arange(num_steps), 'layer': np.arange(num_layers) + 1}
  varying = [name for name, values in axes.items() if len(set(values)) > 1]
  record = xr.Dataset(data, coords, _attributes(varying))
  return record.set_index(cell=list(axes))


def study(
  num_steps: int = 40, depth: int = 10, seeds: Iterable[int] = range(2)
) -> xr.Dataset:
  """A record of every cure tried on seven activations, 56 configurations."""
  axes = {
    'activation': (
      'sigmoid',
      'tanh',
      'relu',
      'leaky_relu:0.2',
      'elu:1.0',
      'selu',
      'gelu',
    ),
    'norm': ('none', 'batch'),
    'shortcut': ('none', 'identity'),
    'clip': ('none', 'norm:1.0'),
    'seed': tuple(seeds),
  }
  cells = [
    dict(zip(axes, values, strict=True))
    for values in itertools.product(*axes.values())
  ]
  kinds = [_kind(**cell) for cell in cells]
  fixed = {'width': 128, 'learning_rate': 0.1}
  cells = [{**cell, **fixed} for cell in cells]
  return make(cells, kinds, num_steps=num_steps, depth=depth)


def _kind(activation, norm, shortcut, clip, seed) -> str:
  if activation == 'sigmoid':
    return 'healthy' if norm == 'batch' else 'vanishing'
  if norm == 'none' and shortcut == 'identity':
    return 'diverged' if clip == 'none' else 'exploding'
  if activation == 'relu' and norm == 'none' and seed == 1:
    return 'dead'
  if activation == 'tanh' and norm == 'none':
    return 'escaped'
  return 'healthy'


def _attributes(varying: Sequence[str]) -> dict[str, Any]:
  return {
    'format_version': 1,
    'jaxdl_version': '0.1.0',
    'data': 'digits',
    'axes': json.dumps(varying),
    'num_classes': 10,
    'devices': 'cpu x 2',
    'versions': json.dumps({'jax': '0.10.2', 'numpy': '2.4.6'}),
    'command': 'python -m experiments.gradient_flow --activations=tanh',
  }


def _cell(kind, cell, num_steps, num_layers, noise, generator):
  """One cell's arrays: a healthy network, altered as its kind is."""
  depth = cell['depth']
  arrays = _healthy(kind, cell, num_steps, num_layers, noise, generator)
  if kind == 'dead':
    _die(arrays, layer=max(depth // 2, 1), step=num_steps // 4)
  elif kind == 'saturated':
    arrays['activation_saturated'][:, depth - 1] = 0.99
  elif kind == 'diverged':
    _break(arrays, num_steps // 3, layer=min(3, depth), forward=True)
  elif kind == 'diverged_backward':
    _break(arrays, num_steps // 3, layer=min(3, depth), forward=False)
  elif kind == 'nan':
    _break(arrays, 0, layer=1, forward=True)
  elif kind == 'unmeasured':
    arrays = {name: np.full(x.shape, np.nan) for name, x in arrays.items()}
    arrays['steps_done'] = np.array(0.0)
  for name in _PER_LAYER:
    arrays[name][:, depth + 1 :] = np.nan
  return arrays


def _healthy(kind, cell, num_steps, num_layers, noise, generator):
  depth = cell['depth']
  distance = depth - np.arange(1, num_layers + 1)
  rate = _RATES.get(kind, -0.01)
  rates = np.full((num_steps, 1), -5.0 if kind == 'underflow' else rate)
  if kind == 'escaped':
    rates[: num_steps // 4] = -0.8
  shape = (num_steps, num_layers)
  jitter = noise * generator.normal(size=(num_steps, num_layers))
  with np.errstate(over='ignore'):
    rms = np.float32(10.0 ** np.clip(-3 + rates * distance + jitter, -60, 30))
  learned = kind in ('healthy', 'escaped', 'saturated')
  progress = np.linspace(0, 0.9 if learned else 0.02, num_steps)
  spread = 0.02 * generator.normal(size=num_steps)
  ones = np.ones(shape)
  relu = str(cell.get('activation', 'relu')).startswith('relu')
  clipped = str(cell.get('clip', 'none')) != 'none'
  norm = np.full(num_steps, 5.0)
  test = progress[-1] * 0.9 + 0.1 + 0.01 * generator.normal()
  return {
    'activation_mean': 0.1 * ones,
    'activation_std': ones * 10.0 ** (0.01 * distance),
    'activation_rms': ones,
    'activation_max_abs': 3 * ones,
    'activation_zero': 0.5 * ones * relu,
    'activation_dead': 0.1 * ones * relu,
    'activation_saturated': ones * (np.nan if relu else 0.05),
    'cotangent_rms': rms,
    'cotangent_max_abs': np.float32(4) * rms,
    'gradient_norm': np.float32(10) * rms,
    'gradient_rms': rms.copy(),
    'gradient_removed': ones * (0.8 if clipped else 0.0),
    'parameter_norm': 10 * ones,
    'update_ratio': 1e-3 * ones,
    'loss': 2.3 * (1 - progress) * np.exp(spread),
    'accuracy': 0.1 + 0.9 * progress,
    'global_gradient_norm': norm,
    'global_gradient_norm_clipped': np.minimum(norm, 1.0 if clipped else 5.0),
    'clip_bound': np.full(num_steps, float(clipped)),
    'test_loss': np.array(2.3 * (1 - progress[-1])),
    'test_accuracy': np.clip(test, 0, 1),
    'steps_done': np.array(num_steps),
  }


def _die(arrays, *, layer: int, step: int):
  """Kills all units of a layer, so that no gradient gets below it."""
  arrays['activation_dead'][step:, layer - 1] = 1.0
  arrays['activation_zero'][step:, layer - 1] = 1.0
  for name in _PER_LAYER:
    if name.startswith(('cotangent', 'gradient')):
      arrays[name][step:, : layer - 1] = 0.0


def _break(arrays, step: int, *, layer: int, forward: bool):
  """Puts NaN in a layer at a step, and everywhere thereafter."""
  for name in _PER_LAYER:
    first = step + 1
    if not forward and name.startswith('activation'):
      arrays[name][first:] = np.nan
    elif name.startswith('activation'):
      arrays[name][first:] = np.nan
      arrays[name][step, layer - 1 :] = np.nan
    else:
      arrays[name][first:] = np.nan
      arrays[name][step, : None if forward else layer] = np.nan
  arrays['loss'][step if forward else step + 1 :] = np.nan
  arrays['accuracy'][step:] = 0.1
  arrays['test_loss'] = np.array(np.nan)
  arrays['test_accuracy'] = np.array(0.1)
