"""Tests for `experiments/facts/exploding.py` and what it measures."""

from absl.testing import absltest
from experiments.facts import _clipped_networks as clipped_networks
from experiments.facts import exploding
from jaxdl import atlas
from jaxdl.atlas import Verdict
import numpy as np
import xarray as xr

_SEEDS = 6
_AXES = {
  'problem': list(clipped_networks.PROBLEMS),
  'clip': list(clipped_networks.CLIPS),
  'rate': [0.01, 0.03],
  'small_clip': ['no clip', 'norm 1'],
  'cell': list(clipped_networks.CELLS),
  'time': [1, 51],
  'deep_clip': ['no clip', 'norm 1', 'value 1'],
  'deep_rate': list(clipped_networks.DEEP_RATES),
  'scaled_clip': ['no clip', 'norm 1'],
  'scaled_rate': [0.01, 0.1],
}
_DIMS = {
  'share': ('problem', 'clip', 'rate'),
  'best_share': ('problem', 'clip'),
  'small_share': ('problem', 'small_clip'),
  'small_decades': ('problem', 'small_clip'),
  'pair_difference': ('problem',),
  'log_cotangent': ('cell', 'time'),
  'accuracy': ('deep_clip', 'deep_rate'),
  'best_accuracy': ('deep_clip',),
  'scaled_accuracy': ('scaled_clip', 'scaled_rate'),
  'best_scaled_accuracy': ('scaled_clip',),
}


def _over(axis, **values):
  """One value for each name on an axis; `other` for those not named."""
  other = values.pop('other', 0.0)
  found = [values.get(name.replace(' ', '_'), other) for name in _AXES[axis]]
  return xr.DataArray(found, {axis: _AXES[axis]})


def _data(**variables):
  """Data in which all seeds agree."""
  blank = xr.Dataset(coords={**_AXES, 'seed': range(_SEEDS)})
  spread = {
    name: value
    + xr.DataArray(
      np.zeros([len(blank[dim]) for dim in (*_DIMS[name], 'seed')]),
      dims=(*_DIMS[name], 'seed'),
      coords={dim: blank[dim] for dim in (*_DIMS[name], 'seed')},
    )
    for name, value in variables.items()
  }
  return blank.assign(spread)


def _decades(**lost):
  """Cotangents that lose so many powers of ten on their way back."""
  at_first = -_over_cells(**lost)
  return xr.concat([at_first, 0 * at_first], 'time').assign_coords(
    time=_AXES['time']
  )


def _over_cells(small=0.0, large=0.0, gated=0.0):
  values = {
    clipped_networks.SMALL_CELL: small,
    clipped_networks.LARGE_CELL: large,
    **dict.fromkeys(clipped_networks.GATED, gated),
  }
  cells = _AXES['cell']
  return xr.DataArray([values.get(c, 0.0) for c in cells], {'cell': cells})


def _textbook():
  return _data(
    share=_over('clip', no_clip=1.0, other=0.1),
    best_share=_over('clip', no_clip=1.0, other=0.1),
    small_share=1.0,
    small_decades=7.0,
    pair_difference=0.0,
    log_cotangent=_decades(small=17.0, large=-6.0, gated=0.5),
    accuracy=_over('deep_clip', no_clip=0.1, other=0.6),
    best_accuracy=_over('deep_clip', no_clip=0.1, other=0.6),
    scaled_accuracy=0.7,
    best_scaled_accuracy=0.7,
  )


def _opposite():
  return _data(
    share=_over('clip', no_clip=0.1, other=1.0),
    best_share=_over('clip', no_clip=0.1, other=1.0),
    small_share=0.1,
    small_decades=_over('small_clip', no_clip=7.0, norm_1=2.0),
    pair_difference=0.1,
    log_cotangent=_decades(small=1.0, large=-1.0, gated=7.0),
    accuracy=_over('deep_clip', no_clip=0.6, other=0.1),
    best_accuracy=0.7,
    scaled_accuracy=_over('scaled_clip', no_clip=0.7, norm_1=0.1),
    best_scaled_accuracy=0.7,
  )


def _verdicts(data):
  return [atlas.judge(claim).verdict for claim in exploding.claims(data)]


class ClaimsTest(absltest.TestCase):
  def test_textbook_confirms_and_its_opposite_refutes(self):
    self.assertEqual(_verdicts(_textbook()), 13 * [Verdict.CONFIRMED])
    self.assertEqual(_verdicts(_opposite()), 13 * [Verdict.REFUTED])

  def test_a_clip_that_only_allows_a_larger_rate_is_seen_as_that(self):
    """Unclipped, a rate that is small enough does as well."""
    rate = xr.DataArray([0.1, 1.0], {'rate': _AXES['rate']})
    data = _textbook().assign(
      share=_textbook()['share'] * rate,
      best_share=0 * _textbook()['best_share'] + 0.1,
    )
    unclipped, clipped, ahead = map(atlas.judge, exploding.claims(data)[:3])
    self.assertIn('holds for adding, rate 0.03', unclipped.on)
    self.assertIn('not for adding, rate 0.01', unclipped.on)
    self.assertEqual(clipped.verdict, Verdict.CONFIRMED)
    self.assertEqual(ahead.verdict, Verdict.REFUTED)


class MeasureTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.data = clipped_networks.measure(
      2,
      width=6,
      length=10,
      num_steps={'adding': 3, 'temporal order': 3},
      probed_length=21,
      depth=3,
      num_deep_steps=2,
    )

  def test_holds_what_the_claims_read(self):
    for name, dims in _DIMS.items():
      self.assertEqual({*self.data[name].dims}, {*dims, 'seed'}, name)
    for axis in _AXES.keys() - {'time'}:
      self.assertSequenceEqual(
        self.data[axis].values.tolist(), _AXES[axis], axis
      )
    self.assertLen(exploding.claims(self.data), 13)

  def test_a_rate_and_a_threshold_that_always_binds_are_one_number(self):
    np.testing.assert_array_equal(self.data['pair_bound'], 1)
    np.testing.assert_array_equal(self.data['pair_difference'], 0)

  def test_small_weights_lose_what_large_ones_gain(self):
    logs = self.data['log_cotangent'].median('seed')
    lost = logs.isel(time=-1) - logs.isel(time=0)
    self.assertGreater(lost.sel(cell='RNN, std 0.5').item(), 4)
    self.assertLess(lost.sel(cell='RNN, std 3').item(), 1)

  def test_draws_time_clips_and_rates(self):
    time, clips, rates = exploding.draw(self.data).get_axes()
    self.assertLen(time.get_lines(), len(clipped_networks.CELLS))
    self.assertEqual(
      [label.get_text() for label in clips.get_xticklabels()],
      list(clipped_networks.CLIPS),
    )
    self.assertEqual(rates.get_xscale(), 'log')


if __name__ == '__main__':
  absltest.main()
