"""Figures of what benchmarks found: ratios against their goals, the headline.

A ratio is a point at its median with a bar from its least to its greatest
round. The pale band is where its goal is met.
"""

from collections.abc import Iterator, Sequence
import math
import pathlib
import statistics
import textwrap
from typing import NamedTuple

from benchmarks import results
from benchmarks import running
from benchmarks import words
from jaxdl.report import figures
import matplotlib
from matplotlib import lines
from matplotlib import patches
from matplotlib import ticker

_BLACK, _, _BLUE, _VERMILION = figures.PALETTE[:4]
_GREY = '#555555'
_BAND = '#009E73'
_WRAP = 66  # Characters of a question in a line.
_ROW, _LINE = 0.1, 0.145  # Inches of a row, and of each line in it.
_LABEL_SIZE = 8

# Steps of ticks within a decade, by how far a scale reaches at most.
_STEPS: tuple[tuple[float, tuple[float, ...]], ...] = (
  (2, (1, 1.1, 1.2, 1.3, 1.5, 1.7, 2, 7, 8, 9)),
  (30, (1, 1.5, 2, 3, 5, 7)),
  (100, (1, 2, 5)),
  (math.inf, (1,)),
)

_STYLE = {**figures.STYLE, 'axes.grid': False}
# By whether the goal is met: colour, marker, and what the legend says.
_LOOKS = {
  True: (_BLUE, 'o', 'goal met'),
  False: (_VERMILION, 'D', 'goal not met'),
  None: (_GREY, '.', 'no goal'),
}


class Row(NamedTuple):
  """A ratio to be drawn.

  Attributes:
    ratio: the question.
    found: the answer.
  """

  ratio: results.Ratio
  found: results.Found

  @property
  def is_met(self) -> bool | None:
    """Whether it reaches its goal."""
    return results.is_met(self.ratio, self.found.median)


def all_figures(
  record: running.Record,
) -> Iterator[tuple[str, figures.Figure]]:
  """Draws what the record has, each with the name of its file, without suffix.

  Args:
    record: of a run.
  """
  if any(True for _ in _all_rows(record)):
    yield 'overview', overview(record)
  if any(result.benchmark == 'headline' for result in record.results):
    yield 'headline', headline(record)


def save(record: running.Record, folder: pathlib.Path) -> list[str]:
  """Saves every figure as SVG and PNG; returns the names of the SVGs.

  Args:
    record: of a run.
    folder: where to.
  """
  names = []
  for name, figure in all_figures(record):
    figures.save(figure, folder / f'{name}.svg')
    figures.save(figure, folder / f'{name}.png')
    names.append(f'{name}.svg')
  return names


def overview(record: running.Record) -> figures.Figure:
  """Draws every ratio with its spread: speeds and shares above, costs below.

  Args:
    record: of a run that has ratios.
  """
  rows = list(_all_rows(record))
  panels = [
    ('Speed, or share of what is possible: further right is better', speeds)
    for speeds in [[r for r in rows if r.ratio.kind is not results.Kind.COST]]
    if speeds
  ] + [
    ('Cost: further left is better', costs)
    for costs in [[r for r in rows if r.ratio.kind is results.Kind.COST]]
    if costs
  ]
  heights = [_height(each) for _, each in panels]
  with matplotlib.rc_context(_STYLE):
    figure = figures.Figure(
      figsize=(10.5, sum(heights) + 0.75 * len(panels) + 1.1),
      layout='constrained',
    )
    all_axes = figure.subplots(
      len(panels), 1, squeeze=False, height_ratios=heights
    )[:, 0]
    for axes, (title, each) in zip(all_axes, panels, strict=True):
      _draw_panel(axes, title, each)
    figure.suptitle(_overview_title(record, rows), fontsize=12)
    figure.legend(
      handles=_legend(rows),
      loc='outside lower center',
      ncols=5,
      fontsize=_LABEL_SIZE,
    )
  return figure


def _all_rows(record: running.Record) -> Iterator[Row]:
  """Yields those with a goal first."""
  rows = [
    Row(ratio, results.found(measurement, ratio))
    for result in record.results
    for measurement in result.measurements
    for ratio in measurement.ratios
  ]
  yield from sorted(rows, key=lambda row: row.ratio.goal is None)


def _label(row: Row) -> str:
  return textwrap.fill(row.ratio.question.replace('`', ''), _WRAP)


def _height(rows: Sequence[Row]) -> float:
  """Inches of a panel's rows."""
  return sum(_ROW + _LINE * (1 + _label(row).count('\n')) for row in rows)


def _overview_title(record: running.Record, rows: Sequence[Row]) -> str:
  with_goal = [row for row in rows if row.ratio.goal is not None]
  met = sum(bool(row.is_met) for row in with_goal)
  title = f'{met} of {len(with_goal)} goals met'
  if record.quick:
    title += ' in a quick run, whose figures are not to be trusted'
  machines = dict.fromkeys(
    words.machine(result.machine._replace(usable=result.machine.cores))
    for result in record.results
  )
  days = sorted({result.date[:10] for result in record.results})
  when = ' to '.join(dict.fromkeys((days[0], days[-1])))
  return f'{title}\n{"; ".join(machines)}; {when}'


