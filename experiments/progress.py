"""What a study shows while it runs: how far it is, and what goes wrong."""

from collections import Counter
from collections.abc import Iterator
import contextlib
import os
import pathlib
import time
from typing import Any, NamedTuple, Protocol

from experiments import stopping
from jaxdl import diagnosis
from jaxdl import sweep
from jaxdl.sweep import saved_states
import numpy as np
import rich.console
import rich.live
import rich.progress
import rich.text
import xarray as xr

_SECONDS_BETWEEN_LINES = 10.0
_STOPPING = 'stopping after this chunk; Ctrl-C again to stop now'
_SHOW_CURSOR = b'\n\x1b[?25h'
_ORDER = ('healthy', 'vanishing', 'exploding', 'diverged', 'dead', 'saturated')


class _Status(NamedTuple):
  """How far a study is."""

  programs_done: int
  programs: int
  steps_done: int  # Steps of cells, over all cells.
  steps: int
  rate: float  # Steps of cells in a second.
  verdicts: Counter[str]

  @property
  def remaining(self) -> float:
    """Seconds that remain, at the rate so far."""
    left = self.steps - self.steps_done
    return left / self.rate if self.rate else float('inf')


class Display(stopping.Display, Protocol):
  """Shows a status."""

  def show(self, status: _Status) -> None:
    """Shows it."""


class Watch:
  """Keeps count of the events of a sweep and shows them."""

  def __init__(
    self,
    plan: sweep.Plan,
    num_classes: int,
    display: Display,
    resumed: pathlib.Path | None = None,
  ):
    """Begins to watch.

    Args:
      plan: the plan that runs.
      num_classes: number of labels.
      display: where to show it.
      resumed: the folder of the study, if some of it is done already.
    """
    self._plan = plan
    self._num_classes = num_classes
    self._display = display
    self._begin: float | None = None
    # Steps of each cell; programs go on from where they were saved.
    self._done = np.zeros(len(plan.cells), int)
    if resumed:
      self._done[:] = saved_states.steps(resumed, len(plan.cells))
    # Steps of cells that were done when the clock began.
    self._first = int(self._done.sum())
    self._verdicts: dict[int, list[str]] = {}  # By the first cell.

  def __call__(self, event: sweep.Event) -> None:
    """Takes note of a recorded chunk."""
    first = event.program.first_cell
    self._done[first : first + len(event.cells)] = event.steps_done
    now = time.monotonic()
    if self._begin is None:
      self._begin, self._first = now, int(self._done.sum())
    self._verdicts[first] = _verdicts(event, self._num_classes)
    self._display.show(self._status(now - self._begin))

  def _status(self, seconds: float) -> _Status:
    plan = self._plan
    steps_done = int(self._done.sum())
    counted = steps_done - self._first
    return _Status(
      programs_done=sum(
        self._done[p.first_cell :][: len(p.cells)].min() == plan.num_steps
        for p in plan.programs
      ),
      programs=len(plan.programs),
      steps_done=steps_done,
      steps=plan.num_steps * len(plan.cells),
      rate=counted / seconds if seconds else 0.0,
      verdicts=Counter(v for vs in self._verdicts.values() for v in vs),
    )


class Lines:
  """Shows a line now and then, where the output is no terminal."""

  def __init__(self, console: rich.console.Console):
    self._console = console
    self._last = -float('inf')

  def show(self, status: _Status) -> None:
    """Prints a line, unless one was printed a moment ago."""
    is_last = status.steps_done == status.steps
    now = time.monotonic()
    if is_last or now - self._last > _SECONDS_BETWEEN_LINES:
      self._last = now
      self._console.print(_line(status), highlight=False, soft_wrap=True)

  def stopping(self) -> None:
    """Says that the study stops after this chunk."""
    stopping.say(_STOPPING)

  def abandon(self) -> None:
    """There is nothing to restore."""


class Bar:
  """Shows a bar, and a live line of verdicts, on a terminal."""

  def __init__(self, console: rich.console.Console):
    self._progress = rich.progress.Progress(
      rich.progress.TextColumn('{task.description}'),
      rich.progress.BarColumn(),
      rich.progress.TaskProgressColumn(),
      rich.progress.TimeElapsedColumn(),
    )
    self._task = self._progress.add_task('compiling', total=None)
    self._console = console
    self._text = rich.text.Text('the first chunk is not through yet')
    self._notice = rich.text.Text()
    # Last, for it renders at once.
    self._live = rich.live.Live(console=console, get_renderable=self._render)

  def __enter__(self) -> 'Bar':
    self._live.start()
    return self

  def __exit__(self, *exception: object) -> None:
    self._live.stop()

  def show(self, status: _Status) -> None:
    """Moves the bar."""
    self._progress.update(
      self._task,
      description='training',
      completed=status.steps_done,
      total=status.steps,
    )
    self._text = rich.text.Text(_line(status))

  def stopping(self) -> None:
    """Says that the study stops after this chunk."""
    self._notice = rich.text.Text(_STOPPING)

  def abandon(self) -> None:
    """Shows the cursor again."""
    os.write(self._console.file.fileno(), _SHOW_CURSOR)

  def _render(self) -> rich.console.Group:
    lines = [self._text, self._notice] if self._notice else [self._text]
    return rich.console.Group(self._progress, *lines)


@contextlib.contextmanager
def display(console: rich.console.Console) -> Iterator[Display]:
  """Chooses how to show progress: a bar on a terminal, lines elsewhere."""
  if console.is_terminal:
    with Bar(console) as bar:
      yield bar
  else:
    yield Lines(console)


def _line(status: _Status) -> str:
  """One line: programs, steps, rate, remaining time, verdicts so far."""
  parts = [
    f'programs {status.programs_done}/{status.programs}',
    f'steps {status.steps_done:,}/{status.steps:,}',
  ]
  if status.rate:
    digits = 0 if status.rate >= 10 else 1
    parts.append(f'{status.rate:,.{digits}f} steps/s')
    parts.append(f'{_duration(status.remaining)} left')
  counts = [f'{status.verdicts[v]} {v}' for v in _ORDER if status.verdicts[v]]
  line = ' · '.join(parts)
  return f'{line} | {", ".join(counts)}' if counts else line


def _duration(seconds: float) -> str:
  minutes, seconds = divmod(round(seconds), 60)
  return f'{minutes} min {seconds:02d} s' if minutes else f'{seconds} s'


def _verdicts(event: sweep.Event, num_classes: int) -> list[str]:
  """Judges the cells of a program by the chunk that was recorded last.

  There is no verdict on cells whose layers are not measured.
  """
  num_layers = max(
    (values.shape[2] for values in event.metrics.values() if values.ndim == 3),
    default=0,
  )
  if not num_layers:
    return []
  dims = ('cell', 'step', 'layer')
  variables: dict[str, Any] = {
    name: (dims[: values.ndim], values)
    for name, values in event.metrics.items()
  }
  cells, steps = event.metrics['loss'].shape
  unknown = ('cell', np.full(cells, np.nan))
  variables |= {'test_loss': unknown, 'test_accuracy': unknown}
  variables['steps_done'] = ('cell', np.full(cells, steps))
  depths = [int(cell['depth']) for cell in event.cells]
  chunk = xr.Dataset(
    variables,
    coords={
      'depth': ('cell', depths),
      'step': range(steps),
      'layer': range(1, num_layers + 1),
    },
    attrs={'num_classes': num_classes},
  )
  return diagnosis.diagnose(chunk)['verdict'].values.tolist()
