"""The axes of a study, and what of a cell is static and what dynamic.

A cell maps each axis to a value. Choices are strings, which may carry numbers
(`leaky_relu:0.2`); the rest are numbers. Names, shapes and kinds of layers are
static: cells that share them share a compiled program. Seeds, rates,
thresholds and scales are dynamic: they enter the program as arrays.
"""

from collections.abc import Callable, Iterable, Mapping
import math
from typing import NamedTuple

from jaxdl import activations
from jaxdl import choice
from jaxdl import sweep
from jaxdl import training
from jaxdl.data import augmentation
from jaxdl.layers import initializers
from jaxdl.models import zoo

COMPUTE_DTYPES = ('float32', 'bfloat16')
_SCALES = {'residual_scale': 1.0, 'shortcut_scale': 1.0}
# The numbers of each shortcut: the scales of the branch and of the shortcut
# beside it, and the gate's bias.
SHORTCUTS = {
  'none': {},
  'identity': _SCALES,
  'projection': _SCALES,
  'highway': {'gate_bias': -2.0},
}

# Weights of variance weight_std^2 / fan_in.
SCALED_INITS = {
  'normal': initializers.normal_fan_in,
  'orthogonal': initializers.orthogonal,
  'delta_orthogonal': initializers.delta_orthogonal,
}

# To be raised when a cell draws other numbers from its seed than before;
# a study begun under another value cannot go on.
DRAWING = 2

_SIZES = ('depth', 'width')
_LARGEST = 1_000_000  # Depth, width or batch; beyond it sizes overflow.
_LARGEST_FLOAT = 2.0**128 - 2.0**104  # Of float32.

# Every axis of a cell, with the value it has where it is not given; in a model
# with sizes of its own `complete` fills these in. A cell has `weight_std` only
# where `init` is one of `SCALED_INITS`, to which it is the scale.
DEFAULTS: dict[str, sweep.grid.Value] = {
  'model': 'mlp',
  'activation': 'relu',
  'norm': 'none',
  'shortcut': 'none',
  'clip': 'none',
  'init': 'he',
  'bias_std': 0.0,
  'optimizer': 'sgd',
  'learning_rate': 0.01,
  'weight_decay': 0.0,
  'augment': 'none',
  'compute_dtype': 'float32',
  'depth': 30,
  'width': 128,
  'batch_size': 128,
  'seed': 0,
}


class Static(NamedTuple):
  """What of a cell changes its program."""

  model: str
  activation: str
  norm: str
  shortcut: str
  clip: str
  init: str
  has_random_biases: bool
  optimizer: str
  decays: bool
  augment: str
  compute_dtype: str
  depth: int
  width: int
  batch_size: int


def split(cell: sweep.Cell) -> tuple[Static, dict[str, float]]:
  """Splits a cell into what is static and what is dynamic.

  Args:
    cell: a value for each axis of `DEFAULTS`, and perhaps `weight_std`, as
      `complete` returns it.

  Returns:
    The static part, and the dynamic one: scalars by name.

  Raises:
    ValueError: a name that is unknown, or a number out of its range.
  """
  _check_numbers(cell)
  activation = _parse(cell, 'activation', _activation_numbers)
  shortcut = _shortcut(cell)
  clip, threshold = clipping(cell)
  optimizer = _parse(cell, 'optimizer', training.optimizer.hyperparameters)
  _check_ranges(activation, optimizer)
  if 'weight_std' in cell:
    choice.choose(
      'initializer with weight_std', str(cell['init']), SCALED_INITS
    )
  else:
    initializers.get(str(cell['init']))
  augmentation.augmentation(str(cell['augment']))
  name = str(cell['model'])
  static = Static(
    model=name,
    activation=activation.name,
    norm=zoo.chosen(name, 'norm', str(cell['norm'])),
    shortcut=shortcut.name,
    clip=clip,
    init=str(cell['init']),
    has_random_biases=float(cell['bias_std']) > 0,
    optimizer=optimizer.name,
    decays=float(cell['weight_decay']) > 0,
    augment=str(cell['augment']),
    compute_dtype=_known('compute_dtype', cell, COMPUTE_DTYPES),
    depth=int(cell['depth']),
    width=int(cell['width']),
    batch_size=int(cell['batch_size']),
  )
  dynamic = {
    'learning_rate': cell['learning_rate'],
    'weight_decay': cell['weight_decay'],
    'bias_std': cell['bias_std'],
    'clip.threshold': threshold,
    **_prefixed('activation', activation.numbers),
    **_prefixed('shortcut', shortcut.numbers),
    **_prefixed('optimizer', optimizer.numbers),
  }
  if 'weight_std' in cell:
    dynamic['weight_std'] = cell['weight_std']
  return static, {name: float(value) for name, value in dynamic.items()}


