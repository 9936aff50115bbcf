"""Does compile time grow with depth?

Traces and compiles the whole measured training program of a shallow and of a
very deep network, without a cache.

  ./run.sh benchmark compile_depth --depths=10,10000
"""

from collections.abc import Iterator, Sequence
import functools

from absl import flags
from benchmarks import program
from benchmarks import reporting
from benchmarks import results
import jax
from jaxdl.timing import interleaved

_DEPTHS = flags.DEFINE_list('depths', '10,10000', 'Depths, the least first.')
_ROUNDS = flags.DEFINE_integer('rounds', 3, 'Rounds, each of all depths.')


def compile_training(depth: int) -> None:
  """Traces and compiles the training of a network of this depth."""
  jax.clear_caches()
  traced = program.trace(program.cells(1, depth=depth), num_steps=10)
  traced.functions.chunk.lower().compile()


def measurements() -> Iterator[results.Measurement]:
  """Times the depths, and asks how the deepest compares to the shallowest."""
  jax.config.update('jax_enable_compilation_cache', False)
  depths = [int(depth) for depth in _DEPTHS.value]
  compile_training(depths[0])
  times = interleaved(
    {
      f'depth {depth:,}': functools.partial(compile_training, depth)
      for depth in depths
    },
    _ROUNDS.value,
  )
  first, last = f'depth {depths[0]:,}', f'depth {depths[-1]:,}'
  ratio = results.Ratio(
    f'compile time at {last} over {first}',
    last,
    first,
    results.Kind.COST,
    goal=1.3,
  )
  yield results.Measurement(
    'compiling the training', 's', results.sides(times), (ratio,)
  )


def main(_: Sequence[str]) -> None:
  """Reports the ratio of the deepest to the shallowest, and each time."""
  reporting.report(measurements())


if __name__ == '__main__':
  reporting.run(main)
