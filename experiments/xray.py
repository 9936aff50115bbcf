"""What ails a model: an X-ray of your own, from the shell.

  python -m experiments.xray --target=package.module:make_loss
  python -m experiments.xray --target=model:make_loss --steps=50 --try_cures

`make_loss()` returns a tuple: the loss function, the model, and what comes
after the model in the loss's arguments, such as a batch:

  def make_loss():
    model = Transformer(rngs=nnx.Rngs(0))
    return loss_fn, model, x, labels

The model is an nnx.Module, an equinox.Module, the variables of a Linen or Haiku
model, or any pytree of parameters. Modules are found from the working directory
on. Prints what flows forward and back through each module, what is wrong, and
what to try. Writes to --out:

  xray.html        the same, with a picture; open it in a browser
  xray.png         the picture
  modules.csv      what was measured of each module
  parameters.csv   and of each parameter
"""

from collections.abc import Mapping, Sequence
import importlib
import os
import pathlib
import sys
from typing import Any

from absl import flags
from experiments import command_line
from experiments import output

_FILES = ('xray.html', 'xray.png', 'modules.csv', 'parameters.csv')
_DOTS_PER_INCH = 150

_TARGET = flags.DEFINE_string(
  'target', None, 'What returns the loss: package.module:function.'
)
_STEPS = flags.DEFINE_integer(
  'steps',
  0,
  'Steps of gradient descent on the batch before the X-ray.',
  lower_bound=0,
)
_LEARNING_RATE = flags.DEFINE_float(
  'learning_rate', 0.1, 'Of gradient descent.', lower_bound=0.0
)
_TRY_CURES = flags.DEFINE_bool(
  'try_cures',
  False,
  'Train from the start with one change at a time, and rank the changes.',
)
_CURE_STEPS = flags.DEFINE_integer(
  'cure_steps', 20, 'Steps of each change.', lower_bound=1
)

_SECTIONS: Mapping[str, Sequence[flags.FlagHolder[Any]]] = {
  'Model': [_TARGET],
  'Training': [_STEPS, _LEARNING_RATE, _TRY_CURES, _CURE_STEPS],
  'Output': [output.OUT, output.OVERWRITE],
}


def main(_: Sequence[str]) -> None:
  """Prints and writes the X-ray of the target."""
  command_line.configure_jax()
  out = output.folder('xray')
  output.check_files(out, _FILES)
  loss_fn, model, *batch = _made(*_found(_TARGET.value))

  from jaxdl.x_ray import examination
  from jaxdl.x_ray import report as report_lib
  from jaxdl.x_ray import steps
  import optax

  optimizer = optax.sgd(_LEARNING_RATE.value)
  subject = examination.subject(loss_fn, model, tuple(batch), has_aux=False)
  trained = steps.after(subject, optimizer, _STEPS.value)
  examined = examination.examine(trained, optimizer)
  report = report_lib.Report(trained, examined, optimizer)
  print(report)
  if _TRY_CURES.value:
    begun = report_lib.Report(subject, examined, optimizer)
    print(f'\n{begun.try_cures(_CURE_STEPS.value)}')
  _write(out, report)


def _found(target: str | None) -> tuple[str, Any]:
  """Imports what `--target` names."""
  name, colon, attribute = (target or '').partition(':')
  if not (name and colon and attribute):
    raise ValueError(
      f'--target={target or ""} names no function; give package.module:function'
    )
  sys.path.insert(0, os.getcwd())
  try:
    module = importlib.import_module(name)
  except ModuleNotFoundError as error:
    # What the user's own module lacks is theirs to read.
    if error.name is None or not f'{name}.'.startswith(f'{error.name}.'):
      raise
    raise ValueError(
      f'--target={target}: there is no module {error.name} here or among the '
      'installed packages'
    ) from error
  make: Any = module
  for part in attribute.split('.'):
    if not hasattr(make, part):
      raise ValueError(f'--target={target}: {name} has no {attribute}')
    make = getattr(make, part)
  if not callable(make):
    raise ValueError(
      f'--target={target} is of type {type(make).__name__}; give a function '
      'that returns (loss_fn, model, *batch)'
    )
  return str(target), make


def _made(target: str, make: Any) -> tuple[Any, ...]:
  """Calls the target; refuses what can't be a loss with its arguments."""
  made = make()
  if not isinstance(made, tuple) or len(made) < 2 or not callable(made[0]):
    shown = (
      f'({", ".join(type(x).__name__ for x in made)})'
      if isinstance(made, tuple)
      else type(made).__name__
    )
    raise ValueError(
      f'--target={target} returns {shown}; return (loss_fn, model, *batch)'
    )
  return made


def _write(out: pathlib.Path, report: Any) -> None:
  """Writes the page, the picture and the tables, each whole or not at all."""
  from jaxdl import report as report_lib

  dataset = report.to_xarray()
  out.mkdir(parents=True, exist_ok=True)
  writers = {
    'xray.html': report.save_html,
    'xray.png': lambda path: report.plot().savefig(path, dpi=_DOTS_PER_INCH),
  }
  for dimension in ('module', 'parameter'):
    names = [k for k, v in dataset.data_vars.items() if v.dims == (dimension,)]
    frame = dataset[names].to_dataframe()
    writers[f'{dimension}s.csv'] = frame.to_csv
  for name, write in writers.items():
    report_lib.replace(out / name, write)
  print(f'\nReport: {output.shown(out / "xray.html")}  (tables beside it)')


if __name__ == '__main__':
  command_line.run(main, sections=_SECTIONS)
