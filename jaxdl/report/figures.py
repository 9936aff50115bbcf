"""Figures for papers and pages: profiles over depth, curves, an overview.

One panel for each value of one axis (the activation, if it varies), one colour
for each combination of the others, the same in all panels.
"""

from collections.abc import Callable, Iterator, Sequence
import math
import pathlib
from typing import Any, NamedTuple

from jaxdl import diagnosis as diagnosis_lib
from jaxdl.report import configurations
from jaxdl.report import overview
from jaxdl.report import predictions
import matplotlib
from matplotlib import figure as figure_lib
from matplotlib import lines
from matplotlib import ticker
import numpy as np
import pandas as pd
import xarray as xr

Figure = figure_lib.Figure

# Okabe & Ito, "Color Universal Design", 2008; black first, yellow left out.
PALETTE = (
  '#000000',
  '#E69F00',
  '#0072B2',
  '#D55E00',
  '#009E73',
  '#56B4E9',
  '#CC79A7',
)
_GREY = '#555555'
_DASHES = ('-', '--', ':', '-.')
_MOST_STYLES = len(PALETTE) * len(_DASHES)
_COLUMNS = 4
# Thin and dark over the measured line, which is faded, so that both show where
# they agree.
_THEORY: dict[str, Any] = {'linestyle': (0, (3, 1.5)), 'linewidth': 0.9}
_FADED = 0.4
_DRAWN = (1e-50, 1e40)  # All of float32; theory knows no such bounds.
_LEAST_SHARE = 0.01  # Shares are drawn where one of them is larger.
_WINDOW = diagnosis_lib.Thresholds().window

STYLE: dict[Any, Any] = {
  'font.size': 9,
  'axes.titlesize': 10,
  'axes.labelsize': 9,
  'axes.spines.top': False,
  'axes.spines.right': False,
  'axes.grid': True,
  'grid.alpha': 0.25,
  'grid.linewidth': 0.6,
  'legend.frameon': False,
  'figure.dpi': 100,
  'savefig.dpi': 160,
  'svg.fonttype': 'none',
}


class _Block(NamedTuple):
  """Panels that show one quantity: how each line is made, and the axes."""

  title: str
  x_label: str
  y_label: str
  line: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
  decades: bool
  start: bool = False  # Whether of the first step, which none has left yet.
  # What theory says, for each row of the summary; None where nothing.
  theory: Sequence[np.ndarray | None] = ()


class _Layout(NamedTuple):
  """Which rows of the summary go in which panel, in which style."""

  panels: list[tuple[str, pd.DataFrame]]
  styles: dict[str, dict[str, Any]]
  rest: list[str]


def all_figures(
  record: xr.Dataset, frame: pd.DataFrame
) -> Iterator[tuple[str, Figure]]:
  """Draws every figure, each with the name of its file, without suffix."""
  yield 'gradient_profile', gradient_profile(record, frame)
  yield 'activation_profile', activation_profile(record, frame)
  yield 'training_curves', training_curves(record, frame)
  yield 'overview', overview.draw(record, frame)


def save(figure: Figure, path: pathlib.Path) -> None:
  """Saves a figure in the format that the suffix names."""
  metadata = {'Date': None} if path.suffix == '.svg' else None
  with matplotlib.rc_context(STYLE):
    figure.savefig(path, metadata=metadata)


def gradient_profile(record: xr.Dataset, frame: pd.DataFrame) -> Figure:
  """Draws log10 of the cotangent's rms over depth, at the start and the end.

  Over the start, what theory says.
  """
  start = _profile(
    record, 'cotangent_rms', 'Cotangent rms at the first step', True
  )
  end = _profile(record, 'cotangent_rms', 'Cotangent rms at the end', False)
  start = start._replace(theory=_theory(record, frame, 'cotangent_rms'))
  return _draw(record, frame, [start, end])


def activation_profile(record: xr.Dataset, frame: pd.DataFrame) -> Figure:
  """Draws the activations' spread, dead and saturated shares over depth."""
  start = _profile(
    record, 'activation_std', 'Activation std at the first step', True
  )
  blocks = [
    start._replace(theory=_theory(record, frame, 'activation_std')),
    _profile(record, 'activation_std', 'Activation std at the end', False),
  ]
  for name in ('dead', 'saturated'):
    variable = f'activation_{name}'
    title = f'{name.capitalize()} share at the end'
    block = _profile(record, variable, title, False)
    shares = [block.line(np.array(cells))[1] for cells in frame['cells']]
    if np.any(np.array(shares) > _LEAST_SHARE):
      blocks.append(block._replace(decades=False, y_label='share'))
  return _draw(record, frame, blocks)


