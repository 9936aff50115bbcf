"""What does each layer of a network see of the image, in theory and in effect?

  ./run.sh receptive_field --model=vgg16
  ./run.sh receptive_field --model=resnet50 --scope=stage2,stage4
  ./run.sh receptive_field --model=resnet20,vgg16_cifar,nin_cifar10
  ./run.sh receptive_field --model=all --in_shape=32,32,3

Of one model: prints the receptive field of every unit, and draws, over an
image, the field in theory (a frame) and in effect (colours: the gradient of the
output in the middle with respect to each pixel, averaged over random inputs,
Luo et al., 2016). Of several: compares parameters, multiply-accumulates, field,
depth, and the decades by which the gradient's norm differs between the last
unit and the first at initialization; negative where it vanishes. Models that
cannot take --in_shape, or have no such shortcut, are named and left out.

Writes to --out:

  receptive_field.csv   every scope of the model: shapes, costs and fields
  receptive_field.png   the figure, and .svg
  models.csv, .png, .svg   where models are compared
"""

from collections.abc import Mapping, Sequence
from concurrent import futures
import csv
import io
import math
import pathlib
import sys
from typing import Any, NamedTuple

from absl import flags
from experiments import command_line
from experiments import help_texts
from experiments import list_flags
from experiments import output

_ALL = 'all'
_NUM_PANELS = 3
# Models are measured side by side, as many as fit: at 224 pixels the largest,
# VGG and ResNets of 100 layers, take some 2.5 GiB each while they are measured.
_MOST_AT_ONCE = 4
_BYTES_OF_ONE = 3 * 2**30
_OF_ONE = tuple(f'receptive_field.{suffix}' for suffix in ('csv', 'png', 'svg'))
_OF_SEVERAL = tuple(f'models.{suffix}' for suffix in ('csv', 'png', 'svg'))

_MODEL = flags.DEFINE_list(
  'model',
  'vgg16',
  'A name, several with commas between, or all. An unknown name lists all.',
)
_IN_SHAPE = flags.DEFINE_list(
  'in_shape',
  '',
  "Height, width and channels, such as 224,224,3; the model's own by default.",
)
_ACTIVATION = flags.DEFINE_string('activation', 'relu', help_texts.ACTIVATIONS)
_NORM = flags.DEFINE_string(
  'norm', 'own', f'{help_texts.OWN}, {help_texts.NORMS}'
)
_SHORTCUT = flags.DEFINE_string(
  'shortcut', 'own', f'{help_texts.OWN}, {help_texts.ALL_SHORTCUTS}'
)
_SCOPE = flags.DEFINE_list(
  'scope', '', 'Units to draw; by default three, the last among them.'
)
_NUM_SAMPLES = flags.DEFINE_integer(
  'num_samples', 4, 'Random inputs to average over.', lower_bound=1
)
_BATCH_SIZE = flags.DEFINE_integer(
  'batch_size',
  4,
  'Random inputs in a batch, to compare. Batch norm over few numbers, as over '
  'small images, inflates gradients.',
  lower_bound=1,
)
_SEED = flags.DEFINE_integer('seed', 0, 'Of weights and inputs.')

_SECTIONS: Mapping[str, Sequence[flags.FlagHolder[Any]]] = {
  'Model': [_MODEL, _IN_SHAPE, _ACTIVATION, _NORM, _SHORTCUT],
  'Measurement': [_SCOPE, _NUM_SAMPLES, _BATCH_SIZE, _SEED],
  'Output': [output.OUT, output.OVERWRITE],
}


class _LeftOut(NamedTuple):
  """Why a model is not compared."""

  reason: str


def main(_: list[str]) -> None:
  """Tabulates and draws one model, or compares several."""
  command_line.configure_jax()
  names = _names()
  _check_choices()
  in_shape = _in_shape()
  out = output.folder('receptive_field')
  output.check_files(out, _OF_ONE + _OF_SEVERAL)
  if len(names) == 1:
    _one(names[0], in_shape, out)
  else:
    _compare(names, in_shape, out)


def _names() -> list[str]:
  """Returns the models; refuses those that are unknown, or given twice."""
  from jaxdl import models

  names = _MODEL.value
  list_flags.check({_MODEL.name: names})
  if names == [_ALL]:
    names = list(models.names())
  for name in names:
    models.architecture(name)
  list_flags.check_unique(_MODEL)
  if len(names) > 1 and _SCOPE.value:
    raise ValueError('--scope is of one model; give one --model with it')
  return names


