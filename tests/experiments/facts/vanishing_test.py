"""Tests for `experiments/facts/vanishing.py`."""

from absl.testing import absltest
from experiments.facts import vanishing
from jaxdl import atlas
from jaxdl.atlas import Verdict
import numpy as np
import xarray as xr


def _data(lost, accuracy):
  """Data in which each cure has one value at all depths and seeds."""
  cures = list(vanishing.CURES)
  logs = [np.linspace(-lost[cure], 0, 50) for cure in cures]
  accuracies = np.array([accuracy[cure] for cure in cures])
  return xr.Dataset(
    {
      'log_cotangent': (('cure', 'seed', 'layer'), np.stack(6 * [logs], 1)),
      'test_accuracy': (
        ('cure', 'depth', 'seed'),
        np.broadcast_to(accuracies[:, None, None], (len(cures), 2, 6)),
      ),
    },
    {'cure': cures, 'depth': [20, 50], 'layer': range(1, 51)},
  )


def _verdicts(data):
  return [atlas.judge(claim).verdict for claim in vanishing.claims(data)]


class ClaimsTest(absltest.TestCase):
  def test_textbook_confirms_and_its_opposite_refutes(self):
    cured = dict.fromkeys(vanishing.CURES, 0.5)
    textbook = _data(
      {**cured, 'none': 9.0}, {**cured, 'none': 0.1, 'all three': 0.6}
    )
    self.assertEqual(_verdicts(textbook), 6 * [Verdict.CONFIRMED])
    opposite = _data(
      {**dict.fromkeys(cured, 9.0), 'none': 0.0}, dict.fromkeys(cured, 0.1)
    )
    self.assertEqual(
      _verdicts(opposite),
      [
        Verdict.REFUTED,
        Verdict.REFUTED,
        Verdict.CONFIRMED,
        *3 * [Verdict.REFUTED],
      ],
    )

  def test_a_cure_that_explodes_is_named(self):
    lost = {**dict.fromkeys(vanishing.CURES, 0.5), 'ReLU + residual': -11.0}
    found = vanishing.claims(_data(lost, dict.fromkeys(lost, 0.5)))[2]
    self.assertIn('not for ReLU + residual', atlas.judge(found).on)


class MeasureTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.data = vanishing.measure(
      2,
      cures=('none', 'ReLU', 'batch norm', 'residual'),
      depths=(3,),
      width=8,
      num_steps=2,
      learning_rates=(0.1, 0.3),
    )

  def test_sigmoid_loses_what_the_cures_keep(self):
    logs = self.data['log_cotangent'].median('seed')
    lost = logs.isel(layer=-1) - logs.isel(layer=0)
    self.assertGreater(lost.sel(cure='none').item(), 0.8)
    for cure in ('ReLU', 'batch norm', 'residual'):
      self.assertLess(lost.sel(cure=cure).item(), 0.5, cure)

  def test_draws_a_panel_for_each_quantity(self):
    self.assertEqual(
      dict(self.data.sizes), {'cure': 4, 'seed': 2, 'layer': 3, 'depth': 1}
    )
    self.assertTrue(np.isfinite(self.data['test_accuracy']).all())
    axes = vanishing.draw(self.data).get_axes()
    self.assertLen(axes, 2)
    for each in axes:
      self.assertLen(each.get_lines(), 4)


if __name__ == '__main__':
  absltest.main()
