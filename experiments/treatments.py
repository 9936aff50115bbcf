"""Treatments of one network: what experiments that compare such have in common.

A treatment is what is compared: a preprocessing, a kind of block. Each is
trained at several learning rates and seeds, and reported at its own best rate.
An experiment sets its own defaults of these flags.
"""

from collections.abc import Mapping, Sequence
import pathlib
from typing import Any

from absl import flags
from experiments import help_texts
from experiments import list_flags
from experiments import output
from experiments import training

LEARNING_RATE = flags.DEFINE_list(
  'learning_rate',
  '0.01',
  'Step sizes; what is compared is reported at its own best.',
)
ACTIVATION = flags.DEFINE_string('activation', 'relu', help_texts.ACTIVATIONS)
NORM = flags.DEFINE_string('norm', 'none', help_texts.NORMS)
INIT = flags.DEFINE_string('init', 'he', help_texts.INITS)
WIDTH = flags.DEFINE_integer('width', 64, f'{help_texts.WIDTH}.')
OPTIMIZER = flags.DEFINE_string('optimizer', 'sgd', help_texts.OPTIMIZERS)
BATCH_SIZE = flags.DEFINE_integer('batch_size', 64, help_texts.BATCH_SIZE)
TARGET_LOSS = flags.DEFINE_float(
  'target_loss', 0.5, 'Training loss to which steps are counted.'
)


def axes(
  compared: flags.FlagHolder[list[str]], network: Mapping[str, Any]
) -> dict[str, Sequence[Any]]:
  """Returns the axes of a grid but the treatment's; checks the flags.

  Args:
    compared: the flag of the treatments.
    network: values of further axes, and of those that are not as the flags say.

  Raises:
    ValueError: a flag has no value, or one that makes no sense.
  """
  from jaxdl import laboratory

  list_flags.check(
    {flag.name: flag.value for flag in (compared, LEARNING_RATE)}
  )
  if not TARGET_LOSS.value > 0:
    raise ValueError(
      f'target_loss is {TARGET_LOSS.value:g}; it must be positive'
    )
  flagged = (ACTIVATION, NORM, INIT, WIDTH, OPTIMIZER, BATCH_SIZE)
  fixed = {
    **laboratory.DEFAULTS,
    **{flag.name: flag.value for flag in flagged},
    **network,
  }
  return {
    **{name: [value] for name, value in fixed.items()},
    'learning_rate': list_flags.numbers(LEARNING_RATE, float),
    'seed': list(range(training.NUM_SEEDS.value)),
  }


def publish(
  name: str,
  out: pathlib.Path,
  *,
  report: Any,
  chosen: Any,
  sentences: Sequence[str],
  frame: Any,
  figure: Any,
) -> None:
  """Prints the table and what it says, writes the files, and says where.

  Args:
    name: of the experiment, and of its files.
    out: the folder of the study.
    report: the module of `jaxdl.report` that makes the table.
    chosen: the rows of the table.
    sentences: what the numbers say.
    frame: every row, for the file.
    figure: the figure.
  """
  from jaxdl.report import comparison
  import rich.console

  console = rich.console.Console()
  console.print()
  table = report.table(chosen, TARGET_LOSS.value, training.NUM_STEPS.value)
  comparison.show(table, sentences, console, report.LEFT_OUT_FIRST)
  comparison.write(out, name, frame, figure)
  path = output.shown(out / f'{name}.png')
  training.say(console, f'\nFigure: {path}  (records and table beside it)')
