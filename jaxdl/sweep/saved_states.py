"""The checkpoints of a sweep: which cells are saved, and at which step.

    checkpoints/cells-12-16-step-300.msgpack  cells 12 to 15 of the record

Another number of processes shares the cells out in another way, so states are
found by cell, not by program.
"""

from collections.abc import Sequence
import pathlib
import re
from typing import Any, NamedTuple

from jaxdl.sweep import checkpoint as checkpoint_lib
from jaxdl.sweep import claim
from jaxdl.sweep import planning
import numpy as np

_NAME = re.compile(r'cells-(\d+)-(\d+)-step-(\d+)\.msgpack')


class _File(NamedTuple):
  path: pathlib.Path
  cells: range
  step: int


def write(
  out: pathlib.Path,
  program: planning.Program,
  checkpoint: checkpoint_lib.Checkpoint,
) -> None:
  """Saves the states of a program, and removes those that they supersede.

  Args:
    out: the directory of the sweep.
    program: the program, or part of a program.
    checkpoint: its states.
  """
  folder = pathlib.Path(out) / claim.CHECKPOINTS
  cells = _cells(program)
  checkpoint_lib.write(
    folder / f'cells-{cells.start}-{cells.stop}-step-{checkpoint.step}.msgpack',
    checkpoint,
  )
  # Those of other parts too: together they may supersede a wider one.
  files = _files(folder)
  saved = _latest(files, max(file.cells.stop for file in files))
  for file in files:
    if (saved[file.cells.start : file.cells.stop] > file.step).all():
      file.path.unlink(missing_ok=True)


def steps(out: str | pathlib.Path, num_cells: int) -> np.ndarray:
  """Returns the step that each cell goes on from, `[num_cells]`.

  Args:
    out: the directory of the sweep.
    num_cells: the number of cells of its record.
  """
  return _latest(_files(pathlib.Path(out) / claim.CHECKPOINTS), num_cells)


def read(
  out: str | pathlib.Path, program: planning.Program, shapes: Sequence[Any]
) -> checkpoint_lib.Checkpoint | None:
  """Reads the states of a program, all of whose cells are at the same step.

  Args:
    out: the directory of the sweep.
    program: the program, or part of a program.
    shapes: the shapes of the leaves of its states.

  Returns:
    The step, and leaves `[cells, ...]`; None if nothing is saved.

  Raises:
    ValueError: a file is damaged, or holds states of something else.
  """
  cells = _cells(program)
  files = _files(pathlib.Path(out) / claim.CHECKPOINTS)
  step = int(steps(out, cells.stop)[cells.start])
  if not step:
    return None
  pieces = []
  at = cells.start
  while at < cells.stop:
    file = next(f for f in files if f.step == step and at in f.cells)
    checkpoint = checkpoint_lib.read(file.path)
    if (
      checkpoint is None
      or checkpoint.step != step
      or {len(leaf) for leaf in checkpoint.leaves} - {len(file.cells)}
    ):
      raise ValueError(
        f'checkpoint {file.path} is damaged; delete it to train its cells again'
      )
    checkpoint_lib.check(file.path, checkpoint, shapes)
    stop = min(file.cells.stop, cells.stop)
    own = slice(at - file.cells.start, stop - file.cells.start)
    pieces.append([leaf[own] for leaf in checkpoint.leaves])
    at = stop
  leaves = tuple(np.concatenate(parts) for parts in zip(*pieces, strict=True))
  return checkpoint_lib.Checkpoint(step, False, leaves)


def _cells(program: planning.Program) -> range:
  first = program.first_cell
  return range(first, first + len(program.cells))


def _latest(files: Sequence[_File], num_cells: int) -> np.ndarray:
  """Returns the last step at which each cell is saved in some files."""
  saved = np.zeros(num_cells, int)
  for file in files:
    own = saved[file.cells.start : file.cells.stop]
    np.maximum(own, file.step, out=own)
  return saved


def _files(folder: pathlib.Path) -> list[_File]:
  """Returns the checkpoints in a folder."""
  found = []
  for path in sorted(folder.glob('cells-*.msgpack')):
    if match := _NAME.fullmatch(path.name):
      start, stop, step = map(int, match.groups())
      found.append(_File(path, range(start, stop), step))
  return found
