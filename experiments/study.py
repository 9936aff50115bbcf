"""A study: a grid of networks trained, measured at every layer, and reported.

What `gradient_flow` and `cnn` share: the flags, and the way from them through
the grid and the record to the report. An experiment sets its own defaults of
the flags, and calls `run`.
"""

from collections.abc import Mapping, Sequence
import functools
import json
import pathlib
from typing import Any

from absl import flags
from experiments import help_texts
from experiments import hosts
from experiments import list_flags
from experiments import output
from experiments import training

_ACTIVATION = flags.DEFINE_list(
  'activation',
  'sigmoid,tanh,relu,leaky_relu,prelu,rrelu,elu',
  help_texts.ACTIVATIONS,
)
_NORM = flags.DEFINE_list(
  'norm', 'none,batch', f'{help_texts.OWN}, {help_texts.NORMS}'
)
_SHORTCUT = flags.DEFINE_list(
  'shortcut',
  'none,identity',
  f'{help_texts.OWN}, {help_texts.ALL_SHORTCUTS}',
)
_CLIP = flags.DEFINE_list(
  'clip', 'none,norm:1.0', 'none, value:V, norm:V, adaptive:V.'
)
_MODEL = flags.DEFINE_list(
  'model',
  'mlp',
  'mlp (fully connected), cnn (3x3 convolutions), or an architecture with a '
  'depth of its own: resnet20, vgg16_cifar, ... An unknown name lists all.',
)
_AUGMENT = flags.DEFINE_list(
  'augment',
  'none',
  'none, or what happens at random to each training image: crop:4 (after '
  'padding with 4 zeros), flip, cutout:8; + between several: crop:4+flip.',
)
_COMPUTE_DTYPE = flags.DEFINE_list(
  'compute_dtype',
  'float32',
  'float32, bfloat16 (parameters and updates stay float32).',
)
_DEPTH = flags.DEFINE_list(
  'depth',
  '30',
  f'{help_texts.DEPTH}, of the models that take a depth; a model with its own '
  'is trained once.',
)
_WIDTH = flags.DEFINE_list(
  'width', '128', f'{help_texts.WIDTH}, of the same models.'
)
_INIT = flags.DEFINE_list(
  'init',
  '',
  f'{help_texts.INITS} By default he, or with --weight_std normal.',
)
_WEIGHT_STD = flags.DEFINE_list(
  'weight_std',
  '',
  'Weights of this standard deviation times sqrt(fan-in), sigma_w of the mean '
  'field: normal, or with --init=orthogonal or delta_orthogonal.',
)
_BIAS_STD = flags.DEFINE_list(
  'bias_std', '0', 'Standard deviation of the initial biases, sigma_b.'
)
_OPTIMIZER = flags.DEFINE_list('optimizer', 'sgd', help_texts.OPTIMIZERS)
_LEARNING_RATE = flags.DEFINE_list('learning_rate', '0.01', 'Step size.')
_WEIGHT_DECAY = flags.DEFINE_list(
  'weight_decay', '0', 'L2 penalty; slopes of prelu are left out.'
)
_BATCH_SIZE = flags.DEFINE_list('batch_size', '128', help_texts.BATCH_SIZE)
_REMATERIALIZE = flags.DEFINE_bool(
  'rematerialize',
  False,
  'Compute activations anew on the way back, in mlp and cnn, so that memory '
  'grows with the root of the depth.',
)
_PREPROCESSING = flags.DEFINE_string(
  'preprocessing', 'channel_standard', help_texts.PREPROCESSINGS
)
SECTIONS: Mapping[str, Sequence[flags.FlagHolder[Any]]] = {
  'Axes (a comma list makes an axis)': [
    _ACTIVATION,
    _NORM,
    _SHORTCUT,
    _CLIP,
    training.NUM_SEEDS,
    _MODEL,
    _DEPTH,
    _WIDTH,
    _INIT,
    _WEIGHT_STD,
    _BIAS_STD,
    _OPTIMIZER,
    _LEARNING_RATE,
    _WEIGHT_DECAY,
    _BATCH_SIZE,
    _AUGMENT,
    _COMPUTE_DTYPE,
  ],
  'Run': [
    training.NUM_STEPS,
    training.DATA,
    training.DATA_DIR,
    _PREPROCESSING,
    _REMATERIALIZE,
  ],
  **training.SECTIONS,
}


