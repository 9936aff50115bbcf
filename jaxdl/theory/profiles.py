"""What theory predicts of each layer of a deep stack, at initialization.

Of the stack of `jaxdl.models`, `x_l = f(norm(W_l x_{l-1} + b_l))`, or
`residual_scale` times that plus `shortcut_scale` times `x_{l-1}`, in the limit
of width, from the variance of the first pre-activation on. Plain layers by mean
field theory (Poole et al., 2016, https://arxiv.org/abs/1606.05340; Schoenholz
et al., 2017, https://arxiv.org/abs/1611.01232), shortcuts by
`jaxdl.theory.residual`, batch norm by `jaxdl.theory.batch_norm`.

theory.predict(depth=30, activation='relu', norm='batch', batch_size=128)
"""

from collections.abc import Callable
import functools
import math
from typing import NamedTuple

from jaxdl import activations
from jaxdl import choice
from jaxdl.theory import batch_norm
from jaxdl.theory import elementwise
from jaxdl.theory import gaussian
from jaxdl.theory import lengths
from jaxdl.theory import quadrature
from jaxdl.theory import residual
import numpy as np

Array = np.ndarray

# Weights of a square layer have the variance weight_std^2 / fan_in.
_WEIGHT_STDS = {
  'glorot': 1.0,
  'he': math.sqrt(2),
  'lecun': 1.0,
  'delta_orthogonal': 1.0,
  'orthogonal': 1.0,
}
# The numbers of each shortcut, in the order of `residual.Scales`.
_SHORTCUTS: dict[str, dict[str, float | None]] = {
  'none': {},
  'identity': {'residual_scale': 1.0, 'shortcut_scale': 1.0},
}
_BATCH_NORMS = ('batch', 'batch_plain')
_EPSILON = 1e-5  # Of batch norm; the theory has none.
_NEGLIGIBLE = 1e-3
_LEAST, _MOST = 1e-30, 1e30


class Profile(NamedTuple):
  """Predictions for layers 1 to depth, float64; averages over the units.

  Attributes:
    variance: q of the pre-activation W x + b, before any norm. `[depth]`. With
      batch norm NaN at layer 1, as nothing depends on it.
    correlation: of the pre-activations of two inputs, behind batch norm if
      any. `[depth]`; NaN if unknown.
    activation_mean: of the activation's output, before any shortcut. `[depth]`.
    activation_rms: likewise, its root mean square. `[depth]`.
    stream_rms: of the layer's output, after any shortcut. `[depth]`.
    log10_cotangent_rms: of dz/dx, for any function z, at the layer's output x,
      in units of that at the last layer. `[depth]`.
    log10_gradient_rms: of dz/dw, for a weight w, in units of that of the last
      layer. With batch norm of any z, else of a z of one input. `[depth]`; NaN
      at layer 1, as it depends on the data.
  """

  variance: Array
  correlation: Array
  activation_mean: Array
  activation_rms: Array
  stream_rms: Array
  log10_cotangent_rms: Array
  log10_gradient_rms: Array

  @property
  def activation_std(self) -> Array:
    """Standard deviation of the activation's output. `[depth]`."""
    return np.sqrt(self.activation_rms**2 - self.activation_mean**2)

  @property
  def cotangent_rms(self) -> Array:
    """In units of that at the last layer; inf beyond float64. `[depth]`."""
    with np.errstate(over='ignore'):
      return 10**self.log10_cotangent_rms


class Prediction(NamedTuple):
  """A profile, or why there is none.

  Attributes:
    profile: None where theory has no answer.
    reason: why, in words; empty if there is a profile.
  """

  profile: Profile | None
  reason: str


class _Layer(NamedTuple):
  """What is predicted of one layer."""

  variance: float
  correlation: float
  branch: residual.Branch
  input_size: float  # Mean square of the inputs that weights' gradients see.
  slope: float  # What a squared cotangent is multiplied by on its way to them.


class _Unpredictable(Exception):
  """Theory has no answer; says why."""


def hidden_weight_std(init: str) -> float:
  """Returns the weight_std of an initializer, in layers of constant width.

  Args:
    init: one of `jaxdl.layers.initializers.names()`.

  Raises:
    ValueError: if the initializer is unknown.
  """
  return choice.choose('initializer', init, _WEIGHT_STDS)


