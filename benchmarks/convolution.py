"""Which formulation of a 3x3 convolution is fastest, forward and backward?

Times, at the shapes of ResNet-20 and VGG-16 for CIFAR, what a training step
asks of a convolution: its output, the gradient of its input and that of its
kernel. That all formulations agree is checked first. `--loop` puts each within
a loop, as training is: there XLA's CPU backend leaves the derivatives of
`jax.lax` convolutions to plain loops over elements, which take minutes.

  ./run.sh benchmark convolution --loop --formulations=jaxdl,taps
"""

from collections.abc import Callable, Iterator, Sequence
import functools

from absl import flags
from benchmarks import clocks
from benchmarks import convolution_forms
from benchmarks import reporting
from benchmarks import results
from experiments import command_line
import jax
import jax.numpy as jnp
from jaxdl import choice
from jaxdl import timing
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

_OURS, _PYTORCH = 'jaxdl', 'PyTorch'
_LOOP_STEPS = 2  # A loop of a single step would be unrolled.

_PARTS = ('forward', 'input gradient', 'kernel gradient')

Sides = dict[str, dict[str, Callable[[], object]]]  # By part and name.


def measurements() -> Iterator[results.Measurement]:
  """Times each part of a convolution at each shape."""
  command_line.configure_jax()
  jax.config.update('jax_num_cpu_devices', 1)
  torch.set_num_threads(command_line.usable_cores())
  for text in _SHAPES.value:
    batch, size, channels = _shape(text)
    arrays = _arrays(batch, size, channels)
    theirs = _torch_side(arrays)
    gigaflops = 2e-9 * batch * size**2 * 9 * channels**2
    for part, sides in _jax_sides(arrays).items():
      sides = {**sides, _PYTORCH: theirs[part]}
      yield _measured(f'{text}: {part}', gigaflops, sides)


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
  sides: Sides = {part: {} for part in _PARTS}
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
      sides[part][name] = _runner(function, pair)
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


def _torch_side(
  arrays: dict[str, np.ndarray],
) -> dict[str, Callable[[], object]]:
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
    part: runner(function)
    for part, function in zip(_PARTS, functions, strict=True)
  }


def _measured(
  title: str, gigaflops: float, sides: dict[str, Callable[[], object]]
) -> results.Measurement:
  """Times the sides; their notes tell the arithmetic a second."""
  repeats = _LOOP_STEPS if _LOOP.value else 1
  for run in sides.values():
    run()
  readings = timing.interleaved(sides, _ROUNDS.value, clocks.now)
  notes = {}
  for name, values in readings.items():
    wall, core = gigaflops * repeats / np.median(values, axis=0)
    notes[name] = f'{wall:.0f} GFLOP/s, {core:.0f} a busy core'
  ratio = results.Ratio(
    f'a convolution, {title}: {_OURS} beside {_PYTORCH}',
    _PYTORCH,
    _OURS,
    results.Kind.SPEED,
  )
  where = 'within a loop' if _LOOP.value else 'outside loops'
  return results.Measurement(
    f'a convolution, {title}, {where}',
    'ms',
    clocks.sides(readings, 1e3 / repeats, notes),
    (ratio,) if _OURS in sides else (),
  )


def main(_: Sequence[str]) -> None:
  """Reports milliseconds and GFLOP/s of each formulation, part and shape."""
  reporting.report(measurements())


if __name__ == '__main__':
  reporting.run(main)
