"""Tests for `atlas/claims.py`."""

from absl.testing import absltest
from absl.testing import parameterized
from jaxdl.atlas import claims


class RuleTest(parameterized.TestCase):
  @parameterized.parameters(
    (claims.at_least(5.0), '≥ 5'),
    (claims.at_most(1e-10), '≤ 1e-10'),
    (claims.between(0.5, 2), '0.5 to 2'),
    (claims.between(3, 3), '= 3'),
  )
  def test_reads_as_one_would_write_it(self, rule, text):
    self.assertEqual(str(rule), text)

  def test_refuses_bounds_that_bound_nothing(self):
    with self.assertRaisesRegex(ValueError, 'give a finite number'):
      claims.at_least(float('nan'))
    with self.assertRaisesRegex(ValueError, 'no value lies between 2 and 1'):
      claims.between(2, 1)


if __name__ == '__main__':
  absltest.main()
