"""What do the forms in which a training step is written save?

Times the step of the study beside the same step with one thing written as one
would write it without looking at a CPU: products of dense layers with the
derivative that JAX gives them, and a network without shortcuts as a program of
its own, rather than an identity of scale zero in the program that it shares.

  ./run.sh benchmark step_forms
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
import contextlib
import operator
from typing import Any
from unittest import mock

from absl import flags
from benchmarks import program
from benchmarks import reporting
from benchmarks import results
from experiments import command_line
import jax
from jaxdl import laboratory
from jaxdl import layers
from jaxdl import sweep
from jaxdl.layers import product
from jaxdl.timing import interleaved

_STEPS = flags.DEFINE_integer('steps', 50, 'Steps of a round.')
_ROUNDS = flags.DEFINE_integer('rounds', 15, 'Rounds, each of all sides.')

_OURS = 'jaxdl'
_PRODUCTS, _PLAIN = 'x @ w', 'a plain network'


def runner(side: str) -> Callable[[], None]:
  """Compiles a side's program; returns what trains its networks."""
  cells = program.cells(jax.device_count())
  change: program.Change = lambda experiment: experiment
  if side == _PLAIN:
    change = _plain(cells[0])
  with _written_as(side):
    traced = program.trace(cells, _STEPS.value, change)
  return program.runner(traced)


def _written_as(side: str) -> contextlib.AbstractContextManager[Any]:
  """Puts the other form of a function in its place, while it is traced."""
  if side == _PRODUCTS:
    return mock.patch.object(product, 'matmul', operator.matmul)
  return contextlib.nullcontext()


def _plain(cell: sweep.Cell) -> program.Change:
  """Returns what makes the network of a cell one that has no shortcuts."""
  static, _ = laboratory.split(cell)

  def model(
    static: laboratory.Static, dynamic: Mapping[str, Any], num_classes: int
  ) -> layers.Layer:
    numbers = {
      k: v for k, v in dynamic.items() if not k.startswith('shortcut.')
    }
    static = static._replace(shortcut='none')
    return laboratory.model(static, numbers, num_classes)

  build = laboratory.builder(program.IN_SHAPE, program.NUM_CLASSES, model)
  return lambda experiment: build(static)


def measurements() -> Iterator[results.Measurement]:
  """Times each pair, and asks how much faster our side is."""
  command_line.configure_jax()
  for other in (_PRODUCTS, _PLAIN):
    sides = {side: runner(side) for side in (_OURS, other)}
    for run in sides.values():
      run()
    times = interleaved(sides, _ROUNDS.value)
    yield results.Measurement(
      f'a step of {jax.device_count()} networks, beside {other}',
      'ms',
      results.sides(times, 1e3 / _STEPS.value),
      (
        results.Ratio(
          f'a step of the study: jaxdl beside {other}',
          other,
          _OURS,
          results.Kind.SPEED,
          None,
        ),
      ),
    )


def main(_: Sequence[str]) -> None:
  """Reports the ratios, and the time of a step on each side."""
  reporting.report(measurements())


if __name__ == '__main__':
  reporting.run(main)
