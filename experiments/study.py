"""A study: a grid of networks trained, measured at every layer, and reported.

What `gradient_flow` and `cnn` share: the flags, and the way from them through
the grid and the record to the report. An experiment sets its own defaults of
the flags, and calls `run`.
"""

from collections.abc import Callable, Mapping, Sequence
import datetime
import json
import os
import pathlib
import shlex
import sys
from typing import Any

from absl import flags
from experiments import command_line
from experiments import stopping

_ACTIVATION = flags.DEFINE_list(
  'activation',
  'sigmoid,tanh,relu,leaky_relu,prelu,rrelu,elu',
  'sigmoid, tanh, relu, leaky_relu, prelu, rrelu, elu, selu, gelu, silu, '
  'softplus, softsign, identity.',
)
_NORM = flags.DEFINE_list(
  'norm',
  'none,batch',
  'none, batch, batch_plain (without scale and shift), layer.',
)
_SHORTCUT = flags.DEFINE_list(
  'shortcut', 'none,identity', 'none, identity, highway.'
)
_CLIP = flags.DEFINE_list(
  'clip', 'none,norm:1.0', 'none, value:V, norm:V, adaptive:V.'
)
_NUM_SEEDS = flags.DEFINE_integer(
  'num_seeds',
  2,
  'Each combination is trained with seeds 0, 1, ...',
  lower_bound=1,
)
_MODEL = flags.DEFINE_list(
  'model', 'mlp', 'mlp (fully connected), cnn (3x3 convolutions).'
)
_DEPTH = flags.DEFINE_list('depth', '30', 'Layers before the readout.')
_WIDTH = flags.DEFINE_list('width', '128', 'Units, or channels, of each layer.')
_INIT = flags.DEFINE_list('init', 'he', 'glorot, he, lecun, orthogonal.')
_WEIGHT_STD = flags.DEFINE_list(
  'weight_std',
  '',
  'Normal weights of this standard deviation times sqrt(fan-in), sigma_w of '
  'the mean field, instead of --init.',
)
_BIAS_STD = flags.DEFINE_list(
  'bias_std', '0', 'Standard deviation of the initial biases, sigma_b.'
)
_OPTIMIZER = flags.DEFINE_list(
  'optimizer', 'sgd', 'sgd, momentum, nesterov, adam, rmsprop, adagrad.'
)
_LEARNING_RATE = flags.DEFINE_list('learning_rate', '0.01', 'Step size.')
_WEIGHT_DECAY = flags.DEFINE_list(
  'weight_decay', '0', 'L2 penalty; slopes of prelu are left out.'
)
_BATCH_SIZE = flags.DEFINE_list('batch_size', '128', 'Images in a batch.')
_NUM_STEPS = flags.DEFINE_integer(
  'num_steps', 400, 'Training steps of each network.', lower_bound=1
)
_DATA = flags.DEFINE_string(
  'data',
  'fashion_mnist_small',
  'fashion_mnist_small (12,000 images that come with jaxdl), fashion_mnist, '
  'mnist, cifar10, digits; or the path of an .npz or of a folder of IDX files.',
)
_DATA_DIR = flags.DEFINE_string(
  'data_dir', None, 'Where the files of a named data set are.'
)
_PREPROCESSING = flags.DEFINE_enum(
  'preprocessing',
  'channel_standard',
  [
    'none',
    'unit',
    'sample_mean',
    'sample_standard',
    'feature_standard',
    'channel_standard',
  ],
  'none, unit (to [0, 1]), sample_mean, sample_standard, feature_standard, '
  'channel_standard (fitted on the training split alone).',
)
_OUT = flags.DEFINE_string(
  'out', None, 'Where to write. By default results/<experiment>/<time>.'
)
_RESUME = flags.DEFINE_bool(
  'resume', False, 'Go on with the study in --out, from its last chunk.'
)
_OVERWRITE = flags.DEFINE_bool(
  'overwrite', False, 'Replace the study in --out.'
)
_CHUNK_STEPS = flags.DEFINE_integer(
  'chunk_steps',
  100,
  'Steps between two writes; what a crash can cost.',
  lower_bound=1,
)
_ARRANGEMENT = flags.DEFINE_enum(
  'arrangement',
  'auto',
  ['auto', 'map', 'vmap', 'loop'],
  'How a device runs its networks: one after the other (map, auto on a CPU), '
  'all at once (vmap, auto elsewhere), or unrolled (loop).',
)

SECTIONS: Mapping[str, Sequence[flags.FlagHolder[Any]]] = {
  'Axes (a comma list makes an axis)': [
    _ACTIVATION,
    _NORM,
    _SHORTCUT,
    _CLIP,
    _NUM_SEEDS,
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
  ],
  'Run': [_NUM_STEPS, _DATA, _DATA_DIR, _PREPROCESSING],
  'Output': [_OUT, _RESUME, _OVERWRITE, _CHUNK_STEPS, _ARRANGEMENT],
}


def set_defaults(**defaults: str) -> None:
  """Gives flags other defaults; before the command line is parsed."""
  for name, value in defaults.items():
    flags.set_default(flags.FLAGS[name], value)


def run(name: str) -> None:
  """Reads the flags, trains, diagnoses and reports.

  Args:
    name: of the experiment.
  """
  command_line.configure_jax()
  import jax
  from jaxdl import sweep

  grid = sweep.Grid(_axes())
  out = pathlib.Path(_OUT.value or _default_out(name))
  if _RESUME.value and not _OUT.value:
    raise ValueError('--resume needs --out: the folder of the study to resume')
  _train(name, grid, out, jax.devices())
  try:
    _report(out)
  except KeyboardInterrupt:
    raise KeyboardInterrupt(
      'stopped; the record is whole. For the report: '
      + stopping.resume_command(out)
    ) from None


