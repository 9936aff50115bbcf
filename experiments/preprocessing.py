"""What does preprocessing change: conditioning, saturation, or only the rate?

Trains one network on the same images under each preprocessing, at several
learning rates and seeds, and reports each preprocessing at its own best rate:
raw pixels up to 255 need a step size of their own, and at one rate for all it
would be the rate that is compared. A comma makes a list:

  ./run.sh preprocessing --activation=sigmoid
  ./run.sh preprocessing --preprocessing=none,unit --num_seeds=5
  ./run.sh preprocessing --norm=batch --depth=10
  ./run.sh preprocessing --model=cnn --width=8 --num_steps=100

Without flags: 6 preprocessings x 7 rates x 3 seeds = 126 networks, about
a minute on 2 cores.

The table has, of the second moment of the first layer's input on the training
split: the ratio of its largest to its smallest nonzero eigenvalue, the largest,
the effective rank, and the share of the mean; at initialization: saturated and
dead shares, and the decades that the gradient loses from the last layer to the
first; and of training: the best rate (of the lowest training loss), the steps
to --target_loss, and the test accuracy, mean and standard deviation over seeds.
Below it stands what the numbers say, in words. Writes to --out:

  preprocessing.png, .svg   the figure
  preprocessing.csv         every preprocessing at every rate
  <preprocessing>/          the record of each: over cell, step and layer
"""

from collections.abc import Mapping, Sequence
import os
import pathlib
from typing import Any

from absl import flags
from experiments import command_line
from experiments import stopping
from experiments import training

_NAMES = (
  'none',
  'unit',
  'sample_mean',
  'sample_standard',
  'feature_standard',
  'channel_standard',
)
_CONV_KERNEL = 3  # Of the first convolution of `--model=cnn`.

_PREPROCESSING = flags.DEFINE_list(
  'preprocessing',
  ','.join(_NAMES),
  'none (raw, 0 to 255), unit (to [0, 1]), sample_mean, sample_standard, '
  'feature_standard, channel_standard (fitted on the training split alone).',
)
_LEARNING_RATE = flags.DEFINE_list(
  'learning_rate',
  '0.0003,0.001,0.003,0.01,0.03,0.1,0.3',
  'Step sizes; each preprocessing is reported at its best.',
)
_MODEL = flags.DEFINE_enum(
  'model', 'mlp', ['mlp', 'cnn'], 'mlp (dense), cnn (3x3 convolutions).'
)
_ACTIVATION = flags.DEFINE_string(
  'activation', 'tanh', 'sigmoid, tanh, relu, leaky_relu:0.2, elu, ...'
)
_NORM = flags.DEFINE_string('norm', 'none', 'none, batch, batch_plain, layer.')
_SHORTCUT = flags.DEFINE_string('shortcut', 'none', 'none, identity, highway.')
_INIT = flags.DEFINE_string('init', 'glorot', 'glorot, he, lecun, orthogonal.')
_OPTIMIZER = flags.DEFINE_string(
  'optimizer', 'sgd', 'sgd, momentum, nesterov, adam, rmsprop, adagrad.'
)
_DEPTH = flags.DEFINE_integer('depth', 5, 'Layers before the readout.')
_WIDTH = flags.DEFINE_integer('width', 64, 'Units, or channels, of each layer.')
_BATCH_SIZE = flags.DEFINE_integer('batch_size', 64, 'Images in a batch.')
_TARGET_LOSS = flags.DEFINE_float(
  'target_loss', 0.5, 'Training loss to which steps are counted.'
)

_SECTIONS: Mapping[str, Sequence[flags.FlagHolder[Any]]] = {
  'Compared (a comma makes a list)': [
    _PREPROCESSING,
    _LEARNING_RATE,
    training.NUM_SEEDS,
  ],
  'Network': [
    _MODEL,
    _ACTIVATION,
    _NORM,
    _SHORTCUT,
    _INIT,
    _DEPTH,
    _WIDTH,
  ],
  'Training': [
    _OPTIMIZER,
    _BATCH_SIZE,
    training.NUM_STEPS,
    _TARGET_LOSS,
    training.DATA,
    training.DATA_DIR,
  ],
  'Output': [
    training.OUT,
    training.RESUME,
    training.OVERWRITE,
    training.CHUNK_STEPS,
    training.ARRANGEMENT,
  ],
}

flags.FLAGS.set_default(training.NUM_SEEDS.name, 3)
flags.FLAGS.set_default(training.NUM_STEPS.name, 300)


