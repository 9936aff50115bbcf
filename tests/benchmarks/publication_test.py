"""Tests for `publication.py`."""

import pathlib
import shutil
import tempfile

from absl.testing import absltest
from benchmarks import catalogue
from benchmarks import publication
from benchmarks import running

from tests.benchmarks import recorded

_DOCS = pathlib.Path(__file__).resolve().parents[2] / 'docs'


def _names(folder):
  return sorted(path.name for path in folder.iterdir())


class WriteTest(absltest.TestCase):
  def test_folder_can_be_read_and_drawn_again(self):
    with tempfile.TemporaryDirectory() as folder:
      path = pathlib.Path(folder)
      publication.write(recorded.record(), path)
      names = ['benchmarks.json', 'benchmarks.md']
      names += ['headline.png', 'headline.svg', 'overview.png', 'overview.svg']
      self.assertEqual(_names(path), names)
      self.assertEqual(publication.read(path), recorded.record())
      self.assertIn('](overview.svg)', (path / 'benchmarks.md').read_text())


class PublishTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    folder = self.enterContext(tempfile.TemporaryDirectory())
    self.docs = pathlib.Path(folder)
    self.page = self.docs / 'benchmarks.md'
    shutil.copy(_DOCS / 'benchmarks.md', self.page)

  def test_replaces_the_table_of_the_page_and_nothing_else(self):
    before = self.page.read_text()
    publication.publish(recorded.record(), self.docs)
    once = self.page.read_text()
    self.assertEqual(
      once.partition(publication.BEGIN)[0],
      before.partition(publication.BEGIN)[0],
    )
    self.assertEqual(
      once.partition(publication.END)[2], before.partition(publication.END)[2]
    )
    self.assertIn('| the study against a loop |', once)
    self.assertIn('](benchmark_results/overview.svg)', once)
    self.assertEqual(
      _names(self.docs / 'benchmark_results'),
      ['benchmarks.json', 'headline.svg', 'overview.svg'],
    )
    publication.publish(recorded.record(), self.docs)
    self.assertEqual(self.page.read_text(), once)

  def test_run_of_some_keeps_the_others_in_the_order_of_the_catalogue(self):
    first, second, third = (
      recorded.result(name, recorded.OVERHEAD, command=entry.command)
      for name, entry in zip(
        ('first', 'second', 'third'), catalogue.ENTRIES, strict=False
      )
    )
    gone = recorded.result('gone', *recorded.COUNTS)
    publication.publish(running.Record(False, (third, second, gone)), self.docs)
    again = second._replace(benchmark='again')
    record = publication.publish(
      running.Record(False, (again, first)), self.docs
    )
    self.assertEqual(record.results, (first, again, third))

  def test_refuses_a_quick_run(self):
    before = self.page.read_text()
    for record in (recorded.record(quick=True), running.Record(False)):
      with self.assertRaisesRegex(ValueError, 'not for the documentation'):
        publication.publish(record, self.docs)
    self.assertEqual(self.page.read_text(), before)

  def test_says_that_the_page_has_no_marks(self):
    self.page.write_text('# Benchmarks\n')
    with self.assertRaisesRegex(ValueError, 'does not say where the table goe'):
      publication.publish(recorded.record(), self.docs)
    self.assertEqual(_names(self.docs), ['benchmarks.md'])


if __name__ == '__main__':
  absltest.main()
