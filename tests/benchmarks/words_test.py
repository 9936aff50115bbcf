"""Tests for `words.py`."""

from absl.testing import absltest
from absl.testing import parameterized
from benchmarks import results
from benchmarks import words

from tests.benchmarks import recorded


class NumbersTest(parameterized.TestCase):
  @parameterized.parameters(
    (0.01234, '0.0123'), (1, '1'), (99.96, '100'), (20608.2, '20,608')
  )
  def test_number(self, value, text):
    self.assertEqual(words.number(value), text)

  @parameterized.parameters(
    (results.Kind.COST, 1.013, '1.013x'),
    (results.Kind.SPEED, 1.564, '1.56x'),
    (results.Kind.SPEED, 123.4, '123x'),
    (results.Kind.SPEED, 0.00667, '0.00667x'),
    (results.Kind.SHARE, 0.664, '66%'),
  )
  def test_ratio(self, kind, value, text):
    self.assertEqual(words.ratio(value, kind), text)

  def test_machine_says_what_it_could_use(self):
    pinned = recorded.MACHINE._replace(usable=1)
    self.assertEqual(words.machine(pinned), 'Imaginary 9000, 1 of 2 cores')
    unknown = recorded.MACHINE._replace(processor='')
    self.assertEqual(words.machine(unknown), '2 cores')


class TextTest(absltest.TestCase):
  def test_ratios_then_sides(self):
    self.assertEqual(
      words.text(recorded.STUDY),
      'the study of 112 networks:\n'
      '  2.00x as fast (1.50x to 2.00x in 3 rounds): the study against a loop; '
      'of the cores 2.00x; goal at least 3x: not met\n'
      '    jaxdl    210 s (200 to 220 in 3 rounds), of the cores 420 s\n'
      '    PyTorch  400 s (330 to 420 in 3 rounds), of the cores 800 s',
    )

  def test_goal_of_a_cost_is_a_bound_from_above(self):
    self.assertIn(
      '1.050x: a step that records `everything`; goal at most 1.07x: met\n',
      words.text(recorded.OVERHEAD),
    )

  def test_counts_take_a_line(self):
    self.assertEqual(
      words.text(recorded.COUNTS[0]),
      'relu, 3.6 powers of ten lost: adam 86 steps; gradient descent over 600 '
      'steps',
    )

  def test_side_without_a_value_is_a_dash(self):
    sides = (results.Side('precision', ()), results.Side('recall', (0,)))
    self.assertEqual(
      words.text(results.Measurement('dead', '', sides)),
      'dead: precision -; recall 0',
    )


if __name__ == '__main__':
  absltest.main()
