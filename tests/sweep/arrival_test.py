"""Tests for `arrival.py`."""

import pathlib
from unittest import mock

from absl.testing import absltest
from jaxdl.sweep import arrival


class WaitForTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.path = pathlib.Path(self.create_tempdir().full_path) / 'out' / 'record'

  def test_sees_what_is_there_at_once(self):
    self.path.mkdir(parents=True)
    self.assertTrue(arrival.wait_for(self.path, seconds=0))

  def test_gives_up_on_what_never_comes(self):
    self.assertFalse(arrival.wait_for(self.path, seconds=0))

  def test_waits_for_what_comes_later(self):
    with mock.patch.object(arrival.time, 'sleep') as sleep:
      sleep.side_effect = lambda _: (
        sleep.call_count == 3 and self.path.mkdir(parents=True)
      )
      self.assertTrue(arrival.wait_for(self.path, seconds=60))
    self.assertEqual(sleep.call_count, 3)

  def test_opens_the_directories_that_a_network_may_be_late_about(self):
    """A look-up alone may be answered from memory for a minute."""
    self.path.mkdir(parents=True)
    fresh = set()

    def list_directory(folder):
      fresh.add(folder)
      return []

    def exists(path):
      return {path.parent, path.parent.parent} <= fresh

    with (
      mock.patch.object(arrival.os, 'listdir', list_directory),
      mock.patch.object(pathlib.Path, 'exists', exists),
    ):
      self.assertTrue(arrival.wait_for(self.path, seconds=0))


if __name__ == '__main__':
  absltest.main()
