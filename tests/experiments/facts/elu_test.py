"""Tests for `experiments/facts/elu.py`."""

from absl.testing import absltest
from experiments.facts import elu
from jaxdl import atlas
from jaxdl.atlas import Verdict
import numpy as np
import xarray as xr


def _data(*, shift, pooled, seconds):
  """Data in which all seeds are alike; of ReLU and of ELU."""
  shifts = lambda values: (
    ('activation', 'when', 'layer', 'seed'),
    np.array(values)[:, None, None, None] * np.ones((2, 2, 3, 6)),
  )
  return xr.Dataset(
    {
      'unit_shift': shifts(shift),
      'pooled_shift': shifts(pooled),
      'seconds': (
        ('activation', 'timed', 'seed'),
        np.array(seconds)[:, None, None] * np.ones((2, 2, 6)),
      ),
    },
    {
      'activation': ['relu', 'elu'],
      'when': list(elu._WHEN),
      'timed': ['the function alone', 'a step of training'],
    },
  )


def _verdicts(data):
  return [atlas.judge(claim).verdict for claim in elu.claims(data)]


class ClaimsTest(absltest.TestCase):
  def test_textbook_confirms_and_its_opposite_refutes(self):
    textbook = _data(shift=[0.6, 0.2], pooled=[0.5, 0.1], seconds=[1e-3, 2e-3])
    self.assertEqual(_verdicts(textbook), 3 * [Verdict.CONFIRMED])
    opposite = _data(shift=[0.5, 0.5], pooled=[0.4, 0.4], seconds=[1e-3, 1e-3])
    self.assertEqual(_verdicts(opposite), 3 * [Verdict.REFUTED])

  def test_units_that_cancel_are_nearer_together_alone(self):
    data = _data(shift=[0.6, 0.5], pooled=[0.5, 0.1], seconds=[1e-3, 2e-3])
    self.assertEqual(_verdicts(data)[:2], [Verdict.REFUTED, Verdict.CONFIRMED])


class MeasureTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.data = elu.measure(
      2,
      depth=2,
      width=16,
      num_steps=12,
      learning_rates=(0.1,),
      num_values=100,
      timed=(2, 8, 8),
      num_repeats=3,
    )

  def test_shapes(self):
    self.assertEqual(
      dict(self.data['unit_shift'].sizes),
      {'activation': 2, 'seed': 2, 'when': 2, 'layer': 2},
    )
    self.assertEqual(
      dict(self.data['seconds'].sizes),
      {'timed': 2, 'seed': 2, 'activation': 2},
    )
    self.assertGreater(self.data['seconds'].min().item(), 0)

  def test_negative_outputs_bring_the_mean_down_at_once(self):
    before = self.data['unit_shift'].sel(when='before training').mean('layer')
    self.assertLess(
      before.sel(activation='elu').max().item(),
      before.sel(activation='relu').min().item(),
    )

  def test_draws_both_functions(self):
    axes = elu.draw(self.data).get_axes()
    self.assertLen(axes, 3)
    for each in axes:
      self.assertLen(each.get_lines(), 2)


if __name__ == '__main__':
  absltest.main()
