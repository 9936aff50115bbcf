"""The map of trainability, drawn: on a terminal, as a figure, and as a page.

Depth upwards, weight_std to the right, accuracy as colour; 6 xi_c of theory as
a curve over it. A frame is that of `trainability.summary`.
"""

from collections.abc import Mapping, Sequence
import html
import io
import math

from jaxdl.report import configurations
from jaxdl.report import figures
from jaxdl.report import trainability
import matplotlib
from matplotlib import colors
from matplotlib import figure as figure_lib
import numpy as np
import pandas as pd
from rich import box
from rich import style as rich_style
from rich import table as rich_table
from rich import text as rich_text
import rich.console
import xarray as xr

Boundaries = Mapping[float, trainability.Boundary]

_UNBOUNDED = 10_000  # Characters.
_COLORS = matplotlib.colormaps['viridis']
_LABEL = r'$6\,\xi_c$: theory expects training below'


def grid(frame: pd.DataFrame, bias_std: float, column: str) -> pd.DataFrame:
  """Returns a column of the frame over depth (descending) and weight_std.

  Args:
    frame: the frame.
    bias_std: the rows that are taken.
    column: such as `accuracy`; NaN where it has no network.
  """
  rows = frame[frame['bias_std'] == bias_std]
  table = rows.pivot(index='depth', columns='weight_std', values=column)
  return table.sort_index(ascending=False)


def show(frame: pd.DataFrame, console: rich.console.Console) -> None:
  """Prints the accuracy in percent on its colour, a table for each bias_std.

  A star marks the networks that theory expects to train.

  Args:
    frame: the frame.
    console: where to; a table is as wide as it has to be.
  """
  scale = _scale(frame)
  for bias_std in frame['bias_std'].unique():
    heading = (
      'Training accuracy in % over depth and weight_std, bias_std '
      f'{bias_std:.4g}; * theory expects training: depth <= 6 xi_c'
    )
    table = _table(frame, bias_std, scale)
    unbounded = console.options.update(width=_UNBOUNDED)
    needed = console.measure(table, options=unbounded).maximum
    console.print(f'\n{heading}\n', highlight=False, soft_wrap=True)
    narrow, console.width = console.width, max(console.width, needed)
    console.print(table, crop=False)
    console.width = narrow


def _table(
  frame: pd.DataFrame, bias_std: float, scale: colors.Normalize
) -> rich_table.Table:
  accuracy = grid(frame, bias_std, 'accuracy')
  limits = trainability.DEPTH_SCALES * grid(frame, bias_std, 'xi_c')
  table = rich_table.Table(box=box.SIMPLE_HEAD, padding=0, show_edge=False)
  table.add_column('depth', justify='right', no_wrap=True)
  for weight_std in accuracy.columns:
    table.add_column(f'{weight_std:.3g}', justify='right', no_wrap=True)
  for depth, row in accuracy.iterrows():
    expected = limits.loc[depth] >= depth
    cells = [
      _cell(value, scale, star)
      for value, star in zip(row, expected, strict=True)
    ]
    table.add_row(f'{depth}', *cells)
  return table


def _cell(
  value: float, scale: colors.Normalize, expected: bool
) -> rich_text.Text:
  if math.isnan(value):
    return rich_text.Text('')
  ink, paper = _ink_on_paper(value, scale)
  style = rich_style.Style(color=ink, bgcolor=paper)
  return rich_text.Text(f'{100 * value:3.0f}{"*" if expected else " "}', style)


def _ink_on_paper(value: float, scale: colors.Normalize) -> tuple[str, str]:
  """Returns the colours of a cell's text and ground, as #rrggbb."""
  red, green, blue, _ = _COLORS(scale(value))
  is_light = 0.299 * red + 0.587 * green + 0.114 * blue > 0.5
  return '#000000' if is_light else '#ffffff', colors.to_hex((red, green, blue))


