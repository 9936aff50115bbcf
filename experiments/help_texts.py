"""What the help pages say of flags that several experiments have.

Here and not in the library, since a help page does not wait for JAX; a test
holds the names against the library's tables.
"""

ACTIVATIONS = (
  'sigmoid, tanh, erf, relu, leaky_relu, prelu, rrelu, elu, selu, gelu, silu, '
  'softplus, softsign, identity; with numbers as in leaky_relu:0.2.'
)
NORMS = 'none, batch, batch_plain (without scale and shift), layer.'
SHORTCUTS = 'none, identity, highway'
ALL_SHORTCUTS = (
  f'{SHORTCUTS}, projection (1x1 convolutions where a residual network changes '
  'shape).'
)
OWN = 'own (of the model as published)'
INITS = 'glorot, he, lecun, orthogonal, delta_orthogonal.'
OPTIMIZERS = 'sgd, momentum, nesterov, adam, rmsprop, adagrad.'
PREPROCESSINGS = (
  'none (as stored, such as 0 to 255), unit (to [0, 1]), sample_mean, '
  'sample_standard, feature_standard, channel_standard (fitted on the training '
  'split alone).'
)
DEPTH = 'Layers before the readout'
WIDTH = 'Units, or channels, of each layer'
BATCH_SIZE = 'Images in a batch.'
