"""Tests for `running.py` and `reporting.py`, with a stand-in for benchmarks."""

import os
import pathlib
import signal
import sys
import tempfile
import threading

from absl.testing import absltest
from benchmarks import catalogue
from benchmarks import running
from benchmarks import words

from tests.benchmarks import recorded

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_STAND_IN = pathlib.Path(__file__).with_name('stand_in.py')
_ENDS, _FAILS, _HANGS = (
  catalogue.Entry(f'{does}s', 1, (f'--does={does}',), ('--does=end',))
  for does in ('end', 'fail', 'hang')
)


def _launch(entry, json_file, quick):
  """The stand-in's command."""
  command = running.launch(entry, json_file, quick)
  module = command.index('-m')
  return [
    *('env', f'PYTHONPATH={_ROOT}', *command[:module]),
    *(str(_STAND_IN), *command[module + 2 :]),
  ]


class RunTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    folder = self.enterContext(tempfile.TemporaryDirectory())
    self.folder = pathlib.Path(folder)
    self.said = []

  def _run(self, *entries, quick=False, launch=_launch):
    return running.run(entries, self.folder, quick, self.said.append, launch)

  def test_failure_is_a_line_and_does_not_end_the_others(self):
    missing = _ENDS._replace(name='missing', prefix=('no-such-program',))
    *_, record = self._run(
      _FAILS,
      missing,
      _ENDS,
      launch=lambda *given: [*given[0].prefix, *_launch(*given)],
    )
    (result,) = record.results
    self.assertEqual(result.measurements, (recorded.OVERHEAD, *recorded.COUNTS))
    self.assertEqual(result.question, 'Is a stand-in told from a benchmark?')
    failed, absent = record.failures
    self.assertIn('there is no such thing; do without', failed.message)
    self.assertEqual(absent.message, 'no-such-program is not installed')
    said = '\n'.join(self.said)
    self.assertIn('[1/3] fails --does=fail\n', said)
    self.assertRegex(said, r'failed after \d+ s: .*there is no such thing')
    self.assertIn('1.050x, goal at most 1.07x, met: a step', said)

  def test_printed_text_is_kept_and_is_that_of_the_result(self):
    *_, record = self._run(_ENDS)
    (result,) = record.results
    text = (self.folder / '01_ends.txt').read_text()
    parts = [words.head(result.machine, result.versions)]
    parts += [words.text(each) for each in result.measurements]
    self.assertEqual(text, '\n'.join(parts) + '\n')
    self.assertLen(list(self.folder.iterdir()), 1)

  def test_command_is_what_runs_it_again(self):
    *_, record = self._run(_ENDS._replace(prefix=('nice',)))
    (result,) = record.results
    self.assertEqual(
      result.command, 'nice ./run.sh benchmark stand_in --does=end'
    )

  def test_quick_flags_come_last(self):
    command = running.launch(_FAILS, pathlib.Path('x.json'), quick=True)
    self.assertEqual(command[-2:], ['--does=fail', '--does=end'])

  def test_interruption_ends_the_process_and_keeps_what_is_done(self):
    # A shell that starts the suite in the background has it ignore Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    self.addCleanup(signal.signal, signal.SIGINT, before)
    started = []

    def interrupt(entry, json_file, quick):
      if entry is _HANGS:
        script = f'{sys.executable} -c "import time; time.sleep(600)"'
        command = ['sh', '-c', f'echo $$ > {json_file}.pid; exec {script}']
        timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
        started.append(json_file.with_suffix('.json.pid'))
        timer.start()
        return command
      return _launch(entry, json_file, quick)

    records = []
    with self.assertRaises(KeyboardInterrupt):
      for record in self._run(_ENDS, _HANGS, launch=interrupt):
        records.append(record)
    self.assertLen(records, 1)
    self.assertLen(records[0].results, 1)
    number = int(started[0].read_text())
    with self.assertRaises(ProcessLookupError):
      os.kill(number, 0)


class ReadTest(absltest.TestCase):
  def test_brings_back_what_was_written(self):
    failure = running.Failure('python -m benchmarks.xray', 'no memory')
    record = recorded.record(quick=True, failures=(failure,))
    with tempfile.TemporaryDirectory() as folder:
      path = pathlib.Path(folder) / 'record.json'
      running.write(record, path)
      self.assertEqual(running.read(path), record)

  def test_another_file_is_told(self):
    with tempfile.TemporaryDirectory() as folder:
      path = pathlib.Path(folder) / 'record.json'
      for text in ('{', '{}', '[]'):
        path.write_text(text)
        with self.assertRaisesRegex(ValueError, 'is no record of benchmarks'):
          running.read(path)


if __name__ == '__main__':
  absltest.main()
