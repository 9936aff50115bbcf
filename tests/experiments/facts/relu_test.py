"""Tests for `experiments/facts/relu.py`."""

from absl.testing import absltest
from absl.testing import parameterized
from experiments.facts import relu
from jaxdl import atlas
from jaxdl.atlas import Verdict
import numpy as np
import xarray as xr

_RATES = [0.1, 0.3, 1.0]
_DIMS = ('learning_rate', 'seed', 'layer')


def _data(*, derivative, steps, dead, returned):
  """Data in which all seeds and layers are alike; the last rate diverges.

  Args:
    derivative: the error.
    steps: of ReLU, tanh, sigmoid.
    dead: share at each rate.
    returned: share at each rate; half of the units ever were dead.
  """
  over_rates = lambda values: (
    _DIMS,
    np.array(values)[:, None, None] * np.ones((3, 6, 2)),
  )
  return xr.Dataset(
    {
      'derivative_error': ('seed', np.full(6, derivative)),
      'steps': (
        ('activation', 'seed'),
        np.array(steps, float)[:, None] * np.ones((3, 6)),
      ),
      'dead': over_rates(dead),
      'returned': over_rates(returned),
      'ever_dead': over_rates([0.5, 0.5, 1.0]),
      'finite': (
        ('learning_rate', 'seed'),
        np.array([True, True, False])[:, None] * np.ones((3, 6), bool),
      ),
    },
    {
      'activation': ['relu', 'tanh', 'sigmoid'],
      'learning_rate': _RATES,
      'layer': [1, 2],
      'seed': np.arange(6),
    },
  )


def _survivors():
  """Data in which no step kills a unit, and none comes back."""
  return _data(
    derivative=0.0,
    steps=[50, 100, 100],
    dead=[0.0, 0.0, 1.0],
    returned=[0.0, 0.0, 0.0],
  )


def _verdicts(data):
  return [atlas.judge(claim).verdict for claim in relu.claims(data)]


class ClaimsTest(absltest.TestCase):
  def test_textbook_confirms_and_its_opposite_refutes(self):
    textbook = _data(
      derivative=0.0,
      steps=[50, 100, np.inf],
      dead=[0.0, 0.3, 1.0],
      returned=[0.0, 0.0, 0.9],
    )
    self.assertEqual(_verdicts(textbook), 4 * [Verdict.CONFIRMED])
    opposite = _data(
      derivative=0.1,
      steps=[100, 50, 100],
      dead=[0.1, 0.1, 1.0],
      returned=[0.2, 0.2, 0.0],
    )
    self.assertEqual(_verdicts(opposite), 4 * [Verdict.REFUTED])

  def test_where_no_unit_died_nothing_is_said_of_their_fate(self):
    data = _survivors()
    data['ever_dead'] = data['ever_dead'] * 0
    self.assertLen(_verdicts(data), 3)
    self.assertIs(_verdicts(data)[-1], Verdict.REFUTED)

  def test_a_seed_without_dead_units_does_not_bear_it_out(self):
    data = _survivors()
    one, layer = data['seed'] == 0, data['layer'] == 1
    data['ever_dead'] = data['ever_dead'].where(~(one & layer), 0.0)
    found = atlas.judge(relu.claims(data)[-1])
    self.assertIs(found.conditions['layer 1'].verdict, Verdict.DEPENDS)
    self.assertIs(found.conditions['layer 2'].verdict, Verdict.CONFIRMED)

  def test_what_diverged_is_dead_and_says_nothing_of_return(self):
    data = _survivors()
    data['finite'][:, 0] = False
    data['returned'][:, 0] = 0.5
    self.assertEqual(relu.largest_finite_rate(data), 0.3)
    self.assertEqual(relu.share_returned(data)['layer 1'][0], np.inf)
    data['finite'][0, 0] = True
    gained = relu.claims(data)[2].measured['']
    np.testing.assert_allclose(gained, [100, 0, 0, 0, 0, 0])


class LargestFiniteRateTest(parameterized.TestCase):
  @parameterized.parameters(
    ([6, 6, 6], 1.0), ([6, 4, 3], 0.3), ([2, 1, 0], 0.1)
  )
  def test_is_that_of_the_median_seed(self, num_finite, rate):
    finite = np.arange(6) < np.array(num_finite)[:, None]
    data = xr.Dataset(
      {'finite': (_DIMS[:2], finite)}, {'learning_rate': _RATES}
    )
    self.assertEqual(relu.largest_finite_rate(data), rate)


class MeasureTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.data = relu.measure(
      2,
      depth=2,
      width=8,
      num_steps=12,
      num_watched_steps=20,
      num_examples=100,
      learning_rates=(0.1, 0.5),
    )

  def test_shapes(self):
    self.assertEqual(
      dict(self.data['dead'].sizes),
      {'learning_rate': 2, 'seed': 2, 'layer': 2},
    )
    self.assertEqual(
      dict(self.data['error'].sizes), {'activation': 3, 'seed': 2, 'step': 3}
    )

  def test_dead_units_of_the_first_layer_stay_dead(self):
    stable = self.data['finite']
    self.assertTrue(stable.sel(learning_rate=0.1).all())
    first = self.data.sel(layer=1).where(stable, 0)
    self.assertEqual(first['returned'].max().item(), 0)
    np.testing.assert_allclose(first['dead'], first['ever_dead'])

  def test_draws_functions_and_layers(self):
    counts = [len(a.get_lines()) for a in relu.draw(self.data).get_axes()]
    self.assertEqual(counts, [3, 2, 2])


if __name__ == '__main__':
  absltest.main()
