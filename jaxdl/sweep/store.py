"""Writing a sweep: its record and its checkpoints.

A program, or the part of it that a process trains, writes each chunk of steps
into files of its own, first the metrics, then the checkpoint. A sweep killed at
any moment goes on from its checkpoints and writes the later chunks again, with
the same numbers.
"""

from collections.abc import Iterable, Mapping
import errno
import json
import pathlib
from typing import Any, NamedTuple

from jaxdl.sweep import checkpoint as checkpoint_lib
from jaxdl.sweep import claim
from jaxdl.sweep import parts
from jaxdl.sweep import planning
from jaxdl.sweep import program as program_lib
from jaxdl.sweep import saved_states
import numcodecs
import numpy as np
import zarr

_RESERVED = ('cell', 'step', 'layer', 'steps_done')
_DIMS = ('cell', 'step', 'layer')
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class StorageError(OSError):
  """The disk took no more; what was written before is whole."""


# The rank of each variable, its number of layers if it has them: name -> both.
Variables = Mapping[str, tuple[int, int]]


class Store(NamedTuple):
  """An open sweep; `create` and `open_store` make one."""

  out: pathlib.Path
  arrays: dict[str, zarr.Array]


def create(
  out: str | pathlib.Path,
  plan: planning.Plan,
  variables: Variables,
  settings: Mapping[str, Any],
  attributes: Mapping[str, Any],
) -> Store:
  """Makes an empty record; after `claim.claim`, which see for what it replaces.

  Args:
    out: the directory of the sweep; made if it is missing.
    plan: the plan.
    variables: what the programs record, as `join` returns it.
    settings: see `claim.fingerprint`.
    attributes: attributes of the record.

  Returns:
    The store.

  Raises:
    ValueError: `out` cannot be written.
    StorageError: the disk is full.
  """
  out = pathlib.Path(out)
  try:
    claim.remove(out)
    (out / claim.CHECKPOINTS).mkdir(parents=True, exist_ok=True)
    _create_record(out / claim.PARTIAL_RECORD, plan, variables, attributes)
    content = json.dumps(claim.fingerprint(plan, settings), indent=1)
    (out / claim.PLAN).write_text(content + '\n')
    (out / claim.PARTIAL_RECORD).rename(out / claim.RECORD)
  except OSError as error:
    if error.errno in _FULL:
      raise StorageError(
        f'cannot write to {out}: {error.strerror}; nothing was recorded yet: '
        'make room and start again'
      ) from error
    raise ValueError(
      f'cannot write to {out}: {error.strerror}; give another --out'
    ) from error
  return open_store(out)


def open_store(out: str | pathlib.Path) -> Store:
  """Opens a sweep to go on with it; call `claim.claim` first.

  Args:
    out: the directory of the sweep.

  Returns:
    The store.
  """
  out = pathlib.Path(out)
  group = zarr.open_group(out / claim.RECORD, mode='r+', zarr_format=2)
  return Store(out, dict(group.arrays()))


def remove_partial_files(out: str | pathlib.Path) -> None:
  """Removes what a killed process had begun to write; while nobody writes.

  Args:
    out: the directory of the sweep.
  """
  for folder in (claim.RECORD, claim.CHECKPOINTS):
    for partial in (pathlib.Path(out) / folder).rglob('*.partial'):
      if partial.is_file():
        partial.unlink()


def unit(store: Store) -> int:
  """Returns how many cells a file of the record holds; see `parts.unit`."""
  return store.arrays['steps_done'].chunks[0]


def read_chunk(
  store: Store, program: planning.Program, start: int, stop: int
) -> dict[str, np.ndarray]:
  """Reads the metrics of a chunk; see `write_chunk`.

  Args:
    store: the store.
    program: the program.
    start: the first step of the chunk.
    stop: the end of its steps.

  Returns:
    Arrays `[cells, steps]` or `[cells, steps, layer]`.
  """
  return {
    name: np.asarray(array[_cells(program), start:stop])
    for name, array in store.arrays.items()
    if array.ndim > 1
  }


def write_chunk(
  store: Store,
  program: planning.Program,
  start: int,
  metrics: Mapping[str, np.ndarray],
) -> None:
  """Writes the metrics of a chunk.

  Args:
    store: the store.
    program: the program.
    start: the first step of the chunk.
    metrics: arrays `[cells, steps]` or `[cells, steps, layer]`.

  Raises:
    StorageError: the disk is full.
  """
  cells = _cells(program)
  try:
    for name, values in metrics.items():
      stop = start + values.shape[1]
      layers = tuple(slice(0, size) for size in values.shape[2:])
      store.arrays[name][(cells, slice(start, stop), *layers)] = values
    if metrics:
      store.arrays['steps_done'][cells] = stop
  except OSError as error:
    raise _storage_error(store.out, error) from error


def write_scores(
  store: Store,
  program: planning.Program,
  scores: Mapping[str, np.ndarray],
) -> None:
  """Writes the scores `[cells]` of a program.

  Args:
    store: the store.
    program: the program.
    scores: what `finish` returned.

  Raises:
    StorageError: the disk is full.
  """
  try:
    for name, values in scores.items():
      store.arrays[name][_cells(program)] = values
  except OSError as error:
    raise _storage_error(store.out, error) from error