def training_curves(record: xr.Dataset, frame: pd.DataFrame) -> Figure:
  """Draws the training loss and accuracy over the steps."""
  return _draw(
    record,
    frame,
    [
      _curve(record, 'loss', 'Training loss', True),
      _curve(record, 'accuracy', 'Training accuracy', False),
    ],
  )


def _profile(record, name: str, title: str, start: bool) -> _Block:
  layer = record['layer'].values[:-1]
  values = record[name].transpose('cell', 'step', 'layer').values[..., :-1]
  done = record['steps_done'].values.astype(int)
  past = record['depth'].values[:, None] < layer

  def line(cells):
    last = max(int(done[cells].max()), 1)
    first = 0 if start else max(last - math.ceil(_WINDOW * last), 0)
    stop = 1 if start else last
    chosen = np.where(past[cells][:, None], np.nan, values[cells, first:stop])
    return layer, _median(chosen.reshape(-1, len(layer)))

  return _Block(title, 'layer', name.replace('_', ' '), line, True, start)


def _theory(
  record: xr.Dataset, frame: pd.DataFrame, name: str
) -> list[np.ndarray | None]:
  predicted = predictions.predictions(record, frame)
  return [each.profiles.get(name) for each in predicted]


def _curve(record, name: str, title: str, decades: bool) -> _Block:
  values = record[name].transpose('cell', 'step').values
  bins = np.array_split(np.arange(values.shape[1]), min(values.shape[1], 100))
  centers = np.array([b.mean() for b in bins])

  def line(cells):
    curve = _median(values[cells])
    return centers, np.array([curve[b].mean() for b in bins])

  return _Block(title, 'step', name, line, decades)


def _median(values: np.ndarray) -> np.ndarray:
  """Median over axis 0 of what is finite, NaN where nothing is."""
  values = np.ma.masked_invalid(values)
  return np.ma.median(values, axis=0).filled(np.nan)


def _layout(record: xr.Dataset, frame: pd.DataFrame) -> _Layout:
  """Gives each value of one axis a panel, each combination of others a style.

  If few enough, the values of the last axis are told by dashes and the rest by
  colours; else both are counted through.
  """
  panel = configurations.panel_axis(record)
  axes = configurations.varying_axes(record)
  rest = [axis for axis in axes if axis != panel]
  panels = [('', frame)]
  if panel:
    panels = [
      (configurations.label({panel: value}), frame[frame[panel] == value])
      for value in configurations.values_of(record, panel)
    ]
  combinations = configurations.combinations(record, rest)
  return _Layout(panels, _styles(record, combinations, rest), rest)


def _styles(record, combinations, rest: list[str]) -> dict[str, dict[str, Any]]:
  last = configurations.values_of(record, rest[-1]) if len(rest) > 1 else [None]
  others = math.ceil(len(combinations) / len(last))
  by_axis = len(last) <= len(_DASHES) and others <= len(PALETTE)
  styles: dict[str, dict[str, Any]] = {}
  seen: dict[Any, int] = {}
  for i, values in enumerate(combinations):
    color, dash = i % len(PALETTE), i // len(PALETTE) % len(_DASHES)
    if by_axis and rest:
      other = tuple(values[axis] for axis in rest[:-1]) if rest[1:] else i
      color = seen.setdefault(other, len(seen))
      dash = last.index(values[rest[-1]]) if rest[1:] else 0
    styles[configurations.treatment(values)] = {
      'color': PALETTE[color % len(PALETTE)],
      'linestyle': _DASHES[dash],
      'linewidth': 2.4 - 1.4 * i / len(combinations),
    }
  return styles


def _draw(
  record: xr.Dataset, frame: pd.DataFrame, blocks: list[_Block]
) -> Figure:
  """Draws blocks of panels below each other, and one legend for all."""
  layout = _layout(record, frame)
  rows = math.ceil(len(layout.panels) / _COLUMNS)
  columns = math.ceil(len(layout.panels) / rows)
  shown = len(layout.styles) <= _MOST_STYLES
  if not shown:
    blocks = [block._replace(theory=()) for block in blocks]
  legend_columns = 2 if columns < 3 else 4
  legend = math.ceil((len(layout.styles) + 1) / legend_columns) if shown else 1
  width = max(2.6 * columns + 0.8, 6.4)
  height = len(blocks) * (1.9 * rows + 0.7) + 0.2 * legend + 0.2
  with matplotlib.rc_context(STYLE):
    figure = Figure(figsize=(width, height), layout='constrained')
    parts = figure.subfigures(len(blocks), 1, squeeze=False)[:, 0]
    drawn = [
      _draw_block(part, block, layout, rows, columns)
      for part, block in zip(parts, blocks, strict=True)
    ]
    _set_scales(parts, blocks, drawn)
    has_theory = any(y is not None for block in blocks for y in block.theory)
    _draw_legend(
      figure, layout.styles, legend_columns if shown else 0, has_theory
    )
  return figure


