"""Which convolutional networks train, and what shortcuts and norms change?

Trains published architectures under the toggles of the laboratory, on real
images of their own size, and records every unit's activations and gradients at
every step: a unit is a convolution with its norm and activation, a residual
block, an inception block, or a dense layer. A comma makes an axis:

  ./run.sh cnn --model=resnet20,resnet56 --norm=batch
  ./run.sh cnn --model=vgg11_cifar,nin_cifar10,mlp --depth=10
  ./run.sh cnn --data=cifar10 --data_dir=DIR --augment=crop:4+flip
  ./run.sh cnn --model=resnet56 --compute_dtype=bfloat16        # on a GPU

Without flags: ResNet-20 and the plain network of the same layers, with batch
norm and without, 2 seeds: 8 networks, some minutes on 2 cores.

`own` stands for what the paper of a model has; what comes to the same network,
as `none` and `own` in VGG, is trained once. Where a choice has no meaning, as
`identity` in VGG, or the images are too small, as any here are for the networks
of ImageNet, one line says so. Prints and writes what gradient_flow
does: a table with verdicts, figures, an interactive page and the record.
"""

from experiments import command_line
from experiments import study

command_line.set_defaults(
  model='resnet20',
  activation='relu',
  norm='none,batch',
  shortcut='none,own',
  clip='none',
  optimizer='momentum:0.9',
  learning_rate='0.02',
  weight_decay='1e-4',
  batch_size='64',
  num_steps='100',
  chunk_steps='20',
)


def main(_: list[str]) -> None:
  """Trains the architectures, diagnoses and reports."""
  study.run('cnn')


if __name__ == '__main__':
  command_line.run(main, sections=study.SECTIONS)
