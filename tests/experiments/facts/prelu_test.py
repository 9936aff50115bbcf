"""Tests for `experiments/facts/prelu.py`."""

from absl.testing import absltest
from experiments.facts import prelu
from jaxdl import atlas
from jaxdl.atlas import Verdict
import numpy as np
import xarray as xr


def _data(*, change, slopes, test, train=(1.0, 1.0)):
  """Data in which all seeds are alike.

  Args:
    change: of each slope.
    slopes: of each layer.
    test: accuracy of ReLU and of PReLU.
    train: as well.
  """
  seeds = lambda values: np.repeat(values, 6).reshape(2, 6)
  return xr.Dataset(
    {
      'change': (('seed', 'layer'), np.full((6, 4), change)),
      'slope': (('seed', 'layer'), np.tile(slopes, (6, 1))),
      'train_accuracy': (('activation', 'seed'), seeds(train)),
      'test_accuracy': (('activation', 'seed'), seeds(test)),
    },
    {'activation': ['relu', 'prelu'], 'layer': [1, 2, 3, 4]},
  )


def _verdicts(data):
  return [atlas.judge(claim).verdict for claim in prelu.claims(data)]


class ClaimsTest(absltest.TestCase):
  def test_textbook_confirms_and_its_opposite_refutes(self):
    textbook = _data(change=0.1, slopes=[0.5, 0.3, 0.1, 0.15], test=[0.8, 0.7])
    self.assertEqual(_verdicts(textbook), 4 * [Verdict.CONFIRMED])
    opposite = _data(change=0.01, slopes=[0.2, 0.3, 0.4, 0.5], test=[0.7, 0.8])
    self.assertEqual(_verdicts(opposite), 4 * [Verdict.REFUTED])

  def test_a_better_fit_that_tests_no_worse_is_named(self):
    data = _data(
      change=0.1,
      slopes=[0.5, 0.3, 0.1, 0.15],
      test=[0.8, 0.8],
      train=[0.9, 1.0],
    )
    self.assertEqual(_verdicts(data)[2:], [Verdict.CONFIRMED, Verdict.REFUTED])


class MeasureTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.data = prelu.measure(
      2,
      depth=3,
      width=8,
      num_steps=12,
      num_examples=100,
      learning_rates=(0.1,),
    )

  def test_shapes(self):
    self.assertEqual(
      dict(self.data.sizes), {'seed': 2, 'layer': 3, 'activation': 2}
    )

  def test_slopes_move_and_their_mean_no_further_than_they(self):
    moved = abs(self.data['slope'] - 0.25)
    self.assertGreater(self.data['change'].min().item(), 1e-4)
    self.assertTrue((moved <= self.data['change'] + 1e-6).all())

  def test_draws_slopes_and_accuracy(self):
    counts = [len(a.get_lines()) for a in prelu.draw(self.data).get_axes()]
    self.assertEqual(counts, [1, 2])


if __name__ == '__main__':
  absltest.main()
