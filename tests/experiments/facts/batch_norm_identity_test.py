"""Tests for `experiments/facts/batch_norm_identity.py`."""

from absl.testing import absltest
from experiments.facts import batch_norm_identity
from jaxdl import atlas
from jaxdl.atlas import Verdict
import numpy as np


def _verdicts(data):
  return [
    atlas.judge(claim).verdict for claim in batch_norm_identity.claims(data)
  ]


class BatchNormIdentityTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.data = batch_norm_identity.measure(
      6,
      activations=['tanh'],
      depth=2,
      width=4,
      num_steps=2,
      learning_rates=[0.1],
    )

  def test_identity_holds_and_plain_norm_is_none(self):
    self.assertEqual(_verdicts(self.data)[:2], 2 * [Verdict.CONFIRMED])
    self.assertEqual(_verdicts(self.data)[4], Verdict.CONFIRMED)

  def test_gradient_loses_the_two_directions_of_mean_and_variance(self):
    lost = self.data['gradient_lost'].mean('seed')
    np.testing.assert_allclose(lost, 1, rtol=0.15)

  def test_errors_refute(self):
    wrong = self.data.assign(
      restored_error=self.data['restored_error'] + 100,
      plain_error=0 * self.data['plain_error'],
      other_error=0 * self.data['other_error'],
      gradient_lost=0 * self.data['gradient_lost'],
      gradient_error=self.data['gradient_error'] + 100,
      test_accuracy=0 * self.data['test_accuracy'],
    )
    self.assertEqual(_verdicts(wrong), 6 * [Verdict.REFUTED])

  def test_accuracy_lost_confirms(self):
    accuracy = self.data['test_accuracy'].copy()
    accuracy[:] = [[[0.5] * 6, [0.4] * 6]]
    found = _verdicts(self.data.assign(test_accuracy=accuracy))
    self.assertEqual(found[-1], Verdict.CONFIRMED)

  def test_draws_two_panels(self):
    figure = batch_norm_identity.draw(self.data)
    self.assertLen(figure.get_axes(), 2)


if __name__ == '__main__':
  absltest.main()
