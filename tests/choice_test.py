"""Tests for `choice.py`."""

from absl.testing import absltest
from absl.testing import parameterized
from jaxdl import choice

_TABLE = {'first': 1, 'second': 2}


class ChooseTest(absltest.TestCase):
  def test_known(self):
    self.assertEqual(choice.choose('place', 'second', _TABLE), 2)

  def test_unknown_name_lists_the_names_and_a_close_one(self):
    with self.assertRaises(ValueError) as raised:
      choice.choose('place', 'secnd', _TABLE)
    self.assertEqual(
      str(raised.exception),
      "Unknown place 'secnd'; choose one of: first, second. "
      "Did you mean 'second'?",
    )

  def test_no_hint_where_nothing_is_close(self):
    with self.assertRaisesRegex(ValueError, r'first, second\.$'):
      choice.choose('place', 'xyz', _TABLE)


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
