"""What does it cost to measure every layer at every step?

Times a program that records everything beside the same program of which only
the loss is recorded, so that the compiler removes every measurement; and, in
the same rounds, programs that record one group of statistics beside the loss.

  ./run.sh benchmark probe_overhead --norm=batch
"""

from collections.abc import Iterator, Sequence

from absl import flags
from benchmarks import program
from benchmarks import reporting
from benchmarks import results
from experiments import command_line
import jax
from jaxdl import sweep
from jaxdl.timing import interleaved

_ACTIVATION = flags.DEFINE_string('activation', 'relu', 'The activation.')
_NORM = flags.DEFINE_string('norm', 'none', 'The normalization.')
_STEPS = flags.DEFINE_integer('steps', 50, 'Steps of a round.')
_ROUNDS = flags.DEFINE_integer('rounds', 9, 'Rounds, each of all sides.')

_GOAL = 1.07
_LOSS, _EVERYTHING, _LOSS_ALONE = 'loss', 'everything', 'the loss alone'
# Which metrics each side records, by how their names begin.
_SIDES = {
  _EVERYTHING: ('',),
  _LOSS_ALONE: (_LOSS,),
  'activations': (_LOSS, 'activation_'),
  'cotangents': (_LOSS, 'cotangent_'),
  'gradients': (_LOSS, 'gradient_', 'global_', 'clip_'),
  'parameters': (_LOSS, 'parameter_', 'update_'),
}


def recording(prefixes: tuple[str, ...]) -> program.Change:
  """Returns what makes an experiment record only metrics so called."""

  def change(experiment: sweep.Experiment) -> sweep.Experiment:
    def step(state, batch, dynamic, key):
      state, metrics = experiment.step(state, batch, dynamic, key)
      kept = {k: v for k, v in metrics.items() if k.startswith(prefixes)}
      return state, kept

    return experiment._replace(step=step)

  return change


def measurements() -> Iterator[results.Measurement]:
  """Times all programs, and asks what each costs over the loss alone."""
  command_line.configure_jax()
  count, steps = jax.device_count(), _STEPS.value
  cells = program.cells(count, activation=_ACTIVATION.value, norm=_NORM.value)
  sides = {
    name: program.runner(program.trace(cells, steps, recording(prefixes)))
    for name, prefixes in _SIDES.items()
  }
  for run in sides.values():
    run()
  times = interleaved(sides, _ROUNDS.value)
  network = _ACTIVATION.value
  if _NORM.value != 'none':
    network += f' with {_NORM.value} norm'
  ratios = tuple(
    results.Ratio(
      f'a step that records {name} over {_LOSS_ALONE}, ' + network,
      name,
      _LOSS_ALONE,
      results.Kind.COST,
      _GOAL if name == _EVERYTHING else None,
    )
    for name in _SIDES
    if name != _LOSS_ALONE
  )
  yield results.Measurement(
    f'a step of {count} networks, {network}',
    'ms',
    results.sides(times, 1e3 / steps),
    ratios,
  )


def main(_: Sequence[str]) -> None:
  """Reports the ratios, and the time of a step on each side."""
  reporting.report(measurements())


if __name__ == '__main__':
  reporting.run(main)
