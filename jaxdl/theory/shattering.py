"""Shattered gradients: how alike are the gradients at two different inputs?

In a deep ReLU network the gradient with respect to the input becomes white
noise as the input changes: its correlation at two inputs falls by half a layer.
Past shortcuts it falls by a quarter a block, and with batch norm besides no
faster than a power of the depth. See Balduzzi et al., 2017, "The shattered
gradients problem", https://arxiv.org/abs/1702.08591.

Their assumptions: wide layers, weights of He et al., and pre-activations of two
inputs that are uncorrelated at every layer, so that of the units that are
active for one input (half of all) half are active for the other. It is what
subtracting the mean over inputs brings about. Without it ReLU makes inputs
alike, and gradients shatter less: see `correlations.slope`.
"""

import math

from jaxdl import choice
import numpy as np

Array = np.ndarray

# The share of active units of one input that are active for another one.
_COACTIVE = 0.5


def gradient_correlation(
  depth: int, design: str, *, variance_per_block: float = 1 - 1 / math.pi
) -> Array:
  """Returns the correlation of gradients at two inputs behind each depth.

  Args:
    depth: number of layers, or of residual blocks x + W relu(z).
    design: `plain` (2^-depth), `residual`, of z the stream x less its mean over
      inputs (3/4^depth), or `residual_batch_norm`, of z the batch-normalized
      stream, its statistics being constants.
    variance_per_block: with batch norm, by how much a block adds to the
      variance over inputs that the next divides by, 1 at first. It is
      2 Var[relu(u)] = 1 - 1 / pi, of standard normal u. Balduzzi et al. take
      2 E[relu(u)^2] = 1, whence 2 / sqrt(pi depth) for large depths.

  Returns:
    Correlations behind 1 to `depth` layers, float64 `[depth]`.

  Raises:
    ValueError: if the depth is less than 1, the design unknown, or the variance
      not positive.
  """
  if isinstance(depth, bool) or depth != int(depth) or depth < 1:
    raise ValueError(f'depth must be an integer of at least 1, got {depth!r}.')
  if not 0 < variance_per_block < math.inf:
    raise ValueError(
      f'variance_per_block must be positive, got {variance_per_block!r}.'
    )
  block = np.arange(int(depth))
  # What a branch adds to the squared gradient, in units of that of the stream.
  added = {
    'plain': np.full(block.shape, math.inf),
    'residual': np.ones(block.shape),
    'residual_batch_norm': 1 / (1 + variance_per_block * block),
  }
  share = 1 / (1 + 1 / choice.choose('design', design, added))
  return np.cumprod(1 - share * (1 - _COACTIVE))
