"""The record of a watch: what was measured, step by step, in zarr.

It has the dimensions `step`, `module` and `parameter`, and variables by the
names that a laboratory's record has for them (docs/architecture.md):

    xr.open_zarr('watch.zarr').cotangent_rms.sel(module='blocks/3/mlp')

Steps are written in groups. The consolidated metadata, which readers go by, are
written after the arrays: a process that is killed leaves whole steps behind.
"""

from collections.abc import Mapping, Sequence
import json
import pathlib
import time
from typing import cast

from jaxdl.x_ray import examination as examination_lib
from jaxdl.x_ray import finding as finding_lib
import numcodecs
import numpy as np
import zarr

FORMAT = 'jaxdl watch'
FORMAT_VERSION = 1
_STEP, _LOSS, _VERDICTS = 'step', 'loss', 'verdicts'
_MOST_LETTERS = 120  # Of the verdicts of a step.
_VERDICT_DTYPE = np.dtype(f'<U{_MOST_LETTERS}')
_STEPS_OF_A_CHUNK = 64
# Writing takes at most this share of the time.
_SHARE = 0.002

Values = Mapping[str, np.ndarray]


def of_modules(
  examination: examination_lib.Examination,
) -> dict[str, np.ndarray]:
  """The statistics of the rows, by variable; each `[module]`.

  Args:
    examination: what was measured.
  """
  rows = examination.rows
  forward = rows[0].forward._fields if rows else ()
  backward = rows[0].backward._fields if rows else ()
  return {
    **{
      f'activation_{name}': _numbers(getattr(r.forward, name) for r in rows)
      for name in forward
    },
    **{
      f'cotangent_{name}': _numbers(getattr(r.backward, name) for r in rows)
      for name in backward
    },
  }


def of_parameters(
  examination: examination_lib.Examination,
) -> dict[str, np.ndarray]:
  """What was measured of the parameters, by variable; each `[parameter]`.

  Args:
    examination: what was measured.
  """
  parameters = examination.parameters
  return {
    'parameter_norm': _numbers(p.norm for p in parameters),
    'gradient_norm': _numbers(p.gradient_norm for p in parameters),
    'gradient_max_abs': _numbers(p.gradient_max_abs for p in parameters),
    'gradient_zero': _numbers(p.gradient_zero for p in parameters),
    'gradient_nonfinite': _numbers(p.gradient_nonfinite for p in parameters),
    'update_ratio': _numbers(p.update_ratio for p in parameters),
  }


class Record:
  """A record that grows; see the module's docstring.

  Steps are kept until writing them takes a small share of the time since the
  last were written; `flush` writes them at once.
  """

  def __init__(
    self, path: str | pathlib.Path, example: examination_lib.Examination
  ):
    """Makes a record, or opens one of the same model.

    Args:
      path: of the folder.
      example: an examination of the model, whatever its numbers.

    Raises:
      ValueError: what lies there is no record, or another model's; or it can't
        be written to.
    """
    self._path = pathlib.Path(path)
    self._pending: list[tuple[int, Values, str]] = []
    self._is_continued = False
    self._written_at, self._took = time.monotonic(), 0.0
    try:
      is_there = self._path.exists() and any(self._path.iterdir())
      self._group = (
        self._reopen(example) if is_there else _create(self._path, example)
      )
    except OSError as error:
      raise ValueError(
        f'cannot write to {path}: {error.strerror or error}; give another '
        'record'
      ) from error
    self._arrays = _arrays(self._group, example)

  def append(
    self,
    step: int,
    examination: examination_lib.Examination,
    findings: Sequence[finding_lib.Finding],
  ) -> None:
    """Adds a step.

    Of a record that was there before, the steps from this one on are replaced:
    training goes on from a checkpoint.

    Args:
      step: the number of steps before it.
      examination: what was measured.
      findings: what was found in it.

    Raises:
      OSError: the disk took no more.
    """
    values = {
      _LOSS: np.asarray(examination.loss, np.float32),
      **of_modules(examination),
      **of_parameters(examination),
    }
    verdicts = ','.join(dict.fromkeys(f.verdict for f in findings))
    self._pending.append((step, values, verdicts[:_MOST_LETTERS]))
    passed = time.monotonic() - self._written_at
    if self._took <= _SHARE * passed:
      self.flush()

  def flush(self) -> None:
    """Writes the steps that are not written yet.

    Raises:
      OSError: the disk took no more.
    """
    if not self._pending:
      return
    begin = time.monotonic()
    steps, values, verdicts = zip(*self._pending, strict=True)
    arrays = self._arrays
    length = min(arrays[name].shape[0] for name in (_STEP, *values[0]))
    if self._is_continued:
      length = int(np.sum(arrays[_STEP][:length] < steps[0]))
      self._is_continued = False
    for name in values[0]:
      _extend(arrays[name], length, np.stack([v[name] for v in values]))
    _extend(arrays[_VERDICTS], length, np.array(verdicts))
    _extend(arrays[_STEP], length, np.array(steps))
    zarr.consolidate_metadata(self._group.store, zarr_format=2)
    self._pending.clear()
    self._written_at = time.monotonic()
    self._took = self._written_at - begin

  close = flush

  def _reopen(self, example: examination_lib.Examination) -> zarr.Group:
    """Opens what lies there, if it is a record of the same model."""
    found, given = _recorded_model(self._path), _model(example)
    if found is None:
      raise ValueError(
        f'{self._path} holds something that is no record of a watch; give '
        'another record'
      )
    for kind in given:
      for there, here in _differences(found.get(kind, []), given[kind]):
        there = there if there.isprintable() else ascii(there)
        raise ValueError(
          f'{self._path} is the record of another model: its {kind} has '
          f'{there} where this one has {here}; give another record'
        )
    self._is_continued = True
    try:
      # What was consolidated may be older than the arrays.
      group = zarr.open_group(
        self._path, mode='r+', zarr_format=2, use_consolidated=False
      )
      _check(_arrays(group, example), example)
      dict(group.arrays())  # All of them can be opened.
      for path in self._path.iterdir():
        if path.is_symlink():
          raise ValueError(f'{path.name} is a link')
    except Exception as error:  # Metadata of other content can be anything.
      reason = ' '.join(str(error).split()) or type(error).__name__
      raise ValueError(
        f'{self._path} is damaged ({reason}); give another record'
      ) from error
    return group


