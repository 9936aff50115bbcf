"""Reading a record."""

import json
import pathlib
from typing import Any

from jaxdl.sweep import claim
import numpy as np
import xarray as xr
from xarray.core import indexing
import zarr

_DIMS = ('cell', 'step', 'layer')
_KINDS = 'biufU'  # Of what is recorded.
_CODECS = {'zstd'}
_MOST_LABELS = 2**30  # Bytes that name the cells, or the steps.
_MOST_CHUNKS = 10**6  # Of a variable, each a file.


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
  return xr.open_dataset(path, engine=_RecordBackend)


class _RecordBackend(xr.backends.BackendEntrypoint):
  """Reads records as they are, and says which file is damaged."""

  def open_dataset(
    self, filename_or_obj: Any, *, drop_variables: Any = None
  ) -> xr.Dataset:
    path = pathlib.Path(filename_or_obj)
    group = _open(path)
    try:
      dataset = _lazy(group, path)
      return dataset.drop_vars(drop_variables or (), errors='ignore')
    except _DamageError:
      raise
    except Exception as error:  # Metadata of another content can be anything.
      raise ValueError(
        f'{path} is damaged: its metadata make no record '
        f'({_in_one_line(error)}); run the sweep again, or restore them'
      ) from error


class _DamageError(ValueError):
  """A file of a record is damaged; says which."""


def _in_one_line(error: Exception) -> str:
  return ' '.join(str(error).split()) or type(error).__name__


def _open(path: pathlib.Path) -> zarr.Group:
  """Opens a group and checks that it is a record."""
  try:
    group = zarr.open_group(path, mode='r', zarr_format=2)
    version = group.attrs['format_version']
  except (FileNotFoundError, NotADirectoryError, KeyError) as error:
    raise ValueError(
      f'{path} is no record; give the directory that a sweep wrote to'
    ) from error
  except Exception as error:  # Metadata of another content can be anything.
    raise ValueError(f'{path} is damaged: {_in_one_line(error)}') from error
  if version != claim.FORMAT_VERSION:
    raise ValueError(
      f'{path} has format version {version}; this version of jaxdl reads '
      f'{claim.FORMAT_VERSION}: run the sweep again'
    )
  return group


def _lazy(group: zarr.Group, path: pathlib.Path) -> xr.Dataset:
  """Makes the dataset; raises some error if it cannot be one."""
  variables = {}
  for name, array in group.arrays():
    _check_array(array)
    attributes: dict[str, Any] = dict(array.attrs)
    dims = attributes.pop('_ARRAY_DIMENSIONS')
    if not set(dims) <= set(_DIMS):
      raise ValueError(f'{name} has other dimensions')
    lazy = indexing.LazilyIndexedArray(_RecordArray(array, path / name))
    variables[name] = xr.Variable(dims, lazy, attributes)
  axes = json.loads(str(group.attrs['cell_axes']))
  if not variables.keys() >= {*axes, *_DIMS[1:], 'steps_done'}:
    raise ValueError('variables are missing')
  coords = [
    *axes,
    *[name for name, variable in variables.items() if name in variable.dims],
  ]
  dataset = xr.Dataset(variables, attrs=dict(group.attrs))
  return dataset.set_coords(dict.fromkeys(coords)).set_index(cell=axes)


def _check_array(array: zarr.Array) -> None:
  """Raises a ValueError for an array that no sweep writes.

  Some codecs run code that they find in a file: a record needs none of them.
  """
  codecs = {codec.codec_id for codec in (*array.filters, *array.compressors)}
  if array.dtype.kind not in _KINDS or not codecs <= _CODECS:
    raise ValueError(f'{array.name} is {array.dtype}, by {codecs}')
  if array.ndim == 1 and array.nbytes > _MOST_LABELS:
    raise ValueError(f'{array.name} has {array.nbytes} bytes')
  if array.nchunks > _MOST_CHUNKS:
    raise ValueError(f'{array.name} has {array.nchunks} chunks')


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
    file = self.path / '0'
    if self.dtype.kind == 'U' and self.array.size and not file.exists():
      raise self._damage(f'{file} is missing')  # All else may be zeros.
    try:
      return self.array.oindex[key]
    except MemoryError as error:
      raise ValueError(
        f'variable {self.path.name!r} has {self.array.nbytes} bytes, more than '
        'there is memory for; select a part of it'
      ) from error
    except Exception as error:
      damaged = _damaged(self.array, self.path)
      if not damaged:
        raise
      raise self._damage(f'{damaged[0]} is damaged') from error

  def _damage(self, reason: str) -> _DamageError:
    return _DamageError(
      f'variable {self.path.name!r} cannot be read: {reason}; run the sweep '
      'again, or restore the file'
    )


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
