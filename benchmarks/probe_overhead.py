"""What does it cost to measure every layer at every step?

Times a program that records everything beside the same program of which only
the loss is recorded, so that the compiler removes every measurement.

  ./run.sh benchmark probe_overhead --norm=batch
"""

from collections.abc import Sequence

from absl import flags
from benchmarks import program
from benchmarks import timing
from experiments import command_line
import jax
from jaxdl import sweep

_ACTIVATION = flags.DEFINE_string('activation', 'relu', 'The activation.')
_NORM = flags.DEFINE_string('norm', 'none', 'The normalization.')
_STEPS = flags.DEFINE_integer('steps', 50, 'Steps of a round.')
_ROUNDS = flags.DEFINE_integer('rounds', 9, 'Rounds, each of both sides.')


def loss_alone(experiment: sweep.Experiment) -> sweep.Experiment:
  """Returns an experiment that trains alike and records nothing but losses."""

  def step(state, batch, dynamic, key):
    state, metrics = experiment.step(state, batch, dynamic, key)
    return state, {'loss': metrics['loss']}

  return experiment._replace(step=step)


def main(_: Sequence[str]) -> None:
  """Prints the ratio, and the time of a step on each side."""
  print(f'{timing.machine()}.')
  command_line.configure_jax()
  count, steps = jax.device_count(), _STEPS.value
  cells = program.cells(count, activation=_ACTIVATION.value, norm=_NORM.value)
  sides = {
    'measured': program.runner(program.trace(cells, steps)),
    'loss alone': program.runner(program.trace(cells, steps, loss_alone)),
  }
  for run in sides.values():
    run()
  times = timing.interleaved(sides, _ROUNDS.value)
  ratio = timing.median_ratio(times, slow='measured', fast='loss alone')
  print(f'{ratio:.3f} times the step that records its loss alone')
  for name, values in times.items():
    print(f'  {name:12}{timing.spread(values, "ms", 1e3 / steps)} a step')


if __name__ == '__main__':
  command_line.run(main, script='./run.sh benchmark')
