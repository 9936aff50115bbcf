"""Does compile time grow with depth?

Traces and compiles the whole measured training program of a shallow and of a
very deep network, without a cache.

  ./run.sh benchmark compile_depth --depths=10,10000
"""

from collections.abc import Sequence
import functools

from absl import flags
from benchmarks import program
from benchmarks import timing
from experiments import command_line
import jax
from jaxdl.timing import interleaved

_DEPTHS = flags.DEFINE_list('depths', '10,10000', 'Depths, the least first.')
_ROUNDS = flags.DEFINE_integer('rounds', 3, 'Rounds, each of all depths.')


def compile_training(depth: int) -> None:
  """Traces and compiles the training of a network of this depth."""
  jax.clear_caches()
  traced = program.trace(program.cells(1, depth=depth), num_steps=10)
  traced.functions.chunk.lower().compile()


def main(_: Sequence[str]) -> None:
  """Prints the ratio of the deepest to the shallowest, and each time."""
  print(f'{timing.machine()}.')
  jax.config.update('jax_enable_compilation_cache', False)
  depths = [int(depth) for depth in _DEPTHS.value]
  compile_training(depths[0])
  times = interleaved(
    {
      str(depth): functools.partial(compile_training, depth) for depth in depths
    },
    _ROUNDS.value,
  )
  ratio = timing.median_ratio(times, str(depths[-1]), str(depths[0]))
  print(f'{ratio:.2f} times the time at depth {depths[0]} at {depths[-1]}')
  for name, values in times.items():
    print(f'  depth {name:>7}: {timing.spread(values)}')


if __name__ == '__main__':
  command_line.run(main, script='./run.sh benchmark')
