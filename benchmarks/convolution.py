"""Which formulation of a 3x3 convolution is fastest, forward and backward?

Times, at the shapes of ResNet-20 and VGG-16 for CIFAR, what a training step
asks of a convolution: its output, the gradient of its input and that of its
kernel. That all formulations agree is checked first. `--loop` puts each within
a loop, as training is: there XLA's CPU backend leaves the derivatives of
`jax.lax` convolutions to plain loops over elements, which take minutes.

  ./run.sh benchmark convolution --loop --formulations=jaxdl,taps
"""

from collections.abc import Callable, Sequence
import functools
import statistics
import time

from absl import flags
from benchmarks import convolution_forms
from benchmarks import timing
from experiments import command_line
import jax
import jax.numpy as jnp
from jaxdl import choice
from jaxdl.timing import interleaved
from jaxdl.timing import Times
import numpy as np
import torch

_FORMULATIONS = flags.DEFINE_list(
  'formulations',
  list(convolution_forms.FORMULATIONS),
  'The formulations; PyTorch comes beside them.',
)
_SHAPES = flags.DEFINE_list(
  'shapes',
  '128x32x16,128x16x32,128x8x64,128x8x256,128x4x512,128x2x512',
  'Convolutions, each as batch x height and width x channels.',
)
_LOOP = flags.DEFINE_bool('loop', False, 'Each within a loop.')
_ROUNDS = flags.DEFINE_integer('rounds', 7, 'Rounds, each of all sides.')

_PYTORCH = 'PyTorch'
_LOOP_STEPS = 2  # A loop of a single step would be unrolled.

_PARTS = ('forward', 'input gradient', 'kernel gradient')

Sides = dict[tuple[str, str], Callable[[], object]]  # By name and part.


def main(_: Sequence[str]) -> None:
  """Prints milliseconds and GFLOP/s of each formulation, part and shape."""
  command_line.configure_jax()
  jax.config.update('jax_num_cpu_devices', 1)
  torch.set_num_threads(command_line.usable_cores())
  where = 'within a loop' if _LOOP.value else 'outside loops'
  print(f'PyTorch {torch.__version__}, JAX {jax.__version__} {where}; ', end='')
  print(f'{timing.machine()}.')
  print('Milliseconds, GFLOP/s, and GFLOP/s a busy core:')
  print(f'{"":24}' + ''.join(f'{part:>24}' for part in _PARTS))
  for text in _SHAPES.value:
    batch, size, channels = _shape(text)
    arrays = _arrays(batch, size, channels)
    sides = {**_jax_sides(arrays), **_torch_sides(arrays)}
    gigaflops = 2e-9 * batch * size**2 * 9 * channels**2
    _print_table(text, gigaflops, *_times(sides))


def _shape(text: str) -> tuple[int, ...]:
  """Parses batch, size and channels.

  Raises:
    ValueError: if the text is not of that form.
  """
  numbers = text.split('x')
  if len(numbers) != 3 or not all(number.isdigit() for number in numbers):
    raise ValueError(
      f'shape {text!r} is not batch x size x channels; write it as 128x32x16'
    )
  return tuple(int(number) for number in numbers)


def _arrays(batch: int, size: int, channels: int) -> dict[str, np.ndarray]:
  rng = np.random.default_rng(0)
  image = (batch, size, size, channels)
  shapes = {'x': image, 'ct': image, 'kernel': (3, 3, channels, channels)}
  return {
    name: rng.normal(size=shape).astype(np.float32)
    for name, shape in shapes.items()
  }


