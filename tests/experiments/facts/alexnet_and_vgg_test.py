"""Tests for `experiments/facts/alexnet_and_vgg.py`."""

from absl.testing import absltest
from experiments.facts import alexnet_and_vgg
from jaxdl import atlas
from jaxdl.atlas import Verdict


def _verdicts(data):
  return [atlas.judge(claim).verdict for claim in alexnet_and_vgg.claims(data)]


class AlexNetAndVggTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.data = alexnet_and_vgg.measure(6, batch_size=1)

  def test_all_but_the_time_is_confirmed(self):
    self.assertEqual(_verdicts(self.data)[:6], 6 * [Verdict.CONFIRMED])
    self.assertEqual(self.data.attrs['tower_devices'], '2 cpu devices')

  def test_other_numbers_refute(self):
    wrong = self.data.assign(
      parameters=self.data['parameters'] + 1,
      field=-self.data['field'] + 300,
      macs=0 * self.data['macs'] + 1,
      dense_share=0 * self.data['dense_share'],
      group_share=2 * self.data['group_share'],
      tower_error=self.data['tower_error'] + 100,
      together=2 * self.data['in_turn'],
    )
    self.assertEqual(_verdicts(wrong), 7 * [Verdict.REFUTED])

  def test_towers_that_take_half_the_time_run_in_parallel(self):
    half = self.data.assign(together=0.5 * self.data['in_turn'])
    self.assertEqual(_verdicts(half)[-1], Verdict.CONFIRMED)

  def test_draws_three_panels(self):
    self.assertLen(alexnet_and_vgg.draw(self.data).get_axes(), 3)


if __name__ == '__main__':
  absltest.main()
