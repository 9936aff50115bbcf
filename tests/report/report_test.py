"""Tests for what `report` writes and prints."""

import io
import os
import pathlib
import tempfile

from absl.testing import absltest
from jaxdl import diagnosis
from jaxdl import report
import numpy as np
import pandas as pd
import rich.console

from tests import synthetic_record


def _study():
  cells = [{'norm': norm} for norm in ('none', 'batch')]
  return synthetic_record.make(cells, ['vanishing', 'healthy'], num_steps=10)


class WriteTest(absltest.TestCase):
  def test_writes_every_file_whole(self):
    record = _study()
    judged = diagnosis.diagnose(record)
    with tempfile.TemporaryDirectory() as folder:
      out_dir = pathlib.Path(folder) / 'new' / 'report'
      paths = report.write(record, judged, out_dir)
      self.assertCountEqual(out_dir.iterdir(), paths)
      self.assertLen(paths, 10)
      for path in paths:
        self.assertGreater(path.stat().st_size, 300, path.name)
      table = pd.read_csv(out_dir / 'summary.csv')
      self.assertContainsSubset({'rate_start', 'rate_start_theory'}, table)
      again = report.write(record, judged, out_dir)
      self.assertEqual(again, paths)
      self.assertCountEqual(out_dir.iterdir(), paths)

  def test_of_a_scaled_shortcut_too(self):
    network = {
      'model': 'mlp', 'activation': 'tanh', 'norm': 'none', 'init': 'lecun',
      'bias_std': 0.0, 'depth': 6, 'batch_size': 32,
    }  # fmt: skip
    cells = [
      {**network, 'shortcut': shortcut}
      for shortcut in ('none', 'identity:1:0.5')
    ]
    record = synthetic_record.make(cells, ['healthy'] * 2, num_steps=10)
    record['activation_std'].values[:, 0, 0] = 0.6
    judged = diagnosis.diagnose(record)
    with tempfile.TemporaryDirectory() as folder:
      out_dir = pathlib.Path(folder)
      report.write(record, judged, out_dir)
      table = pd.read_csv(out_dir / 'summary.csv').set_index('shortcut')
    self.assertTrue(np.isfinite(table['rate_start_theory']).all())

  def test_a_failure_leaves_the_old_file(self):
    with tempfile.TemporaryDirectory() as folder:
      path = pathlib.Path(folder) / 'summary.csv'
      path.write_text('old', encoding='utf-8')

      def fail(temporary):
        temporary.write_text('half', encoding='utf-8')
        raise OSError('disk full')

      with self.assertRaisesRegex(OSError, 'disk full'):
        report.replace(path, fail)
      self.assertEqual(list(pathlib.Path(folder).iterdir()), [path])
      self.assertEqual(path.read_text(encoding='utf-8'), 'old')

  def test_what_of_a_name_is_no_text_is_written_as_its_bytes(self):
    with tempfile.TemporaryDirectory() as folder:
      path = pathlib.Path(folder) / 'page.html'
      report.write_text(path, os.fsdecode(b'\xff \xc3\xa9\n'))
      self.assertEqual(path.read_bytes(), b'\\udcff \xc3\xa9\n')


class PrintTest(absltest.TestCase):
  def test_prints_the_table_and_the_answer(self):
    record = _study()
    console = rich.console.Console(file=io.StringIO())
    report.print_summary(record, diagnosis.diagnose(record), console)
    printed = console.file.getvalue()
    self.assertIn('verdict', printed)
    self.assertIn('2 configurations: 1 healthy and 1 vanishing.', printed)
    self.assertLessEqual(max(map(len, printed.splitlines())), 100)


if __name__ == '__main__':
  absltest.main()