def clipping(cell: sweep.Cell) -> tuple[str, float]:
  """Returns how a cell clips, and the threshold.

  Not to clip is to clip the norm at infinity, in the same program.

  Args:
    cell: its `clip` is `none`, or a name of `training.clipping` and a
      threshold, as in `norm:1.0`.

  Raises:
    ValueError: a name that is unknown, or a threshold that is none.
  """
  clip = _parse(cell, 'clip', _clip_numbers)
  if clip.name == 'none':
    return 'norm', math.inf
  threshold = clip.numbers['threshold']
  if threshold <= 0:
    raise ValueError(
      f'clip {clip.name} has the threshold {threshold:g}; it must be positive'
    )
  return clip.name, threshold


def _shortcut(cell: sweep.Cell) -> choice.Choice:
  """The shortcut of a cell.

  In a stack of equal layers none is an identity at scale 0: networks with and
  without share a program, and half as many are compiled. A step of a network
  without takes a little longer so, also where a study has no others:
  `benchmarks/step_forms.py` says how much.
  """
  name = str(cell['model'])
  found = _parse(cell, 'shortcut', _shortcut_numbers)
  zoo.chosen(name, 'shortcut', found.name)
  if found.name != 'none' or not _has_identities(name):
    return found
  return choice.Choice(
    'identity', {**SHORTCUTS['identity'], 'shortcut_scale': 0.0}
  )


def _has_identities(model: str) -> bool:
  return takes_sizes(model) and 'identity' in zoo.architecture(model).shortcuts


def takes_sizes(model: str) -> bool:
  """Whether a model takes a depth and a width; others have their own.

  Args:
    model: its name.

  Raises:
    ValueError: the model is unknown.
  """
  return 'depth' in zoo.architecture(model).options


def _check_numbers(cell: sweep.Cell) -> None:
  sizes = _SIZES if takes_sizes(str(cell['model'])) else ()
  for name in (*sizes, 'batch_size'):
    value = cell[name]
    if not isinstance(value, int) or not 1 <= value <= _LARGEST:
      raise ValueError(
        f'{name} is {value!r}; it must be an integer from 1 to {_LARGEST}'
      )
  for name in ('learning_rate', 'weight_decay', 'bias_std', 'weight_std'):
    value = cell.get(name, 0.0)
    if isinstance(value, str) or not 0 <= value <= _LARGEST_FLOAT:
      raise ValueError(
        f'{name} is {value!r}; it must be a finite number of at least 0, also '
        'in float32'
      )


def _check_ranges(activation: choice.Choice, optimizer: choice.Choice) -> None:
  """Raises a ValueError for numbers that parse but make no sense."""
  for name, value in optimizer.numbers.items():  # Decays of running averages.
    if not 0 <= value < 1:
      raise ValueError(
        f'optimizer {optimizer.name} has {name} {value:g}; it must be at least '
        '0 and less than 1'
      )
  if activation.name == 'rrelu':
    lower, upper = activation.numbers['lower'], activation.numbers['upper']
    if not 0 < lower <= upper:
      raise ValueError(
        f'rrelu has slopes from {lower:g} to {upper:g}; write '
        'rrelu:LOWER:UPPER with 0 < LOWER <= UPPER'
      )


def _parse(
  cell: sweep.Cell,
  axis: str,
  numbers: Callable[[str], Mapping[str, float | None]],
) -> choice.Choice:
  text = str(cell[axis])
  return choice.parse(axis, text, numbers(choice.split_name(text)))


def _activation_numbers(name: str) -> Mapping[str, float | None]:
  return activations.get(name).hyperparameters


def _shortcut_numbers(name: str) -> Mapping[str, float | None]:
  return choice.choose('shortcut', name, SHORTCUTS)


def _clip_numbers(name: str) -> Mapping[str, float | None]:
  kinds: dict[str, dict[str, float | None]] = {'none': {}}
  kinds |= {kind: {'threshold': None} for kind in training.clipping.names()}
  return choice.choose('clip', name, kinds)


def _known(axis: str, cell: sweep.Cell, names: Iterable[str]) -> str:
  return choice.choose(axis, str(cell[axis]), {name: name for name in names})


def _prefixed(axis: str, numbers: Mapping[str, float]) -> dict[str, float]:
  return {f'{axis}.{name}': value for name, value in numbers.items()}
