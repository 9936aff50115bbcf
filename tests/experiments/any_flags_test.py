"""Tests that no value of a flag ends in a traceback, or half begun."""

import subprocess
import sys

from absl.testing import absltest

from tests.experiments import study


class AnyFlagsTest(absltest.TestCase):
  def test_value_of_any_flag_is_possible_or_refused_in_one_line(self):
    done = subprocess.run(
      [sys.executable, '-m', 'tests.experiments.any_flags', 'gradient_flow'],
      cwd=study.ROOT,
      env=study.environment(),
      capture_output=True,
      text=True,
    )
    self.assertEqual(done.returncode, 0, done.stderr)
    self.assertEqual(done.stdout.split(), ['begun', 'refused'])


if __name__ == '__main__':
  absltest.main()
