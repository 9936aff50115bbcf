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

The table is of all that --out holds: to add to a study, name what is there and
what is new, with --resume. Fewer than are there are refused.
"""

from collections.abc import Mapping, Sequence
import pathlib
from typing import Any

from absl import flags
from experiments import command_line
from experiments import help_texts
from experiments import hosts
from experiments import list_flags
from experiments import training
from experiments import treatments

_ALL = 'all'
_CONV_KERNEL = 3  # Of the first convolution of `--model=cnn`.

_PREPROCESSING = flags.DEFINE_list(
  'preprocessing', _ALL, f'all, or of these: {help_texts.PREPROCESSINGS}'
)
_MODEL = flags.DEFINE_enum(
  'model', 'mlp', ['mlp', 'cnn'], 'mlp (dense), cnn (3x3 convolutions).'
)
_SHORTCUT = flags.DEFINE_string('shortcut', 'none', f'{help_texts.SHORTCUTS}.')
_DEPTH = flags.DEFINE_integer('depth', 5, f'{help_texts.DEPTH}.')

_SECTIONS: Mapping[str, Sequence[flags.FlagHolder[Any]]] = {
  'Compared (a comma makes a list)': [
    _PREPROCESSING,
    treatments.LEARNING_RATE,
    training.NUM_SEEDS,
  ],
  'Network': [
    _MODEL,
    treatments.ACTIVATION,
    treatments.NORM,
    _SHORTCUT,
    treatments.INIT,
    _DEPTH,
    treatments.WIDTH,
  ],
  'Training': [
    treatments.OPTIMIZER,
    treatments.BATCH_SIZE,
    training.NUM_STEPS,
    treatments.TARGET_LOSS,
    training.DATA,
    training.DATA_DIR,
  ],
  **training.SECTIONS,
}

command_line.set_defaults(
  learning_rate='0.0003,0.001,0.003,0.01,0.03,0.1,0.3',
  activation='tanh',
  init='glorot',
  num_seeds=3,
  num_steps=300,
)


def main(_: list[str]) -> None:
  """Trains under each preprocessing, compares and reports."""
  hosts.configure_jax()
  from jaxdl import laboratory
  from jaxdl.data import preprocessing

  names = _names()
  plan = training.plan(_grid().cells(), laboratory.split)
  out = training.output_folder('preprocessing', parts=preprocessing.names())
  _check_parts(out, names)
  for name in names:  # All of them, before the first is trained.
    training.claim(plan, out, {'preprocessing': name}, name)
  for name in names:
    training.train(
      'preprocessing',
      plan,
      out,
      part=name,
      split=laboratory.split,
      load=lambda: preprocessing.preprocess(training.load(), name),
      builder=laboratory.builder,
      settings={'preprocessing': name},
    )
  training.report(out, lambda: _report(out, names))


def _names() -> list[str]:
  """Returns the preprocessings to compare; checks them."""
  from jaxdl.data import preprocessing

  names = _PREPROCESSING.value
  if names == [_ALL]:
    return list(preprocessing.names())
  list_flags.check({_PREPROCESSING.name: names})
  for name in names:
    preprocessing.check(name)
  list_flags.check_unique(_PREPROCESSING)
  return names


def _check_parts(out: pathlib.Path, names: Sequence[str]) -> None:
  """Raises a ValueError if a study is there that the table would lose."""
  from jaxdl.data import preprocessing

  others = [
    name
    for name in preprocessing.names()
    if name not in names and (out / name).is_dir()
  ]
  if others:
    raise ValueError(
      f'{out} also holds {", ".join(others)}, which its table would lose; '
      f'name {"it" if len(others) == 1 else "them"} in --preprocessing too, or '
      'give another --out'
    )


def _grid() -> Any:
  """Returns the grid of every preprocessing; checks the flags."""
  from jaxdl import sweep

  network = (_MODEL, _SHORTCUT, _DEPTH)
  return sweep.Grid(
    treatments.axes(_PREPROCESSING, {flag.name: flag.value for flag in network})
  )


def _report(out: pathlib.Path, names: Sequence[str]) -> None:
  """Joins the records, prints the table and the verdict, writes the files."""
  from jaxdl import diagnosis
  from jaxdl import sweep
  from jaxdl.report import comparison
  from jaxdl.report import panels
  from jaxdl.report import preprocessing as report

  target_loss = treatments.TARGET_LOSS.value
  records = {name: sweep.open_record(out / name).load() for name in names}
  record = comparison.join(records, report.AXIS)
  frame = comparison.summary(record, diagnosis.diagnose(record), target_loss)
  measured = {name: _conditioning(name) for name in names}
  numbers = {name: numbers for name, (numbers, _) in measured.items()}
  for column in numbers[names[0]]:
    frame[column] = [numbers[name][column] for name in frame[report.AXIS]]
  chosen = comparison.best(frame, report.AXIS)
  eigenvalues = {name: values for name, (_, values) in measured.items()}
  treatments.publish(
    'preprocessing',
    out,
    report=report,
    chosen=chosen,
    sentences=report.verdict(frame, chosen, target_loss),
    frame=frame,
    figure=panels.draw(
      report.figure_panels(record, frame, chosen, eigenvalues),
      [report.name(name) for name in names],
    ),
  )


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
