"""Tests for `experiments/list_flags.py`."""

from absl import flags
from absl.testing import absltest
from absl.testing import parameterized
from experiments import list_flags


def _flag(text):
  values = flags.FlagValues()
  holder = flags.DEFINE_list('width', text, 'For tests.', flag_values=values)
  values(['test'])
  return holder


class SpacedTest(parameterized.TestCase):
  @parameterized.parameters(
    ('1:2:5', float, [1.0, 1.25, 1.5, 1.75, 2.0]),
    ('2:1:2', float, [2.0, 1.0]),
    ('0.1:0.3:3', float, [0.1, 0.2, 0.3]),
    ('10:100:4', int, [10, 40, 70, 100]),
    ('10:15:3', int, [10, 12, 15]),
    ('7,10:20:2,0', int, [7, 10, 20, 0]),
    ('3:9:1', int, [3]),
  )
  def test_numbers_and_ranges(self, text, kind, expected):
    found = list_flags.spaced(_flag(text), kind)
    self.assertEqual(found, expected)
    self.assertTrue(all(type(x) is kind for x in found))

  @parameterized.parameters(
    ('a', "--width has 'a'; give numbers, or first:last:count"),
    ('1:2', "--width has '1:2'"),
    ('1:2:3:4', "--width has '1:2:3:4'"),
    ('1:2:2.5', "--width has '1:2:2.5'"),
    ('1:2:1000000000', "has '1:2:1000000000'; .* a count of 10000 at most"),
    ('1:inf:3', "--width has '1:inf:3'"),
    ('1,1', 'has 2 numbers, 1 of them different'),
    ('1:2:0', 'has 0 numbers'),
    ('1:2:-1', 'has 0 numbers'),
    ('1,,2', 'a comma too many'),
    ('', '--width is empty'),
  )
  def test_others_are_refused(self, text, said):
    with self.assertRaisesRegex(ValueError, said):
      list_flags.spaced(_flag(text), int)


if __name__ == '__main__':
  absltest.main()
