"""Tests for `results.py`."""

import json

from absl.testing import absltest
from absl.testing import parameterized
from benchmarks import results
import hypothesis
from hypothesis import strategies as st

from tests.benchmarks import recorded

_TIMES = st.floats(1e-6, 1e6)
_COST, _SPEED, _SHARE = (
  results.Kind.COST,
  results.Kind.SPEED,
  results.Kind.SHARE,
)


class RatioTest(parameterized.TestCase):
  def test_is_taken_round_by_round(self):
    """A round in which the machine was slow slows both sides."""
    found = results.found(recorded.STUDY, recorded.STUDY.ratios[0])
    self.assertEqual(found, results.Found(2.0, 1.5, 2.0, 3))

  def test_of_the_cores_where_their_time_was_taken(self):
    (ratio,) = recorded.STUDY.ratios
    found = results.found_of_cores(recorded.STUDY, ratio)
    self.assertEqual(found, results.Found(2.0, 1.5, 2.0, 3))
    ratio = recorded.OVERHEAD.ratios[0]
    self.assertIsNone(results.found_of_cores(recorded.OVERHEAD, ratio))

  @hypothesis.given(
    st.lists(st.tuples(_TIMES, _TIMES), min_size=1), st.floats(1e-3, 1e3)
  )
  def test_does_not_depend_on_the_unit(self, pairs, scale):
    times = {'a': [a for a, _ in pairs], 'b': [b for _, b in pairs]}
    ratio = results.Ratio('?', 'a', 'b', _COST)
    one, other = (
      results.found(results.Measurement('', '', sides), ratio)
      for sides in (results.sides(times), results.sides(times, scale))
    )
    self.assertAlmostEqual(one.median / other.median, 1)
    self.assertLessEqual(one.least, one.median)
    self.assertLessEqual(one.median, one.greatest)

  @parameterized.parameters(
    (_COST, 1.0, True),
    (_COST, 1.07, True),
    (_COST, 1.08, False),
    (_SPEED, 1.08, True),
    (_SPEED, 1.06, False),
    (_SHARE, 1.06, False),
  )
  def test_goal_is_met_from_the_better_side(self, kind, value, met):
    ratio = results.Ratio('?', 'a', 'b', kind, goal=1.07)
    self.assertIs(results.is_met(ratio, value), met)
    self.assertIsNone(results.is_met(ratio._replace(goal=None), value))

  def test_names_the_sides_that_there_are(self):
    ratio = recorded.STUDY.ratios[0]._replace(numerator='Torch')
    with self.assertRaisesRegex(ValueError, "'Torch'; there are jaxdl, PyTor"):
      results.found(recorded.STUDY, ratio)

  def test_sides_have_as_many_rounds(self):
    sides = results.sides({'a': [1, 2], 'b': [1]})
    measurement = results.Measurement('', 's', sides)
    with self.assertRaisesRegex(ValueError, 'a has 2 rounds and b 1'):
      results.found(measurement, results.Ratio('?', 'a', 'b', _COST))


class JsonTest(absltest.TestCase):
  def test_brings_back_every_round(self):
    for result in recorded.record().results:
      text = json.dumps(results.to_json(result), allow_nan=False)
      self.assertEqual(results.from_json(json.loads(text)), result)

  def test_tells_ratios_to_other_readers(self):
    tree = results.to_json(recorded.result('headline', recorded.STUDY))
    (ratio,) = tree['measurements'][0]['ratios']
    self.assertEqual(ratio['found']['median'], 2.0)
    self.assertIs(ratio['met'], False)

  def test_another_format_is_told(self):
    tree = results.to_json(recorded.result('headline'))
    with self.assertRaisesRegex(ValueError, 'format 0, where 1 is read'):
      results.from_json({**tree, 'format': 0})


if __name__ == '__main__':
  absltest.main()
