"""Where an experiment writes, and what of an earlier run it may replace."""

from collections.abc import Collection
import datetime
import itertools
import os
import pathlib

from absl import flags

OUT = flags.DEFINE_string(
  'out', None, 'Where to write. By default results/<experiment>/<time>.'
)
OVERWRITE = flags.DEFINE_bool(
  'overwrite', False, 'Replace what an earlier run wrote to --out.'
)


def folder(name: str) -> pathlib.Path:
  """Returns where an experiment writes: `--out`, or a folder of its own.

  Two that are started together have two folders, and so do two at the same time
  of a clock that was set back.

  Args:
    name: of the experiment.
  """
  if OUT.value:
    return pathlib.Path(OUT.value)
  now = datetime.datetime.now().strftime('%Y-%m-%d-%H%M%S-%f')[:-3]
  out = pathlib.Path('results', name, now)
  others = (out.with_name(f'{now}-{number}') for number in itertools.count(2))
  return next(x for x in itertools.chain([out], others) if not x.exists())


def check_files(out: pathlib.Path, names: Collection[str]) -> None:
  """Checks that files may be written to a folder; changes nothing.

  Args:
    out: the folder.
    names: of the files that the experiment writes.

  Raises:
    ValueError: it cannot be written to, or holds other files, or holds files of
      these names and `--overwrite` was not given.
  """
  if check_foreign(out, names) and not OVERWRITE.value:
    raise ValueError(
      f'{out} holds results already; use --overwrite to replace them, or '
      'another --out'
    )


def check_foreign(out: pathlib.Path, names: Collection[str]) -> set[str]:
  """Checks that a folder may be written to; changes nothing.

  Args:
    out: the folder.
    names: of the files that the experiment writes.

  Returns:
    Those of its files that are there.

  Raises:
    ValueError: it cannot be written to, or holds other files, or a link to
      another folder where one of its own would be.
  """
  from jaxdl.sweep import claim

  claim.check_writable(out)
  there = {path.name for path in out.iterdir()} if out.is_dir() else set()
  there = {name for name in there if not name.startswith('.')}
  foreign = sorted(there - set(names))
  if foreign:
    raise ValueError(
      f'{out} holds files that are no results of this experiment, such as '
      f'{foreign[0]}; give another --out'
    )
  for path in (out / name for name in sorted(there)):
    if path.is_symlink() and path.is_dir():
      raise ValueError(
        f'{path} is a link to another folder, and results go to --out alone; '
        'remove the link, or give another --out'
      )
  return there


def shown(path: pathlib.Path) -> str:
  """Writes a path as one would type it here, in one line of text.

  Args:
    path: of a file; from the working directory if it lies below.
  """
  relative = os.path.relpath(path)
  text = os.path.abspath(path) if relative.startswith(os.pardir) else relative
  # A terminal would obey control characters, and bytes that are no text cannot
  # be printed.
  return ''.join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
