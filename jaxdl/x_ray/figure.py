"""The picture of an X-ray: what flows forward and back, over depth."""

from collections.abc import Iterator, Mapping, Sequence
import io
import math
from typing import Any, NamedTuple

from jaxdl.x_ray import formatting
from jaxdl.x_ray import lines as lines_lib
import matplotlib
from matplotlib import axes as axes_lib
from matplotlib import figure as figure_lib
from matplotlib import lines as artists
from matplotlib import ticker

Line = lines_lib.Line

_STYLE: dict[Any, Any] = {
  'font.size': 9,
  'axes.titlesize': 10,
  'axes.titlelocation': 'left',
  'axes.spines.top': False,
  'axes.spines.right': False,
  'axes.grid': True,
  'axes.grid.axis': 'y',
  'grid.alpha': 0.25,
  'grid.linewidth': 0.6,
  'legend.frameon': False,
}
# Okabe & Ito, "Color Universal Design", 2008.
_COLOURS = {
  'forward_rms': '#0072B2',
  'backward_rms': '#D55E00',
  'dead': '#CC79A7',
  'saturated': '#E69F00',
  'gradient_norm': '#009E73',
  'parameter_norm': '#888888',
}
_OF_PARAMETERS = ('gradient_norm', 'parameter_norm')
# Joined by a line where all that is upstream flows through a value.
JOINED = ('forward_rms', 'backward_rms')
_SHARES = ('dead', 'saturated')
_FLAGGED = '#B3161D'
_MOST_LABELS = 60
_LONGEST_LABEL = 28
_DOTS_UP_TO = 120
# Beyond it a log axis has room for a mark below what is smallest.
_LEAST_DECADES = 1.0
_FEW_DECADES = 2.0  # Between powers of ten, 2 and 5 get a tick too.


class Panel(NamedTuple):
  """Quantities with one axis.

  Attributes:
    title: above it.
    names: fields of a `Line`, with what they are called.
    is_log: whether the axis is logarithmic.
  """

  title: str
  names: Mapping[str, str]
  is_log: bool


PANELS = (
  Panel('Forward: rms of the values', {'forward_rms': 'value'}, True),
  Panel(
    'Backward: rms of the derivative of the loss',
    {'backward_rms': 'derivative'},
    True,
  ),
  Panel(
    'Activations: shares',
    {'dead': 'dead units', 'saturated': 'saturated'},
    False,
  ),
  Panel(
    'Parameters: norms',
    {'gradient_norm': 'gradients', 'parameter_norm': 'parameters'},
    True,
  ),
)


class Picture(figure_lib.Figure):
  """A figure that a notebook shows, whether or not pyplot was imported."""

  def _repr_png_(self) -> bytes:
    buffer = io.BytesIO()
    self.savefig(buffer, format='png')
    return buffer.getvalue()


def draw(lines: Sequence[Line]) -> Picture:
  """Draws panels over the lines that were measured, in order of depth.

  Values through which all flows are joined by a line; those on branches are
  dots. What is zero sits at the lower end of a logarithmic axis, what is not
  finite at its upper end.

  Args:
    lines: of an examination; a flagged one is marked in all panels.

  Raises:
    ValueError: if no line was measured.
  """
  measured = [line for line in lines if line.kind != 'hidden']
  if not measured:
    raise ValueError('no module was measured, so there is nothing to draw')
  shown = panels(measured)
  width = min(max(0.16 * len(measured) + 3, 6), 15)
  height = 1.9 * len(shown) + 2
  with matplotlib.rc_context(_STYLE):
    figure = Picture(figsize=(width, height), layout='constrained')
    grid = figure.subplots(len(shown), 1, sharex=True, squeeze=False)
    every = list(grid[:, 0])
    for axes, (panel, names) in zip(every, shown, strict=True):
      _draw(axes, panel, names, measured)
    _mark(every, measured)
    _label(every[-1], measured)
  return figure


def label_positions(lines: Sequence[Line], most: int) -> list[int]:
  """Which lines get a label: the flagged, the ends, the cuts, and others.

  Args:
    lines: all of them.
    most: number of labels for which there is room.
  """
  last = len(lines) - 1
  wanted = [i for i, line in enumerate(lines) if line.verdict]
  cuts = [i for i, line in enumerate(lines) if line.is_cut]
  apart = max(math.ceil(len(lines) / most), 1)
  chosen: list[int] = []
  for i in [*wanted, 0, last, *cuts, *range(last)]:
    if all(abs(i - j) >= apart for j in chosen):
      chosen.append(i)
  return sorted(chosen)


def panels(lines: Sequence[Line]) -> list[tuple[Panel, list[str]]]:
  """The panels in which there is something to draw, with its names."""
  found = [(p, [n for n in p.names if _has(lines, n)]) for p in PANELS]
  return [(panel, names) for panel, names in found if names]


def value(line: Line, name: str) -> float | None:
  """A number to draw, or None; NaN if it is NaN that was measured.

  Parameters that several lines share are drawn once.
  """
  if name in _OF_PARAMETERS:
    known = bool(line.parameters) and not line.is_repeated
  else:
    known = line.kind == 'value'
  number = getattr(line, name)
  if name in _SHARES and math.isnan(number):
    return None
  return number if known else None


