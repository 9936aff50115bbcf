"""The main path of a model: the layers through which everything passes."""

from collections.abc import Sequence
import itertools
import math
import re
from typing import NamedTuple

from jaxdl import evidence
from jaxdl.x_ray.results import Examination
from jaxdl.x_ray.results import Parameter
from jaxdl.x_ray.results import Row
import numpy as np

Array = np.ndarray

_ITERATION = re.compile(r'\[(\d+)\]')


class Trend(NamedTuple):
  """A straight line through the logarithms of a profile over depth.

  Attributes:
    decades: log10 of the value at the first layer over that at the last.
    rate: slope, in decades a layer, going backward.
    error: standard error of the rate; NaN with fewer than three layers.
  """

  decades: float
  rate: float
  error: float

  def __str__(self) -> str:
    factor = 10**self.rate
    if math.isnan(self.error):
      return f'a factor of {factor:.3g} a layer'
    relative = math.log(10) * self.error
    return f'a factor of {factor:.3g} a layer (±{relative:.0%})'


def hidden_layers(examination: Examination) -> list[int]:
  """Positions of the rows that stand for the hidden layers, in order.

  A layer is the first value behind the use of a kernel through which all that
  comes before it acts on the loss: the output of a dense layer or of a
  convolution before its activation function, or a block with its shortcut. What
  comes last is the readout, and no hidden layer. Where no row is known to use a
  kernel, each of these values is a layer.

  Args:
    examination: what was measured.
  """
  has_kernel = [bool(shapes) for shapes in kernels(examination)]
  is_known = any(has_kernel)
  layers = []
  is_new = False
  for i, row in enumerate(examination.rows):
    is_new = is_new or has_kernel[i] or not is_known
    if is_new and row.is_cut and is_taken(row):
      layers.append(i)
      is_new = False
  return layers[:-1]


def without_gated_steps(
  examination: Examination, layers: Sequence[int]
) -> list[int]:
  """Of a recurrence with gates the last step alone.

  Args:
    examination: what was measured.
    layers: positions of rows, in order.
  """
  rows = [examination.rows[i] for i in layers]
  is_last = [
    not a.is_gated or _scanned(a.name)[0] != _scanned(b.name)[0]
    for a, b in zip(rows, rows[1:], strict=False)
  ]
  kept = zip(layers, [*is_last, True], strict=True)
  return [i for i, is_kept in kept if is_kept]


def kernels(examination: Examination) -> list[dict[int, tuple[int, ...]]]:
  """The kernels that each row uses: arrays of two axes at least.

  Args:
    examination: what was measured.

  Returns:
    For each row, by position of the parameter, the shape of one layer's: in a
    scan over layers they are stacked.
  """
  lengths: dict[str, tuple[int, ...]] = {}
  for row in examination.rows:
    scanned, at = _scanned(row.name)
    known = lengths.get(scanned, (0,) * len(at))
    lengths[scanned] = tuple(map(max, known, (i + 1 for i in at)))
  found = []
  taken = set(itertools.chain(*(row.before for row in examination.rows)))
  for row in examination.rows:
    own = [i for i in row.parameters if i not in taken]
    shapes = {
      i: _unstacked(
        examination.parameters[i].shape, lengths[_scanned(row.name)[0]]
      )
      for i in (*own, *row.before)
    }
    found.append({i: s for i, s in shapes.items() if len(s) > 1})
  return found


def _scanned(name: str) -> tuple[str, tuple[int, ...]]:
  """`blocks/mlp[3]` without its iterations, and these."""
  at = tuple(map(int, _ITERATION.findall(name)))
  return _ITERATION.sub('[]', name), at


def _unstacked(
  shape: tuple[int, ...], lengths: tuple[int, ...]
) -> tuple[int, ...]:
  """Without the leading axes over which scans run."""
  for start in range(len(lengths)):
    for end in range(len(lengths), start, -1):
      if shape[: end - start] == lengths[start:end]:
        return shape[end - start :]
  return shape


def trend(rows: Sequence[Row], values: Array) -> Trend:
  """Fits a geometric profile over depth.

  Args:
    rows: of the layers, in order.
    values: log10 of what is followed over depth, one a row; those that are not
      finite are left out.
  """
  usable = np.isfinite(values)
  if np.sum(usable) < 2:
    return Trend(0.0, 0.0, math.nan)
  ends = values[usable]
  decades = float(ends[0] - ends[-1])
  depth = np.arange(len(rows))[::-1]
  rate, error = map(float, evidence.fit(depth, values, usable))
  if math.isnan(rate):
    rate = decades / max(len(ends) - 1, 1)
  return Trend(decades, rate, error)


def gradient_norm(row: Row) -> float:
  """Euclidean norm of the loss's derivative with respect to a row.

  Unlike its root mean square, it is kept by a layer that passes the gradient on
  whatever the widths on its two sides.

  Args:
    row: that was measured.
  """
  return float(row.backward.rms) * math.sqrt(math.prod(row.shape))


def value_norm(row: Row) -> float:
  """Euclidean norm of a row's value.

  Args:
    row: that was measured.
  """
  return float(row.forward.rms) * math.sqrt(math.prod(row.shape))


def log10(values: Sequence[float]) -> Array:
  """Logarithms, of zero minus infinity.

  Args:
    values: none negative.
  """
  with np.errstate(divide='ignore', invalid='ignore'):
    return np.log10(np.asarray(values, float))


def starting_at_zero(examination: Examination) -> list[Parameter]:
  """The kernels that are zero and about to leave it.

  Args:
    examination: what was measured.
  """
  return [
    p
    for p in examination.parameters
    if p.norm == 0 and p.gradient_norm > 0 and len(p.shape) > 1
  ]


def waits_for_a_step(examination: Examination) -> bool:
  """Whether a layer starts at zero and is about to leave it.

  It keeps the gradient from those before it for one step only: that is how deep
  residual networks are initialized (Zhang et al., 2019), and no fault.

  Args:
    examination: what was measured.
  """
  return bool(starting_at_zero(examination))


def first_use(examination: Examination, parameter: int) -> int:
  """The position of the first row that uses a parameter; -1 if none does.

  Args:
    examination: what was measured.
    parameter: its position.
  """
  rows = enumerate(examination.rows)
  return next((i for i, row in rows if parameter in row.parameters), -1)


def first_named(examination: Examination, module: str) -> int:
  """The position of the first row of a module; -1 if there is none.

  Args:
    examination: what was measured.
    module: its name.
  """
  rows = enumerate(examination.rows)
  return next((i for i, row in rows if module in row.modules), -1)


def is_taken(row: Row) -> bool:
  """Whether a row was computed at all: branches of a cond may not be.

  Args:
    row: that was measured.
  """
  return not math.isnan(float(row.forward.zero))
