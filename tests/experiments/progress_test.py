"""Tests for `experiments/progress.py`."""

from collections import Counter
import io
import pathlib
import time
from unittest import mock

from absl.testing import absltest
from experiments import progress
import jax
from jaxdl import sweep
from jaxdl.sweep import checkpoint
from jaxdl.sweep import saved_states
import numpy as np
import rich.console

from tests import synthetic_record

_STEPS = 4


class _Seen:
  """A display that keeps what it is shown."""

  def __init__(self):
    self.statuses = []

  def show(self, status):
    self.statuses.append(status)


def _plan():
  """A plan of two programs, of two cells and of one."""
  return sweep.plan(
    [
      {'width': width, 'depth': 9, 'seed': seed}
      for width, seed in ((1, 0), (1, 1), (2, 0))
    ],
    lambda cell: (cell['width'], {}),
    devices=jax.devices()[:1],
    num_steps=_STEPS,
    chunk_steps=2,
  )


def _event(number, steps_done):
  """A chunk of two steps of a program, in which nothing vanishes."""
  program = _plan().programs[number]
  record = synthetic_record.make(
    program.cells, len(program.cells) * ['healthy'], num_steps=2
  )
  metrics = {
    name: array.values
    for name, array in record.data_vars.items()
    if array.dims[:2] == ('cell', 'step')
  }
  return sweep.Event(program, program.cells, steps_done, metrics)


class WatchTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.seen = _Seen()
    self.clock = self.enter_context(
      mock.patch.object(time, 'monotonic', return_value=100.0)
    )

  def watch(self, resumed=None):
    return progress.Watch(_plan(), 10, self.seen, resumed)

  def test_counts_programs_steps_and_verdicts(self):
    watch = self.watch()
    for event in (_event(0, 2), _event(1, 2), _event(0, 4), _event(1, 4)):
      watch(event)
    shown = [(s.steps_done, s.programs_done) for s in self.seen.statuses]
    self.assertEqual(shown, [(4, 0), (6, 0), (10, 1), (12, 2)])
    self.assertEqual(self.seen.statuses[-1].steps, 12)
    self.assertEqual(self.seen.statuses[-1].verdicts, {'healthy': 3})

  def test_rate_leaves_out_what_was_done_before_the_clock_began(self):
    out = pathlib.Path(self.create_tempdir().full_path)
    (out / 'checkpoints').mkdir()
    half = checkpoint.Checkpoint(2, False, ())
    saved_states.write(out, _plan().programs[1], half)
    watch = self.watch(out)
    watch(_event(0, 2))
    self.assertEqual(self.seen.statuses[-1].rate, 0)
    self.assertEqual(self.seen.statuses[-1].remaining, float('inf'))
    self.clock.return_value = 102.0
    watch(_event(1, 4))  # Resumed: two of the four steps were done before.
    self.assertEqual(self.seen.statuses[-1].rate, 1)  # Two steps in 2 s.
    self.assertEqual(self.seen.statuses[-1].remaining, 4)

  def test_resumed_study_counts_its_finished_programs(self):
    out = pathlib.Path(self.create_tempdir().full_path)
    (out / 'checkpoints').mkdir()
    finished = checkpoint.Checkpoint(_STEPS, True, ())
    saved_states.write(out, _plan().programs[0], finished)
    watch = self.watch(out)
    watch(_event(1, 4))
    last = self.seen.statuses[-1]
    self.assertEqual((last.programs_done, last.steps_done), (2, 12))

  def test_there_is_no_verdict_where_layers_are_not_measured(self):
    event = _event(0, 2)
    whole = {k: v for k, v in event.metrics.items() if v.ndim < 3}
    self.watch()(event._replace(metrics=whole))
    self.assertEqual(self.seen.statuses[-1].steps_done, 4)
    self.assertEmpty(self.seen.statuses[-1].verdicts)

  def test_layers_that_other_cells_have_change_no_verdict(self):
    """As in what a process reads of another one, in a grid over depths."""
    event = _event(0, 2)
    self.watch()(event)
    expected = self.seen.statuses[-1].verdicts
    wider = {
      name: values
      if values.ndim < 3
      else np.pad(values, [(0, 0), (0, 0), (0, 2)], constant_values=np.nan)
      for name, values in event.metrics.items()
    }
    self.watch()(event._replace(metrics=wider))
    self.assertEqual(self.seen.statuses[-1].verdicts, expected)
    self.assertNotEmpty(expected)


class DisplayTest(absltest.TestCase):
  def status(self, steps_done):
    verdicts = Counter({'healthy': 3, 'dead': 1})
    return progress._Status(1, 2, steps_done, 12, 2.0, verdicts)

  def test_lines_are_few_and_plain(self):
    printed = io.StringIO()
    with progress.display(rich.console.Console(file=printed)) as display:
      for steps in (2, 4, 12):
        display.show(self.status(steps))
    first, last = printed.getvalue().splitlines()
    self.assertEqual(
      first,
      'programs 1/2 · steps 2/12 · 2.0 steps/s · 5 s left | 3 healthy, 1 dead',
    )
    self.assertIn('steps 12/12', last)

  def test_bar_says_what_happens_and_gives_the_cursor_back(self):
    printed = io.StringIO()
    console = rich.console.Console(
      file=printed, force_terminal=True, width=100, legacy_windows=False
    )
    with progress.display(console) as display:
      display.show(self.status(4))
      display.stopping()
    for part in ('training', '33%', '3 healthy, 1 dead', 'Ctrl-C again'):
      self.assertIn(part, printed.getvalue())
    hidden, shown = (printed.getvalue().rindex(f'\x1b[?25{c}') for c in 'lh')
    self.assertGreater(shown, hidden)


if __name__ == '__main__':
  absltest.main()
