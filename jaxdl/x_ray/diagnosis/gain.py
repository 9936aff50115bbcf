"""The gain of a layer's weights, and what it ought to be.

A dense layer or convolution whose weights have variance gain² / fan_in keeps
the size of its signal if the gain makes up for what its activation function
takes away: sqrt(2) for ReLU (He et al., 2015), 5/3 for tanh, and 1 without any
(LeCun et al., 1998; Glorot & Bengio, 2010).
"""

from collections.abc import Sequence
import math

from jaxdl.x_ray.diagnosis import path
from jaxdl.x_ray.diagnosis import words
from jaxdl.x_ray.results import Examination
from jaxdl.x_ray.results import Parameter
from jaxdl.x_ray.results import Row

_SQRT2 = (math.sqrt(2), 'sqrt(2) (He et al., 2015)')
_TANH = (5 / 3, '5/3 (for tanh)')
_LINEAR = (1.0, '1 (LeCun et al., 1998)')
_GAINS = {
  **dict.fromkeys(('relu', 'leaky_relu', 'relu6', 'elu', 'gelu'), _SQRT2),
  **dict.fromkeys(('silu', 'swish', 'mish', 'softplus', 'celu'), _SQRT2),
  **dict.fromkeys(('tanh', 'hard_tanh', 'soft_sign'), _TANH),
}
_SQUASHING = frozenset(
  {'sigmoid', 'hard_sigmoid', 'tanh', 'hard_tanh', 'soft_sign'}
)


def of(parameter: Parameter, kernel: tuple[int, ...], row: Row) -> float:
  """Standard deviation of a layer's weights times the root of its fan-in.

  Args:
    parameter: a kernel, or those of several layers.
    kernel: the shape of one.
    row: the output of its layer.
  """
  units = {row.shape[-1], row.shape[min(1, len(row.shape) - 1)]}
  out = kernel[-1] if kernel[-1] in units else kernel[0]
  fan_in = math.prod(kernel) / out
  rms = parameter.norm / math.sqrt(math.prod(parameter.shape))
  return rms * math.sqrt(fan_in)


def of_row(examination: Examination, row: Row) -> float:
  """The gain of the largest kernel that a row uses; NaN if there is none.

  Args:
    examination: what was measured.
    row: of it.
  """
  index = next(i for i, r in enumerate(examination.rows) if r is row)
  kernels = path.kernels(examination)[index]
  if not kernels:
    return math.nan
  largest = max(kernels, key=lambda i: math.prod(kernels[i]))
  return of(examination.parameters[largest], kernels[largest], row)


def activation_behind(examination: Examination, index: int) -> str:
  """The activation function of a row, or behind it and before the next layer.

  Args:
    examination: what was measured.
    index: position of the row.
  """
  own = examination.rows[index].activation
  if own:
    return own
  kernels = path.kernels(examination)
  for i, row in enumerate(examination.rows[index + 1 :], index + 1):
    if row.activation:
      return row.activation
    if kernels[i]:
      return ''
  return ''


def wanted(activation: str) -> tuple[float, str]:
  """The gain that an activation function asks for, in numbers and in words.

  Args:
    activation: its name, or empty.
  """
  return _GAINS.get(activation, _LINEAR)


def remedies(
  examination: Examination,
  index: int,
  span: Sequence[Row],
  verdict: str,
  trend: path.Trend,
) -> tuple[str, ...]:
  """What to try against a gradient that vanishes or explodes.

  Args:
    examination: what was measured.
    index: position of the row at which it starts.
    span: the rows of the layers across which it does.
    verdict: 'vanishing' or 'exploding'.
    trend: of the gradient.
  """
  row = examination.rows[index]
  activation = activation_behind(examination, index)
  tried = []
  if verdict == 'vanishing' and 'sigmoid' in activation:
    tried.append(
      f'use relu or gelu behind `{row.name}` in place of {activation}, whose '
      'slope is 1/4 at most (Glorot & Bengio, 2010)'
    )
  tried.extend(_initialize(examination, row, activation, verdict, trend))
  if '[' in row.name:
    tried.append(
      f'if `{row.name}` is a step in time: an orthogonal recurrent kernel, or '
      'gates (LSTM, GRU), carry the gradient further'
    )
  tried.append(
    f'normalize what leaves each layer from `{span[0].name}` to `{row.name}` '
    '(BatchNorm or LayerNorm)'
  )
  tried.append(
    'carry the signal past the layers: x + f(x) around each of them (He et '
    'al., 2016)'
  )
  if verdict == 'exploding':
    tried.append(
      'clip the gradient, `optax.clip_by_global_norm(1.0)`: it bounds the step '
      'and leaves the cause as it is'
    )
  return tuple(tried)


def _initialize(
  examination: Examination,
  row: Row,
  activation: str,
  verdict: str,
  trend: path.Trend,
) -> list[str]:
  found = of_row(examination, row)
  value, name = wanted(activation)
  if activation == 'sigmoid':
    value, name = 4.0, '4 (Glorot & Bengio, 2010)'
  if math.isnan(found) or found == 0:
    return []
  is_cause = found < 0.95 * value if verdict == 'vanishing' else found > value
  if not is_cause:
    return []
  does = 'shrink' if verdict == 'vanishing' else 'stretch'
  return [
    f'initialize `{row.name}` and the layers like it with gain {name} instead '
    f'of {words.number(found)}: they {does} the gradient by '
    f'{words.number(10**trend.rate)} a layer'
  ]
