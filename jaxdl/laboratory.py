"""The laboratory: what a cell of a gradient-flow study is, and how it trains.

A cell maps each axis to a value. Choices are strings, which may carry numbers
(`leaky_relu:0.2`); the rest are numbers. Names, shapes and kinds of layers are
static: cells that share them share a compiled program. Seeds, rates,
thresholds and scales are dynamic: they enter the program as arrays.
"""

from collections.abc import Callable, Iterable, Mapping
import functools
import math
from typing import Any, NamedTuple

import jax
from jaxdl import activations
from jaxdl import choice
from jaxdl import layers
from jaxdl import sweep
from jaxdl import training
from jaxdl.data import augmentation
from jaxdl.data import batches as batches_lib
from jaxdl.layers import initializers
from jaxdl.models import zoo
from jaxdl.tracing import statistics

OWN = 'own'  # The norm or the shortcut that a model was published with.
COMPUTE_DTYPES = ('float32', 'bfloat16')
# The numbers of each shortcut: the scale of the branch, and the gate's bias.
SHORTCUTS = {
  'none': {},
  'identity': {'residual_scale': 1.0},
  'projection': {'residual_scale': 1.0},
  'highway': {'gate_bias': -2.0},
  OWN: {},
}

_SIZES = ('depth', 'width')
_LARGEST = 1_000_000  # Depth, width or batch; beyond it sizes overflow.

