"""Tests for what `import jaxdl` offers."""

import subprocess
import sys
import types

from absl.testing import absltest
import jaxdl


class PackageTest(absltest.TestCase):
  def test_whatever_is_listed_can_be_had(self):
    for name in jaxdl._MODULES:
      self.assertIsInstance(getattr(jaxdl, name), types.ModuleType)
    for name in jaxdl._FUNCTIONS:
      self.assertTrue(callable(getattr(jaxdl, name)), name)
    self.assertContainsSubset(
      {'theory', 'jacobian', 'curvature', 'probe', 'xray'}, dir(jaxdl)
    )

  def test_what_is_not_there_is_said(self):
    with self.assertRaisesRegex(AttributeError, "no attribute 'jacobean'"):
      _ = jaxdl.jacobean

  def test_importing_it_does_not_import_jax(self):
    code = 'import sys, jaxdl; sys.exit("jax" in sys.modules)'
    done = subprocess.run([sys.executable, '-c', code])
    self.assertEqual(done.returncode, 0)


if __name__ == '__main__':
  absltest.main()
