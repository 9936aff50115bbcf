"""Panels: figures of any quantities, one colour a treatment, one legend.

Each line is the median over seeds, with a band from the least to the largest.
"""

from collections.abc import Mapping, Sequence
import math
from typing import Any, NamedTuple

from jaxdl.report import figures
import matplotlib
from matplotlib import figure as figure_lib
from matplotlib import lines
from matplotlib import ticker
import numpy as np

_COLUMNS = 3
_WIDTH_AT_TICK = 0.5
_DASHES = ('-', '--', ':', '-.')
_MARKERS = ('o', 's', '^', 'D')  # Beside each dash.


class Series(NamedTuple):
  """A line with its band: `[points]` each; NaN where there is no value."""

  x: np.ndarray
  middle: np.ndarray
  low: np.ndarray
  high: np.ndarray


class Panel(NamedTuple):
  """One pair of axes.

  Attributes:
    title, x_label, y_label: what is written.
    series: by the name of the treatment.
    log_x, log_y: whether the scale is logarithmic.
    marked: whether each point is marked, as where points are few.
    whole_x: whether x is a whole number, such as a layer.
    ticks: names of the places 0, 1, ... along x; empty if x is a number.
  """

  title: str
  x_label: str
  y_label: str
  series: Mapping[str, Series]
  log_x: bool = False
  log_y: bool = False
  marked: bool = False
  whole_x: bool = False
  ticks: Sequence[str] = ()


def over_seeds(x: np.ndarray, values: np.ndarray) -> Series:
  """Takes median and range over seeds of what is finite.

  Args:
    x: `[points]`.
    values: `[seeds, points]`.
  """
  finite = np.ma.masked_invalid(np.asarray(values, float))
  middle, low, high = (
    np.ma.filled(reduce(finite, axis=0), np.nan)
    for reduce in (np.ma.median, np.ma.min, np.ma.max)
  )
  return Series(np.asarray(x), middle, low, high)


def draw(panels: Sequence[Panel], names: Sequence[str]) -> figure_lib.Figure:
  """Draws panels in rows, and one legend below them.

  Args:
    panels: at least one.
    names: the treatments, in the order of the legend.
  """
  columns = min(_COLUMNS, len(panels))
  rows = math.ceil(len(panels) / columns)
  styles: dict[str, dict[str, Any]] = {
    name: {
      'color': figures.PALETTE[i % len(figures.PALETTE)],
      'linestyle': _DASHES[i // len(figures.PALETTE) % len(_DASHES)],
      'marker': _MARKERS[i // len(figures.PALETTE) % len(_MARKERS)],
    }
    for i, name in enumerate(names)
  }
  with matplotlib.rc_context(figures.STYLE):
    figure = figure_lib.Figure(
      figsize=(3.5 * columns, 2.8 * rows + 0.5), layout='constrained'
    )
    all_axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes, panel in zip(all_axes, panels, strict=False):
      _draw_panel(axes, panel, styles)
    for axes in all_axes[len(panels) :]:
      axes.remove()
    handles = [
      lines.Line2D([], [], label=name, markersize=4, **style)
      for name, style in styles.items()
    ]
    figure.legend(
      handles=handles,
      loc='outside lower center',
      ncols=min(len(handles), 2 * columns),
    )
  return figure


def _beside(panel: Panel, index: int) -> float:
  """How far a series stands from its ticks, so that none hides another."""
  several = [series for series in panel.series.values() if len(series.x) > 1]
  if not panel.ticks or len(several) < 2:
    return 0.0
  return _WIDTH_AT_TICK * ((index + 0.5) / len(panel.series) - 0.5)


def _draw_panel(axes, panel: Panel, styles) -> None:
  axes.set_title(panel.title)
  axes.set_xlabel(panel.x_label)
  axes.set_ylabel(panel.y_label)
  for index, (name, series) in enumerate(panel.series.items()):
    middle, low, high = (
      np.where(y > 0, y, np.nan) if panel.log_y else y for y in series[1:]
    )
    marked = panel.marked or len(series.x) == 1
    x = series.x + _beside(panel, index)
    axes.plot(
      x,
      middle,
      markersize=4 if marked else 0,
      **styles[name] | ({'linestyle': ''} if panel.ticks else {}),
    )
    color = styles[name]['color']
    if marked:
      axes.vlines(x, low, high, colors=color)
    else:
      axes.fill_between(x, low, high, color=color, alpha=0.15, lw=0)
  if panel.log_x:
    axes.set_xscale('log')
  if panel.log_y:
    axes.set_yscale('log')
  if panel.whole_x:
    locator = ticker.MaxNLocator(integer=True, nbins=6)
    axes.xaxis.set_major_locator(locator)
  if panel.ticks:
    axes.set_xticks(range(len(panel.ticks)), panel.ticks)
    axes.set_xlim(-0.5, len(panel.ticks) - 0.5)