def save(
  store: Store,
  program: planning.Program,
  checkpoint: checkpoint_lib.Checkpoint,
) -> None:
  """Writes the checkpoint of a program.

  Args:
    store: the store.
    program: the program.
    checkpoint: its states, and the step they belong to.

  Raises:
    StorageError: the disk is full.
  """
  try:
    saved_states.write(store.out, program, checkpoint)
  except OSError as error:
    raise _storage_error(store.out, error) from error


def _cells(program: planning.Program) -> slice:
  """Returns where the cells of a program lie in the record."""
  return slice(program.first_cell, program.first_cell + len(program.cells))


def _storage_error(out: pathlib.Path, error: OSError) -> StorageError:
  is_full = error.errno in _FULL
  remedy = 'make room' if is_full else 'see that it can be written to again'
  return StorageError(
    f'cannot write to {out}: {error.strerror}; all that was recorded before '
    f'is kept: {remedy} and go on with --resume'
  )


def variables(
  plan: planning.Plan, shapes: Iterable[program_lib.Shapes]
) -> dict[str, tuple[int, int]]:
  """Returns the rank and the number of layers of each variable.

  Args:
    plan: the plan.
    shapes: what each program records.

  Raises:
    ValueError: a metric bears another's name, or programs disagree on it.
  """
  reserved = {*_RESERVED, *plan.cells[0]}
  each = []
  for program_shapes in shapes:
    entries = {**program_shapes.metrics, **program_shapes.scores}
    if clash := reserved & set(entries):
      raise ValueError(
        f'metric {min(clash)!r} bears the name of an axis or a dimension; '
        'rename it'
      )
    each.append(
      {name: (x.ndim, (*x.shape, 0, 0)[2]) for name, x in entries.items()}
    )
  return join(each)


def join(each: Iterable[Variables]) -> dict[str, tuple[int, int]]:
  """Joins the variables of several programs: those of most layers.

  Args:
    each: the rank and the number of layers of each variable.

  Raises:
    ValueError: programs disagree on the rank of a variable.
  """
  joined: dict[str, tuple[int, int]] = {}
  for variables in each:
    for name, (rank, layers) in variables.items():
      old_rank, old_layers = joined.get(name, (rank, 0))
      if old_rank != rank:
        raise ValueError(
          f'metric {name!r} has different ranks in different programs; rename '
          'one of them'
        )
      joined[name] = (rank, max(old_layers, layers))
  return joined


def _create_record(
  path: pathlib.Path,
  plan: planning.Plan,
  variables: Variables,
  attributes: Mapping[str, Any],
) -> None:
  """Creates the record; every value is NaN, of every cell no step is done."""
  group = zarr.open_group(path, mode='w', zarr_format=2)
  varying = [
    name for name, values in claim.axes(plan).items() if len(values) > 1
  ]
  kind = plan.programs[0].devices[0].device_kind
  several = len(parts.processes(plan))
  group.attrs.update(
    {
      'devices': f'{plan.num_devices} {kind}'
      + (f' in {several} processes' if several > 1 else ''),
      **attributes,
      'format_version': claim.FORMAT_VERSION,
      'axes': json.dumps(varying),
      'cell_axes': json.dumps(list(claim.axes(plan))),
      'num_steps': plan.num_steps,
    }
  )
  num_cells = len(plan.cells)
  num_layers = max([layers for _, layers in variables.values()], default=0)
  for name in claim.axes(plan):
    values = np.array([cell[name] for cell in plan.cells])
    _create(group, name, values.shape, values.dtype, None, values)
  steps = np.arange(plan.num_steps)
  _create(group, 'step', steps.shape, np.int64, None, steps, dims=('step',))
  layers = np.arange(1, num_layers + 1)
  _create(group, 'layer', layers.shape, np.int64, None, layers, ('layer',))

  # Chunks end where parts of programs end, so that each has its own files.
  share = parts.unit(plan)
  shape = (num_cells, plan.num_steps, num_layers)
  chunks = (share, plan.chunk_steps, num_layers)
  done = np.zeros(num_cells, np.int32)
  _create(group, 'steps_done', (num_cells,), np.int32, (share,), done)
  for name, (rank, _) in variables.items():
    _create(group, name, shape[:rank], np.float32, chunks[:rank])
  zarr.consolidate_metadata(group.store, zarr_format=2)


def _create(group, name, shape, dtype, chunks, values=None, dims=_DIMS):
  """Creates one array, in the way that xarray reads."""
  array = group.create_array(
    name,
    shape=shape,
    dtype=dtype,
    chunks=chunks or tuple(max(size, 1) for size in shape),
    compressors=numcodecs.Zstd(level=1, checksum=True),
    fill_value=np.nan if np.dtype(dtype) == np.float32 else None,
    # Else labels that are all zero could not be told from a lost file.
    config={'write_empty_chunks': values is not None},
  )
  array.attrs['_ARRAY_DIMENSIONS'] = list(dims[: len(shape)])
  if values is not None and values.size:
    array[:] = values
