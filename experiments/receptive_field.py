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
cannot take --in_shape are named and left out.

Writes to --out:

  receptive_field.csv   every scope of the model: shapes, costs and fields
  receptive_field.png   the figure, and .svg
  models.csv, .png, .svg   where models are compared
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent import futures
import csv
import datetime
import math
import os
import pathlib
import sys
from typing import Any

from absl import flags
from experiments import command_line

_ALL = 'all'
_NUM_PANELS = 3

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
_ACTIVATION = flags.DEFINE_string(
  'activation', 'relu', 'sigmoid, tanh, relu, leaky_relu:0.2, elu, ...'
)
_NORM = flags.DEFINE_string(
  'norm', 'own', 'own (of the model as published), none, batch, layer.'
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
_OUT = flags.DEFINE_string(
  'out', None, 'Where to write. By default results/receptive_field/<time>.'
)

_SECTIONS: Mapping[str, Sequence[flags.FlagHolder[Any]]] = {
  'Model': [_MODEL, _IN_SHAPE, _ACTIVATION, _NORM],
  'Measurement': [_SCOPE, _NUM_SAMPLES, _BATCH_SIZE, _SEED],
  'Output': [_OUT],
}


def main(_: list[str]) -> None:
  """Tabulates and draws one model, or compares several."""
  command_line.configure_jax()
  from jaxdl import models

  every = _MODEL.value == [_ALL]
  names = list(models.names()) if every else _MODEL.value
  for name in names:
    models.architecture(name)  # Refuses unknown names before anything is done.
  in_shape = _in_shape()
  now = datetime.datetime.now().strftime('%Y-%m-%d-%H%M%S')
  out = pathlib.Path(_OUT.value or f'results/receptive_field/{now}')
  if len(names) == 1:
    _one(names[0], in_shape, out)
  else:
    if _SCOPE.value:
      raise ValueError('--scope is of one model; give one --model with it')
    _compare(names, in_shape, out)


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
    norm=None if _NORM.value == 'own' else _NORM.value,
  )
  return net, in_shape


def _one(name: str, in_shape: Any, out: pathlib.Path) -> None:
  """Prints the table of a model, measures some of its units and draws them."""
  from experiments import field_figures
  from jaxdl import geometry
  from jaxdl.data import sources
  from jaxdl.report import figures

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
  out.mkdir(parents=True, exist_ok=True)
  (out / 'receptive_field.csv').write_text(summary.to_csv())
  for suffix in ('png', 'svg'):
    figures.save(figure, out / f'receptive_field.{suffix}')
  print(f'Figure: {os.path.relpath(out / "receptive_field.png")}')


def _effective(
  net: Any, in_shape: tuple[int, ...], scopes: Sequence[str]
) -> list[Any]:
  """Measures the fields of some units of one network."""
  import jax
  from jaxdl import geometry
  import numpy as np

  init_key, x_key = jax.random.split(jax.random.key(_SEED.value))
  params = _once(lambda key: net.init(key, in_shape)[1:], init_key)
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
  from jaxdl.report import figures

  buildable = dict(_buildable(names, in_shape))
  if not buildable:
    raise ValueError('no model is left to compare; each line above says why')
  found: list[dict[str, Any]] = []
  with futures.ThreadPoolExecutor(command_line.usable_cores()) as pool:
    measured = pool.map(lambda built: _numbers(*built), buildable.values())
    for name, numbers in zip(buildable, measured, strict=True):
      found.append({'model': name, **numbers})
      if sys.stdout.isatty():
        print(f'{len(found)} of {len(buildable)}', end='\r', flush=True)
  print(_table(found))
  out.mkdir(parents=True, exist_ok=True)
  with open(out / 'models.csv', 'w', newline='') as file:
    writer = csv.DictWriter(file, found[0], lineterminator='\n')
    writer.writeheader()
    writer.writerows(found)
  figure = field_figures.draw_models(found)
  for suffix in ('png', 'svg'):
    figures.save(figure, out / f'models.{suffix}')
  print(f'Figure: {os.path.relpath(out / "models.png")}')


def _buildable(
  names: Sequence[str], in_shape: Any
) -> Iterator[tuple[str, tuple[Any, tuple[int, ...]]]]:
  """Yields the models that can take the input; names the others."""
  for name in names:
    try:
      yield name, _build(name, in_shape)
    except ValueError as error:
      print(f'left out: {error}')


def _numbers(net: Any, in_shape: tuple[int, ...]) -> dict[str, Any]:
  """What the table says of a model."""
  from jaxdl import geometry

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
  from jaxdl.training import loss

  init_key, x_key, apply_key = jax.random.split(jax.random.key(_SEED.value), 3)
  params, state = _once(lambda key: net.init(key, in_shape)[1:], init_key)
  x = jax.random.normal(x_key, (_BATCH_SIZE.value, *in_shape))

  def loss_fn(params):
    answers, _ = net.apply(params, state, x, train=True, key=apply_key)
    logits = jax.tree.leaves(answers)[0]  # Auxiliary ones follow, if any.
    labels = jax.numpy.arange(len(x)) % logits.shape[-1]
    return loss.cross_entropy(logits, labels)

  profile = _once(tracing.log_cotangent_profile(loss_fn), params)
  first, *_, last, _ = summary.rows
  norms = [
    float(profile[row.scope]) + math.log10(math.prod(row.shape)) / 2
    for row in (first, last)
  ]
  return norms[0] - norms[1]


def _once(fn: Callable[..., Any], *args: Any) -> Any:
  """Calls a function that takes longer to compile than to run."""
  import jax

  cpu = jax.default_backend() == 'cpu'
  options: Any = {'xla_backend_optimization_level': 0} if cpu else {}
  lowered = jax.jit(fn).trace(*args).lower()
  return lowered.compile(compiler_options=options)(*args)


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
