"""What lies in a directory, and whether a sweep may go there.

    out/plan.json                        what is being run
    out/record.zarr/                     the record, zarr format 2
    out/checkpoints/                     the train states: `saved_states.py`

The record takes its name when the rest is in place: without it, nothing was
begun.
"""

from collections.abc import Iterable, Mapping
import errno
import json
import os
import pathlib
import shutil
import tempfile
from typing import Any

from jaxdl.sweep import planning

FORMAT_VERSION = 1
RECORD = 'record.zarr'
PARTIAL_RECORD = 'record.zarr.partial'
PLAN = 'plan.json'
CHECKPOINTS = 'checkpoints'
_FORMAT = 'jaxdl sweep'
_LONGEST = 200  # Characters of a value that a message shows.


def fingerprint(
  plan: planning.Plan, settings: Mapping[str, Any]
) -> dict[str, Any]:
  """Returns what makes a sweep this sweep, as JSON holds it.

  The devices are left out: a sweep may go on with others.

  Args:
    plan: the plan.
    settings: what else decides the numbers, by name: data, preprocessing, ….
      One called `drawing` stands for how numbers are drawn from a seed.

  Returns:
    A nest of dicts, lists and scalars.
  """
  content = {
    'format': _FORMAT,
    'format_version': FORMAT_VERSION,
    'settings': dict(settings),
    'num_steps': plan.num_steps,
    'chunk_steps': plan.chunk_steps,
    'axes': axes(plan),
    'programs': [len(program.cells) for program in plan.programs],
    'cells': [list(cell.values()) for cell in plan.cells],
  }
  return json.loads(json.dumps(content))


def axes(plan: planning.Plan) -> dict[str, list]:
  """Returns the values of each axis, in the order of the record."""
  cells = plan.cells
  return {
    name: list(dict.fromkeys(cell[name] for cell in cells)) for name in cells[0]
  }


def claim(
  out: str | pathlib.Path,
  plan: planning.Plan,
  settings: Mapping[str, Any],
  *,
  resume: bool = False,
  overwrite: bool = False,
) -> bool:
  """Checks that a sweep may be written to `out`; changes nothing.

  Args:
    out: the directory of the sweep.
    plan: the plan.
    settings: see `fingerprint`.
    resume: whether to go on with a sweep that is there.
    overwrite: whether to replace a sweep that is there.

  Returns:
    Whether there is a sweep to resume.

  Raises:
    ValueError: `out` is not a directory or holds what was not asked for, the
      sweep in it is another one, or parts of it are links to elsewhere.
  """
  out = pathlib.Path(out)
  if resume and overwrite:
    raise ValueError('--resume and --overwrite exclude each other; give one')
  check_writable(out)
  if not out.exists():
    return False
  if not any(out.iterdir()):
    return False
  if not _is_ours(out):
    raise ValueError(f'{out} holds files that are no sweep; give another --out')
  _check_own(out)
  if overwrite or not (out / RECORD).exists():
    return False
  if not resume:
    raise ValueError(
      f'{out} holds a sweep already; use --resume to go on with it, '
      '--overwrite to replace it, or another --out'
    )
  _check_same(out, fingerprint(plan, settings))
  return True


def check_writable(out: pathlib.Path) -> None:
  """Raises a ValueError if `out` is not, and cannot be made, a directory.

  Args:
    out: the directory; nothing is made or changed.
  """
  try:
    out.exists()
  except OSError as error:  # No file can have such a name.
    raise ValueError(
      f'cannot write to {out}: {error.strerror}; give another --out'
    ) from error
  nearest = next(
    path for path in (out, *out.absolute().parents) if os.path.lexists(path)
  )
  if not _takes_files(nearest):
    raise ValueError(
      f'cannot write to {out}: {nearest} is not a directory that you may '
      'write to; give another --out'
    )


def _takes_files(folder: pathlib.Path) -> bool:
  """Returns whether a file can be made in a folder; none is left there."""
  if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
    return False
  try:
    tempfile.TemporaryFile(dir=folder).close()
  except OSError as error:  # As in /proc, where anything may be written.
    return error.errno in (errno.ENOSPC, errno.EDQUOT)  # Told when it matters.
  return True


def _is_ours(out: pathlib.Path) -> bool:
  """Returns whether a sweep wrote to a directory."""
  marks = ((PLAN, _FORMAT), (f'{RECORD}/.zattrs', 'cell_axes'))
  return (out / PARTIAL_RECORD).exists() or any(
    (out / name).is_file() and mark in (out / name).read_text(errors='replace')
    for name, mark in marks
  )


def _check_own(out: pathlib.Path) -> None:
  """Raises a ValueError if what has our names lies elsewhere, or is no folder.

  What is written or removed through a link would be somebody else's.
  """
  record = out / RECORD
  folders = [record, out / PARTIAL_RECORD, out / CHECKPOINTS]
  arrays = record.iterdir() if record.is_dir() else ()
  for path in (*folders, out / PLAN, *arrays):
    if path.is_symlink():
      raise ValueError(
        f'{path} is a link, and a sweep writes to its own directory alone; '
        'remove the link, or give another --out'
      )
    if path in folders and path.exists() and not path.is_dir():
      raise ValueError(
        f'{path} is not a directory, as that of a sweep is; remove it, or give '
        'another --out'
      )


def _check_same(out: pathlib.Path, wanted: dict[str, Any]) -> None:
  """Raises a ValueError if the sweep in `out` is another one."""
  remedy = 'use --overwrite to replace it, or another --out'
  try:
    found = dict(json.loads((out / PLAN).read_text()))
  except (OSError, RecursionError, TypeError, ValueError) as error:
    raise ValueError(
      f'cannot resume {out}: its {PLAN} is missing or damaged; {remedy}'
    ) from error
  differences = list(_differences(found, wanted))
  if differences:
    raise ValueError(
      f'cannot resume {out}: {"; ".join(differences)}; '
      f'give the values it was begun with, {remedy}'
    )


def _differences(
  found: dict[str, Any], wanted: dict[str, Any]
) -> Iterable[str]:
  """Yields one phrase for each entry that differs."""
  for name in {**found, **wanted}:
    was, now = found.get(name), wanted.get(name)
    if was == now:
      continue
    if name == 'drawing':
      yield 'the version of jaxdl that began it drew other random numbers'
    elif isinstance(was, dict) and isinstance(now, dict):
      yield from _differences(was, now)
    elif name in ('cells', 'programs'):
      if found.get('axes') == wanted.get('axes'):
        yield f'its {name} are others'
    else:
      label = name if name.isprintable() else _shown(name)
      yield f'{label} was {_shown(was)}, is {_shown(now)}'


def _shown(value: Any) -> str:
  text = repr(value)
  return text if len(text) <= _LONGEST else f'{text[: _LONGEST - 3]}...'


def remove(out: pathlib.Path) -> None:
  """Removes a sweep from `out`, and nothing else.

  Args:
    out: the directory of the sweep.
  """
  partial = out / PARTIAL_RECORD
  if partial.exists():
    shutil.rmtree(partial)
  if (out / RECORD).exists():
    (out / RECORD).rename(partial)  # Killed here, it is not taken for whole.
    shutil.rmtree(partial)
  for suffix in ('msgpack', 'partial'):
    for path in (out / CHECKPOINTS).glob(f'cells-[0-9]*.{suffix}'):
      path.unlink()
  (out / PLAN).unlink(missing_ok=True)