def _scale(frame: pd.DataFrame) -> colors.Normalize:
  best = frame['accuracy'].max()
  return colors.Normalize(0, best if best > 0 else 1)


def figure(
  record: xr.Dataset, frame: pd.DataFrame, boundaries: Boundaries
) -> figure_lib.Figure:
  """Draws the map, a panel for each bias_std.

  Args:
    record: whose axes are named in the title.
    frame: its `trainability.summary`.
    boundaries: by bias_std.
  """
  scale = _scale(frame)
  with matplotlib.rc_context({**figures.STYLE, 'axes.grid': False}):
    drawn = figure_lib.Figure(
      figsize=(1.2 + 4.4 * len(boundaries), 4.2), layout='constrained'
    )
    panels = list(drawn.subplots(1, len(boundaries), squeeze=False).flat)
    for axes, (bias_std, curve) in zip(panels, boundaries.items(), strict=True):
      image = _draw_panel(axes, frame, bias_std, curve, scale)
    panels[0].set_ylabel('depth')
    drawn.colorbar(image, ax=panels, label='training accuracy')
    drawn.suptitle(configurations.verbatim(title(record)), fontsize=10)
    handles, labels = panels[0].get_legend_handles_labels()
    if handles:
      drawn.legend(handles, labels, loc='outside lower center', ncols=2)
  return drawn


def _draw_panel(axes, frame, bias_std, curve, scale):
  """Draws one map with its curve; returns the image."""
  accuracy = grid(frame, bias_std, 'accuracy').sort_index()
  depths = accuracy.index.to_numpy(float)
  weight_stds = accuracy.columns.to_numpy(float)
  x_edges, y_edges = _edges(weight_stds), _edges(depths)
  image = axes.pcolormesh(
    x_edges,
    y_edges,
    accuracy.to_numpy(),
    cmap=_COLORS,
    norm=scale,
    rasterized=True,  # Else seams show in an SVG.
  )
  limit = y_edges[-1]
  height = np.minimum(curve.depth, 2 * limit)
  if np.isfinite(height).any():
    axes.plot(curve.weight_std, height, color='white', linewidth=3.2, alpha=0.9)
    axes.plot(
      curve.weight_std,
      height,
      color=figures.PALETTE[3],
      linewidth=1.6,
      label=_LABEL,
    )
  if not math.isnan(curve.critical):
    axes.axvline(
      curve.critical,
      color='#999999',
      linewidth=1.2,
      linestyle=':',
      label=r'critical weight_std, $\chi_1 = 1$',
    )
  axes.set(
    xlim=(x_edges[0], x_edges[-1]),
    ylim=(max(y_edges[0], 0), limit),
    xlabel='weight_std',
    title=f'bias_std {bias_std:.4g}',
  )
  return image


def _edges(centers: np.ndarray) -> np.ndarray:
  """Returns the edges of cells around centers, halfway between them."""
  if len(centers) == 1:
    return centers[0] * np.array([0.9, 1.1])
  middle = (centers[1:] + centers[:-1]) / 2
  first, last = 2 * centers[0] - middle[0], 2 * centers[-1] - middle[-1]
  return np.concatenate([[first], middle, [last]])


def title(record: xr.Dataset) -> str:
  """Says what was trained.

  Args:
    record: a record.
  """
  one = {
    name: configurations.text(record[name].values[0])
    for name in ('activation', 'norm', 'shortcut', 'width', 'learning_rate')
  }
  named = [
    f'{name} {one[name]}'
    for name in ('norm', 'shortcut')
    if one[name] != 'none'
  ]
  return ', '.join(
    [
      f'{one["activation"]}, width {one["width"]}',
      *named,
      f'{record.sizes["step"]} steps at rate {one["learning_rate"]}',
      str(record.attrs.get('data', '')),
    ]
  )


