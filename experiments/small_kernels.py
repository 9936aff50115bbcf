"""What do stacks of small kernels give for one large kernel of equal field?

Trains networks that differ in one thing: each block is one 7x7 convolution, a
5x5 and a 3x3, or three 3x3, which all see 7 pixels. Reports parameters,
multiply-accumulates, the time of a training step, what a pixel sees in theory
and in effect, the gradient over the blocks, and the accuracy over seeds.

  ./run.sh small_kernels --blocks=8 --norm=batch
  ./run.sh small_kernels --kernels=5,3+3 --num_seeds=5
  ./run.sh small_kernels --activation=tanh --init=orthogonal --width=32
  ./run.sh small_kernels --data=cifar10 --data_dir=DIR --num_steps=2000

Without flags: 3 kinds of block x 2 rates x 3 seeds = 18 networks of 2 blocks,
about two minutes on 2 cores. Each kind is reported at its better rate, the one
with the lower training loss.

The step is timed after the training, forward, backward and update without
measurements, the kinds taking turns, on one device; the table has the medians.
Writes to --out:

  small_kernels.png, .svg   the figure
  small_kernels.csv         every kind at every rate
  record.zarr               the record: over cell, step and layer (the stem,
                            the blocks, the readout)
"""

from collections.abc import Callable, Mapping, Sequence
import pathlib
import statistics
from typing import Any, NamedTuple

from absl import flags
from experiments import command_line
from experiments import hosts
from experiments import training
from experiments import treatments

_KERNELS = flags.DEFINE_list(
  'kernels',
  '7,5+3,3+3+3',
  'Kinds of block: odd kernel sizes in order, + between.',
)
_BLOCKS = flags.DEFINE_integer('blocks', 2, 'Blocks of each network.')
_STEM_STRIDES = flags.DEFINE_integer(
  'stem_strides', 2, 'Kernel size and stride of the first convolution.'
)
_PREPROCESSING = 'channel_standard'
_TIMING_ROUNDS = flags.DEFINE_integer(
  'timing_rounds', 15, 'Steps of each kind that are timed.', lower_bound=1
)

_SECTIONS: Mapping[str, Sequence[flags.FlagHolder[Any]]] = {
  'Compared (a comma makes a list)': [
    _KERNELS,
    treatments.LEARNING_RATE,
    training.NUM_SEEDS,
  ],
  'Network': [
    _BLOCKS,
    treatments.WIDTH,
    _STEM_STRIDES,
    treatments.ACTIVATION,
    treatments.NORM,
    treatments.INIT,
  ],
  'Training': [
    treatments.OPTIMIZER,
    treatments.BATCH_SIZE,
    training.NUM_STEPS,
    treatments.TARGET_LOSS,
    training.DATA,
    training.DATA_DIR,
    _TIMING_ROUNDS,
  ],
  **training.SECTIONS,
}

command_line.set_defaults(
  learning_rate='0.001,0.003',
  width=16,
  optimizer='adam',
  batch_size=32,
  target_loss=1.0,
  num_seeds=3,
  num_steps=200,
  chunk_steps=50,
)


class Static(NamedTuple):
  """What of a cell changes its program."""

  kernels: tuple[int, ...]
  blocks: int
  stem_strides: int
  rest: Any  # A `laboratory.Static`.


def main(_: list[str]) -> None:
  """Trains each kind of block, compares and reports."""
  hosts.configure_jax()
  plan = training.plan(_grid().cells(), _split)
  out = training.output_folder('small_kernels')
  training.train(
    'small_kernels',
    plan,
    out,
    split=_split,
    load=_load,
    builder=_builder,
    settings={'preprocessing': _PREPROCESSING},
  )
  training.report(out, lambda: _report(plan, out))


def _grid() -> Any:
  """Returns the grid; checks what the flags alone can tell."""
  from jaxdl import sweep

  network = {'model': 'cnn', 'depth': _BLOCKS.value + 1}  # Before the readout.
  axes = treatments.axes(_KERNELS, network)
  return sweep.Grid(
    {
      'kernels': _KERNELS.value,
      **axes,
      'stem_strides': [_STEM_STRIDES.value],
    }
  )


def _split(cell: Mapping[str, Any]) -> tuple[Static, dict[str, float]]:
  """Splits a cell into its static and its dynamic part; checks both."""
  from jaxdl import laboratory

  rest, dynamic = laboratory.split({k: cell[k] for k in laboratory.DEFAULTS})
  static = Static(
    _sizes(cell['kernels']), cell['depth'] - 1, cell['stem_strides'], rest
  )
  _choices(static, dynamic)  # Refuses what is no network.
  return static, dynamic


def _sizes(kind: str) -> tuple[int, ...]:
  """Parses `5+3`."""
  try:
    return tuple(int(size) for size in kind.split('+'))
  except ValueError:
    raise ValueError(
      f'kernels {kind!r} are no sizes; write odd integers with + between, as '
      'in 3+3+3'
    ) from None


def _choices(static: Static, dynamic: Mapping[str, Any]) -> dict[str, Any]:
  """Returns what `kernel_stack.features` takes, and checks it."""
  from jaxdl import laboratory
  from jaxdl import layers
  from jaxdl.layers import initializers
  from jaxdl.models import kernel_stack

  numbers = laboratory.numbers('activation', dynamic)
  choices = {
    'kernels': static.kernels,
    'blocks': static.blocks,
    'width': static.rest.width,
    'activation': layers.activation(static.rest.activation, **numbers),
    'norm': static.rest.norm,
    'stem_strides': static.stem_strides,
    'weight_init': initializers.get(static.rest.init)(),
  }
  kernel_stack.features(**choices)
  return choices