def _jax_sides(arrays: dict[str, np.ndarray]) -> Sides:
  """Compiles each part of each formulation, and compares their values."""
  sides: Sides = {}
  expected: dict[str, np.ndarray] = {}
  for name in _FORMULATIONS.value:
    forms = convolution_forms.FORMULATIONS
    form = choice.choose('formulation', name, forms)()
    axes = tuple('NHWC'.index(axis) for axis in form.layout)
    kernel = jnp.asarray(arrays['kernel'])
    x, ct = (jnp.asarray(arrays[a].transpose(axes)) for a in ('x', 'ct'))
    inputs = ((x, kernel), (ct, kernel), (x, ct))
    for part, function, pair in zip(_PARTS, form[:3], inputs, strict=True):
      value = np.asarray(jax.jit(function)(*pair))
      if part != 'kernel gradient':
        value = value.transpose(np.argsort(axes))
      _require_close(value, expected.setdefault(part, value), name, part)
      sides[name, part] = _runner(function, pair)
  return sides


def _require_close(value, expected, name, part) -> None:
  """Demands agreement to the rounding of sums of this length.

  Raises:
    RuntimeError: if there is none.
  """
  error = np.max(np.abs(value - expected)) / np.max(np.abs(expected))
  if error > 1e-4:
    raise RuntimeError(f'{name}: the {part} is off by {error:.1e}')


def _runner(function, pair) -> Callable[[], object]:
  if not _LOOP.value:
    compiled = jax.jit(function).lower(*pair).compile()
    return lambda: jax.block_until_ready(compiled(*pair))

  def looped(*stacks):
    return jax.lax.map(lambda pair: function(*pair), stacks)

  stacks = [jnp.stack([array] * _LOOP_STEPS) for array in pair]
  compiled = jax.jit(looped).lower(*stacks).compile()
  return lambda: jax.block_until_ready(compiled(*stacks))


def _torch_sides(arrays: dict[str, np.ndarray]) -> Sides:
  """Returns the parts as PyTorch computes them, channels last."""
  x, ct = (torch.from_numpy(arrays[a]).permute(0, 3, 1, 2) for a in ('x', 'ct'))
  kernel = torch.from_numpy(arrays['kernel']).permute(3, 2, 0, 1)
  kernel = kernel.contiguous(memory_format=torch.channels_last)

  def backward(of_input, of_kernel):
    return torch.ops.aten.convolution_backward(
      ct,
      x,
      kernel,
      None,
      stride=(1, 1),
      padding=(1, 1),
      dilation=(1, 1),
      transposed=False,
      output_padding=(0, 0),
      groups=1,
      output_mask=(of_input, of_kernel, False),
    )

  functions = (
    lambda: torch.nn.functional.conv2d(x, kernel, padding=1),
    functools.partial(backward, True, False),
    functools.partial(backward, False, True),
  )
  repeats = range(_LOOP_STEPS if _LOOP.value else 1)

  def runner(function):
    return lambda: [function() for _ in repeats]

  return {
    (_PYTORCH, part): runner(function)
    for part, function in zip(_PARTS, functions, strict=True)
  }


def _times(sides: Sides) -> tuple[Times, Times]:
  """Returns seconds of the wall and of all cores, by `name/part`."""
  cores: Times = {'/'.join(key): [] for key in sides}

  def recorder(key):
    def run():
      begin = time.process_time()
      sides[key]()
      cores['/'.join(key)].append(time.process_time() - begin)

    return run

  for run in sides.values():
    run()
  walls = interleaved(
    {'/'.join(key): recorder(key) for key in sides}, _ROUNDS.value
  )
  return walls, cores


def _print_table(
  shape: str, gigaflops: float, walls: Times, cores: Times
) -> None:
  repeats = _LOOP_STEPS if _LOOP.value else 1
  for name in (*_FORMULATIONS.value, _PYTORCH):
    line = f'{shape:14}{name:10}'
    for part in _PARTS:
      wall, core = (
        statistics.median(times[f'{name}/{part}']) / repeats
        for times in (walls, cores)
      )
      line += (
        f'{1e3 * wall:10.2f}{gigaflops / wall:7.0f}{gigaflops / core:7.0f}'
      )
    print(line, flush=True)


if __name__ == '__main__':
  command_line.run(main, script='./run.sh benchmark')
