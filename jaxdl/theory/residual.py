"""Mean field theory of what flows past shortcuts, or through plain layers.

Weights are new in each layer, so what a branch adds is uncorrelated with the
stream, but for their means over the units: an activation that isn't odd, like
ReLU, adds a mean that builds up. Squared cotangents add up likewise, and have
no mean. See Yang & Schoenholz, 2017, "Mean field residual networks: on the edge
of chaos", https://arxiv.org/abs/1712.08969.
"""

from typing import NamedTuple


class Branch(NamedTuple):
  """What a layer makes of its input; averages over the units.

  Attributes:
    mean: of its output f.
    mean_square: of its output.
    spread: E[(f(u1) - f(u2))^2] / 2, of two inputs; NaN if unknown.
    backward: mean squared cotangent at its input, in units of that at its
      output.
  """

  mean: float
  mean_square: float
  spread: float
  backward: float


class Scales(NamedTuple):
  """Of a layer `y = shortcut x + branch f(x)`; by default without a shortcut.

  Attributes:
    branch: of what the layer makes of its input.
    shortcut: of its input beside that.
  """

  branch: float = 1.0
  shortcut: float = 0.0


class Stream(NamedTuple):
  """What layers pass on; averages over the units.

  Attributes:
    mean: of the stream x.
    mean_square: of the stream.
    spread: E[(x1 - x2)^2] / 2, of two inputs: the mean square less the mean
      product. NaN if unknown.
  """

  mean: float
  mean_square: float
  spread: float


def after(stream: Stream, branch: Branch, scales: Scales) -> Stream:
  """Returns the stream after a layer.

  Args:
    stream: before it.
    branch: what the layer makes of the stream.
    scales: of both.
  """
  passed, added = scales.shortcut**2, scales.branch**2
  common = 2 * scales.shortcut * scales.branch * stream.mean * branch.mean
  return Stream(
    scales.shortcut * stream.mean + scales.branch * branch.mean,
    passed * stream.mean_square + common + added * branch.mean_square,
    passed * stream.spread + added * branch.spread,
  )


def backward(branch: Branch, scales: Scales) -> float:
  """Returns the factor of the mean squared cotangent, from output to input.

  Args:
    branch: of the layer.
    scales: of the branch, and of the shortcut beside it.
  """
  return scales.shortcut**2 + scales.branch**2 * branch.backward


def relu_block_growth(
  weight_std: float, outer_weight_std: float, scale: float = 1.0
) -> float:
  """Returns 1 + (scale weight_std outer_weight_std)^2 / 2.

  By it, a block x + scale V relu(W x) multiplies the mean square of x, going
  forward, and that of the cotangent, going backward: 2, of He et al.'s W and V
  of variance 1 / fan_in. See Yang & Schoenholz, 2017.

  Args:
    weight_std: W has the variance weight_std^2 / fan_in.
    outer_weight_std: of V.
    scale: of the branch.
  """
  return 1 + (scale * weight_std * outer_weight_std) ** 2 / 2
