"""Tests for `experiments/facts/sigmoid.py`."""

from absl.testing import absltest
from experiments.facts import sigmoid
from jaxdl import atlas
from jaxdl.atlas import Verdict
import numpy as np
import xarray as xr

_WHEN = list(sigmoid._WHEN)
_TUNED = list(sigmoid._TUNED)


def _data(*, largest, zero, error, far, shift, steps):
  """Data in which all seeds are alike; `steps` of each twin."""
  seeds = lambda *shape: np.ones((*shape, 6))
  return xr.Dataset(
    {
      'largest_derivative': ('seed', largest * seeds()),
      'derivative_at_zero': ('seed', zero * seeds()),
      'difference_error': ('seed', error * seeds()),
      'far_derivative': (('side', 'seed'), far * seeds(2)),
      'unit_shift': (('when', 'seed'), shift * seeds(2)),
      'steps': (
        ('tuned', 'twin', 'seed'),
        np.array(steps)[:, None] * seeds(2, 3),
      ),
    },
    {
      'side': ['left', 'right'],
      'twin': list(sigmoid.TWINS),
      'when': _WHEN,
      'tuned': _TUNED,
    },
  )


def _verdicts(data):
  return [atlas.judge(claim).verdict for claim in sigmoid.claims(data)]


class ClaimsTest(absltest.TestCase):
  def test_textbook_confirms_and_its_opposite_refutes(self):
    textbook = _data(
      largest=0.249,
      zero=0.25,
      error=1e-11,
      far=1e-5,
      shift=0.9,
      steps=[200, 100, 50],
    )
    self.assertEqual(_verdicts(textbook), 6 * [Verdict.CONFIRMED])
    opposite = _data(
      largest=0.3,
      zero=0.24,
      error=1e-3,
      far=0.1,
      shift=0.1,
      steps=[100, 100, np.inf],
    )
    self.assertEqual(_verdicts(opposite), 6 * [Verdict.REFUTED])

  def test_a_twin_that_is_no_faster_is_named(self):
    data = _data(
      largest=0.249,
      zero=0.25,
      error=1e-11,
      far=1e-5,
      shift=0.9,
      steps=[100, 90, 50],
    )
    found = atlas.judge(sigmoid.claims(data)[-1])
    self.assertIs(found.verdict, Verdict.DEPENDS)
    self.assertIn('not for sigmoid − ½', found.on)


class MeasureTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.data = sigmoid.measure(
      2, depth=2, width=8, num_steps=12, learning_rates=(0.1, 1.0)
    )

  def test_shapes(self):
    self.assertEqual(
      dict(self.data['loss'].sizes), {'twin': 3, 'seed': 2, 'step': 12}
    )
    self.assertEqual(
      dict(self.data['steps'].sizes), {'twin': 3, 'tuned': 2, 'seed': 2}
    )

  def test_mathematics_holds(self):
    few = self.data
    self.assertLess(few['difference_error'].max().item(), 1e-9)
    self.assertLessEqual(few['largest_derivative'].max().item(), 0.25)
    self.assertGreater(
      few['unit_shift'].sel(when='before training').min().item(), 0.5
    )

  def test_draws_every_twin(self):
    axes = sigmoid.draw(self.data).get_axes()
    self.assertLen(axes, 3)
    for each in axes:
      self.assertLen(each.get_lines(), 3)


if __name__ == '__main__':
  absltest.main()
