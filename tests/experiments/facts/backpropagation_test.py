"""Tests for `experiments/facts/backpropagation.py`."""

from absl.testing import absltest
from absl.testing import parameterized
from experiments.facts import backpropagation
from jaxdl import atlas
from jaxdl.atlas import Verdict


class BackpropagationTest(parameterized.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.data = backpropagation.measure(2)

  def test_every_claim_is_confirmed(self):
    for claim in backpropagation.claims(self.data):
      self.assertEqual(
        atlas.judge(claim).verdict, Verdict.CONFIRMED, claim.statement
      )

  @parameterized.parameters(
    ('parameter_error', 0),
    ('cotangent_error', 1),
    ('difference_error', 2),
    ('decrease_ratio', 3),
    ('below_cut', 4),
    ('above_cut', 5),
  )
  def test_an_error_refutes_its_claim_alone(self, name, index):
    wrong = self.data.assign({name: self.data[name] * 0 + 1e-3})
    verdicts = [
      atlas.judge(claim).verdict for claim in backpropagation.claims(wrong)
    ]
    expected = 6 * [Verdict.CONFIRMED]
    expected[index] = Verdict.REFUTED
    self.assertEqual(verdicts, expected)

  def test_draws_each_layer(self):
    (axes,) = backpropagation.draw(self.data).get_axes()
    self.assertLen(axes.get_xticks(), 7)


if __name__ == '__main__':
  absltest.main()