def _recorded_model(path: pathlib.Path) -> dict[str, list] | None:
  """What model a folder is the record of, or None."""
  marks = path / '.zattrs'
  try:
    attributes = json.loads(marks.read_text()) if marks.is_file() else {}
    if attributes['format'] != FORMAT:
      return None
    model = attributes['model']
    return {str(kind): list(names) for kind, names in model.items()}
  except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
    return None


def _arrays(
  group: zarr.Group, example: examination_lib.Examination
) -> dict[str, zarr.Array]:
  """The arrays that grow, by name; raises some error if one is missing."""
  values = {**of_modules(example), **of_parameters(example)}
  return {
    name: cast(zarr.Array, group[name])
    for name in (_STEP, _VERDICTS, _LOSS, *values)
  }


def _check(
  arrays: Mapping[str, zarr.Array], example: examination_lib.Examination
) -> None:
  """Raises a ValueError if arrays are others than a record has.

  Some codecs run code that they find in a file: a record needs none of them.
  """
  values = {**of_modules(example), **of_parameters(example)}
  dtypes = {_STEP: np.dtype(np.int64), _VERDICTS: _VERDICT_DTYPE}
  for name, array in arrays.items():
    codecs = [codec.codec_id for codec in (*array.filters, *array.compressors)]
    if (
      array.dtype != dtypes.get(name, np.dtype(np.float32))
      or array.shape[1:] != np.shape(values.get(name, 0.0))
      or array.ndim == 0
      or codecs != ['zstd']
    ):
      raise ValueError(f'{name} is {array.dtype}{array.shape}, by {codecs}')


def _differences(found, given):
  """The first pair of entries that differ, in words, if there is one."""
  length = max(len(found), len(given))
  padded = [
    [*map(str, e), *['nothing'] * length][:length] for e in (found, given)
  ]
  differing = [pair for pair in zip(*padded, strict=True) if pair[0] != pair[1]]
  return differing[:1]


def _create(
  path: pathlib.Path, example: examination_lib.Examination
) -> zarr.Group:
  group = zarr.open_group(path, mode='w', zarr_format=2)
  group.attrs.update(
    {
      'format': FORMAT,
      'format_version': FORMAT_VERSION,
      'model': _model(example),
    }
  )
  names = {
    'module': np.array([row.name for row in example.rows], np.str_),
    'parameter': np.array([p.name for p in example.parameters], np.str_),
  }
  for name, values in names.items():
    if values.size:
      array = _make(group, name, values.shape, values.dtype, (name,))
      array[:] = values
  _make(group, _STEP, (0,), np.int64, (_STEP,))
  _make(group, _VERDICTS, (0,), _VERDICT_DTYPE, (_STEP,))
  _make(group, _LOSS, (0,), np.float32, (_STEP,))
  for dimension, variables in (
    ('module', of_modules(example)),
    ('parameter', of_parameters(example)),
  ):
    for name, values in variables.items():
      shape = (0, *values.shape)
      _make(group, name, shape, np.float32, (_STEP, dimension))
  zarr.consolidate_metadata(group.store, zarr_format=2)
  return group


def _make(group, name, shape, dtype, dimensions) -> zarr.Array:
  """Makes one array in the way that xarray reads."""
  grows = dimensions[0] == _STEP
  chunks = (_STEPS_OF_A_CHUNK if grows else shape[0], *shape[1:])
  array = group.create_array(
    name,
    shape=shape,
    dtype=dtype,
    chunks=chunks,
    compressors=numcodecs.Zstd(level=1, checksum=True),
    fill_value=np.nan if np.dtype(dtype).kind == 'f' else None,
  )
  array.attrs['_ARRAY_DIMENSIONS'] = list(dimensions)
  return array


def _extend(array: zarr.Array, length: int, values: np.ndarray) -> None:
  """Puts values behind the first `length`, in the place of what was there."""
  array.resize((length + len(values), *array.shape[1:]))
  array[length:] = values


def _model(examination: examination_lib.Examination) -> dict[str, list[str]]:
  """What makes a model the same: its modules and its parameters' shapes."""
  shapes = (f'{p.name} {list(p.shape)}' for p in examination.parameters)
  return {
    'modules': [row.name for row in examination.rows],
    'parameters': list(shapes),
  }


def _numbers(values) -> np.ndarray:
  return np.asarray([float(x) for x in values], np.float32)
