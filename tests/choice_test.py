"""Tests for `choice.py`."""

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies
from jaxdl import choice
import numpy as np

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
    ('norm:1e400', {'threshold': None}, "'1e400' is not a finite number"),
    ('norm:-1e39', {'threshold': None}, "'-1e39' is infinite in float32"),
    ('norm:1e-39', {'threshold': None}, "'1e-39' is 0 in float32; write norm:"),
    ('norm:', {'threshold': None}, "'' is not a finite number"),
    ('relu:1', {}, 'relu takes no number'),
    ('elu:1:2', {'alpha': 1.0}, 'too many numbers; write elu:ALPHA'),
  )
  def test_says_what_is_wrong(self, text, defaults, message):
    with self.assertRaisesRegex(ValueError, message):
      choice.parse('clip', text, defaults)

  @hypothesis.given(
    strategies.text()
    | strategies.lists(
      strategies.sampled_from(
        ['elu', '', '1', '-1e39', '1e-39', 'nan', '٣', '1_0', '\n']
      )
      | strategies.floats().map(str)
    ).map(':'.join)
  )
  def test_any_text_is_finite_in_float32_or_refused(self, text):
    try:
      parsed = choice.parse('clip', text, {'low': None, 'high': 1.0})
    except ValueError as error:
      self.assertIn(repr(text), str(error))
    else:
      with np.errstate(over='raise'):
        given = list(parsed.numbers.values())
        numbers = np.array(given, np.float32)
      self.assertEqual(list(parsed.numbers), ['low', 'high'])
      self.assertTrue(np.all(np.isfinite(numbers)))
      self.assertEqual(np.count_nonzero(numbers), sum(map(bool, given)))


if __name__ == '__main__':
  absltest.main()
