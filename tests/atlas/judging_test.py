"""Tests for `atlas/judging.py`."""

from absl.testing import absltest
from absl.testing import parameterized
from hypothesis import given
from hypothesis import strategies as st
from jaxdl.atlas import claims
from jaxdl.atlas import judging
from jaxdl.atlas.judging import Verdict
import numpy as np

_LARGE = claims.at_least(6.0)
_LOW, _MIXED, _HIGH = np.arange(6.0), np.arange(6.0) + 3, np.arange(6.0) + 9


def _claim(measured, rule=_LARGE, every=False):
  return claims.Claim('it is large', 'size', rule, measured, every)


class JudgeTest(parameterized.TestCase):
  @parameterized.parameters(
    (_HIGH, Verdict.CONFIRMED, 1.0, ''),
    (_LOW, Verdict.REFUTED, 0.0, ''),
    (_MIXED, Verdict.DEPENDS, 0.5, 'the seeds differ'),
    (np.arange(6.0) + 6, Verdict.CONFIRMED, 1.0, ''),  # The bound is included.
  )
  def test_one_condition(self, samples, verdict, agreeing, on):
    found = judging.judge(_claim({'': samples}))
    self.assertEqual((found.verdict, found.on), (verdict, on))
    self.assertEqual(found.conditions[''].agreeing, agreeing)

  def test_says_on_which_condition_it_depends(self):
    found = judging.judge(
      _claim({'tanh': _LOW, 'relu': _HIGH, 'elu': _HIGH, 'silu': _MIXED})
    )
    self.assertEqual(found.verdict, Verdict.DEPENDS)
    self.assertEqual(
      found.on,
      'holds for relu · elu; not for tanh; the seeds differ for silu',
    )

  def test_conditions_that_agree_give_their_verdict(self):
    found = judging.judge(_claim({'tanh': _LOW, 'sigmoid': _LOW}))
    self.assertEqual(found.verdict, Verdict.REFUTED)

  def test_one_outlier_tells_only_where_every_sample_must_hold(self):
    samples = {'': np.array([0.0] + 19 * [7.0])}
    self.assertEqual(judging.judge(_claim(samples)).verdict, Verdict.CONFIRMED)
    self.assertEqual(
      judging.judge(_claim(samples, every=True)).verdict, Verdict.REFUTED
    )

  def test_names_the_claim_whose_samples_are_no_numbers(self):
    samples = {'tanh': np.full(6, np.nan)}
    with self.assertRaisesRegex(
      ValueError, 'it is large, tanh: all 6 samples are NaN'
    ):
      judging.judge(_claim(samples))

  def test_refuses_a_claim_of_which_nothing_was_measured(self):
    with self.assertRaisesRegex(ValueError, 'nothing was measured for: it is'):
      judging.judge(_claim({}))

  @given(
    st.lists(st.floats(-1e9, 1e9), min_size=6, max_size=30),
    st.floats(-1e9, 1e9),
  )
  def test_a_claim_and_its_opposite_are_never_both_confirmed(self, xs, bound):
    samples = {'': np.array(xs)}
    above = judging.judge(_claim(samples, claims.at_least(bound)))
    below = judging.judge(_claim(samples, claims.at_most(bound)))
    if (above.verdict, below.verdict) == 2 * (Verdict.CONFIRMED,):
      self.assertEqual(above.conditions[''].interval.low, bound)
      self.assertEqual(above.conditions[''].interval.high, bound)
    self.assertNotEqual((above.verdict, below.verdict), 2 * (Verdict.REFUTED,))


class OfFactTest(absltest.TestCase):
  def test_counts_claims_where_they_differ(self):
    kinds = (_HIGH, _LOW, _MIXED, _HIGH)
    judgements = [judging.judge(_claim({'': samples})) for samples in kinds]
    self.assertEqual(
      judging.of_fact(judgements),
      (Verdict.DEPENDS, 'of 4 claims 2 confirmed, 1 refuted, 1 depends'),
    )
    self.assertEqual(judging.of_fact(judgements[:1]), (Verdict.CONFIRMED, ''))


if __name__ == '__main__':
  absltest.main()
