"""Datasets that have been published: their files, checksums and addresses.

The checksums are of the uncompressed contents, since copies in circulation are
compressed anew (Debian's, for one).
"""

import pathlib
import tarfile
import tempfile
from typing import NamedTuple

from jaxdl.data import cifar
from jaxdl.data import download
from jaxdl.data import idx


class File(NamedTuple):
  """A file: its name and the SHA-256 of its uncompressed contents."""

  name: str
  sha256: str


class Published(NamedTuple):
  """A published dataset.

  Attributes:
    name: as `sources.load` knows it.
    files: what it consists of.
    addresses: folders on the web that hold each file, gzipped; or, if there is
      an archive, addresses of the archive.
    subfolders: where, below a data directory, the files may lie.
    system_folder: where an operating system's package puts them, or ''.
    archive: name and checksum of the one archive that holds all files, or None.
  """

  name: str
  files: tuple[File, ...]
  addresses: tuple[str, ...]
  subfolders: tuple[str, ...]
  system_folder: str = ''
  archive: File | None = None


IDX_NAMES = (
  'train-images-idx3-ubyte',
  'train-labels-idx1-ubyte',
  't10k-images-idx3-ubyte',
  't10k-labels-idx1-ubyte',
)


def _idx_files(*checksums: str) -> tuple[File, ...]:
  return tuple(map(File, IDX_NAMES, checksums))


# Xiao, Rasul & Vollgraf, 2017, https://arxiv.org/abs/1708.07747.
FASHION_MNIST = Published(
  'fashion_mnist',
  _idx_files(
    'c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888',
    'bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9',
    '5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b',
    '0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34',
  ),
  (
    'http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/',
    'https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/',
  ),
  ('', 'fashion_mnist', 'fashion-mnist', 'FashionMNIST/raw'),
  system_folder='/usr/share/datasets/fashion-mnist',
)

# LeCun, Bottou, Bengio & Haffner, 1998, https://doi.org/10.1109/5.726791.
MNIST = Published(
  'mnist',
  _idx_files(
    'ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db',
    '65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5',
    '0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7',
    'ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2',
  ),
  (
    'https://storage.googleapis.com/cvdf-datasets/mnist/',
    'https://ossci-datasets.s3.amazonaws.com/mnist/',
  ),
  ('', 'mnist', 'MNIST/raw'),
)

# Krizhevsky, 2009, https://www.cs.toronto.edu/~kriz/cifar.html.
CIFAR10 = Published(
  'cifar10',
  tuple(
    map(
      File,
      (*cifar.TRAIN_FILES, cifar.TEST_FILE),
      (
        'cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5',
        'a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed',
        'bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67',
        '014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48',
        '755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add',
        '8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b',
      ),
    )
  ),
  ('https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz',),
  (
    '',
    'cifar-10-batches-bin',
    'cifar10',
    'cifar10/cifar-10-batches-bin',
  ),
  archive=File(
    'cifar-10-binary.tar.gz',
    'c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd',
  ),
)


def read(
  published: Published,
  data_dir: pathlib.Path | None,
  cache_dir: pathlib.Path,
) -> dict[str, bytes]:
  """Reads the files of a published dataset, fetching them if need be.

  Args:
    published: which dataset.
    data_dir: where the user says they are; nothing else is tried then.
    cache_dir: where they are downloaded to, if no package has them.

  Returns:
    The uncompressed contents of each file, by name, all verified.

  Raises:
    ValueError: in one line, saying where it looked and what to do.
  """
  if data_dir is not None:
    folders = [data_dir / subfolder for subfolder in published.subfolders]
  else:
    folders = [cache_dir / published.name]
    if published.system_folder:
      folders.insert(0, pathlib.Path(published.system_folder))
  for folder in folders:
    if all(find(folder, file.name) for file in published.files):
      return _read_folder(published, folder)
  if data_dir is not None:
    raise ValueError(_not_there(published, folders))
  _download(published, folders)
  return _read_folder(published, folders[-1])


def find(folder: pathlib.Path, name: str) -> pathlib.Path | None:
  """Finds a file by its published name, or None.

  The name may have a `.` for the `-` before idx, and `.gz` after it.
  """
  for stem in (name, name.replace('-idx', '.idx')):
    for candidate in (folder / stem, folder / f'{stem}.gz'):
      if candidate.is_file():
        return candidate
  return None


def _read_folder(
  published: Published, folder: pathlib.Path
) -> dict[str, bytes]:
  contents = {}
  for file in published.files:
    path = find(folder, file.name) or folder / file.name
    contents[file.name] = idx.read_contents(path)
    try:
      download.check_sha256(contents[file.name], file.sha256, str(path))
    except ValueError as error:
      raise ValueError(
        f'{error}; replace or delete it (or, if the files are your own, give '
        'their folder as the data)'
      ) from error
  return contents


def _not_there(published: Published, folders: list[pathlib.Path]) -> str:
  names = ', '.join(file.name for file in published.files)
  places = ', '.join(map(str, folders))
  return (
    f'{published.name}: the files {names} (or these with .gz) are not together '
    f'in any of {places}; put them there, or leave out data_dir to have them '
    'downloaded'
  )


def _download(published: Published, folders: list[pathlib.Path]) -> None:
  """Downloads into the last of the folders what it lacks."""
  folder = folders[-1]
  try:
    if published.archive is not None:
      _download_archive(published, published.archive, folder)
      return
    for file in published.files:
      if find(folder, file.name) is None:
        name = f'{file.name}.gz'
        addresses = [address + name for address in published.addresses]
        verify = lambda path, file=file: _verify_download(path, file)
        download.fetch(addresses, folder / name, verify)
  except (OSError, ValueError) as error:
    places = ' or '.join(map(str, folders))
    raise ValueError(
      f'{published.name}: not in {places}, and the download failed ({error}); '
      'fetch the files elsewhere and name their folder as data_dir, or use '
      'fashion_mnist_small, which needs no network'
    ) from error


def _verify_download(path: pathlib.Path, file: File) -> None:
  download.check_sha256(idx.read_contents(path), file.sha256, file.name)


def _download_archive(
  published: Published, archive: File, folder: pathlib.Path
) -> None:
  """Downloads an archive and puts the wanted files from it into the folder."""
  folder.mkdir(parents=True, exist_ok=True)
  wanted = {file.name for file in published.files}
  verify = lambda part: download.check_sha256(
    part.read_bytes(), archive.sha256, archive.name
  )
  with tempfile.TemporaryDirectory(dir=folder) as name:
    path = pathlib.Path(name, archive.name)
    download.fetch(published.addresses, path, verify)
    with tarfile.open(path, 'r:gz') as members:
      for member in members:
        file_name = pathlib.PurePosixPath(member.name).name
        stream = members.extractfile(member)  # None, if it is no file.
        if stream is not None and file_name in wanted:
          extracted = path.with_name(file_name)
          extracted.write_bytes(stream.read())
          extracted.replace(folder / file_name)
