"""Does a network of 10,000 layers train, without normalization or shortcuts?

It does where theory says that signals neither die out nor grow: with orthogonal
weights of the critical standard deviation (Pennington et al., 2017; Xiao et
al., 2018). Trains that network beside others of the same depth off criticality,
5% below and 7% above, and records every layer at every step:

  ./run.sh very_deep
  ./run.sh very_deep --init=orthogonal,normal
  ./run.sh very_deep --depth=1000 --learning_rate=0.0003
  ./run.sh very_deep --model=cnn --init=delta_orthogonal --depth=100 --width=8

Without flags: 3 tanh networks of width 32, some minutes on 2 cores. The weights
are of variance 1.05 / 32 at criticality, the biases of 2.01e-5.

Activations are computed anew on the way back, so that memory grows with the
root of the depth but for parameters and gradients; `./run.sh benchmark
depth_memory` says how many bytes a layer takes.
Prints and writes what gradient_flow does: a table with verdicts, figures, an
interactive page and the record.
"""

from experiments import command_line
from experiments import study

command_line.set_defaults(
  activation='tanh',
  norm='none',
  shortcut='none',
  clip='none',
  num_seeds=1,
  depth='10000',
  width='32',
  init='orthogonal',
  weight_std='0.97,1.024695,1.1',
  bias_std='0.004483',
  learning_rate='0.00004',
  batch_size='64',
  num_steps='150',
  chunk_steps='10',
  rematerialize=True,
)


def main(_: list[str]) -> None:
  """Trains the very deep stacks, diagnoses and reports."""
  study.run('very_deep')


if __name__ == '__main__':
  command_line.run(main, sections=study.SECTIONS)
