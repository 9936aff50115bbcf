"""Tests for `experiments/facts/vanishing.py`."""

from absl.testing import absltest
from experiments.facts import vanishing
from jaxdl import atlas
from jaxdl.atlas import Verdict
import numpy as np
import xarray as xr

_DIMS = ('cure', 'depth', 'seed')


def _data(lost, accuracy):
  """Data in which each cure has one value at all depths and seeds."""
  cures = list(vanishing.CURES)
  spread = lambda values: np.broadcast_to(
    np.array([values[cure] for cure in cures])[:, None, None],
    (len(cures), 3, 6),
  )
  return xr.Dataset(
    {
      'decades_lost': (_DIMS, spread(lost)),
      'test_accuracy': (_DIMS, spread(accuracy)),
    },
    {'cure': cures, 'depth': [5, 20, 50], 'seed': range(6)},
  )


def _verdicts(data):
  return [atlas.judge(claim).verdict for claim in vanishing.claims(data)]


class ClaimsTest(absltest.TestCase):
  def test_textbook_confirms_and_its_opposite_refutes(self):
    cured = dict.fromkeys(vanishing.CURES, 0.5)
    textbook = _data(
      {**cured, 'none': 9.0}, {**cured, 'none': 0.1, 'all three': 0.6}
    )
    self.assertEqual(_verdicts(textbook), 5 * [Verdict.CONFIRMED])
    opposite = _data(
      {**dict.fromkeys(cured, 9.0), 'none': 0.0}, dict.fromkeys(cured, 0.1)
    )
    self.assertEqual(
      _verdicts(opposite), 4 * [Verdict.REFUTED] + [Verdict.CONFIRMED]
    )

  def test_a_cure_that_explodes_is_named(self):
    lost = {**dict.fromkeys(vanishing.CURES, 0.5), 'ReLU + residual': -11.0}
    found = vanishing.claims(_data(lost, dict.fromkeys(lost, 0.5)))[-1]
    self.assertIn('not for ReLU + residual', atlas.judge(found).on)


class MeasureTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.data = vanishing.measure(
      2, depths=(3,), width=8, num_steps=2, learning_rates=(0.1, 0.3)
    )

  def test_shapes(self):
    self.assertEqual(dict(self.data.sizes), {'cure': 8, 'depth': 1, 'seed': 2})

  def test_sigmoid_loses_what_the_cures_keep(self):
    lost = self.data['decades_lost'].median('seed').isel(depth=0)
    self.assertGreater(lost.sel(cure='none').item(), 0.8)
    for cure in ('ReLU', 'batch norm', 'residual', 'all three'):
      self.assertLess(lost.sel(cure=cure).item(), 0.5, cure)

  def test_draws_a_panel_for_each_quantity(self):
    axes = vanishing.draw(self.data).get_axes()
    self.assertLen(axes, 2)
    for each in axes:
      self.assertLen(each.get_lines(), len(vanishing.CURES))


if __name__ == '__main__':
  absltest.main()