def _has(lines: Sequence[Line], name: str) -> bool:
  """Whether a quantity was measured; shares, if any is above zero."""
  values = [value(line, name) for line in lines]
  known = [x for x in values if x is not None]
  return any(x > 0 for x in known) if name in _SHARES else bool(known)


def _draw(
  axes: axes_lib.Axes,
  panel: Panel,
  names: Sequence[str],
  lines: Sequence[Line],
) -> None:
  axes.set_title(panel.title)
  series = {n: [value(line, n) for line in lines] for n in names}
  if panel.is_log:
    axes.set_yscale('log')
    _limit(axes, [x for values in series.values() for x in values if x])
  else:
    axes.set_ylim(-0.03, 1.03)
    axes.yaxis.set_major_formatter(ticker.PercentFormatter(1))
  for name, values in series.items():
    is_joined = name in JOINED
    cuts = [i for i, line in enumerate(lines) if line.is_cut and is_joined]
    _plot(axes, values, cuts, _COLOURS[name], panel.names[name])
  if len(panel.names) > 1:
    axes.legend(
      loc='lower right', bbox_to_anchor=(1, 1), ncols=len(names), borderpad=0
    )


def _limit(axes: axes_lib.Axes, values: Sequence[float]) -> None:
  logs = [math.log10(x) for x in values if 0 < x < math.inf] or [0.0]
  room = max(0.08 * (max(logs) - min(logs)), _LEAST_DECADES / 2)
  low, high = max(min(logs) - room, -320), min(max(logs) + room, 307)
  axes.set_ylim(10**low, 10**high)
  subs = (1.0, 2.0, 5.0) if high - low < _FEW_DECADES else (1.0,)
  axes.yaxis.set_major_locator(ticker.LogLocator(subs=subs))
  axes.yaxis.set_major_formatter(lambda x, _: f'{x:g}'.replace('e-0', 'e-'))
  axes.yaxis.set_minor_locator(ticker.NullLocator())


def _plot(
  axes: axes_lib.Axes,
  values: Sequence[float | None],
  joined: Sequence[int],
  colour: str,
  label: str,
) -> None:
  """Plots dots, a line through some of them, and marks at the axis' ends."""
  is_log = axes.get_yscale() == 'log'
  known = {i: x for i, x in enumerate(values) if x is not None}
  shown = {
    i: x for i, x in known.items() if math.isfinite(x) and (x > 0 or not is_log)
  }
  trunk = [i for i in joined if i in shown]
  axes.plot(trunk, [shown[i] for i in trunk], color=colour, linewidth=1.2)
  size = 4 if len(values) <= _DOTS_UP_TO else 2
  axes.plot(
    list(shown), list(shown.values()), 'o', color=colour, ms=size, label=label
  )
  zero = [i for i, x in known.items() if x == 0 and is_log]
  broken = [i for i, x in known.items() if not math.isfinite(x)]
  across = axes.get_xaxis_transform()
  for at, height, marker in ((zero, 0.03, 'v'), (broken, 0.95, 'x')):
    axes.plot(
      at, [height] * len(at), marker, color=colour, ms=6, transform=across
    )


def _mark(every: Sequence[axes_lib.Axes], lines: Sequence[Line]) -> None:
  """Colours the flagged lines, and names each verdict above its first."""
  for first, last in _spans(lines):
    for axes in every:
      axes.axvspan(
        first - 0.5, last + 0.5, color=_FLAGGED, alpha=0.15, linewidth=0
      )
  named: dict[str, int] = {}
  for i, line in enumerate(lines):
    if line.verdict:
      named.setdefault(line.verdict, i)
  handles = [
    artists.Line2D(
      [], [], color=_FLAGGED, alpha=0.3, linewidth=7, label=_key(lines[i])
    )
    for i in named.values()
  ]
  if handles:
    every[0].figure.legend(
      handles=handles, loc='outside upper left', ncols=2, fontsize=9
    )


def _key(line: Line) -> str:
  name = formatting.shortened(line.name, _LONGEST_LABEL)
  return f'{formatting.words(line.verdict)}: {name}'


def _spans(lines: Sequence[Line]) -> Iterator[tuple[int, int]]:
  """The first and last of each run of lines with one verdict."""
  first = 0
  for i, line in enumerate(lines):
    if line.verdict != lines[first].verdict:
      first = i
    is_last = i + 1 == len(lines) or lines[i + 1].verdict != line.verdict
    if is_last and line.verdict:
      yield first, i


def _label(axes: axes_lib.Axes, lines: Sequence[Line]) -> None:
  positions = label_positions(lines, _MOST_LABELS)
  names = [
    formatting.shortened(lines[i].name, _LONGEST_LABEL) for i in positions
  ]
  axes.set_xticks(positions, names, rotation=90, fontsize=7)
  axes.set_xlim(-0.7, len(lines) - 0.3)
  for i, text in zip(positions, axes.get_xticklabels(), strict=True):
    text.set_parse_math(False)
    if lines[i].verdict:
      text.set_color(_FLAGGED)
      text.set_fontweight('bold')
