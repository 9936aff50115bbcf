"""Reading a record."""

import json
import pathlib
from typing import Any

from jaxdl.sweep import claim
import numpy as np
import xarray as xr
from xarray.core import indexing
import zarr


def open_record(path: str | pathlib.Path) -> xr.Dataset:
  """Opens the record of a sweep, also of one that still runs.

  The axes of the grid are levels of an index on `cell`, so that
  `record.sel(activation='relu', norm='batch')` works. Values are read when they
  are used.

  Args:
    path: the directory of the sweep, or of the record in it.

  Returns:
    The record: dimensions `cell`, `step` and `layer`. Reading a variable raises
    a ValueError that names the file, if one is damaged.

  Raises:
    ValueError: there is no record, or it is none that this version can read.
  """
  path = pathlib.Path(path)
  if path.name != claim.RECORD:
    path = path / claim.RECORD
  dataset = xr.open_dataset(path, engine=_RecordBackend)
  return dataset.set_index(cell=json.loads(dataset.attrs['cell_axes']))


class _RecordBackend(xr.backends.BackendEntrypoint):
  """Reads records as they are, and says which file is damaged."""

  def open_dataset(
    self, filename_or_obj: Any, *, drop_variables: Any = None
  ) -> xr.Dataset:
    path = pathlib.Path(filename_or_obj)
    group = _open(path)
    variables = {}
    for name, array in group.arrays():
      attributes = dict(array.attrs)
      dims = attributes.pop('_ARRAY_DIMENSIONS')
      lazy = indexing.LazilyIndexedArray(_RecordArray(array, path / name))
      variables[name] = xr.Variable(dims, lazy, attributes)
    for name in drop_variables or ():
      variables.pop(name, None)
    axes = json.loads(str(group.attrs['cell_axes']))
    if not variables.keys() >= {*axes, 'steps_done'}:
      raise ValueError(f'{path} is damaged: its metadata are not complete')
    coords = [
      *axes,
      *[name for name, variable in variables.items() if name in variable.dims],
    ]
    dataset = xr.Dataset(variables, attrs=dict(group.attrs))
    return dataset.set_coords(dict.fromkeys(coords))


def _open(path: pathlib.Path) -> zarr.Group:
  """Opens a group and checks that it is a record."""
  try:
    group = zarr.open_group(path, mode='r', zarr_format=2)
    version = group.attrs['format_version']
  except (FileNotFoundError, NotADirectoryError, KeyError) as error:
    raise ValueError(
      f'{path} is no record; give the directory that a sweep wrote to'
    ) from error
  except ValueError as error:
    raise ValueError(f'{path} is damaged: {error}') from error
  if version != claim.FORMAT_VERSION:
    raise ValueError(
      f'{path} has format version {version}; this version of jaxdl reads '
      f'{claim.FORMAT_VERSION}: run the sweep again'
    )
  return group


class _RecordArray(xr.backends.BackendArray):
  """One variable on disk."""

  def __init__(self, array: zarr.Array, path: pathlib.Path):
    self.array, self.path = array, path
    self.shape, self.dtype = array.shape, array.dtype

  def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
    return indexing.explicit_indexing_adapter(
      key, self.shape, indexing.IndexingSupport.OUTER, self._read
    )

  def _read(self, key: tuple) -> Any:
    try:
      return self.array.oindex[key]
    except Exception as error:
      damaged = _damaged(self.array, self.path)
      if not damaged:
        raise
      raise ValueError(
        f'variable {self.path.name!r} cannot be read: {damaged[0]} is damaged; '
        'run the sweep again, or restore the file'
      ) from error


def _codecs(array: zarr.Array) -> tuple[Any, ...]:
  return tuple(array.compressors)


def _damaged(array: zarr.Array, path: pathlib.Path) -> list[pathlib.Path]:
  """Returns the chunk files of a variable that do not decode."""
  size = int(np.prod(array.chunks)) * array.dtype.itemsize
  found = []
  for file in sorted(path.glob('[0-9]*')):
    content = file.read_bytes()
    try:
      for codec in reversed(_codecs(array)):
        content = codec.decode(content)
    except (RuntimeError, ValueError):
      content = b''
    if len(content) != size:
      found.append(file)
  return found
