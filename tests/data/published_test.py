"""Tests for `published.py`, with small files in place of the published ones."""

import contextlib
import gzip
import hashlib
import io
import pathlib
import tarfile
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
from jaxdl.data import published
from jaxdl.data import sources

from tests.data import local_server

_CONTENTS = {name: f'contents of {name}'.encode() for name in 'abcd'}


def _file(name: str, contents: bytes) -> published.File:
  return published.File(name, hashlib.sha256(contents).hexdigest())


def _published(address='http://127.0.0.1:9/', system_folder='', archive=None):
  files = tuple(_file(name, text) for name, text in _CONTENTS.items())
  return published.Published(
    'small', files, (address,), ('', 'small'), system_folder, archive
  )


def _tar(contents) -> bytes:
  buffer = io.BytesIO()
  with tarfile.open(fileobj=buffer, mode='w:gz') as archive:
    folder = tarfile.TarInfo('folder')
    folder.type = tarfile.DIRTYPE
    archive.addfile(folder)
    for name, text in contents.items():
      member = tarfile.TarInfo(name)
      member.size = len(text)
      archive.addfile(member, io.BytesIO(text))
  return buffer.getvalue()


class _FolderTestCase(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    self.cache = self.folder / 'cache'
    self.enterContext(contextlib.redirect_stderr(io.StringIO()))

  def _write(self, folder, contents=None):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (contents or _CONTENTS).items():
      (folder / name).write_bytes(text)


class ReadTest(_FolderTestCase):
  @parameterized.parameters('', 'small')
  def test_data_dir_or_a_folder_in_it(self, subfolder):
    self._write(self.folder / 'mine' / subfolder)
    actual = published.read(_published(), self.folder / 'mine', self.cache)
    self.assertEqual(actual, _CONTENTS)

  def test_gzipped_files(self):
    compressed = {f'{n}.gz': gzip.compress(t) for n, t in _CONTENTS.items()}
    self._write(self.folder, compressed)
    actual = published.read(_published(), self.folder, self.cache)
    self.assertEqual(actual, _CONTENTS)

  def test_system_folder_comes_before_the_cache(self):
    self._write(self.folder / 'system')
    self._write(self.cache / 'small', dict.fromkeys(_CONTENTS, b'other'))
    dataset = _published(system_folder=str(self.folder / 'system'))
    self.assertEqual(published.read(dataset, None, self.cache), _CONTENTS)

  def test_only_data_dir_is_tried_where_it_is_given(self):
    self._write(self.folder / 'system')
    self._write(self.folder / 'mine', {'a': _CONTENTS['a']})
    dataset = _published(system_folder=str(self.folder / 'system'))
    with self.assertRaisesRegex(
      ValueError, 'small: the files a, b, c, d .* not together in any of .*mine'
    ):
      published.read(dataset, self.folder / 'mine', self.cache)

  def test_other_contents_are_refused(self):
    self._write(self.folder, {**_CONTENTS, 'c': b'other'})
    with self.assertRaisesRegex(ValueError, '/c: the SHA-256 .* replace or'):
      published.read(_published(), self.folder, self.cache)

  def test_name_with_a_dot_is_found(self):
    self._write(self.folder, {'train-images.idx3-ubyte.gz': b''})
    self.assertEqual(
      published.find(self.folder, 'train-images-idx3-ubyte'),
      self.folder / 'train-images.idx3-ubyte.gz',
    )
    self.assertIsNone(published.find(self.folder, 't10k-images-idx3-ubyte'))


class DownloadTest(_FolderTestCase):
  def test_files_are_downloaded_once(self):
    answers = {
      f'/{name}.gz': local_server.whole(gzip.compress(text))
      for name, text in _CONTENTS.items()
    }
    with local_server.serve(answers) as (address, requests):
      dataset = _published(f'{address}/')
      first = published.read(dataset, None, self.cache)
      second = published.read(dataset, None, self.cache)
    self.assertEqual(first, _CONTENTS)
    self.assertEqual(second, _CONTENTS)
    self.assertEqual(requests, ['/a.gz', '/b.gz', '/c.gz', '/d.gz'])

  def test_what_was_downloaded_before_is_kept(self):
    answers = {
      f'/{name}.gz': local_server.whole(gzip.compress(_CONTENTS[name]))
      for name in 'cd'
    }
    self._write(self.cache / 'small', {n: _CONTENTS[n] for n in 'ab'})
    with local_server.serve(answers) as (address, requests):
      actual = published.read(_published(f'{address}/'), None, self.cache)
    self.assertEqual(actual, _CONTENTS)
    self.assertEqual(requests, ['/c.gz', '/d.gz'])

  @parameterized.named_parameters(
    ('truncated', gzip.compress(b'contents of a')[:-4], 'gzip data are trunc'),
    ('other', gzip.compress(b'contents of z'), 'SHA-256 of its contents'),
    ('page', b'<html>log in first</html>', 'SHA-256 of its contents'),
  )
  def test_a_wrong_file_is_not_kept(self, body, message):
    with local_server.serve({'/a.gz': local_server.whole(body)}) as (
      address,
      _,
    ):
      with self.assertRaisesRegex(ValueError, message):
        published.read(_published(f'{address}/'), None, self.cache)
    self.assertEmpty(list((self.cache / 'small').iterdir()))

  def test_an_archive_is_taken_apart(self):
    contents = {f'folder/{name}': text for name, text in _CONTENTS.items()}
    body = _tar({'../escaped': b'evil', 'folder/readme': b'', **contents})
    with local_server.serve({'/x.tgz': local_server.whole(body)}) as (
      address,
      requests,
    ):
      dataset = _published(f'{address}/x.tgz', '', _file('x.tgz', body))
      first = published.read(dataset, None, self.cache)
      second = published.read(dataset, None, self.cache)
    self.assertEqual(first, _CONTENTS)
    self.assertEqual(second, _CONTENTS)
    self.assertEqual(requests, ['/x.tgz'])
    self.assertCountEqual(
      [str(p.relative_to(self.folder)) for p in self.folder.rglob('*')],
      ['cache', 'cache/small', *(f'cache/small/{name}' for name in _CONTENTS)],
    )

  def test_another_archive_is_refused(self):
    body = _tar(_CONTENTS)
    with local_server.serve({'/x.tgz': local_server.whole(body)}) as (
      address,
      _,
    ):
      dataset = _published(f'{address}/x.tgz', '', _file('x.tgz', b'expected'))
      with self.assertRaisesRegex(ValueError, 'x.tgz: the SHA-256'):
        published.read(dataset, None, self.cache)
    self.assertEmpty(list((self.cache / 'small').iterdir()))

  @parameterized.named_parameters(('files', None), ('archive', _file('x', b'')))
  def test_without_a_network_it_says_where_it_looked(self, archive):
    with local_server.serve({}) as (address, _):
      pass
    dataset = _published(f'{address}/', '/nonexistent', archive)
    with self.assertRaises(ValueError) as caught:
      published.read(dataset, None, self.cache)
    self.assertRegex(
      str(caught.exception),
      f'^small: not in /nonexistent or {self.cache}/small, and the download '
      f'failed .*{address}.*refused.*name their folder as data_dir, or use '
      'fashion_mnist_small, which needs no network$',
    )

  def test_a_cache_that_cannot_be_written_is_named(self):
    self.cache.write_bytes(b'a file in the place of the folder')
    with self.assertRaisesRegex(ValueError, 'small: not in .*cache'):
      published.read(_published(), None, self.cache)


class TablesTest(parameterized.TestCase):
  @parameterized.named_parameters(
    (dataset.name, dataset)
    for dataset in (
      published.FASHION_MNIST,
      published.MNIST,
      published.CIFAR10,
    )
  )
  def test_every_file_has_a_checksum_and_an_address(self, dataset):
    self.assertIn(dataset.name, sources.names())
    checksums = [file.sha256 for file in dataset.files]
    self.assertLen(set(checksums), len(dataset.files))
    for checksum in checksums:
      self.assertRegex(checksum, '^[0-9a-f]{64}$')
    for address in dataset.addresses:
      self.assertRegex(
        address, '^https?://.*' + ('/$', 'tar.gz$')[dataset.archive is not None]
      )


if __name__ == '__main__':
  absltest.main()