def _draw_panel(axes, title: str, rows: Sequence[Row]) -> None:
  """Draws rows from the top, as high as their labels."""
  low, high = _limits(rows)
  top, places = 0.0, []
  for row in rows:
    height = _height([row])
    places.append(top - height / 2)
    _draw_row(axes, row, places[-1], height, (low, high))
    top -= height
  axes.set_xscale('log')
  axes.set_xlim(low, high)
  axes.set_ylim(top, 0)
  axes.axvline(1, color=_BLACK, linewidth=0.6, zorder=0)
  axes.set_yticks(places, [_label(row) for row in rows], fontsize=_LABEL_SIZE)
  axes.tick_params(axis='y', length=0)
  axes.spines['left'].set_visible(False)
  axes.set_title(title, loc='left', fontweight='bold')
  ticks = [tick for tick in _ticks(low, high) if low <= tick <= high]
  axes.xaxis.set_major_locator(ticker.FixedLocator(ticks))
  axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda x, _: f'{x:g}x'))
  axes.xaxis.set_minor_locator(ticker.NullLocator())
  axes.grid(axis='x')


def _ticks(low: float, high: float) -> list[float]:
  """Returns round numbers, as many as a scale from low to high has room for."""
  steps = next(steps for most, steps in _STEPS if high / low < most)
  exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)))
  return [step * 10.0**exponent for exponent in exponents for step in steps]


def _limits(rows: Sequence[Row]) -> tuple[float, float]:
  values = [1.0]
  for row in rows:
    values += [row.found.least, row.found.greatest]
    values += [] if row.ratio.goal is None else [row.ratio.goal]
  margin = (max(values) / min(values)) ** 0.05 * 1.02
  return min(values) / margin, max(values) * margin


def _draw_row(
  axes, row: Row, y: float, height: float, limits: tuple[float, float]
) -> None:
  color, marker, _ = _LOOKS[row.is_met]
  goal, found = row.ratio.goal, row.found
  if goal is not None:
    is_cost = row.ratio.kind is results.Kind.COST
    start, end = (limits[0], goal) if is_cost else (goal, limits[1])
    bottom = y - 0.4 * height
    axes.add_patch(
      patches.Rectangle(
        (start, bottom), end - start, 0.8 * height, color=_BAND, alpha=0.15
      )
    )
    axes.plot([goal, goal], [bottom, bottom + 0.8 * height], color=_BAND)
  axes.plot([found.least, found.greatest], [y, y], color=color, linewidth=1.5)
  axes.plot([found.median], [y], color=color, marker=marker, markersize=6)
  text = words.ratio(found.median, row.ratio.kind)
  if goal is not None:
    text += f' (goal {words.goal(row.ratio).rpartition(" ")[2]})'
  axes.text(
    1.01,
    y,
    text,
    transform=axes.get_yaxis_transform(),
    va='center',
    fontsize=_LABEL_SIZE,
    color=color,
    fontweight='normal' if goal is None else 'bold',
  )


def _legend(rows: Sequence[Row]) -> list[matplotlib.artist.Artist]:
  handles: list[matplotlib.artist.Artist] = []
  present = {row.is_met for row in rows}
  for is_met, (color, marker, label) in _LOOKS.items():
    if is_met in present:
      handles.append(
        lines.Line2D([], [], color=color, marker=marker, label=label)
      )
  handles.append(
    lines.Line2D([], [], color=_BLACK, label='point: median; line: all rounds')
  )
  if present != {None}:
    handles.append(
      patches.Patch(color=_BAND, alpha=0.3, label='where a goal is met')
    )
  return handles


def headline(record: running.Record) -> figures.Figure:
  """Draws the time of the study on each side.

  Args:
    record: of a run that has the headline.
  """
  (result,) = (each for each in record.results if each.benchmark == 'headline')
  (measurement,) = result.measurements
  sides = measurement.sides
  with matplotlib.rc_context(_STYLE):
    figure = figures.Figure(figsize=(8, 0.62 * len(sides) + 1.5))
    figure.set_layout_engine('constrained')
    axes = figure.subplots()
    for i, side in enumerate(sides):
      _draw_bar(axes, -i, side, measurement.unit, _BLUE if i == 0 else _GREY)
    axes.set_yticks(
      [-i for i in range(len(sides))],
      [f'{side.name}\n{textwrap.fill(side.note, 54)}' for side in sides],
    )
    axes.tick_params(axis='y', length=0)
    greatest = max(max(side.values) for side in sides)
    axes.set_xlim(0, 1.12 * greatest)
    axes.set_xlabel('seconds (bar: median; line: all rounds)')
    figure.suptitle(_headline_title(record, measurement), fontsize=10)
  return figure


def _draw_bar(axes, y: int, side: results.Side, unit: str, color: str) -> None:
  median = statistics.median(side.values)
  least, greatest = min(side.values), max(side.values)
  axes.barh(y, median, height=0.6, color=color, alpha=0.75)
  axes.plot([least, greatest], [y, y], color=_BLACK, linewidth=1.5)
  axes.annotate(
    words.quantity(median, unit),
    (greatest, y),
    (5, 0),
    textcoords='offset points',
    va='center',
    fontweight='bold',
  )


def _headline_title(
  record: running.Record, measurement: results.Measurement
) -> str:
  told = [
    f'{words.ratio(results.found(measurement, ratio).median, ratio.kind)} as '
    f'fast as {ratio.question.rpartition("against ")[2]}'
    for ratio in measurement.ratios
  ]
  quick = ' (a quick run: not to be trusted)' if record.quick else ''
  return '\n'.join(
    [f'{measurement.title[0].upper()}{measurement.title[1:]}{quick}:', *told]
  )
