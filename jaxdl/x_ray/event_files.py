"""Event files of TensorBoard, written by tensorboardX.

A chart for each statistic of each module: `cotangent_rms/blocks/3/mlp`. Event
files are written where the training waits: a thread of its own, as usual
writers have, would end without a word when the disk is full, and training with
it once its queue is.
"""

from collections.abc import Iterator, Sequence
import itertools
import math
import os
import pathlib
import time

from jaxdl.x_ray import examination as examination_lib
from jaxdl.x_ray import finding as finding_lib
from jaxdl.x_ray import recording

# The statistics that have charts.
_OF_MODULES = ('activation_rms', 'cotangent_rms')
_OF_ACTIVATIONS = ('activation_dead', 'activation_saturated')
_OF_PARAMETERS = ('gradient_norm', 'update_ratio')
_SECONDS = 10.0  # After so many, what was written is handed to the disk.
_files = itertools.count()


class EventFile:
  """One event file in a folder, to which TensorBoard adds those before."""

  def __init__(self, log_dir: str | pathlib.Path):
    """Begins a file.

    Args:
      log_dir: the folder, made if it is missing.

    Raises:
      ImportError: tensorboardX is not installed.
      ValueError: the folder can't be written to.
    """
    try:
      from tensorboardX import event_file_writer
    except ImportError as error:
      raise ImportError(
        'log_dir needs tensorboardX, which writes event files: '
        'pip install tensorboardX'
      ) from error
    suffix = f'.{os.getpid()}.{next(_files)}'  # Others begin in this second.
    try:
      os.makedirs(log_dir, exist_ok=True)
      self._writer = event_file_writer.EventsWriter(
        os.path.join(log_dir, 'events'), suffix
      )
    except OSError as error:
      raise ValueError(
        f'cannot write to {log_dir}: {error.strerror}; give another log_dir'
      ) from error
    self._flushed_at = time.monotonic()
    self._has_begun = False

  def append(
    self,
    step: int,
    examination: examination_lib.Examination,
    findings: Sequence[finding_lib.Finding],
  ) -> None:
    """Adds a point to each chart.

    Args:
      step: its number.
      examination: what was measured.
      findings: what was found in it, whose number is a chart of its own.

    Raises:
      OSError: the disk took no more.
    """
    from tensorboardX.proto import event_pb2
    from tensorboardX.proto import summary_pb2

    now = time.time()
    if not self._has_begun:
      # Of files before, TensorBoard drops the points from this step on.
      start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
      self._writer.write_event(
        event_pb2.Event(wall_time=now, step=step, session_log=start)
      )
      self._has_begun = True
    points = [
      summary_pb2.Summary.Value(tag=tag, simple_value=value)
      for tag, value in _points(examination, findings)
    ]
    summary = summary_pb2.Summary(value=points)
    self._writer.write_event(
      event_pb2.Event(wall_time=now, step=step, summary=summary)
    )
    if time.monotonic() - self._flushed_at >= _SECONDS:
      self.flush()

  def flush(self) -> None:
    """Hands what was written to the disk.

    Raises:
      OSError: the disk took no more.
    """
    self._writer.flush()
    self._flushed_at = time.monotonic()

  def close(self) -> None:
    """Ends the file.

    Raises:
      OSError: the disk took no more.
    """
    self._writer.close()


def _points(
  examination: examination_lib.Examination,
  findings: Sequence[finding_lib.Finding],
) -> Iterator[tuple[str, float]]:
  """Yields what is drawn: a chart's name and its value."""
  yield 'loss', examination.loss
  yield 'findings', len(findings)
  rows, parameters = examination.rows, examination.parameters
  modules = recording.of_modules(examination)
  for name in (*_OF_MODULES, *_OF_ACTIVATIONS):
    for row, value in zip(rows, modules.get(name, ()), strict=True):
      is_shown = name in _OF_MODULES or row.activation
      if is_shown and not (name in _OF_ACTIVATIONS and math.isnan(value)):
        yield f'{name}/{row.name}', float(value)
  for name, values in recording.of_parameters(examination).items():
    if name in _OF_PARAMETERS:
      for parameter, value in zip(parameters, values, strict=True):
        if name != 'update_ratio' or not math.isnan(value):
          yield f'{name}/{parameter.name}', float(value)
