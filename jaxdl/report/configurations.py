"""Configurations: the cells that differ in nothing but their seed."""

from collections.abc import Mapping, Sequence
import json
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

SEED = 'seed'
NONE = 'none'


class Configuration(NamedTuple):
  """A value for each axis that varies, and the cells that have these values.

  Attributes:
    values: by axis, the seed left out.
    cells: positions along the `cell` dimension.
  """

  values: dict[str, Any]
  cells: np.ndarray


def axes(dataset: xr.Dataset) -> list[str]:
  """Lists the axes of a record or diagnosis, those of its grid first."""
  named = json.loads(dataset.attrs.get('axes', '[]'))
  on_cell = [
    name
    for name, coord in dataset.coords.items()
    if coord.dims == ('cell',) and name != 'cell'
  ]
  first = [name for name in named if name in on_cell]
  return first + [str(name) for name in on_cell if name not in first]


def varying_axes(dataset: xr.Dataset) -> list[str]:
  """Lists the axes, but the seed, of which cells have different values."""
  return [
    name
    for name in axes(dataset)
    if name != SEED and len(np.unique(dataset[name].values)) > 1
  ]


def fixed_axes(dataset: xr.Dataset) -> dict[str, Any]:
  """Maps the axes with one value to that value, the seed included."""
  return {
    name: dataset[name].values.tolist()[0]
    for name in axes(dataset)
    if len(np.unique(dataset[name].values)) == 1
  }


def values_of(dataset: xr.Dataset, axis: str) -> list[Any]:
  """Lists an axis' values: numbers ascending, choices as they first appear."""
  values = list(dict.fromkeys(dataset[axis].values.tolist()))
  return values if isinstance(values[0], str) else sorted(values)


def cures(dataset: xr.Dataset) -> list[str]:
  """Lists the axes that vary and of which `none` is a choice."""
  return [
    axis for axis in varying_axes(dataset) if NONE in values_of(dataset, axis)
  ]


def configurations(dataset: xr.Dataset) -> list[Configuration]:
  """Groups cells over their seeds, in the order of their first cells."""
  names = varying_axes(dataset)
  columns = [dataset[name].values.tolist() for name in names]
  groups: dict[tuple[Any, ...], list[int]] = {}
  for cell in range(dataset.sizes['cell']):
    key = tuple(column[cell] for column in columns)
    groups.setdefault(key, []).append(cell)
  return [
    Configuration(dict(zip(names, key, strict=True)), np.array(cells))
    for key, cells in groups.items()
  ]


def panel_axis(dataset: xr.Dataset) -> str:
  """The axis that panels and map rows are for; '' if one axis or none varies.

  The activation alone keeps its panels even if no other axis varies.
  """
  names = varying_axes(dataset)
  if 'activation' in names:
    return 'activation'
  return names[0] if len(names) > 1 else ''


def combinations(
  dataset: xr.Dataset, names: Sequence[str]
) -> list[dict[str, Any]]:
  """Lists the combinations of some axes' values, in the grid's order."""
  columns = [dataset[name].values.tolist() for name in names]
  keys = dict.fromkeys(zip(*columns, strict=True)) if names else {(): None}
  return [dict(zip(names, key, strict=True)) for key in keys]


def text(value: Any) -> str:
  """Writes an axis' value: numbers as short as they can be."""
  return value if isinstance(value, str) else f'{value:g}'


def label(values: Mapping[str, Any]) -> str:
  """Writes `norm=batch, clip=none`; choices that name themselves go bare."""
  parts = [
    text(value) if axis == 'activation' else f'{axis}={text(value)}'
    for axis, value in values.items()
  ]
  return ', '.join(parts) or 'the only configuration'


def treatment(values: Mapping[str, Any]) -> str:
  """Writes only what is not `none`: `norm=batch + clip=norm:1.0`."""
  parts = [
    label({axis: value}) for axis, value in values.items() if value != NONE
  ]
  return ' + '.join(parts) or ('no cure' if values else 'all')
