"""Tests for `experiments/facts/lp_pooling.py`."""

from absl.testing import absltest
from absl.testing import parameterized
from experiments.facts import lp_pooling
from jaxdl import atlas
from jaxdl.atlas import Verdict
import numpy as np


def _verdicts(data):
  return {
    claim.statement: atlas.judge(claim).verdict
    for claim in lp_pooling.claims(data)
  }


class LpPoolingTest(parameterized.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.data = lp_pooling.measure(
      6, width=2, num_steps=20, learning_rates=[0.1]
    )

  def test_mathematics_is_confirmed(self):
    verdicts = list(_verdicts(self.data).values())
    self.assertEqual(verdicts[:7], 7 * [Verdict.CONFIRMED])

  def test_distance_to_the_maximum_falls(self):
    gap = self.data['gap'].transpose('seed', 'form', 'p').values
    self.assertTrue((np.diff(gap, axis=-1) <= 0).all())
    # Of nine numbers with one maximum: 1 - 9^(-1/p).
    np.testing.assert_allclose(gap[:, 1, -1], 1 - 9 ** (-1 / 1024), rtol=1e-2)

  @parameterized.parameters(
    ('average_error', 1e-6),
    ('bound_excess', 1.0),
    ('plain_failed', -1.0),
    ('value_error', 1e-3),
    ('gradient_error', 0.1),
    ('slope_error', 1e-3),
  )
  def test_an_error_refutes_its_claim_alone(self, name, error):
    before = _verdicts(self.data)
    after = _verdicts(self.data.assign({name: self.data[name] + error}))
    changed = {key: after[key] for key in before if after[key] != before[key]}
    self.assertEqual(list(changed.values()), [Verdict.REFUTED])

  def test_a_gap_that_falls_faster_refutes_the_rate(self):
    gap = self.data['gap'] / self.data['p']
    verdicts = _verdicts(self.data.assign(gap=gap))
    self.assertEqual(
      verdicts['it tends to max pooling as 1/p'], Verdict.REFUTED
    )

  def test_training_is_judged_both_ways(self):
    accuracy = self.data['test_accuracy'].copy()
    loss = self.data['loss'].copy()
    rising = np.arange(loss.sizes['step']) + 1.0
    for verdict, level, slope, exponent in (
      (Verdict.CONFIRMED, 0.7, rising[::-1], 3.0),
      (Verdict.REFUTED, 0.5, rising, 2.01),
    ):
      accuracy[:] = 0.6
      accuracy.loc[{'pooling': 'learned p'}] = level
      loss[:] = slope
      found = self.data.assign(
        test_accuracy=accuracy,
        loss=loss,
        exponent=0 * self.data['exponent'] + exponent,
      )
      self.assertEqual(list(_verdicts(found).values())[7:], 3 * [verdict])

  def test_draws_norms_training_and_exponents(self):
    norms, training, exponents = lp_pooling.draw(self.data).get_axes()
    self.assertLen(norms.get_lines(), 3)
    self.assertLen(training.get_lines(), 3)
    self.assertEqual(
      [tick.get_text() for tick in exponents.get_xticklabels()],
      ['first pooling', 'second pooling'],
    )


if __name__ == '__main__':
  absltest.main()
