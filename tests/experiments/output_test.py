"""Tests for `experiments/output.py`."""

import os
import pathlib

from absl.testing import absltest
from experiments import output


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


if __name__ == '__main__':
  absltest.main()
