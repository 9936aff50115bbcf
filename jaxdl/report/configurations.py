"""Configurations: the cells that differ in nothing but their seed."""

from collections.abc import Mapping, Sequence
import json
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

SEED = 'seed'
_MODEL = 'model'
_SIZES = ('depth', 'width')
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
  """Lists the axes, but the seed, of which cells have different values.

  A size that follows from the model, as the depth of ResNets does, is left out.
  """
  varying = [
    name
    for name in axes(dataset)
    if name != SEED and len(np.unique(dataset[name].values)) > 1
  ]
  return [name for name in varying if not _follows(dataset, name, varying)]


def _follows(dataset: xr.Dataset, name: str, varying: Sequence[str]) -> bool:
  """Whether an axis is a size of which each model has one value."""
  if name not in _SIZES or _MODEL not in varying:
    return False
  models = dataset[_MODEL].values.tolist()
  pairs = zip(models, dataset[name].values.tolist(), strict=True)
  return len(set(pairs)) == len(set(models))


def held_axes(dataset: xr.Dataset) -> list[str]:
  """Lists the axes, but the seed, that are no part of a configuration's name.

  Each has one value in a configuration, if not in all.
  """
  varying = varying_axes(dataset)
  return [name for name in axes(dataset) if name not in (SEED, *varying)]


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
  """Writes an axis' value: numbers as short as they can be.

  Control characters, which a terminal would obey, are written as Python does.
  """
  return _printable(value) if isinstance(value, str) else f'{value:g}'


def verbatim(text: str) -> str:
  """Writes text for a figure as it is: dollars begin no formula.

  Args:
    text: what a dataset or a choice is called; lines are kept.
  """
  lines = map(_printable, text.split('\n'))
  return '\n'.join(lines).replace('$', r'\$')


def _printable(text: str) -> str:
  return ''.join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


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
