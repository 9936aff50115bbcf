"""Tests for `build_fashion_mnist_small.py`, in a process of its own."""

import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile

from absl.testing import absltest
from jaxdl.data import sources
import numpy as np

_ROOT = pathlib.Path(__file__).parents[2]


class BuildTest(absltest.TestCase):
  def test_writes_the_first_examples_and_their_checksum(self):
    folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    script = _ROOT / 'scripts' / 'build_fashion_mnist_small.py'
    subprocess.run(
      [
        sys.executable,
        script,
        '--data=fashion_mnist_small',
        '--num_train=30',
        '--num_test=20',
        f'--output_dir={folder}',
      ],
      check=True,
      env=os.environ | {'PYTHONPATH': str(_ROOT)},
      stdout=subprocess.DEVNULL,
    )
    path = folder / 'fashion_mnist_small.npz'
    whole, part = sources.load(), sources.load(path)
    for field, length in (('train', 30), ('test', 20)):
      for kind in ('images', 'labels'):
        name = f'{field}_{kind}'
        np.testing.assert_array_equal(
          getattr(part, name), getattr(whole, name)[:length]
        )
    self.assertEqual(part.num_classes, 10)
    self.assertEqual(
      (folder / 'fashion_mnist_small.sha256.txt').read_text(),
      f'{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n',
    )


if __name__ == '__main__':
  absltest.main()
