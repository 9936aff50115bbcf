"""Facts of the field, one module each, in the order of the Atlas.

A module's docstring states the claim, its source and the rule of decision; its
`FACT` measures, claims and draws.
"""

import importlib

NAMES = (
  'backpropagation',
  'sigmoid',
  'tanh',
  'relu',
  'leaky_relu',
  'prelu',
  'rrelu',
  'elu',
  'receptive_field',
  'alexnet_and_vgg',
  'network_in_network',
  'googlenet',
  'resnet',
  'preprocessing',
  'vanishing',
  'exploding',
  'batch_norm_identity',
  'lp_pooling',
  'small_kernels',
)


def load(name):
  """Returns the module of a fact.

  Args:
    name: one of `NAMES`.
  """
  return importlib.import_module(f'experiments.facts.{name}')
