"""Tests for `experiments/facts/resnet.py`."""

from absl.testing import absltest
from experiments.facts import resnet
from jaxdl import atlas
from jaxdl.atlas import Verdict
import numpy as np
import xarray as xr


def _data(error, decades, rises):
  """Data of plain, residual and highway networks, equal for all seeds."""
  logs = [np.linspace(d, 0, 26) for d in decades]
  loss = [[0.5, 0.5, 0.5 + rise] for rise in rises]
  spread = lambda values: np.stack(6 * [values], 1)
  return xr.Dataset(
    {
      'block_error': (('transform', 'seed'), np.full((2, 6), error)),
      'log_cotangent': (('kind', 'seed', 'block'), spread(logs)),
      'end_loss': (('kind', 'seed', 'depth'), spread(loss)),
    },
    {
      'kind': ['plain', 'residual', 'highway'],
      'transform': ['dense', 'convolutional'],
      'depth': [11, 25, 51],
    },
  )


def _verdicts(data):
  return [atlas.judge(claim).verdict for claim in resnet.claims(data)]


class ClaimsTest(absltest.TestCase):
  def test_textbook_confirms_and_its_opposite_refutes(self):
    textbook = _data(0.5, (4.0, 1.0, -1.0), (1.0, 0.0, -0.1))
    self.assertEqual(_verdicts(textbook), 5 * [Verdict.CONFIRMED])
    opposite = _data(100.0, (1.0, 4.0, -4.0), (0.0, 1.0, 1.0))
    self.assertEqual(_verdicts(opposite), 5 * [Verdict.REFUTED])

  def test_one_shortcut_that_degrades_is_named(self):
    data = _data(0.5, (4.0, 1.0, 1.0), (1.0, 0.0, 0.5))
    found = atlas.judge(resnet.claims(data)[-1])
    self.assertEqual(found.on, 'holds for residual; not for highway')


class MeasureTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.data = resnet.measure(
      2, blocks=(2,), width=8, num_steps=2, learning_rates=(0.1,)
    )

  def test_blocks_are_equal_to_rounding(self):
    self.assertLess(self.data['block_error'].max().item(), 8)

  def test_highway_carries_the_gradient_almost_as_it_is(self):
    """Gates start at sigmoid(-2) = 0.12, so 0.88 of x is carried."""
    logs = self.data['log_cotangent'].sel(kind='highway')
    lost = logs.isel(block=-1) - logs.isel(block=0)
    self.assertLess(np.abs(lost).max().item(), 0.3)

  def test_draws_three_panels(self):
    self.assertEqual(self.data['depth'].values.tolist(), [5])
    self.assertLen(resnet.draw(self.data).get_axes(), 3)


if __name__ == '__main__':
  absltest.main()