def _draw_block(
  part, block: _Block, layout: _Layout, rows, columns
) -> list[np.ndarray]:
  """Draws the panels of a block; returns the lines that set their scale.

  One that diverged sets none, lest it flatten all others: it leaves the panel.
  """
  setting: list[np.ndarray] = []
  others: list[np.ndarray] = []
  part.suptitle(block.title, fontsize=11, fontweight='bold')
  all_axes = part.subplots(
    rows, columns, sharex=True, sharey=True, squeeze=False
  )
  for i, axes in enumerate(all_axes.flat):
    if i >= len(layout.panels):
      axes.remove()
      continue
    title, rows_of_panel = layout.panels[i]
    axes.set_title(configurations.verbatim(title))
    for name, row in _in_order(rows_of_panel, layout):
      x, y = block.line(np.array(row['cells']))
      y = np.where(y > 0, y, np.nan) if block.decades else y
      alone = 'o' if np.sum(np.isfinite(y)) == 1 else None
      faded = block.theory and block.theory[row.name] is not None
      alpha = _FADED if faded else None
      axes.plot(x, y, marker=alone, alpha=alpha, **layout.styles[name])
      stays = block.start or row['verdict'] != 'diverged'
      (setting if stays else others).append(y)
    for name, row in _in_order(rows_of_panel, layout) if block.theory else ():
      y = block.theory[row.name]
      if y is not None:
        color = layout.styles[name]['color']
        axes.plot(x, y, color=color, **_THEORY)
    if i % columns == 0:
      axes.set_ylabel(block.y_label)
    if i + columns >= len(layout.panels):
      axes.set_xlabel(block.x_label)
      axes.tick_params(labelbottom=True)
  return setting or others


def _in_order(frame: pd.DataFrame, layout: _Layout) -> list[tuple[str, Any]]:
  """Rows by the name of their style, in the order of the legend."""
  named = {
    configurations.treatment({axis: row[axis] for axis in layout.rest}): row
    for _, row in frame.iterrows()
  }
  return [(name, named[name]) for name in layout.styles if name in named]


def _set_scales(parts, blocks: list[_Block], drawn) -> None:
  """Sets the scale of each block's panels; of one quantity, the same limits."""
  for name in {block.y_label for block in blocks}:
    same = [i for i, block in enumerate(blocks) if block.y_label == name]
    decades = any(blocks[i].decades for i in same)
    values = np.concatenate([y for i in same for y in drawn[i]])
    values = values[np.isfinite(values)]
    for i in same:
      axes = parts[i].axes[0]  # Whose scales and limits the others share.
      axes.xaxis.set_major_locator(ticker.MaxNLocator(integer=True, nbins=5))
      if not decades:
        axes.set_ylim(-0.03, 1.03)
      elif len(values):
        _set_log_scale(axes, values.min(), values.max())


def _set_log_scale(axes, low: float, high: float) -> None:
  axes.set_yscale('log')
  low, high = np.clip(np.array([low, high], float), *_DRAWN)
  # At least a decade, so that what is nearly flat looks it.
  margin = max((high / low) ** 0.05, 1.1, (10 * low / high) ** 0.5)
  axes.set_ylim(low / margin, high * margin)
  if high / low < 100:
    axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(ticker.FormatStrFormatter('%g'))
    axes.yaxis.set_minor_locator(ticker.NullLocator())
  else:
    axes.yaxis.set_major_locator(ticker.LogLocator(numticks=6))


def _draw_legend(
  figure: Figure, styles, columns: int, has_theory: bool
) -> None:
  """Puts the legend below the panels, or says why there is none."""
  entries = dict(styles) if columns and len(styles) > 1 else {}
  if not columns:
    note = f'{len(styles)} combinations, too many to name: see report.html.'
    figure.supxlabel(note, fontsize=9)
  if has_theory:
    entries[predictions.LABEL] = {'color': _GREY, **_THEORY}
  if entries:
    handles = [
      lines.Line2D([], [], label=configurations.verbatim(name), **style)
      for name, style in entries.items()
    ]
    figure.legend(
      handles=handles,
      loc='outside lower center',
      ncols=columns or 1,
      fontsize=8,
    )
