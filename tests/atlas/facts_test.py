"""Tests for `atlas/facts.py`."""

from absl.testing import absltest
from jaxdl.atlas import facts

_DOCSTRING = """Water is wet.

Claim: it wets
what it touches.

Source: Thales, 600 BC.

Rule: a sponge gains at least 1 g: of water, not of ice.
"""


class StatementTest(absltest.TestCase):
  def test_reads_its_parts(self):
    self.assertEqual(
      facts.statement(_DOCSTRING),
      (
        'Water is wet',
        'It wets what it touches.',
        'Thales, 600 BC.',
        'A sponge gains at least 1 g: of water, not of ice.',
      ),
    )

  def test_refuses_a_docstring_without_a_rule(self):
    with self.assertRaisesRegex(ValueError, 'begins with Rule:'):
      facts.statement(_DOCSTRING.partition('Rule')[0])


if __name__ == '__main__':
  absltest.main()
