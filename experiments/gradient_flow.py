"""Which deep networks train, where do gradients vanish, and what cures it?

Trains every combination of activation, normalization, shortcut and gradient
clipping, over several seeds, on real images, and records every layer's
activations and gradients at every step. A comma makes an axis:

  ./run.sh gradient_flow --activation=sigmoid,relu --norm=none,batch
  ./run.sh gradient_flow --clip=none,value:1.0,norm:0.1 --optimizer=adam
  ./run.sh gradient_flow --weight_std=0.5,1.0,1.5,2.0 --activation=tanh
  ./run.sh gradient_flow --model=cnn --depth=20 --width=16 --num_steps=100

Without flags: 7 activations x {none, batch} x {none, identity} x {none,
norm:1.0} x 2 seeds = 112 networks of 30 layers, some minutes on 2 cores.

Prints a table with a verdict on each configuration, and which cures worked, by
how much. Writes to --out:

  report.html   everything, to explore: profiles over depth, heat maps, curves
  *.png, *.svg  the figures
  summary.csv   the table
  record.zarr   all that was measured: xarray, over cell, step and layer

Numbers may follow a name after colons: leaky_relu:0.2, elu:1.0,
rrelu:0.125:0.333 (least and largest slope), prelu:0.25 (initial slope),
identity:0.5:1 (scale of the branch, and of the shortcut), highway:-2 (bias of
the gate), momentum:0.9, value:V (each entry to [-V, V]), norm:V (global norm to
V), adaptive:V (each unit's to V times its weights').
"""

from experiments import command_line
from experiments import study


def main(_: list[str]) -> None:
  """Trains the deep stacks, diagnoses and reports."""
  study.run('gradient_flow')


if __name__ == '__main__':
  command_line.run(main, sections=study.SECTIONS)
