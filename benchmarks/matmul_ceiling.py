"""How much of the machine's matrix arithmetic does a training step reach?

Times the measured training of perceptrons, one a device, and counts the
arithmetic of its linear layers alone; beside it, in the same rounds, large
square products by JAX, NumPy and PyTorch, whose best is the ceiling.

  ./run.sh benchmark matmul_ceiling --width=128 --batch_size=128
"""

from collections.abc import Iterator, Sequence
import os
import statistics

from absl import flags
from benchmarks import program
from benchmarks import reporting
from benchmarks import results
from experiments import command_line
import jax
import jax.numpy as jnp
from jaxdl.timing import interleaved
import numpy as np
import torch

_DEPTH = flags.DEFINE_integer('depth', 30, 'Layers before the readout.')
_WIDTH = flags.DEFINE_integer('width', 128, 'Units of a layer.')
_BATCH_SIZE = flags.DEFINE_integer('batch_size', 128, 'Examples in a batch.')
_STEPS = flags.DEFINE_integer('steps', 50, 'Steps of a round.')
_ROUNDS = flags.DEFINE_integer('rounds', 9, 'Rounds, each of all sides.')

_SIZE = 2048  # Of the square matrices.
_TRAINING = 'training'


def step_flops(depth: int, width: int, batch_size: int) -> int:
  """Floating-point operations of the linear layers of one training step.

  Forward, weights' gradient and inputs' gradient are a product each; the images
  need no gradient.
  """
  inputs = int(np.prod(program.IN_SHAPE)) * width
  products = 2 * inputs
  products += 3 * ((depth - 1) * width**2 + width * program.NUM_CLASSES)
  return 2 * batch_size * products


def measurements() -> Iterator[results.Measurement]:
  """Times training and products, and asks for its share of the best."""
  command_line.configure_jax()
  torch.set_num_threads(os.cpu_count() or 1)
  sizes = (_DEPTH.value, _WIDTH.value, _BATCH_SIZE.value)
  count, steps = jax.device_count(), _STEPS.value
  cells = program.cells(
    count, depth=sizes[0], width=sizes[1], batch_size=sizes[2]
  )
  training = program.runner(program.trace(cells, steps))
  sides = {_TRAINING: training, **_products()}
  for run in sides.values():
    run()
  times = interleaved(sides, _ROUNDS.value)
  flops = dict.fromkeys(sides, 2 * _SIZE**3)
  flops[_TRAINING] = count * steps * step_flops(*sizes)
  speeds = {
    name: [1e-9 * flops[name] / seconds for seconds in times[name]]
    for name in times
  }
  ceiling = max(
    (name for name in speeds if name != _TRAINING),
    key=lambda name: statistics.median(speeds[name]),
  )
  ratio = results.Ratio(
    "arithmetic of the linear layers over the machine's matmul ceiling, in "
    f'measured training at width {_WIDTH.value}',
    _TRAINING,
    ceiling,
    results.Kind.SHARE,
    goal=0.75,
  )
  yield results.Measurement(
    'arithmetic', 'GFLOP/s', results.sides(speeds), (ratio,)
  )


def _products():
  """Returns the square product of each library, on all cores."""
  a = np.random.default_rng(0).normal(size=(_SIZE, _SIZE)).astype(np.float32)
  a_jax, a_torch = jnp.asarray(a), torch.from_numpy(a)
  product = jax.jit(jnp.dot)
  return {
    'JAX product': lambda: product(a_jax, a_jax).block_until_ready(),
    'NumPy product': lambda: a @ a,
    'PyTorch product': lambda: a_torch @ a_torch,
  }


def main(_: Sequence[str]) -> None:
  """Reports the share of the ceiling, and the speed of each side."""
  reporting.report(measurements())


if __name__ == '__main__':
  reporting.run(main)
