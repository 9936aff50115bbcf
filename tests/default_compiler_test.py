"""Tests of numbers once more, as XLA compiles for users.

All other tests compile quickly (see `conftest.py`); of a whole study,
`experiments/gradient_flow_test.py` compares the two.
"""

import os
import pathlib
import subprocess
import sys

from absl.testing import absltest
from absl.testing import parameterized

_ROOT = pathlib.Path(__file__).resolve().parents[1]


class DefaultCompilerTest(parameterized.TestCase):
  @parameterized.named_parameters(
    (
      'activations',
      'activations_test.py',
      'test_value_with_jit or at_zero or finite',
    ),
    ('statistics', 'tracing/statistics_test.py', 'Test'),
    ('normalization', 'layers/normalization_test.py', 'formula or cancel'),
    ('loss', 'training/loss_test.py', 'Test'),
    ('krylov', 'krylov/lanczos_test.py', 'Spectra'),
  )
  def test_agrees_with_references(self, path, tests):
    command = [sys.executable, '-m', 'pytest', '-p', 'no:cacheprovider']
    done = subprocess.run(
      [*command, '-k', tests, f'tests/{path}'],
      cwd=_ROOT,
      env={**os.environ, 'XLA_FLAGS': ''},
      capture_output=True,
      text=True,
    )
    self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == '__main__':
  absltest.main()
