"""Tests for `choice.py`."""

from absl.testing import absltest
from absl.testing import parameterized
from jaxdl import choice


class ParseTest(parameterized.TestCase):
  @parameterized.parameters(
    ('relu', {}, {}),
    ('elu', {'alpha': 1.0}, {'alpha': 1.0}),
    ('elu:0.5', {'alpha': 1.0}, {'alpha': 0.5}),
    ('rrelu:.1', {'low': 0.2, 'high': 0.3}, {'low': 0.1, 'high': 0.3}),
    ('norm:1e-3', {'threshold': None}, {'threshold': 1e-3}),
  )
  def test_reads_numbers_in_order(self, text, defaults, expected):
    parsed = choice.parse('activation', text, defaults)
    self.assertEqual(parsed.name, choice.split_name(text))
    self.assertEqual(parsed.numbers, expected)

  @parameterized.parameters(
    ('norm', {'threshold': None}, 'norm:THRESHOLD, as in norm:1.0'),
    ('norm:x', {'threshold': None}, "'x' is not a finite number"),
    ('norm:nan', {'threshold': None}, "'nan' is not a finite number"),
    ('norm:', {'threshold': None}, "'' is not a finite number"),
    ('relu:1', {}, 'relu takes no number'),
    ('elu:1:2', {'alpha': 1.0}, 'too many numbers; write elu:ALPHA'),
  )
  def test_says_what_is_wrong(self, text, defaults, message):
    with self.assertRaisesRegex(ValueError, message):
      choice.parse('clip', text, defaults)


if __name__ == '__main__':
  absltest.main()