def main(_: list[str]) -> None:
  """Trains under each preprocessing, compares and reports."""
  command_line.configure_jax()
  from jaxdl import laboratory
  from jaxdl.data import preprocessing

  plan = training.plan(_grid().cells(), laboratory.split)
  out = training.output_folder('preprocessing', parts=_PREPROCESSING.value)
  for name in _PREPROCESSING.value:
    training.train(
      'preprocessing',
      plan,
      out,
      part=name,
      load=lambda: preprocessing.preprocess(training.load(), name),
      builder=laboratory.builder,
      settings={'preprocessing': name},
    )
  try:
    _report(out)
  except KeyboardInterrupt:
    raise KeyboardInterrupt(
      'stopped; the records are whole. For the report: '
      + stopping.resume_command(out)
    ) from None


def _grid() -> Any:
  """Returns the grid of every preprocessing; checks the flags."""
  from jaxdl import choice
  from jaxdl import laboratory
  from jaxdl import sweep
  from jaxdl.data import preprocessing

  training.check_axes(
    {
      'preprocessing': _PREPROCESSING.value,
      'learning_rate': _LEARNING_RATE.value,
    }
  )
  known = {name: name for name in preprocessing.names()}
  for name in _PREPROCESSING.value:
    choice.choose('preprocessing', name, known)
    if _PREPROCESSING.value.count(name) > 1:
      raise ValueError(f'--preprocessing has {name!r} twice; give each once')
  if not _TARGET_LOSS.value > 0:
    raise ValueError(
      f'target_loss is {_TARGET_LOSS.value:g}; it must be positive'
    )
  fixed = {
    **laboratory.DEFAULTS,
    'model': _MODEL.value,
    'activation': _ACTIVATION.value,
    'norm': _NORM.value,
    'shortcut': _SHORTCUT.value,
    'init': _INIT.value,
    'optimizer': _OPTIMIZER.value,
    'depth': _DEPTH.value,
    'width': _WIDTH.value,
    'batch_size': _BATCH_SIZE.value,
  }
  axes: dict[str, Any] = {name: [value] for name, value in fixed.items()}
  axes['learning_rate'] = training.numbers(_LEARNING_RATE, float)
  axes['seed'] = list(range(training.NUM_SEEDS.value))
  return sweep.Grid(axes)


def _report(out: pathlib.Path) -> None:
  """Joins the records, prints the table and the verdict, writes the files."""
  from jaxdl import diagnosis
  from jaxdl import sweep
  from jaxdl.report import comparison
  from jaxdl.report import panels
  from jaxdl.report import preprocessing as report
  import rich.console

  names = _PREPROCESSING.value
  records = {name: sweep.open_record(out / name).load() for name in names}
  record = comparison.join(records, report.AXIS)
  frame = comparison.summary(
    record, diagnosis.diagnose(record), _TARGET_LOSS.value
  )
  measured = {name: _conditioning(name) for name in names}
  numbers = {name: numbers for name, (numbers, _) in measured.items()}
  for column in numbers[names[0]]:
    frame[column] = [numbers[name][column] for name in frame[report.AXIS]]
  chosen = comparison.best(frame, report.AXIS)
  console = rich.console.Console()
  console.print()
  comparison.show(
    report.table(chosen, _TARGET_LOSS.value, training.NUM_STEPS.value),
    report.verdict(frame, chosen, _TARGET_LOSS.value),
    console,
    report.LEFT_OUT_FIRST,
  )
  eigenvalues = {name: values for name, (_, values) in measured.items()}
  figure = panels.draw(
    report.figure_panels(record, frame, chosen, eigenvalues),
    [report.name(name) for name in names],
  )
  comparison.write(out, 'preprocessing', frame, figure)
  path = os.path.relpath(out / 'preprocessing.png')
  training.say(console, f'\nFigure: {path}  (records and table beside it)')


def _conditioning(name: str) -> tuple[dict[str, float], Any]:
  """Measures the first layer's input: numbers, and its eigenvalues."""
  from jaxdl.data import conditioning
  from jaxdl.data import preprocessing

  images = preprocessing.preprocess(training.load(), name).train_images
  kernel_size = _CONV_KERNEL if _MODEL.value == 'cnn' else None
  found = conditioning.conditioning(images, kernel_size)
  moment = found.second_moment
  numbers = {
    'covariance_ratio': conditioning.ratio(found.covariance),
    'moment_ratio': conditioning.ratio(moment),
    'largest_eigenvalue': float(moment[0]),
    'effective_rank': conditioning.effective_rank(moment),
    'mean_share': found.mean_share,
  }
  return numbers, moment


if __name__ == '__main__':
  command_line.run(main, sections=_SECTIONS)
