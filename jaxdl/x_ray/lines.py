"""An examination as lines: what a table, a picture and a page all show."""

from collections.abc import Iterable, Mapping, Sequence
import math
import re
from typing import NamedTuple

from jaxdl.x_ray import finding as finding_lib
from jaxdl.x_ray import results

_TIME_AND_ITERATIONS = re.compile(r'(#\d+)?(\[\d+\])*$')

NAN = math.nan


class Line(NamedTuple):
  """One line: a value with the parameters used for it, or either alone.

  Numbers that it lacks are NaN.

  Attributes:
    name: of the module or, where no module was measured that uses it, of the
      parameter.
    kind: `value`, `parameter`, or `hidden`.
    shape: of the value or parameter.
    dtype: of the value or parameter.
    activation: the activation function that made the value, or empty.
    source: the line of the program that made it, or empty.
    is_cut: whether all before it acts on the loss through this value alone.
    forward_mean: arithmetic mean.
    forward_rms: root mean square of the value.
    forward_std: its standard deviation.
    forward_max_abs: its largest magnitude.
    dead: share of units that are zero on the whole batch.
    saturated: share of entries at a flat end of the activation.
    backward_rms: root mean square of the derivative of the loss.
    backward_max_abs: its largest magnitude.
    nonfinite: whether it has NaN or infinities.
    decades: log10 of `backward_rms`, over that of the last cut.
    parameters: their names.
    parameter_norm: Euclidean norm of all of them.
    gradient_norm: that of their gradients.
    update_ratio: norm of the optimizer's update over that of the parameters
      (of those that are not zero).
    is_repeated: whether a line above has the same parameters.
    finding: the position of the first finding that starts here, or None.
    verdict: its verdict, or empty.
    note: why it was not measured, or empty.
  """

  name: str
  kind: str
  shape: tuple[int, ...] = ()
  dtype: str = ''
  activation: str = ''
  source: str = ''
  is_cut: bool = False
  forward_mean: float = NAN
  forward_rms: float = NAN
  forward_std: float = NAN
  forward_max_abs: float = NAN
  dead: float = NAN
  saturated: float = NAN
  backward_rms: float = NAN
  backward_max_abs: float = NAN
  nonfinite: bool = False
  decades: float = NAN
  parameters: tuple[str, ...] = ()
  parameter_norm: float = NAN
  gradient_norm: float = NAN
  update_ratio: float = NAN
  is_repeated: bool = False
  finding: int | None = None
  verdict: str = ''
  note: str = ''


def of(
  examination: results.Examination,
  findings: Sequence[finding_lib.Finding] = (),
) -> tuple[Line, ...]:
  """Lists values in order of depth, parameters apart, and what is hidden.

  Args:
    examination: what was measured.
    findings: what was found; each marks the line in which it starts.
  """
  lines = _unmarked(examination)
  for i, finding in reversed(list(enumerate(findings))):
    for position in _marked(lines, finding.where):
      lines[position] = lines[position]._replace(
        finding=i, verdict=finding.verdict
      )
  return tuple(lines)


def reference(rows: Sequence[results.Row]) -> float:
  """The cotangent's rms at the last cut that is no scalar.

  A scalar, as the loss itself, has a derivative of another scale: that of a
  mean over a batch is less by the size of the batch.
  """
  cuts = [row for row in rows if row.is_cut]
  wide = [row for row in cuts if math.prod(row.shape) > 1]
  found = wide or cuts or rows
  return float(found[-1].backward.rms) if found else NAN


def decades(rms: float, base: float) -> float:
  """log10 of `rms` over `base`; -inf where nothing arrives, NaN if unknown."""
  if not (math.isfinite(rms) and math.isfinite(base)) or base <= 0:
    return NAN
  return math.log10(rms) - math.log10(base) if rms > 0 else -math.inf


def _unmarked(examination: results.Examination) -> list[Line]:
  base = reference(examination.rows)
  shown: set[tuple[int, ...]] = set()
  lines = []
  for row in examination.rows:
    key = tuple(sorted(row.parameters))
    used = [examination.parameters[i] for i in row.parameters]
    line = _with(_value(row, base), used)
    lines.append(line._replace(is_repeated=bool(key) and key in shown))
    shown.add(key)
  known = {i for row in examination.rows for i in row.parameters}
  alone = [p for i, p in enumerate(examination.parameters) if i not in known]
  lines += [
    _with(Line(p.name, 'parameter', p.shape, p.dtype), [p]) for p in alone
  ]
  hidden: Mapping[str, str] = examination.hidden
  lines += [Line(name, 'hidden', note=why) for name, why in hidden.items()]
  return lines


def _value(row: results.Row, base: float) -> Line:
  forward, backward = row.forward, row.backward
  return Line(
    name=row.name,
    kind='value',
    shape=row.shape,
    dtype=row.dtype,
    activation=row.activation,
    source=row.source,
    is_cut=row.is_cut,
    forward_mean=float(forward.mean),
    forward_rms=float(forward.rms),
    forward_std=float(forward.std),
    forward_max_abs=float(forward.max_abs),
    dead=float(forward.dead),
    saturated=float(forward.saturated),
    backward_rms=float(backward.rms),
    backward_max_abs=float(backward.max_abs),
    nonfinite=bool(backward.nonfinite),
    decades=decades(float(backward.rms), base),
  )


def _with(line: Line, parameters: Sequence[results.Parameter]) -> Line:
  """Adds the numbers of parameters, those of several as of one vector."""
  if not parameters:
    return line
  norm = math.hypot(*(p.norm for p in parameters))
  # What starts at zero has no ratio, and so none if it is alone.
  moved = [p.update_ratio * p.norm for p in parameters if p.norm > 0]
  ratio = math.hypot(*moved) / norm if moved else parameters[0].update_ratio
  return line._replace(
    parameters=tuple(p.name for p in parameters),
    parameter_norm=norm,
    gradient_norm=math.hypot(*(p.gradient_norm for p in parameters)),
    update_ratio=ratio,
  )


def _marked(lines: Sequence[Line], where: str) -> Iterable[int]:
  """The lines that a finding's place stands for: the most exact there are."""
  named = [i for i, line in enumerate(lines) if line.name == where]
  if named:
    return named
  modules = [_TIME_AND_ITERATIONS.sub('', line.name) for line in lines]
  if where in modules:
    return [i for i, module in enumerate(modules) if module == where]
  using = [i for i, line in enumerate(lines) if where in line.parameters]
  within = [i for i, name in enumerate(modules) if name.startswith(where + '/')]
  return using[:1] or (within[-1:] if where else [])
