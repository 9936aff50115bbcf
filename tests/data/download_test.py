"""Tests for `download.py`, against a server on this machine."""

import contextlib
import hashlib
import io
import os
import pathlib
import tempfile
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
from jaxdl.data import download

from tests.data import local_server

_BODY = bytes(range(256)) * 1000  # Several chunks.
_SHA256 = hashlib.sha256(_BODY).hexdigest()


def _verify(path):
  download.check_sha256(path.read_bytes(), _SHA256, 'the file')


class FetchTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    folder = self.enterContext(tempfile.TemporaryDirectory())
    self.path = pathlib.Path(folder, 'made', 'on', 'demand', 'file')
    self.screen = io.StringIO()
    self.enterContext(contextlib.redirect_stderr(self.screen))

  def _fetch(self, answers, *paths):
    with local_server.serve(answers) as (address, requests):
      download.fetch([address + p for p in paths], self.path, _verify)
    return requests

  def _assert_nothing_is_left(self):
    self.assertEmpty(list(self.path.parent.iterdir()))

  @parameterized.named_parameters(
    ('with_length', len(_BODY)), ('without', None)
  )
  def test_a_whole_answer_becomes_the_file(self, length):
    self._fetch({'/a': local_server.Answer(_BODY, length)}, '/a')
    self.assertEqual(self.path.read_bytes(), _BODY)
    self.assertEqual(list(self.path.parent.iterdir()), [self.path])
    self.assertIn('Downloading file', self.screen.getvalue())

  @parameterized.named_parameters(
    (
      'truncated',
      local_server.Answer(_BODY[:-1], len(_BODY)),
      'ended after 255999 of 256000 bytes',
    ),
    (
      'truncated_of_unknown_length',
      local_server.Answer(_BODY[:-1], None),
      'the SHA-256 of its contents is',
    ),
    (
      'wrong_contents',
      local_server.whole(_BODY[::-1]),
      f'not {_SHA256} as published',
    ),
    ('not_found', local_server.Answer(b'', 0, 404), '404'),
    ('broken', local_server.Answer(b'', 0, 500), '500'),
  )
  def test_a_bad_answer_leaves_nothing_behind(self, answer, message):
    with self.assertRaisesRegex(ValueError, message):
      self._fetch({'/a': answer}, '/a')
    self._assert_nothing_is_left()

  def test_the_next_address_is_tried(self):
    answers = {
      '/wrong': local_server.whole(b'wrong'),
      '/right': local_server.whole(_BODY),
    }
    requests = self._fetch(answers, '/absent', '/wrong', '/right', '/unused')
    self.assertEqual(requests, ['/absent', '/wrong', '/right'])
    self.assertEqual(self.path.read_bytes(), _BODY)

  def test_every_failure_is_told_in_one_line(self):
    with self.assertRaises(ValueError) as caught:
      self._fetch({'/wrong': local_server.whole(b'wrong')}, '/absent', '/wrong')
    self.assertRegex(str(caught.exception), '/absent: .*404.*; .*/wrong: ')
    self.assertNotIn('\n', str(caught.exception))

  def test_an_old_file_is_kept_when_the_download_fails(self):
    self.path.parent.mkdir(parents=True)
    self.path.write_bytes(b'old')
    with self.assertRaises(ValueError):
      self._fetch({}, '/absent')
    self.assertEqual(self.path.read_bytes(), b'old')

  def test_who_reads_the_old_file_is_not_disturbed(self):
    self.path.parent.mkdir(parents=True)
    self.path.write_bytes(b'old')
    with self.path.open('rb') as reader:
      self._fetch({'/a': local_server.whole(_BODY)}, '/a')
      self.assertEqual(reader.read(), b'old')
    self.assertEqual(self.path.read_bytes(), _BODY)

  def test_a_server_that_is_away_is_named(self):
    with local_server.serve({}) as (address, _):
      pass
    with self.assertRaisesRegex(ValueError, f'{address}/a: .*refused'):
      download.fetch([f'{address}/a'], self.path, _verify)
    self._assert_nothing_is_left()


class CacheDirTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('set', {'XDG_CACHE_HOME': '/caches'}, '/caches/jaxdl'),
    ('relative', {'XDG_CACHE_HOME': 'caches'}, '/home/ada/.cache/jaxdl'),
    ('empty', {'XDG_CACHE_HOME': ''}, '/home/ada/.cache/jaxdl'),
    ('unset', {}, '/home/ada/.cache/jaxdl'),
  )
  def test_follows_the_specification(self, variables, expected):
    variables = {'HOME': '/home/ada', **variables}
    with mock.patch.dict(os.environ, variables, clear=True):
      self.assertEqual(download.cache_dir(), pathlib.Path(expected))

  def test_user_without_a_home_is_told_what_to_set(self):
    unknown = mock.patch('pathlib.Path.home', side_effect=RuntimeError)
    with mock.patch.dict(os.environ, {}, clear=True), unknown:
      with self.assertRaisesRegex(ValueError, 'no home .* XDG_CACHE_HOME'):
        download.cache_dir()


if __name__ == '__main__':
  absltest.main()
