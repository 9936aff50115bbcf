"""Tests for `admission.py`."""

from unittest import mock

from absl.testing import absltest
from jaxdl.sweep import admission
from jaxdl.sweep import memory

from tests.sweep import linear_study


class AdmitTest(absltest.TestCase):
  def _admit(self, compiler):
    plan = linear_study.plan()
    return admission.admit(
      plan,
      plan.programs,
      linear_study.build,
      linear_study.data(),
      linear_study.indices,
      compiler,
    )

  def test_program_that_cannot_fit_is_not_compiled(self):
    compiler = mock.Mock()
    with mock.patch.object(memory, 'available_memory', return_value=1000):
      with self.assertRaisesRegex(ValueError, 'program 0 .* needs about'):
        self._admit(compiler)
    compiler.add.assert_not_called()

  def test_largest_is_judged_by_what_was_compiled(self):
    compiler = mock.Mock()
    compiled = compiler.start.return_value.chunk.result.return_value
    analysis = compiled.memory_analysis.return_value
    for name in ('argument', 'output', 'temp'):
      setattr(analysis, f'{name}_size_in_bytes', 2**60)
    analysis.alias_size_in_bytes = 0
    with self.assertRaisesRegex(ValueError, 'lower depth, width or batch'):
      self._admit(compiler)
    self.assertEqual([c.args[0] for c in compiler.add.call_args_list], [0, 4])


if __name__ == '__main__':
  absltest.main()