# Every axis of a cell, with the value it has where it is not given. `complete`
# fills in the sizes of models that have their own. A cell has
# `weight_std` only where the weights are normal of that scale; `init` is then
# `normal`.
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
    cell: a value for each axis of `DEFAULTS`, and perhaps `weight_std`; its
      sizes are those of `complete`.

  Returns:
    The static part, and the dynamic one: scalars by name.

  Raises:
    ValueError: a name that is unknown, or a number out of its range.
  """
  _check_numbers(cell)
  activation = _parse(cell, 'activation', _activation_numbers)
  shortcut = _parse(cell, 'shortcut', _shortcut_numbers)
  clip = _parse(cell, 'clip', _clip_numbers)
  optimizer = _parse(cell, 'optimizer', training.optimizer.hyperparameters)
  _check_ranges(activation, clip, optimizer)
  if 'weight_std' not in cell:
    initializers.get(str(cell['init']))
  augmentation.augmentation(str(cell['augment']))
  name = str(cell['model'])
  static = Static(
    model=name,
    activation=activation.name,
    norm=_toggle(name, 'norm', str(cell['norm'])),
    shortcut=_toggle(name, 'shortcut', shortcut.name),
    # Not to clip is to clip at infinity, in the same program.
    clip='norm' if clip.name == 'none' else clip.name,
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
    'clip.threshold': clip.numbers.get('threshold', math.inf),
    **_prefixed('activation', activation.numbers),
    **_prefixed('shortcut', shortcut.numbers),
    **_prefixed('optimizer', optimizer.numbers),
  }
  if 'weight_std' in cell:
    dynamic['weight_std'] = cell['weight_std']
  return static, {name: float(value) for name, value in dynamic.items()}


def builder(
  in_shape: tuple[int, ...],
  num_classes: int,
  make_model: Callable[..., layers.Layer] | None = None,
) -> Callable[[Static], sweep.Experiment]:
  """Returns what builds the experiment of a static part.

  Args:
    in_shape: of one input.
    num_classes: number of labels.
    make_model: builds another network than `model`, from the same arguments.
  """
  make_model = make_model or model

  def build(static):
    def trainer(dynamic):
      return training.trainer(
        make_model(static, dynamic, num_classes),
        in_shape,
        _measure(static, dynamic),
        _update(static, dynamic),
        _augment(static),
      )

    def init(dynamic, key):
      with layers.base.naming(static.model):
        return trainer(dynamic).init(key)

    return sweep.Experiment(
      init=init,
      step=lambda state, batch, dynamic, key: trainer(dynamic).step(
        state, batch, key
      ),
      finish=lambda state, dynamic, data: trainer(dynamic).evaluate(
        state, data.test_images, data.test_labels
      ),
    )

  return build


def batches(num_train: int) -> Callable[[sweep.Cell, int, int], Any]:
  """Returns what tells the engine which examples a batch of a cell holds.

  Cells of the same seed and batch size see the same batches.
  """

  def indices(cell, start, count):
    return batches_lib.batch_indices(
      cell['seed'], start, count, cell['batch_size'], num_train
    )

  return indices


def _check_numbers(cell: sweep.Cell) -> None:
  sizes = _SIZES if _takes_sizes(str(cell['model'])) else ()
  for name in (*sizes, 'batch_size'):
    value = cell[name]
    if not isinstance(value, int) or not 1 <= value <= _LARGEST:
      raise ValueError(
        f'{name} is {value!r}; it must be an integer from 1 to {_LARGEST}'
      )
  for name in ('learning_rate', 'weight_decay', 'bias_std', 'weight_std'):
    value = cell.get(name, 0.0)
    if isinstance(value, str) or not math.isfinite(value) or value < 0:
      raise ValueError(
        f'{name} is {value!r}; it must be a finite number of at least 0'
      )


def _check_ranges(
  activation: choice.Choice, clip: choice.Choice, optimizer: choice.Choice
) -> None:
  """Raises a ValueError for numbers that parse but make no sense."""
  if clip.numbers.get('threshold', 1.0) <= 0:
    raise ValueError(
      f'clip {clip.name} has the threshold {clip.numbers["threshold"]:g}; '
      'it must be positive'
    )
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


def _numbers(axis: str, dynamic: sweep.experiment.Dynamic) -> dict[str, Any]:
  prefix = f'{axis}.'
  return {
    name.removeprefix(prefix): value
    for name, value in dynamic.items()
    if name.startswith(prefix)
  }


def model(
  static: Static, dynamic: sweep.experiment.Dynamic, num_classes: int
) -> layers.Layer:
  """Builds the network of a cell.

  Args:
    static: its static part.
    dynamic: its dynamic part; may be traced.
    num_classes: number of logits.
  """
  if 'weight_std' in dynamic:
    weight_init = initializers.normal_fan_in(dynamic['weight_std'])
  else:
    weight_init = initializers.get(static.init)()
  sizes = {
    'depth': static.depth,
    'width': static.width,
    # Batch norm takes the mean away again, and with it any bias.
    'use_bias': not static.norm.startswith('batch'),
  }
  net = zoo.assemble(
    static.model,
    num_classes=num_classes,
    activation=layers.activation(
      static.activation, **_numbers('activation', dynamic)
    ),
    norm=static.norm,
    shortcut=static.shortcut,
    weight_init=weight_init,
    bias_init=(
      initializers.normal(dynamic['bias_std'])
      if static.has_random_biases
      else initializers.zeros()
    ),
    **(sizes if _takes_sizes(static.model) else {}),
    **_numbers('shortcut', dynamic),
  )
  if static.compute_dtype == 'float32':
    return net
  return layers.in_dtype(net, static.compute_dtype)


def _toggle(model: str, toggle: str, value: str) -> str:
  """The norm or shortcut of a model, where it is not given its own one."""
  try:
    return zoo.chosen(model, toggle, None if value == OWN else value)
  except ValueError as error:
    raise ValueError(f'{error}; or {OWN}, as published') from None


def complete(cell: sweep.Cell) -> sweep.Cell:
  """Fills in the sizes of a cell whose model has sizes of its own.

  Args:
    cell: a value for each axis of `DEFAULTS`.

  Returns:
    The cell; where its model has a depth of its own, `depth` is the number of
    its units before the readout, and `width`, of which there are several, is 0.

  Raises:
    ValueError: the model is unknown, or has a size of its own and is given one.
  """
  name = str(cell['model'])
  if _takes_sizes(name):
    return cell
  for size in _SIZES:
    if cell[size] != DEFAULTS[size]:
      given = [n for n in zoo.names() if _takes_sizes(n)]
      raise ValueError(
        f'{name} has a {size} of its own; leave out --{size}, which is for '
        f'{", ".join(given)}'
      )
  # Auxiliary classifiers come after the readout.
  return {**cell, 'depth': layer_names(name).index('readout'), 'width': 0}


@functools.cache
def layer_names(model: str) -> tuple[str, ...]:
  """What the layers of a model are called that has a depth of its own.

  Args:
    model: its name.
  """
  row = zoo.architecture(model)
  net = zoo.assemble(model, num_classes=row.num_classes)
  params = jax.eval_shape(
    lambda key: net.init(key, row.in_shape)[1], jax.random.key(0)
  )
  return training.layerwise.names(params)


def _takes_sizes(model: str) -> bool:
  return 'depth' in zoo.architecture(model).options


def _augment(static: Static) -> Callable[..., Any] | None:
  if static.augment == 'none':
    return None
  return augmentation.augmentation(static.augment)


def _measure(
  static: Static, dynamic: sweep.experiment.Dynamic
) -> statistics.Measure:
  """Measures activations; saturation is nearness to their flat ends."""
  described = activations.get(static.activation)
  return statistics.forward(
    described.flat_ends(**_numbers('activation', dynamic))
  )


def _update(
  static: Static, dynamic: sweep.experiment.Dynamic
) -> training.Update:
  rate = dynamic['learning_rate']
  make = functools.partial(training.optimizer.get(static.optimizer), rate)
  optimizer = make(**_numbers('optimizer', dynamic))
  if static.decays:
    optimizer = training.optimizer.with_weight_decay(
      optimizer, dynamic['weight_decay']
    )
  only_scales = static.optimizer == 'sgd' and not static.decays
  return training.Update(
    clip=training.clipping.get(static.clip),
    threshold=dynamic['clip.threshold'],
    optimizer=optimizer,
    step_size=rate if only_scales else None,
  )