def _model(static: Static, dynamic: Mapping[str, Any], num_classes: int) -> Any:
  from jaxdl.models import kernel_stack

  choices = _choices(static, dynamic)
  return kernel_stack.kernel_stack(num_classes=num_classes, **choices)


def _builder(
  in_shape: tuple[int, ...], num_classes: int
) -> Callable[[Static], Any]:
  """Returns what builds the experiment of a static part."""
  from jaxdl import laboratory

  def build(static):
    make = lambda rest, dynamic, classes: _model(static, dynamic, classes)
    return laboratory.builder(in_shape, num_classes, make)(static.rest)

  return build


def _load() -> Any:
  from jaxdl.data import preprocessing

  return preprocessing.preprocess(training.load(), _PREPROCESSING)


def _report(plan: Any, out: pathlib.Path) -> None:
  """Measures each kind, prints the table and the verdict, writes the files."""
  from jaxdl import diagnosis
  from jaxdl import sweep
  from jaxdl.report import comparison
  from jaxdl.report import panels
  from jaxdl.report import small_kernels as report

  record = sweep.open_record(out).load()
  frame = comparison.summary(
    record, diagnosis.diagnose(record), treatments.TARGET_LOSS.value
  )
  models = _models(plan)
  seen = {kind: _effective_field(*model) for kind, model in models.items()}
  numbers = _numbers(models)
  for kind, profiles in seen.items():
    numbers[kind]['effective_size'] = report.effective_size(profiles)
  for column in numbers[_KERNELS.value[0]]:
    frame[column] = [numbers[kind][column] for kind in frame[report.AXIS]]
  best = comparison.best(frame, report.AXIS).set_index(report.AXIS)
  chosen = best.loc[_KERNELS.value].reset_index()
  found = report.figure_panels(record, chosen, seen)
  treatments.publish(
    'small_kernels',
    out,
    report=report,
    chosen=chosen,
    sentences=report.verdict(chosen),
    frame=frame,
    figure=panels.draw(found, _KERNELS.value),
  )


def _models(plan: Any) -> dict[str, tuple[Static, dict[str, float]]]:
  """Returns the static part, and one dynamic part, of each kind of block."""
  return {
    str(program.cells[0]['kernels']): _split(program.cells[0])
    for program in plan.programs
  }


def _numbers(models: Mapping[str, Any]) -> dict[str, dict[str, float]]:
  """Counts and times each kind of block."""
  from jaxdl import geometry
  from jaxdl.models import kernel_stack

  dataset = _load()
  in_shape = dataset.train_images.shape[1:]
  times = _step_times(models, dataset)
  found = {}
  for kind, (static, dynamic) in models.items():
    net = _model(static, dynamic, dataset.num_classes)
    trunk = kernel_stack.features(**_choices(static, dynamic))
    summary = geometry.summary(net, in_shape)
    (field, _) = geometry.receptive_field(trunk, in_shape).row('output').fields
    found[kind] = {
      'parameters': summary.parameters,
      'macs': summary.macs,
      'field': float(field.size),
      'step_seconds': statistics.median(times[kind]),
      'step_seconds_min': min(times[kind]),
      'step_seconds_max': max(times[kind]),
    }
  return found


def _step_times(
  models: Mapping[str, Any], dataset: Any
) -> dict[str, list[float]]:
  """Times training steps, the kinds taking turns; seconds."""
  import jax
  from jaxdl import timing
  from jaxdl.training import loss

  batch = slice(0, treatments.BATCH_SIZE.value)
  data = (dataset.train_images[batch], dataset.train_labels[batch])
  images, labels = jax.device_put(data, jax.devices()[0])
  steps = {}
  for kind, (static, dynamic) in models.items():
    net = _model(static, dynamic, dataset.num_classes)

    def step(params, state, net=net):
      def loss_fn(params):
        logits, new_state = net.apply(
          params, state, images, train=True, key=jax.random.key(0)
        )
        return loss.cross_entropy(logits, labels), new_state

      grads, state = jax.grad(loss_fn, has_aux=True)(params)
      return jax.tree.map(lambda p, g: p - 0.01 * g, params, grads), state

    init = jax.jit(lambda key, net=net: net.init(key, images.shape[1:])[1:])
    steps[kind] = (jax.jit(step), init(jax.random.key(0)))
    jax.block_until_ready(steps[kind][0](*steps[kind][1]))
  sides = {
    kind: lambda run=run, given=given: jax.block_until_ready(run(*given))
    for kind, (run, given) in steps.items()
  }
  return timing.interleaved(sides, _TIMING_ROUNDS.value)


def _effective_field(static: Static, dynamic: Mapping[str, Any]) -> Any:
  """Returns how much each pixel matters at initialization, `[seed, offset]`.

  The image is so large that the field of the middle lies within it. Pixels
  that the stem takes together count alike: how they differ is the stem's doing.
  """
  import jax
  from jaxdl import geometry
  from jaxdl.models import kernel_stack
  import numpy as np

  trunk = kernel_stack.features(**_choices(static, dynamic))
  extent = sum(size - 1 for size in static.kernels) * static.blocks + 1
  side = static.stem_strides * (2 * (extent // 2 + 1) + 1)
  measure = jax.jit(
    lambda key: geometry.effective_receptive_field(
      trunk, None, (side, side, 1), key
    )
  )
  fields = [
    np.asarray(measure(jax.random.key(seed)), float)
    for seed in range(training.NUM_SEEDS.value)
  ]
  stride = static.stem_strides
  columns = [field.sum(0).reshape(-1, stride).mean(1) for field in fields]
  return np.stack([np.repeat(c / c.sum() / stride, stride) for c in columns])


if __name__ == '__main__':
  command_line.run(main, sections=_SECTIONS)
