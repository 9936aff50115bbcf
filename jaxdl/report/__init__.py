"""Reports: a record and its diagnosis as tables, words, figures and a page."""

from collections.abc import Callable
import os
import pathlib

from jaxdl.report import predictions
from jaxdl.report import tables
from jaxdl.report import words
import rich.console
import xarray as xr


def write(
  record: xr.Dataset, diagnosis: xr.Dataset, out_dir: str | os.PathLike[str]
) -> list[pathlib.Path]:
  """Writes a report.

  Writes `summary.csv`, with the rates that theory predicts; the figures
  `gradient_profile`, `activation_profile`, `training_curves` and `overview`,
  each as `.png` and `.svg`; and `report.html`, a page that needs nothing but
  itself. Each file appears whole or not at all.

  Args:
    record: a record (see `docs/architecture.md`).
    diagnosis: what `jaxdl.diagnose` says of it.
    out_dir: where to write; made if need be.

  Returns:
    The paths written.
  """
  # Here, so that a summary on the terminal need not wait for them.
  from jaxdl.report import figures
  from jaxdl.report import page

  out_dir = pathlib.Path(out_dir)
  out_dir.mkdir(parents=True, exist_ok=True)
  frame = tables.summary(diagnosis)
  predicted = predictions.predictions(record, frame)
  rates = frame.assign(rate_start_theory=[each.rate for each in predicted])
  paths = [write_text(out_dir / 'summary.csv', tables.csv(rates))]
  for name, figure in figures.all_figures(record, frame):
    for suffix in ('.png', '.svg'):
      save = lambda path: figures.save(figure, path)
      paths.append(replace(out_dir / f'{name}{suffix}', save))
  html = page.render(record, diagnosis, frame)
  paths.append(write_text(out_dir / 'report.html', html))
  return paths


def print_summary(
  record: xr.Dataset, diagnosis: xr.Dataset, console: rich.console.Console
) -> None:
  """Prints the table and the answer in words.

  Args:
    record: a record (see `docs/architecture.md`).
    diagnosis: what `jaxdl.diagnose` says of it.
    console: where to; of one that is no terminal, 100 columns are used.
  """
  if not console.is_terminal:
    console.width = max(console.width, 100)
  width = console.width
  frame = tables.summary(diagnosis)
  table = tables.terminal(diagnosis, frame, width)
  console.print(table, width=width, crop=False)
  predicted = predictions.predictions(record, frame)
  theory = predictions.comparison(diagnosis, frame, predicted)
  for passage in filter(any, [*words.answer(diagnosis, frame), theory]):
    console.print()
    lines = [passage.text, *(f'- {item}' for item in passage.items)]
    for line in filter(None, lines):
      console.print(line, width=width, markup=False, highlight=False)


def write_text(path: pathlib.Path, content: str) -> pathlib.Path:
  """Writes a file whole or not at all, in UTF-8.

  Args:
    path: the file to be.
    content: what it will hold; what of a file's name is no text, as bytes.

  Returns:
    `path`.
  """
  encoded = content.encode('utf-8', 'backslashreplace')
  save = lambda temporary: temporary.write_bytes(encoded)
  return replace(path, save)


def replace(
  path: pathlib.Path, save: Callable[[pathlib.Path], object]
) -> pathlib.Path:
  """Saves to a temporary name beside `path`, then renames.

  Args:
    path: the file to be.
    save: writes to the path that it is given.

  Returns:
    `path`.
  """
  temporary = path.with_name(f'.{path.stem}.{os.getpid()}{path.suffix}')
  try:
    save(temporary)
    os.replace(temporary, path)
  finally:
    temporary.unlink(missing_ok=True)
  return path