def _check_choices() -> None:
  """Refuses, once for all models, what is a choice in none of them."""
  from jaxdl import choice
  from jaxdl import laboratory
  from jaxdl import models

  laboratory.split({**laboratory.DEFAULTS, 'activation': _ACTIVATION.value})
  rows = [models.architecture(name) for name in models.names()]
  norms = [laboratory.OWN, *(norm for row in rows for norm in row.norms)]
  choice.choose('norm', _NORM.value, dict.fromkeys(norms))
  shortcuts = [laboratory.OWN, *(s for row in rows for s in row.shortcuts)]
  choice.choose('shortcut', _SHORTCUT.value, dict.fromkeys(shortcuts))


def _in_shape() -> tuple[int, ...] | None:
  text = ','.join(_IN_SHAPE.value)
  if not text:
    return None
  try:
    sizes = tuple(int(size) for size in _IN_SHAPE.value)
  except ValueError:
    sizes = ()
  if len(sizes) != 3 or min(sizes) < 1:
    raise ValueError(
      f'--in_shape={text}: give height, width and channels, as in 224,224,3'
    )
  return sizes


def _build(name: str, in_shape: tuple[int, ...] | None) -> tuple[Any, Any]:
  """Returns a model and the shape of its input."""
  from jaxdl import models

  row = models.architecture(name)
  in_shape = in_shape or row.in_shape
  net = models.build(
    name,
    in_shape=in_shape,
    num_classes=row.num_classes,
    activation=_ACTIVATION.value,
    norm=_unless_own(_NORM.value),
    shortcut=_unless_own(_SHORTCUT.value),
  )
  return net, in_shape


def _unless_own(value: str) -> str | None:
  from jaxdl import laboratory

  return None if value == laboratory.OWN else value


def _one(name: str, in_shape: Any, out: pathlib.Path) -> None:
  """Prints the table of a model, measures some of its units and draws them."""
  from experiments import field_figures
  from jaxdl import geometry
  from jaxdl.data import sources

  net, in_shape = _build(name, in_shape)
  fields = geometry.receptive_field(net, in_shape).at_depth(1)
  scopes = _SCOPE.value or _spread([row for row in fields if _moves(row)])
  rows = [fields.row(scope) for scope in scopes]
  print(fields)
  summary = geometry.summary(net, in_shape)
  print(
    f'\n{name}: {summary.parameters:,} parameters, {summary.macs:,} '
    f'multiply-accumulates, {summary.depth} layers deep'
  )
  measured = _effective(net, in_shape, [row.scope for row in rows])
  panels = list(map(field_figures.Panel, rows, measured))
  image = sources.load().train_images[0]
  figure = field_figures.draw_fields(
    name, field_figures.resize(image, in_shape[:2]), fields, panels
  )
  _write(out, _OF_ONE, summary.to_csv(), figure)


def _write(
  out: pathlib.Path, names: Sequence[str], table: str, figure: Any
) -> None:
  """Writes a table and its figure, each file whole or not at all.

  Args:
    out: the folder; made if need be.
    names: of the table, and of each format of the figure.
    table: comma-separated values.
    figure: the figure.
  """
  from jaxdl import report
  from jaxdl.report import figures

  out.mkdir(parents=True, exist_ok=True)
  write = lambda path: path.write_text(table, encoding='utf-8')
  report.replace(out / names[0], write)
  for name in names[1:]:
    report.replace(out / name, lambda path: figures.save(figure, path))
  print(f'Figure: {output.shown(out / names[1])}  (table beside it)')


def _effective(
  net: Any, in_shape: tuple[int, ...], scopes: Sequence[str]
) -> list[Any]:
  """Measures the fields of some units of one network."""
  import jax
  from jaxdl import geometry
  from jaxdl.sweep import compilation
  import numpy as np

  init_key, x_key = jax.random.split(jax.random.key(_SEED.value))
  params = compilation.run_once(
    lambda key: net.init(key, in_shape)[1:], init_key
  )
  found = []
  for scope in scopes:
    measured = geometry.effective_receptive_field(
      lambda params, x: net.apply(*params, x)[0],
      params,
      in_shape,
      x_key,
      num_samples=_NUM_SAMPLES.value,
      scope=scope,
    )
    if not (np.all(np.isfinite(measured)) and np.any(measured)):
      raise ValueError(
        f'the gradient of {scope} is zero or overflows before any training; '
        'choose another --scope or --norm'
      )
    found.append(np.asarray(measured))
  return found


def _moves(row: Any) -> bool:
  return any(field.stride for field in row.fields) and row.scope != 'output'