def predict(
  *,
  depth: int,
  activation: elementwise.Activation | elementwise.Elementwise,
  norm: str = 'none',
  shortcut: str = 'none',
  weight_std: float = math.sqrt(2),
  bias_std: float = 0.0,
  batch_size: int | None = None,
  first_variance: float | None = None,
  first_correlation: float | None = None,
) -> Prediction:
  """Predicts the profile of a deep stack, in the limit of width.

  Dropout, and inputs of very different lengths, are left out of account. Batch
  norm is in training mode, and examples of a batch are taken to be as different
  from each other as its layers make them in time: the first layers of real
  data, of which some are much alike, differ a little.

  Args:
    depth: number of layers before the readout, at least 1.
    activation: a specification such as `tanh` or `leaky_relu:0.2`, or a
      function of one array.
    norm: `none`, `batch` or `batch_plain`; of others there is no prediction.
    shortcut: `none`, or `identity` past all but the first layer, with the
      scales of branch and shortcut, 1 by default, as in `identity:0.5` or
      `identity:1:0.5`; of others there is no prediction.
    weight_std: weights have the variance weight_std^2 / fan_in, whether normal
      or orthogonal; see `hidden_weight_std`.
    bias_std: standard deviation of the biases. Batch norm takes them away.
    batch_size: of batch norm; None stands for large batches.
    first_variance: of the first pre-activation; by default weight_std^2 +
      bias_std^2, of inputs of mean square 1. See `variance_of`. Without meaning
      with batch norm.
    first_correlation: of the first pre-activations of two inputs of the same
      length. With batch norm, a batch decides on it.

  Raises:
    ValueError: if the depth is less than 1, or a number, the activation or the
      shortcut's scales are refused.
  """
  if isinstance(depth, bool) or depth != int(depth) or depth < 1:
    raise ValueError(f'depth must be an integer of at least 1, got {depth!r}.')
  weight_std, bias_std = lengths.require_stds(weight_std, bias_std)
  if first_correlation is not None and not -1 <= first_correlation <= 1:
    raise ValueError(
      f'first_correlation is {first_correlation!r}; it must be from -1 to 1.'
    )
  try:
    scales = _scales(shortcut)
    found = _activation(activation)
    if norm in _BATCH_NORMS:
      layer = _normalized_layer(found, weight_std, batch_size)
      first = layer(None)
    elif norm == 'none':
      length_map = lengths.LengthMap(found, weight_std, bias_std)
      layer = functools.partial(_plain_layer, length_map)
      q = lengths.require_start(first_variance, length_map)
      gap = math.nan if first_correlation is None else 1 - first_correlation
      first = _from_variance(length_map, q, gap, math.nan)
    else:
      raise _Unpredictable(f'There is no prediction of norm={norm}.')
    return Prediction(_profile(int(depth), first, layer, scales), '')
  except _Unpredictable as error:
    return Prediction(None, str(error))


def variance_of(
  activation: elementwise.Activation | elementwise.Elementwise,
  activation_std: float,
) -> float | None:
  """Returns the variance of a Gaussian from the spread of an activation of it.

  So a measured first layer says where a prediction starts.

  Args:
    activation: a specification such as `tanh`, or a function of one array.
    activation_std: standard deviation of the activation's output.

  Returns:
    The variance, None unless there is exactly one between 1e-12 and 1e12.

  Raises:
    ValueError: if the activation is refused or the standard deviation isn't a
      positive number.
  """
  found = elementwise.elementwise(activation)
  if not 0 < activation_std < math.inf:
    raise ValueError(
      f'activation_std must be a positive number, got {activation_std!r}.'
    )

  def excess(q):
    moments = gaussian.estimated_moments(found, q)
    variance = moments.mean_square - moments.mean**2
    return np.log(np.maximum(variance, 1e-300)) - 2 * math.log(activation_std)

  grid = np.geomspace(1e-12, 1e12, 97)
  ends = lengths.brackets(grid, excess(grid))
  if len(ends) != 1:
    return None
  (low, high) = np.log(ends[0])
  return math.exp(
    quadrature.root(lambda log: float(excess(math.exp(log))), low, high)
  )


def _scales(shortcut: str) -> residual.Scales:
  name = choice.split_name(shortcut)
  if name not in _SHORTCUTS:
    raise _Unpredictable(f'There is no prediction of shortcut={name}.')
  numbers = choice.parse('shortcut', shortcut, _SHORTCUTS[name]).numbers
  scales = residual.Scales(*numbers.values())
  if not any(scales):
    raise _Unpredictable(f'With shortcut={shortcut} nothing flows.')
  return scales


def _activation(
  activation: elementwise.Activation | elementwise.Elementwise,
) -> elementwise.Elementwise:
  if isinstance(activation, str):
    name = choice.split_name(activation)
    if activations.get(name).stochastic:
      raise _Unpredictable(f'There is no prediction of {name}: it is random.')
  return elementwise.elementwise(activation)


def _plain_layer(
  length_map: lengths.LengthMap, stream: residual.Stream
) -> _Layer:
  """A layer without a norm."""
  weight_variance = length_map.weight_std**2
  q = weight_variance * stream.mean_square + length_map.bias_std**2
  gap = weight_variance * stream.spread / q
  return _from_variance(length_map, q, gap, stream.mean_square)