def _axes() -> Mapping[str, Sequence[Any]]:
  """Returns every axis of the grid, in the order of the table's columns."""
  axes: dict[str, Sequence[Any]] = {
    'model': _MODEL.value,
    'activation': _ACTIVATION.value,
    'norm': _NORM.value,
    'shortcut': _SHORTCUT.value,
    'clip': _CLIP.value,
    'init': _INIT.value,
    'bias_std': _numbers(_BIAS_STD, float),
    'optimizer': _OPTIMIZER.value,
    'learning_rate': _numbers(_LEARNING_RATE, float),
    'weight_decay': _numbers(_WEIGHT_DECAY, float),
    'depth': _numbers(_DEPTH, int),
    'width': _numbers(_WIDTH, int),
    'batch_size': _numbers(_BATCH_SIZE, int),
    'seed': list(range(_NUM_SEEDS.value)),
  }
  if _WEIGHT_STD.value:
    if _INIT.present:
      raise ValueError('give --weight_std or --init, not both')
    axes['init'] = ['normal']
    axes['weight_std'] = _numbers(_WEIGHT_STD, float)
  for name, values in axes.items():
    if not values:
      raise ValueError(f'--{name} is empty; give at least one value')
    if '' in values:
      raise ValueError(
        f'--{name}={",".join(values)} has a comma too many: no value stands '
        'beside it'
      )
  return axes


def _numbers(
  flag: flags.FlagHolder[list[str]], kind: Callable[[str], Any]
) -> list[Any]:
  try:
    return [kind(text) for text in flag.value]
  except ValueError:
    what = 'integers' if kind is int else 'numbers'
    raise ValueError(
      f'--{flag.name}={",".join(flag.value)}: give {what}, with commas between'
    ) from None


def _default_out(name: str) -> str:
  now = datetime.datetime.now().strftime('%Y-%m-%d-%H%M%S')
  return f'results/{name}/{now}'


def _train(
  name: str, grid: Any, out: pathlib.Path, devices: Sequence[Any]
) -> None:
  """Trains and records; raises KeyboardInterrupt if it was stopped."""
  from experiments import progress
  from jaxdl import laboratory
  from jaxdl import sweep
  from jaxdl.data import preprocessing
  from jaxdl.data import sources
  from jaxdl.sweep import claim
  import rich.console

  cells = grid.cells()
  plan = sweep.plan(
    cells,
    laboratory.split,
    devices=devices,
    num_steps=_NUM_STEPS.value,
    chunk_steps=_CHUNK_STEPS.value,
    arrangement=None if _ARRANGEMENT.value == 'auto' else _ARRANGEMENT.value,
  )
  settings = {'data': _DATA.value, 'preprocessing': _PREPROCESSING.value}
  there = {'resume': _RESUME.value, 'overwrite': _OVERWRITE.value}
  resuming = claim.claim(out, plan, settings, **there)
  dataset = preprocessing.preprocess(
    sources.load(_DATA.value, data_dir=_DATA_DIR.value), _PREPROCESSING.value
  )
  num_train = len(dataset.train_labels)
  console = rich.console.Console()
  console.print(
    f'{_count(len(cells), "network")} in '
    f'{_count(len(plan.programs), "program")} on '
    f'{_count(len(devices), f"{devices[0].platform} device")}; '
    f'{_count(plan.num_steps, "step")} on {dataset.name} '
    f'({num_train:,} images)',
    highlight=False,
    markup=False,
    soft_wrap=True,
  )
  stopped = (
    f'stopped; nothing is lost. Go on with: {stopping.resume_command(out)}'
  )
  with (
    progress.display(console) as display,
    stopping.OnInterrupt(display, f'{name}: {stopped}') as stop,
  ):
    outcome = sweep.run(
      plan,
      laboratory.builder(dataset.train_images.shape[1:], dataset.num_classes),
      sweep.Data(*dataset[:4]),
      laboratory.batches(num_train),
      out,
      settings=settings,
      attributes=_attributes(name, grid, dataset),
      progress=progress.Watch(
        plan, dataset.num_classes, display, out if resuming else None
      ),
      stop=stop,
      **there,
    )
  if not outcome.finished:
    raise KeyboardInterrupt(stopped)


def _count(number: int, thing: str) -> str:
  return f'{number:,} {thing}{"" if number == 1 else "s"}'


def _attributes(name: str, grid: Any, dataset: Any) -> dict[str, Any]:
  """What the record says of itself."""
  import importlib.metadata

  import jaxdl

  packages = ('jax', 'jaxlib', 'flax', 'optax', 'numpy')
  return {
    'jaxdl_version': jaxdl.__version__,
    'data': dataset.name,
    'preprocessing': _PREPROCESSING.value,
    'num_classes': dataset.num_classes,
    'axes': json.dumps([k for k, v in grid.axes.items() if len(v) > 1]),
    'versions': json.dumps(
      {p: importlib.metadata.version(p) for p in packages}
    ),
    'command': shlex.join([name, *sys.argv[1:]]),
  }


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
  console.print(
    f'\nReport: {os.path.relpath(out / "report.html")}  (record, figures and '
    'table beside it)',
    highlight=False,
    markup=False,
    soft_wrap=True,
  )