def run(name: str) -> None:
  """Reads the flags, trains, diagnoses and reports.

  Args:
    name: of the experiment.
  """
  hosts.configure_jax()
  from jaxdl import sweep

  grid = sweep.Grid(_axes())
  out = training.output_folder(name)
  _train(name, grid, out)
  training.report(out, lambda: _report(out))


def _axes() -> Mapping[str, Sequence[Any]]:
  """Returns every axis of the grid, in the order of the table's columns."""
  axes: dict[str, Sequence[Any]] = {
    'model': _MODEL.value,
    'activation': _ACTIVATION.value,
    'norm': _NORM.value,
    'shortcut': _SHORTCUT.value,
    'clip': _CLIP.value,
    'init': _INIT.value or ['normal' if _WEIGHT_STD.value else 'he'],
    'bias_std': list_flags.numbers(_BIAS_STD, float),
    'optimizer': _OPTIMIZER.value,
    'learning_rate': list_flags.numbers(_LEARNING_RATE, float),
    'weight_decay': list_flags.numbers(_WEIGHT_DECAY, float),
    'augment': _AUGMENT.value,
    'compute_dtype': _COMPUTE_DTYPE.value,
    'depth': list_flags.numbers(_DEPTH, int),
    'width': list_flags.numbers(_WIDTH, int),
    'batch_size': list_flags.numbers(_BATCH_SIZE, int),
    'seed': list(range(training.NUM_SEEDS.value)),
  }
  if _WEIGHT_STD.value:
    axes['weight_std'] = list_flags.numbers(_WEIGHT_STD, float)
  list_flags.check(axes)
  return axes


def _check_sizes() -> None:
  """Raises a ValueError if something was given that no model takes."""
  from jaxdl import laboratory
  from jaxdl.models import zoo

  for model in _MODEL.value if _REMATERIALIZE.value else ():
    if 'rematerialize' not in zoo.architecture(model).options:
      raise ValueError(f'{model} takes no --rematerialize; mlp and cnn do')
  sized = laboratory.sized_models()
  if set(_MODEL.value) & set(sized):
    return
  for flag in (_DEPTH, _WIDTH):
    if flag.present:
      raise ValueError(
        f'--model={",".join(_MODEL.value)} takes no {flag.name}; leave out '
        f'--{flag.name}, which is for {", ".join(sized)}'
      )


def _train(name: str, grid: Any, out: pathlib.Path) -> None:
  """Trains and records; raises KeyboardInterrupt if it was stopped."""
  from jaxdl import laboratory
  from jaxdl.data import preprocessing

  def load():
    return preprocessing.preprocess(training.load(), _PREPROCESSING.value)

  preprocessing.check(_PREPROCESSING.value)
  cells = laboratory.distinct(grid.cells())
  _check_sizes()
  # A model with sizes of its own has no width, and layers with names.
  models = dict.fromkeys(cell['model'] for cell in cells if not cell['width'])
  layers = {model: laboratory.layer_names(model) for model in models}
  training.train(
    name,
    training.plan(cells, laboratory.split),
    out,
    split=laboratory.split,
    load=load,
    builder=functools.partial(laboratory.builder, make_model=_model),
    settings={'preprocessing': _PREPROCESSING.value},
    attributes={'layers': json.dumps(layers)},
  )


def _model(static: Any, dynamic: Any, num_classes: int) -> Any:
  """Builds the network of a cell."""
  from jaxdl import laboratory

  options = {'rematerialize': True} if _REMATERIALIZE.value else {}
  return laboratory.model(static, dynamic, num_classes, **options)


def _report(out: pathlib.Path) -> None:
  """Diagnoses the record, prints the summary and writes the report."""
  from jaxdl import diagnosis
  from jaxdl import report
  from jaxdl import sweep
  import rich.console

  record = sweep.open_record(out / 'record.zarr').load()
  verdicts = diagnosis.diagnose(record)
  console = rich.console.Console()
  console.print()
  report.print_summary(record, verdicts, console)
  report.write(record, verdicts, out)
  path = output.shown(out / 'report.html')
  training.say(
    console, f'\nReport: {path}  (record, figures and table beside it)'
  )
