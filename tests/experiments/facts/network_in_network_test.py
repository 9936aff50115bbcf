"""Tests for `experiments/facts/network_in_network.py`."""

from absl.testing import absltest
from absl.testing import parameterized
from experiments.facts import network_in_network
from jaxdl import atlas
from jaxdl.atlas import Verdict
import numpy as np


def _verdicts(data):
  return [
    atlas.judge(claim).verdict for claim in network_in_network.claims(data)
  ]


class NetworkInNetworkTest(parameterized.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.data = network_in_network.measure(
      6, width=2, num_steps=10, learning_rates=[0.1]
    )

  def test_identity_and_counts_are_confirmed(self):
    self.assertEqual(_verdicts(self.data)[:2], 2 * [Verdict.CONFIRMED])
    np.testing.assert_array_equal(
      self.data['parameters'],
      [
        192 * 10 + 10,
        8 * 8 * 192 * 10 + 10,
        8 * 8 * 192 * 64 + 64 + 64 * 10 + 10,
      ],
    )

  @parameterized.parameters(('error', 0, 1e-6), ('parameters', 1, 1e9))
  def test_an_error_refutes_its_claim(self, name, index, error):
    wrong = self.data.assign({name: self.data[name] + error})
    self.assertEqual(_verdicts(wrong)[index], Verdict.REFUTED)
    self.assertEqual(_verdicts(wrong)[1 - index], Verdict.CONFIRMED)

  @parameterized.parameters(
    ([0.9, 1.0, 1.0], [0.7, 0.6, 0.6], 2 * [Verdict.CONFIRMED]),
    ([1.0, 1.0, 1.0], [0.6, 0.7, 0.7], 2 * [Verdict.REFUTED]),
    (
      [0.7, 1.0, 1.0],
      [0.6, 0.6, 0.6],
      [Verdict.CONFIRMED, Verdict.REFUTED],
    ),
  )
  def test_training_is_judged_both_ways(self, train, test, verdicts):
    like = self.data['test_accuracy']
    spread = lambda values: 0 * like + np.array(values)[:, None]
    found = self.data.assign(
      train_accuracy=spread(train), test_accuracy=spread(test)
    )
    self.assertEqual(_verdicts(found)[2:], verdicts)

  def test_draws_three_panels_of_three_heads(self):
    axes = network_in_network.draw(self.data).get_axes()
    self.assertEqual([len(each.get_lines()) for each in axes], [3, 3, 3])


if __name__ == '__main__':
  absltest.main()
