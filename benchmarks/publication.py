"""Puts the record of a run into the documentation: table, figures, rounds."""

import pathlib

from benchmarks import catalogue
from benchmarks import drawing
from benchmarks import markdown
from benchmarks import running

BEGIN = '<!-- benchmark results: begin -->'
END = '<!-- benchmark results: end -->'
_FOLDER = 'benchmark_results'
_RECORD = 'benchmarks.json'
_PAGE = 'benchmarks.md'


def write(record: running.Record, folder: pathlib.Path) -> None:
  """Writes a record with its table and its figures into a folder.

  Args:
    record: of a run.
    folder: that exists.
  """
  running.write(record, folder / _RECORD)
  names = drawing.save(record, folder)
  text = f'# Benchmarks\n\n{markdown.render(record, names)}'
  (folder / _PAGE).write_text(text)


def read(folder: pathlib.Path) -> running.Record:
  """Returns the record that `write` has put into a folder.

  Args:
    folder: of a run.

  Raises:
    ValueError: what is there is no record.
  """
  return running.read(folder / _RECORD)


def publish(record: running.Record, docs: pathlib.Path) -> running.Record:
  """Puts a record into the documentation, between the marks of its page.

  Results of commands that this record doesn't have stay as they are there, with
  the date and the machine of their own.

  Args:
    record: of a run that was not cut short.
    docs: the folder of the documentation.

  Returns:
    What the documentation now has.

  Raises:
    ValueError: the record is of a quick run or empty, or the page has no marks.
  """
  if record.quick or not record.results:
    raise ValueError(
      'a quick or an empty run is not for the documentation; run again without '
      '--quick'
    )
  page = docs / _PAGE
  before, begin, rest = page.read_text().partition(BEGIN)
  _, end, after = rest.partition(END)
  if not begin or not end:
    raise ValueError(
      f'{page} does not say where the table goes; put {BEGIN} and {END} there'
    )
  folder = docs / _FOLDER
  folder.mkdir(exist_ok=True)
  if (folder / _RECORD).exists():
    record = _merged(read(folder), record)
  record = record._replace(failures=())
  running.write(record, folder / _RECORD)
  names = drawing.save(record, folder)
  for name in names:  # Pages show the SVGs.
    (folder / name).with_suffix('.png').unlink()
  table = markdown.render(record, [f'{_FOLDER}/{name}' for name in names])
  page.write_text(f'{before}{begin}\n\n{table}\n{end}{after}')
  return record


def _merged(old: running.Record, new: running.Record) -> running.Record:
  """Adds what only the old one has of what is still run, in its order."""
  order = [entry.command for entry in catalogue.ENTRIES]
  by_command = {r.command: r for r in old.results if r.command in order}
  by_command |= {result.command: result for result in new.results}
  place = {command: i for i, command in enumerate(order)}
  merged = sorted(
    by_command.values(), key=lambda r: place.get(r.command, len(place))
  )
  return new._replace(results=tuple(merged))
