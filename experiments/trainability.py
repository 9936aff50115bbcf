"""How deep can a network be, before it is trained: theory beside the outcome.

Trains a plain network at each depth and each standard deviation of the weights
(and of the biases), and draws the accuracy as a map. Over it lies 6 xi_c of
mean field theory, which nothing was fitted to: the layers in which two inputs
become indistinguishable, or unrelated, times six (Schoenholz et al., 2017).

  ./run.sh trainability
  ./run.sh trainability --activation=relu --bias_std=0,0.3
  ./run.sh trainability --depth=10:300:30 --weight_std=1:2:31 --width=300
  ./run.sh trainability --norm=batch
  ./run.sh trainability --shortcut=identity

Of a list of numbers, first:last:count means evenly spaced ones. Without flags:
12 depths up to 300 x 17 standard deviations = 204 networks of width 64, in one
program a depth, two and a half minutes on 2 cores.

Prints the map, and how often theory is right. Writes to --out:

  trainability.png, .svg    the map
  trainability.html         the map, with every number, to explore
  trainability.csv          every network, with what theory says of it
  record.zarr               loss and accuracy over cell and step
"""

from collections.abc import Mapping, Sequence
import functools
import pathlib
from typing import Any

from absl import flags
from experiments import command_line
from experiments import help_texts
from experiments import hosts
from experiments import list_flags
from experiments import output
from experiments import training

_DEPTH = flags.DEFINE_list(
  'depth',
  '10,20,30,45,60,80,100,130,160,200,250,300',
  f'{help_texts.DEPTH}.',
)
_WEIGHT_STD = flags.DEFINE_list(
  'weight_std',
  '1:2:17',
  'Standard deviations of the weights times sqrt(fan-in), sigma_w.',
)
_BIAS_STD = flags.DEFINE_list(
  'bias_std', '0.2236', 'Standard deviations of the biases, sigma_b.'
)
_ACTIVATION = flags.DEFINE_string('activation', 'tanh', help_texts.ACTIVATIONS)
_NORM = flags.DEFINE_string('norm', 'none', help_texts.NORMS)
_SHORTCUT = flags.DEFINE_string('shortcut', 'none', f'{help_texts.SHORTCUTS}.')
_WIDTH = flags.DEFINE_integer('width', 64, f'{help_texts.WIDTH}.')
_OPTIMIZER = flags.DEFINE_string('optimizer', 'sgd', help_texts.OPTIMIZERS)
_LEARNING_RATE = flags.DEFINE_float('learning_rate', 0.003, 'Step size.')
_BATCH_SIZE = flags.DEFINE_integer('batch_size', 64, help_texts.BATCH_SIZE)
_PREPROCESSING = 'channel_standard'

_SECTIONS: Mapping[str, Sequence[flags.FlagHolder[Any]]] = {
  'Axes (a comma makes a list; first:last:count is one)': [
    _DEPTH,
    _WEIGHT_STD,
    _BIAS_STD,
    training.NUM_SEEDS,
  ],
  'Network': [
    _ACTIVATION,
    _NORM,
    _SHORTCUT,
    _WIDTH,
  ],
  'Training': [
    _OPTIMIZER,
    _LEARNING_RATE,
    _BATCH_SIZE,
    training.NUM_STEPS,
    training.DATA,
    training.DATA_DIR,
  ],
  **training.SECTIONS,
}

command_line.set_defaults(num_seeds=1, num_steps=200)


def main(_: list[str]) -> None:
  """Trains the grid, compares it with theory and reports."""
  hosts.configure_jax()
  from jaxdl import laboratory
  from jaxdl import sweep

  plan = training.plan(sweep.Grid(_axes()).cells(), laboratory.split)
  out = training.output_folder('trainability')
  training.train(
    'trainability',
    plan,
    out,
    split=laboratory.split,
    load=_load,
    builder=functools.partial(laboratory.builder, layerwise=False),
    settings={'preprocessing': _PREPROCESSING},
  )
  training.report(out, lambda: _report(out))


def _axes() -> Mapping[str, Sequence[Any]]:
  """Returns every axis of the grid; checks the flags."""
  from jaxdl import laboratory

  compared = {
    flag.name: list_flags.spaced(flag, kind)
    for flag, kind in ((_DEPTH, int), (_WEIGHT_STD, float), (_BIAS_STD, float))
  }
  flagged = (
    _ACTIVATION,
    _NORM,
    _SHORTCUT,
    _WIDTH,
    _OPTIMIZER,
    _LEARNING_RATE,
    _BATCH_SIZE,
  )
  fixed = {
    **laboratory.DEFAULTS,
    'init': 'normal',
    **{flag.name: flag.value for flag in flagged},
  }
  return {
    **{name: [value] for name, value in fixed.items()},
    **compared,
    'seed': list(range(training.NUM_SEEDS.value)),
  }


def _load() -> Any:
  from jaxdl.data import preprocessing

  return preprocessing.preprocess(training.load(), _PREPROCESSING)


def _report(out: pathlib.Path) -> None:
  """Draws and prints the map, says what it shows, writes the files."""
  from jaxdl import report
  from jaxdl import sweep
  from jaxdl.report import comparison
  from jaxdl.report import trainability
  from jaxdl.report import trainability_map
  import rich.console

  record = sweep.open_record(out).load()
  frame = trainability.summary(record)
  boundaries = trainability.boundaries(frame, _ACTIVATION.value)
  sentences = trainability.sentences(record, frame, boundaries)
  console = rich.console.Console()
  trainability_map.show(frame, console)
  for sentence in sentences:
    training.say(console, f'\n{sentence}')
  drawn = trainability_map.figure(record, frame, boundaries)
  comparison.write(out, 'trainability', frame, drawn)
  html = trainability_map.page(record, frame, boundaries, sentences)
  path = report.write_text(out / 'trainability.html', html)
  training.say(
    console, f'\nMap: {output.shown(path)}  (record, figure, table beside it)'
  )


if __name__ == '__main__':
  command_line.run(main, sections=_SECTIONS)
