"""The figures of `receptive_field`: fields over an image, models beside others.

A pixel is drawn where it lies: image coordinates, the centre of the first pixel
at 0.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
from jaxdl import geometry
from jaxdl.report import figures
import matplotlib
from matplotlib import axes as axes_lib
from matplotlib import colors
from matplotlib import figure as figure_lib
from matplotlib import patches
import numpy as np

_BLUE, _VERMILION = figures.PALETTE[2], figures.PALETTE[3]
_LEAST = 1e-3  # Of the largest gradient: what is fainter is not drawn.


class Panel(NamedTuple):
  """One unit with its fields.

  Attributes:
    row: the field in theory.
    measured: the field in effect, [height, width].
  """

  row: geometry.Row
  measured: np.ndarray


def resize(image: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
  """Returns an image of any size as numbers from 0 to 1 in another size."""
  channels = image.shape[-1:]
  unit = image.astype(np.float32) / max(float(image.max()), 1)
  resized = jax.image.resize(unit, (*size, *channels), 'linear')
  return np.clip(np.asarray(resized), 0, 1)


def draw_fields(
  name: str,
  image: np.ndarray,
  fields: geometry.ReceptiveFields,
  panels: Sequence[Panel],
) -> figure_lib.Figure:
  """Draws fields over an image, and their growth with depth below.

  Args:
    name: of the model.
    image: [height, width, channels], from 0 to 1.
    fields: of all units.
    panels: the units to draw over the image.
  """
  with matplotlib.rc_context(figures.STYLE):
    count = len(panels)
    figure = figure_lib.Figure(
      figsize=(2.9 * max(count, 2) + 0.6, 5.6), layout='constrained'
    )
    grid = figure.add_gridspec(2, count, height_ratios=(1.25, 1))
    for column, panel in enumerate(panels):
      drawn = _draw_panel(figure.add_subplot(grid[0, column]), image, panel)
    bar = figure.colorbar(drawn, ax=figure.axes, shrink=0.85, pad=0.02)
    bar.set_label('gradient, share of the largest')
    growth = figure.add_subplot(grid[1, :])
    _draw_growth(growth, image.shape[0], fields, panels)
    figure.suptitle(f'Receptive fields of {name}', fontsize=11)
    return figure


def _draw_panel(axes: axes_lib.Axes, image: np.ndarray, panel: Panel) -> Any:
  height, width = image.shape[:2]
  axes.imshow(image, cmap='gray', vmin=0, vmax=1.6, interpolation='nearest')
  share = panel.measured / panel.measured.max()
  drawn = axes.imshow(
    np.ma.masked_less(share, _LEAST),
    cmap='inferno',
    norm=colors.LogNorm(_LEAST, 1),
    alpha=np.clip(
      0.35 + 0.25 * np.log10(np.maximum(share, _LEAST) / _LEAST), 0, 0.9
    ),
    interpolation='nearest',
  )
  # What lies in the padding is beyond the picture.
  (top, bottom), (left, right) = (
    np.clip(field.middle(), 0, length - 1)
    for field, length in zip(panel.row.fields, (height, width), strict=True)
  )
  frame = patches.Rectangle(
    (left - 0.5, top - 0.5),
    right - left + 1,
    bottom - top + 1,
    fill=False,
    edgecolor=figures.PALETTE[5],
    linewidth=1.6,
  )
  axes.add_patch(frame)
  axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
  axes.set(xticks=(), yticks=())
  axes.grid(False)
  axes.spines[:].set_visible(False)
  size = panel.row.fields[0].size
  effective = geometry.effective_size(panel.measured)
  axes.set_title(
    f'{panel.row.scope}\n{int(size)} px in theory, {effective:.0f} in effect',
    fontsize=9,
  )
  return drawn


def _draw_growth(
  axes: axes_lib.Axes,
  height: int,
  fields: geometry.ReceptiveFields,
  panels: Sequence[Panel],
) -> None:
  """Draws the size of the fields over depth."""
  rows = [row for row in fields if any(f.stride for f in row.fields)]
  rows = [row for row in rows if row.scope != 'output']
  sizes = [int(row.fields[0].size) for row in rows]
  places = {row.scope: place for place, row in enumerate(rows)}
  axes.plot(sizes, 'o-', color=_BLUE, markersize=3.5, label='in theory')
  drawn = [panel for panel in panels if panel.row.scope in places]
  axes.plot(
    [places[panel.row.scope] for panel in drawn],
    [geometry.effective_size(panel.measured) for panel in drawn],
    's--',
    color=_VERMILION,
    markersize=5,
    label='in effect: above 4.55% of the largest',
  )
  axes.axhline(height, color='0.5', linewidth=0.9, linestyle=':')
  axes.annotate(
    'height of the image',
    (0, height),
    xytext=(0, -4),
    textcoords='offset points',
    va='top',
    ha='left',
    fontsize=8,
    color='0.35',
  )
  axes.set_yscale('log', base=2)
  axes.yaxis.set_major_formatter(matplotlib.ticker.ScalarFormatter())
  axes.set_xticks(range(len(rows)), [row.scope for row in rows], rotation=60)
  for label in axes.get_xticklabels():
    label.set(ha='right', rotation_mode='anchor', fontsize=8)
  axes.set_ylabel('field, pixels')
  axes.legend(loc='lower right', fontsize=8)


def draw_models(found: Sequence[Mapping[str, Any]]) -> figure_lib.Figure:
  """Draws models as rows: their field beside the image, and the decades.

  Args:
    found: of each model its name, the height of its image, its field (None if
      that is everything) and the decades.
  """
  with matplotlib.rc_context(figures.STYLE):
    figure = figure_lib.Figure(
      figsize=(8, 1.3 + 0.2 * len(found)), layout='constrained'
    )
    left, right = figure.subplots(1, 2, sharey=True)
    places = np.arange(len(found))
    heights = [row['height'] for row in found]
    sizes = [row['field'] or row['height'] for row in found]
    left.hlines(places, heights, sizes, color='0.75', linewidth=1)
    dense = np.array([row['field'] is None for row in found])
    for some, fill, label in (
      (~dense, _BLUE, 'receptive field'),
      (dense, 'white', 'the whole image'),
    ):
      if some.any():
        dots = {'color': _BLUE, 'markerfacecolor': fill, 'label': label}
        left.plot(np.array(sizes)[some], places[some], 'o', **dots)
    left.plot(heights, places, '|', color='0.2', markersize=9, label='image')
    left.set_xscale('log', base=2)
    left.xaxis.set_major_formatter(matplotlib.ticker.ScalarFormatter())
    left.set_xlabel('pixels, before the readout')
    left.set_yticks(places, [row['model'] for row in found], fontsize=8)
    left.set_ylim(len(found) - 0.4, -0.6)
    left.legend(loc='lower center', bbox_to_anchor=(0.5, 1), ncols=3)
    right.set_axisbelow(True)
    decades = [row['decades'] for row in found]
    shades = [_VERMILION if value < 0 else _BLUE for value in decades]
    right.barh(places, decades, color=shades, height=0.7)
    right.axvline(0, color='0.2', linewidth=0.8)
    right.set_xlabel('decades of |gradient|, from the last unit to the first')
    for label, place, side in (
      ('vanishing', -4, 'right'),
      ('exploding', 4, 'left'),
    ):
      right.annotate(
        label,
        (0, 1),
        xytext=(place, 3),
        xycoords=('data', 'axes fraction'),
        textcoords='offset points',
        ha=side,
        va='bottom',
        color=_VERMILION if place < 0 else _BLUE,
      )
    return figure
