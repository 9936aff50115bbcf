"""Tests for `experiments/output.py`."""

import contextlib
import datetime
import os
import pathlib
from unittest import mock

from absl.testing import absltest
from experiments import output


class FolderTest(absltest.TestCase):
  def test_same_time_again_gives_another_folder(self):
    clock = mock.Mock()
    clock.now.return_value = datetime.datetime(2026, 11, 1, 2, 3, 4, 567890)
    out = pathlib.Path(self.create_tempdir().full_path)
    self.enter_context(contextlib.chdir(out))
    self.enter_context(mock.patch.object(datetime, 'datetime', clock))
    found = []
    for _ in range(3):
      found.append(os.fspath(output.folder('one')))
      os.makedirs(found[-1])
    first = 'results/one/2026-11-01-020304-567'
    self.assertEqual(found, [first, f'{first}-2', f'{first}-3'])


class ShownTest(absltest.TestCase):
  def test_from_here_if_it_lies_below(self):
    below = pathlib.Path('results') / 'report.html'
    self.assertEqual(output.shown(below.absolute()), os.fspath(below))
    self.assertEqual(output.shown(below), os.fspath(below))

  def test_whole_if_it_lies_elsewhere(self):
    elsewhere = pathlib.Path.cwd().parent / 'report.html'
    self.assertEqual(output.shown(elsewhere), os.fspath(elsewhere))
    self.assertEqual(
      output.shown(pathlib.Path('..') / 'x' / '..' / 'report.html'),
      os.fspath(elsewhere),
    )

  def test_is_one_line_of_text_whatever_the_name(self):
    name = os.fsdecode(b'a\n\x1b[31m\xff \xc3\xa9')
    self.assertEqual(output.shown(pathlib.Path(name)), r'a\n\x1b[31m\udcff é')


class CheckForeignTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.out = pathlib.Path(self.create_tempdir().full_path)

  def test_own_files_are_told(self):
    (self.out / 'page.html').touch()
    (self.out / 'fact').mkdir()
    (self.out / '.hidden').touch()
    found = output.check_foreign(self.out, ('page.html', 'fact', 'table.csv'))
    self.assertEqual(found, {'page.html', 'fact'})

  def test_other_files_are_refused(self):
    (self.out / 'notes.txt').touch()
    with self.assertRaisesRegex(ValueError, 'notes.txt; give another --out'):
      output.check_foreign(self.out, ('page.html',))

  def test_link_to_another_folder_is_refused(self):
    elsewhere = pathlib.Path(self.create_tempdir().full_path)
    (elsewhere / 'data.zarr').mkdir()
    (self.out / 'fact').symlink_to(elsewhere)
    with self.assertRaisesRegex(ValueError, 'fact is a link to another folder'):
      output.check_foreign(self.out, ('fact',))
    self.assertTrue((elsewhere / 'data.zarr').exists())


if __name__ == '__main__':
  absltest.main()