def _spread(rows: Sequence[Any]) -> list[str]:
  """Some units up to the last, evenly by depth."""
  if not rows:
    raise ValueError(
      'no unit of this model sees less than the whole image; choose one with '
      'convolutions'
    )
  last = len(rows) - 1
  places = {round(i * last / _NUM_PANELS) for i in range(1, _NUM_PANELS + 1)}
  return [rows[place].scope for place in sorted(places)]


def _compare(names: Sequence[str], in_shape: Any, out: pathlib.Path) -> None:
  """Prints, writes and draws a table of several models."""
  from experiments import field_figures

  found: list[dict[str, Any]] = []
  with futures.ThreadPoolExecutor(_at_once()) as pool:
    measured = pool.map(lambda name: _numbers(name, in_shape), names)
    for done, (name, numbers) in enumerate(zip(names, measured, strict=True)):
      if isinstance(numbers, _LeftOut):
        print(f'left out: {numbers.reason}', flush=True)
      else:
        found.append({'model': name, **numbers})
      if sys.stdout.isatty():
        print(f'{done + 1} of {len(names)}', end='\r', flush=True)
  if not found:
    raise ValueError('no model is left to compare; each line above says why')
  print(_table(found))
  table = io.StringIO()
  writer = csv.DictWriter(table, found[0], lineterminator='\n')
  writer.writeheader()
  writer.writerows(found)
  figure = field_figures.draw_models(found)
  _write(out, _OF_SEVERAL, table.getvalue(), figure)


def _at_once() -> int:
  """Returns how many models the cores, and the memory, are enough for."""
  import jax
  from jaxdl import sweep

  fitting = sweep.available_memory(jax.devices()[0]) // _BYTES_OF_ONE
  return max(1, min(command_line.usable_cores(), fitting, _MOST_AT_ONCE))


def _numbers(
  name: str, in_shape: tuple[int, ...] | None
) -> dict[str, Any] | _LeftOut:
  """What the table says of a model, which is let go afterwards."""
  from jaxdl import geometry

  try:
    net, in_shape = _build(name, in_shape)
  except ValueError as error:
    return _LeftOut(str(error))
  summary = geometry.summary(net, in_shape, depth=1)
  fields = geometry.receptive_field(net, in_shape).at_depth(1)
  moving = [row for row in fields if _moves(row)]
  return {
    'height': in_shape[0],
    'depth': summary.depth,
    'parameters': summary.parameters,
    'macs': summary.macs,
    'field': int(moving[-1].fields[0].size) if moving else None,
    'stride': moving[-1].fields[0].stride if moving else None,
    'decades': _decades(net, in_shape, summary),
  }


def _decades(net: Any, in_shape: tuple[int, ...], summary: Any) -> float:
  """log10 of the gradient's norm at the first unit over that at the last.

  The gradient of the cross-entropy at initialization, in training, with respect
  to the outputs of the units; the last is the one before the readout.
  """
  import jax
  from jaxdl import tracing
  from jaxdl.sweep import compilation
  from jaxdl.training import loss

  init_key, x_key, apply_key = jax.random.split(jax.random.key(_SEED.value), 3)
  params, state = compilation.run_once(
    lambda key: net.init(key, in_shape)[1:], init_key
  )
  x = jax.random.normal(x_key, (_BATCH_SIZE.value, *in_shape))

  def loss_fn(params):
    answers, _ = net.apply(params, state, x, train=True, key=apply_key)
    logits = jax.tree.leaves(answers)[0]  # Auxiliary ones follow, if any.
    labels = jax.numpy.arange(len(x)) % logits.shape[-1]
    return loss.cross_entropy(logits, labels)

  profile = compilation.run_once(tracing.log_cotangent_profile(loss_fn), params)
  first, *_, last, _ = summary.rows
  norms = [
    float(profile[row.scope]) + math.log10(math.prod(row.shape)) / 2
    for row in (first, last)
  ]
  return norms[0] - norms[1]


def _table(found: Sequence[Mapping[str, Any]]) -> str:
  from jaxdl.geometry import columns

  header = ('model', 'image', 'depth', 'parameters', 'MACs', 'field', 'stride')
  rows = [
    (
      row['model'],
      str(row['height']),
      str(row['depth']),
      f'{row["parameters"]:,}',
      f'{row["macs"]:,}',
      'all' if row['field'] is None else str(row['field']),
      '-' if row['stride'] is None else str(row['stride']),
      f'{row["decades"]:+.2f}',
    )
    for row in found
  ]
  return columns.aligned((*header, 'decades'), rows)


if __name__ == '__main__':
  command_line.run(main, sections=_SECTIONS)
