"""Tests for `experiments/facts/googlenet.py`."""

from absl.testing import absltest
from absl.testing import parameterized
from experiments.facts import googlenet
from jaxdl import atlas
from jaxdl.atlas import Verdict
import numpy as np


def _verdicts(data):
  return [atlas.judge(claim).verdict for claim in googlenet.claims(data)]


class GooglenetTest(parameterized.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.data = googlenet.measure(
      6, stem_width=2, num_steps=10, learning_rates=[0.1]
    )

  def test_identity_and_counts_are_confirmed(self):
    self.assertEqual(_verdicts(self.data)[:6], 6 * [Verdict.CONFIRMED])

  def test_the_first_block_by_hand(self):
    """Channels of table 1 in the paper: 192 to 64, 96-128, 16-32, 32."""
    weights = {
      'with reductions': 192 * (64 + 96 + 16 + 32)
      + 9 * 96 * 128
      + 25 * 16 * 32,
      'without': 192 * (64 + 9 * 128 + 25 * 32 + 32),
    }
    biases = {'with reductions': 64 + 96 + 128 + 16 + 32 + 32, 'without': 256}
    for form, count in weights.items():
      block = self.data.sel(block='3a', form=form)
      self.assertEqual(block['macs'], 28 * 28 * count)
      self.assertEqual(block['parameters'], count + biases[form])

  @parameterized.parameters(
    ('error', 1e-6, [0]),
    ('depth', 4, [1]),
    ('convolutions', 1, [1]),
    ('field', 1, [2]),
    ('network_parameters', 10**9, [4, 5]),
  )
  def test_an_error_refutes(self, name, error, wrong):
    verdicts = _verdicts(self.data.assign({name: self.data[name] + error}))
    for index, verdict in enumerate(verdicts[:6]):
      self.assertEqual(verdict is not Verdict.CONFIRMED, index in wrong, index)

  def test_blocks_that_cost_the_same_refute(self):
    same = {name: 0 * self.data[name] + 1 for name in ('parameters', 'macs')}
    self.assertEqual(_verdicts(self.data.assign(same))[3], Verdict.REFUTED)

  @parameterized.parameters((0.7, Verdict.CONFIRMED), (0.6, Verdict.REFUTED))
  def test_accuracy_is_judged_both_ways(self, level, verdict):
    values = np.array([level, 0.65])[:, None]
    found = self.data.assign(
      test_accuracy=0 * self.data['test_accuracy'] + values
    )
    self.assertEqual(_verdicts(found)[-1], verdict)

  def test_draws_both_forms_in_each_panel(self):
    parameters, macs, accuracy = googlenet.draw(self.data).get_axes()
    for axes in (parameters, macs, accuracy):
      self.assertLen(axes.get_lines(), 2)
    self.assertLen(parameters.get_xticks(), 9)


if __name__ == '__main__':
  absltest.main()
