"""What an examination consists of."""

from collections.abc import Mapping
from typing import NamedTuple

from jaxdl.tracing import statistics
from jaxdl.x_ray.inspection import broadcasting
from jaxdl.x_ray.inspection import representation


class Row(NamedTuple):
  """A value between modules, in one iteration of the scans around it.

  Attributes:
    name: of the innermost module that it leaves: `encoder/blocks/3/mlp`; with
      the iterations of scans behind it: `blocks/mlp[3]`.
    modules: all that it leaves, innermost first.
    shape: of the value.
    dtype: of the value.
    activation: the activation function that made it, or empty.
    source: the line that made it: `model.py:42 attention`, or empty.
    is_cut: whether all that comes before it acts on the loss through it alone.
    parameters: positions of those that the module uses itself.
    forward: its statistics; NaN where a branch was not taken.
    backward: of the loss's derivative with respect to it.
    representation: what it still tells apart.
    is_gated: whether it is a step in time of a recurrence with gates.
    before: of an activation function within a module, positions of those that
      the module uses before it, and behind the activation before that.
  """

  name: str
  modules: tuple[str, ...]
  shape: tuple[int, ...]
  dtype: str
  activation: str
  source: str
  is_cut: bool
  parameters: tuple[int, ...]
  forward: statistics.Forward
  backward: statistics.Backward
  representation: representation.Representation
  is_gated: bool = False
  before: tuple[int, ...] = ()


class Parameter(NamedTuple):
  """An array that is trained, and its gradient.

  Attributes:
    name: `encoder/blocks/3/mlp/kernel`.
    shape: of the array.
    dtype: of the array.
    norm: its Euclidean norm.
    gradient_norm: that of the gradient.
    gradient_max_abs: largest magnitude in the gradient; NaN if any is NaN.
    gradient_zero: share of the gradient that is exactly zero.
    gradient_nonfinite: number of NaN and infinities in it.
    update_ratio: the norm of the optimizer's update over `norm`; NaN where no
      optimizer was given.
    parallel: how far its units are from being, and learning, all the same: 0
      where they do; NaN of arrays with less than two axes.
    obstacle: what keeps the gradient from it: empty, `unused`, or an operation,
      `stop_gradient (model.py:42 encode)`.
  """

  name: str
  shape: tuple[int, ...]
  dtype: str
  norm: float
  gradient_norm: float
  gradient_max_abs: float
  gradient_zero: float
  gradient_nonfinite: float
  update_ratio: float
  parallel: float
  obstacle: str


class Input(NamedTuple):
  """Data as they enter a first layer.

  Attributes:
    name: of the layer.
    shape: of the data.
    dtype: of the data.
    forward: their statistics.
  """

  name: str
  shape: tuple[int, ...]
  dtype: str
  forward: statistics.Forward


class Moments(NamedTuple):
  """A normalization over the batch.

  Attributes:
    name: of the module that normalizes.
    source: the line, or empty.
    shape: of what is normalized.
    axes: over which its mean and variance are taken.
    constant: share of the units that do not vary over these axes.
  """

  name: str
  source: str
  shape: tuple[int, ...]
  axes: tuple[int, ...]
  constant: float


class Examination(NamedTuple):
  """What was measured in one pass.

  Attributes:
    loss: its value.
    rows: in the order in which the values are computed.
    parameters: in the order of the model's leaves.
    hidden: modules that could not be measured, and why.
    inputs: the data, as they enter the first layers.
    moments: normalizations over the batch.
    broadcasts: vectors over the batch combined with columns.
  """

  loss: float
  rows: tuple[Row, ...]
  parameters: tuple[Parameter, ...]
  hidden: Mapping[str, str]
  inputs: tuple[Input, ...] = ()
  moments: tuple[Moments, ...] = ()
  broadcasts: tuple[broadcasting.Broadcast, ...] = ()