def page(
  record: xr.Dataset,
  frame: pd.DataFrame,
  boundaries: Boundaries,
  sentences: Sequence[str],
) -> str:
  """Renders the map as one HTML file that needs nothing but itself.

  The figure, and a table of the same cells: each tells its numbers where the
  pointer rests on it.

  Args:
    record: the record.
    frame: its `trainability.summary`.
    boundaries: by bias_std.
    sentences: what the map says.
  """
  said = ''.join(f'<p>{html.escape(text)}</p>' for text in sentences)
  tables = ''.join(_html_table(frame, bias) for bias in boundaries)
  heading = html.escape(f'What trains: {title(record)}')
  return _PAGE.format(
    title=heading,
    sentences=said,
    figure=_svg(figure(record, frame, boundaries)),
    tables=tables,
    command=html.escape(str(record.attrs.get('command', ''))),
  )


def _svg(drawn: figure_lib.Figure) -> str:
  buffer = io.StringIO()
  with matplotlib.rc_context(figures.STYLE):
    drawn.savefig(buffer, format='svg', metadata={'Date': None})
  text = buffer.getvalue()
  return text[text.index('<svg') :]


def _html_table(frame: pd.DataFrame, bias_std: float) -> str:
  rows = frame[frame['bias_std'] == bias_std]
  scale = _scale(frame)
  weight_stds = sorted(rows['weight_std'].unique())
  cells = {(r.depth, r.weight_std): r for r in rows.itertuples()}
  lines = []
  for depth in sorted(rows['depth'].unique(), reverse=True):
    line = [f'<th scope="row">{depth}</th>']
    line += [_html_cell(cells.get((depth, w)), scale) for w in weight_stds]
    lines.append(f'<tr>{"".join(line)}</tr>')
  head = ''.join(f'<th scope="col">{w:.4g}</th>' for w in weight_stds)
  return (
    f'<table><caption>Training accuracy in %, bias_std {bias_std:.4g}; framed: '
    'depth at most 6 xi_c</caption><thead><tr><th scope="col">depth \\ '
    f'weight_std</th>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table>'
  )


def _html_cell(row, scale: colors.Normalize) -> str:
  if row is None or math.isnan(row.accuracy):
    return '<td></td>'
  ink, paper = _ink_on_paper(row.accuracy, scale)
  expected = trainability.DEPTH_SCALES * row.xi_c >= row.depth
  told = (
    f'depth {row.depth}, weight_std {row.weight_std:.4g}: training accuracy '
    f'{row.accuracy:.1%}, test {row.test_accuracy:.1%}, loss {row.loss:.3g}; '
    f'{row.phase}, xi_c {row.xi_c:.4g}, gradient {row.xi_gradient:.4g} layers'
  )
  return (
    f'<td style="color:{ink};background:{paper}" title="{html.escape(told)}"'
    f'{" class=expected" if expected else ""}>{100 * row.accuracy:.0f}</td>'
  )


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{
  font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem;
  padding: 0 1rem;
}}
h1 {{ font-size: 1.4rem; }}
figure {{ background: white; margin: 1rem 0; overflow-x: auto; }}
figure svg {{ display: block; height: auto; margin: auto; max-width: 100%; }}
.scroll {{ overflow-x: auto; }}
table {{
  border-collapse: collapse; font-size: 0.85rem; margin: 1.5rem 0;
  font-variant-numeric: tabular-nums;
}}
caption {{ font-weight: 600; padding-bottom: 0.5rem; text-align: left; }}
th {{ font-weight: 400; padding: 0.2rem 0.5rem; text-align: right; }}
td {{ padding: 0.3rem 0.5rem; text-align: right; }}
td.expected {{ outline: 2px solid #D55E00; outline-offset: -2px; }}
code {{ overflow-wrap: anywhere; }}
</style>
</head>
<body>
<h1>{title}</h1>
{sentences}
<figure>{figure}</figure>
<div class="scroll">{tables}</div>
<p>Theory: Schoenholz et al., 2017, <a
href="https://arxiv.org/abs/1611.01232">Deep information propagation</a>. Made
by <code>{command}</code>.</p>
</body>
</html>
"""
