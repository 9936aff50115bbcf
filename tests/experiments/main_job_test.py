"""Runs `experiments/gradient_flow.py` as a user does, small."""

import os
import pathlib
import subprocess
import sys

from absl.testing import absltest
from absl.testing import parameterized
from jaxdl import sweep
import numpy as np

_SMALL = (
  '--activation=relu --norm=none --shortcut=none --num_seeds=1 --depth=2 '
  '--width=8 --num_steps=4 --batch_size=8 --chunk_steps=2'
).split()


def _run(folder, *arguments):
  return subprocess.run(
    [sys.executable, '-m', 'experiments.gradient_flow', *_SMALL, *arguments],
    env={**os.environ, 'XDG_CACHE_HOME': str(folder)},
    capture_output=True,
    text=True,
    timeout=300,
    check=False,
  )


class MainJobTest(parameterized.TestCase):
  def test_trains_records_and_reports(self):
    folder = pathlib.Path(self.create_tempdir().full_path)
    out = folder / 'study'
    done = _run(folder, f'--out={out}')
    self.assertEqual(done.returncode, 0, done.stderr)
    self.assertIn('report.html', done.stdout)
    self.assertGreater((out / 'report.html').stat().st_size, 1e6)
    record = sweep.open_record(out / 'record.zarr').load()
    self.assertEqual(dict(record.sizes), {'cell': 2, 'step': 4, 'layer': 3})
    self.assertTrue(np.isfinite(record.cotangent_rms.values).all())

    again = _run(folder, f'--out={out}')
    self.assertEqual(again.returncode, 2)
    self.assertIn('--resume', again.stderr)

  @parameterized.parameters(
    ('--activation=sigmod', 'sigmoid'),
    ('--clip=norm', 'norm:THRESHOLD'),
    ('--depth=-1', 'depth'),
    ('--num_steps=0', 'num_steps'),
  )
  def test_a_mistake_is_one_line(self, flag, message):
    folder = pathlib.Path(self.create_tempdir().full_path)
    done = _run(folder, flag, f'--out={folder / "study"}')
    self.assertEqual(done.returncode, 2)
    self.assertLen(done.stderr.strip().splitlines(), 1)
    self.assertIn(message, done.stderr)
    self.assertFalse((folder / 'study').exists())


if __name__ == '__main__':
  absltest.main()