def _from_variance(
  length_map: lengths.LengthMap, q: float, gap: float, input_size: float
) -> _Layer:
  """A layer without a norm, from the variance of its pre-activation on.

  Args:
    length_map: of the layer.
    q: the variance.
    gap: 1 - correlation of two inputs there; NaN if unknown.
    input_size: mean square of the layer's input.
  """
  found = length_map.function
  if not _LEAST <= q <= _MOST:
    raise _Unpredictable(
      f'The variance of a pre-activation, {q:.3g}, leaves the range from '
      f'{_LEAST:g} to {_MOST:g}.'
    )
  try:
    # Close to a fixed point, and of an activation that is linear on both sides
    # of 0, one integral is enough for many layers.
    unit = q if _is_homogeneous(found) else 1.0
    moments = _moments(found, float(f'{q / unit:.14g}'))
    spread = math.nan
    if not math.isnan(gap):
      pair = gaussian.pair_moments(found, q, min(max(gap, 0.0), 2.0))
      spread = pair.half_square_difference
  except ValueError as error:
    raise _Unpredictable(str(error)) from error
  slope = float(moments.mean_square_slope)
  if slope == 0:
    raise _Unpredictable(f'Activation {found.name} has no slope at all.')
  branch = residual.Branch(
    mean=float(moments.mean) * math.sqrt(unit),
    mean_square=float(moments.mean_square) * unit,
    spread=spread,
    backward=length_map.weight_std**2 * slope,
  )
  return _Layer(q, 1 - gap, branch, input_size, slope)


@functools.lru_cache(maxsize=4096)
def _moments(found: elementwise.Elementwise, q: float) -> gaussian.Moments:
  return gaussian.moments(found, q)


@functools.lru_cache(maxsize=64)
def _is_homogeneous(found: elementwise.Elementwise) -> bool:
  return found.scale == math.inf and float(found.value(np.zeros(1))[0]) == 0


def _normalized_layer(
  found: elementwise.Elementwise, weight_std: float, batch_size: int | None
) -> Callable[[residual.Stream | None], _Layer]:
  """Returns what maps a stream, or None for the data, to a layer."""
  if batch_size is not None and batch_size < batch_norm.SMALLEST_BATCH:
    raise _Unpredictable(
      f'Of batch norm over {batch_size} examples there is no prediction: the '
      'squared gradient has no mean.'
    )
  try:
    moments = batch_norm.batch_moments(found, batch_size)
  except ValueError as error:
    raise _Unpredictable(str(error)) from error
  correlation = 0.0 if batch_size is None else -1 / (batch_size - 1)

  def layer(stream):
    size, spread = (
      (math.nan, math.nan)
      if stream is None
      else (stream.mean_square, stream.spread)
    )
    normalized = weight_std**2 * spread
    if normalized < _EPSILON / _NEGLIGIBLE:
      raise _Unpredictable(
        f'There is no prediction of batch norm where the variance that it '
        f'divides by, {normalized:.3g}, is no more than {1 / _NEGLIGIBLE:g} '
        f'times its epsilon of {_EPSILON:g}.'
      )
    backward = moments.backward / spread
    branch = residual.Branch(
      moments.mean, moments.mean_square, moments.spread, backward
    )
    # To the weights of a unit come backward / weight_std^2, seen by `spread`.
    return _Layer(weight_std**2 * size, correlation, branch, spread, backward)

  return layer


def _profile(
  depth: int,
  first: _Layer,
  layer: Callable[[residual.Stream], _Layer],
  scales: residual.Scales,
) -> Profile:
  """Goes forward through the layers, then backward."""
  stream = residual.Stream(*first.branch[:3])
  layers, streams = [first], [stream]
  for _ in range(depth - 1):
    layers.append(layer(stream))
    stream = residual.after(stream, layers[-1].branch, scales)
    streams.append(stream)
  factors = [residual.backward(each.branch, scales) for each in layers[1:]]
  cotangent = 0.5 * np.cumsum(np.log10([1.0, *factors[::-1]]))[::-1]
  seen = np.array([each.input_size * each.slope for each in layers])
  gradient = 0.5 * np.log10(seen) + cotangent
  return Profile(
    variance=np.array([each.variance for each in layers]),
    correlation=np.array([each.correlation for each in layers]),
    activation_mean=np.array([each.branch.mean for each in layers]),
    activation_rms=np.sqrt([each.branch.mean_square for each in layers]),
    stream_rms=np.sqrt([each.mean_square for each in streams]),
    log10_cotangent_rms=cotangent,
    log10_gradient_rms=gradient - gradient[-1],
  )
