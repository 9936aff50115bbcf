"""Tests for `x_ray/formatting.py`."""

import math
import re

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies
from jaxdl.x_ray import formatting

_STEP = strategies.text('abcdefgh_0123456789', min_size=1, max_size=20)


class NumberTest(parameterized.TestCase):
  @parameterized.parameters(
    (0.0, '0'),
    (1e-30, '1e-30'),
    (-1.234e-30, '-1.23e-30'),
    (0.00999951, '0.0100'),
    (0.1, '0.100'),
    (0.9996, '1.00'),
    (1.0, '1.00'),
    (99.96, '100'),
    (12345.0, '12300'),
    (99996.0, '1e5'),
    (math.nan, 'nan'),
    (-math.inf, '-inf'),
  )
  def test_has_three_digits(self, x, expected):
    self.assertEqual(formatting.number(x), expected)

  @hypothesis.given(strategies.floats(1e-300, 1e300))
  def test_is_near_the_number_and_short(self, x):
    text = formatting.number(x)
    self.assertLessEqual(abs(float(text) - x), 0.00501 * x)
    self.assertLessEqual(len(text), 9)

  @parameterized.parameters(
    (math.nan, ''), (0.0, ''), (1.0, '100%'), (0.999, '99%'), (0.001, '<1%')
  )
  def test_share_is_all_or_none_only_if_it_is(self, x, expected):
    self.assertEqual(formatting.share(x), expected)

  @parameterized.parameters(
    (math.nan, ''), (-math.inf, '-inf'), (0.04, '0.0'), (-2.34, '-2.3')
  )
  def test_decades_have_a_sign(self, x, expected):
    self.assertEqual(formatting.decades(x), expected)

  @parameterized.parameters((1, '1 module'), (1234, '1,234 modules'))
  def test_counts(self, n, expected):
    self.assertEqual(formatting.count(n, 'module'), expected)


class ShortenedTest(parameterized.TestCase):
  @parameterized.parameters(
    ('encoder/mlp', 20, 'encoder/mlp'),
    (
      'encoder/layers/11/self_attention/query',
      28,
      'enc…/lay…/11/self_a…/query',
    ),
    ('a' * 30, 10, 'aaa…aaaaaa'),
  )
  def test_keeps_numbers_and_the_last_name(self, path, width, expected):
    text = formatting.shortened(path, width)
    self.assertLessEqual(len(text), width)
    self.assertEqual(text.split('/')[-1], expected.split('/')[-1])
    self.assertEqual(re.findall(r'/\d+/', text), re.findall(r'/\d+/', expected))

  @hypothesis.given(
    strategies.lists(_STEP, min_size=1, max_size=8).map('/'.join),
    strategies.integers(6, 60),
  )
  def test_fits_and_is_whole_where_it_fits(self, path, width):
    text = formatting.shortened(path, width)
    self.assertLessEqual(len(text), width)
    self.assertEqual(text == path, len(path) <= width)


if __name__ == '__main__':
  absltest.main()
