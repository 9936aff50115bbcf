"""Tests for `experiments/facts/receptive_field.py`."""

from absl.testing import absltest
from absl.testing import parameterized
from experiments.facts import receptive_field
from jaxdl import atlas
from jaxdl.atlas import Verdict
import numpy as np


def _verdicts(data):
  return [atlas.judge(claim).verdict for claim in receptive_field.claims(data)]


class ReceptiveFieldTest(parameterized.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.data = receptive_field.measure(1)

  def test_every_claim_is_confirmed(self):
    self.assertEqual(_verdicts(self.data), 6 * [Verdict.CONFIRMED])

  def test_fields_by_hand(self):
    size = (self.data['last'] - self.data['first'] + 1).isel(seed=0, axis=0)
    for kind in receptive_field.KINDS:
      stack, pooled = size.sel(kind=kind).transpose('chain', 'layer').values
      np.testing.assert_array_equal(stack[:4], [3, 5, 7, 9])
      np.testing.assert_array_equal(pooled, [5, 6, 6, 12, 14, 22])
    self.assertTrue(np.isnan(stack[4:]).all())

  @parameterized.parameters(
    ('last', [0, 2, 5]),
    ('jump', [2, 3, 4]),
    ('holes', [1]),
    ('predicted_first', [5]),
  )
  def test_a_wrong_pixel_refutes(self, name, refuted):
    """Beyond the first layer, so that growth and jump are wrong there."""
    wrong = self.data[name] + self.data['layer'] ** 2
    verdicts = _verdicts(self.data.assign({name: wrong}))
    for index, verdict in enumerate(verdicts):
      self.assertEqual(verdict is not Verdict.CONFIRMED, index in refuted)

  def test_draws_what_each_layer_sees_and_the_growth(self):
    *maps, _, growth = receptive_field.draw(self.data).get_axes()
    self.assertEqual(
      [axes.get_title() for axes in maps],
      [f'{n} × 3×3: {2 * n + 1} pixels' for n in (1, 2, 3, 4)],
    )
    self.assertLen(growth.get_lines(), 2 * len(receptive_field.CHAINS))


if __name__ == '__main__':
  absltest.main()
