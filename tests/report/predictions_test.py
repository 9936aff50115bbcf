"""Tests for `predictions.py`."""

import math

from absl.testing import absltest
from absl.testing import parameterized
from jaxdl import diagnosis
from jaxdl import theory
from jaxdl.laboratory import axes
from jaxdl.report import predictions
from jaxdl.report import tables
import numpy as np

from tests import synthetic_record

_NETWORK = {
  'model': 'mlp',
  'activation': 'tanh',
  'norm': 'none',
  'shortcut': 'none',
  'init': 'lecun',
  'bias_std': 0.1,
  'depth': 6,
  'batch_size': 32,
}


def _of(*cells, first_std=0.6):
  """A record of some networks, its summary, and what is predicted of it."""
  record = synthetic_record.make(
    [{**_NETWORK, **cell} for cell in cells], ['healthy'] * len(cells)
  )
  record['activation_std'].values[:, 0, 0] = first_std
  judged = diagnosis.diagnose(record)
  frame = tables.summary(judged)
  return record, judged, frame, predictions.predictions(record, frame)


class PredictionsTest(parameterized.TestCase):
  @parameterized.parameters(
    ({}, {'weight_std': 1.0}),
    ({'init': 'he', 'activation': 'relu'}, {'weight_std': math.sqrt(2)}),
    ({'init': 'normal', 'weight_std': 1.4}, {'weight_std': 1.4}),
    ({'norm': 'batch', 'shortcut': 'identity:0.5'}, {'weight_std': 1.0}),
    ({'shortcut': 'identity:1:0.5'}, {'weight_std': 1.0}),
  )
  def test_is_the_theory_of_the_network(self, cell, scale):
    record, _, _, [prediction] = _of(cell)
    chosen = {**_NETWORK, **cell}
    names = ('depth', 'activation', 'norm', 'shortcut', 'bias_std')
    expected, _ = theory.predict(
      **{name: chosen[name] for name in names},
      **scale,
      batch_size=32,
      first_variance=theory.variance_of(chosen['activation'], 0.6),
    )
    self.assertEqual(prediction.reason, '')
    measured = record['cotangent_rms'].values[0, 0, :6]
    cotangent = prediction.profiles['cotangent_rms']
    np.testing.assert_allclose(cotangent[-1], measured[-1], rtol=1e-6)
    np.testing.assert_allclose(
      cotangent / cotangent[-1], expected.cotangent_rms, rtol=1e-6
    )
    np.testing.assert_allclose(
      prediction.profiles['activation_std'], expected.activation_std, rtol=1e-6
    )

  def test_has_no_value_past_the_last_hidden_layer(self):
    *_, predicted = _of({'depth': 4}, {'depth': 7})
    lengths = [
      np.isfinite(each.profiles['cotangent_rms']).tolist() for each in predicted
    ]
    self.assertCountEqual(lengths, [[True] * 4 + [False] * 3, [True] * 7])

  @parameterized.parameters(
    ({'model': 'cnn'}, 'model=cnn'),
    ({'shortcut': 'highway'}, 'shortcut=highway'),
    ({'norm': 'layer'}, 'norm=layer'),
    ({'activation': 'rrelu'}, 'rrelu'),
  )
  def test_says_why_there_is_none(self, cell, reason):
    *_, [prediction] = _of(cell)
    self.assertEqual(prediction.profiles, {})
    self.assertTrue(np.isnan(prediction.rate))
    self.assertIn(reason, prediction.reason)

  @parameterized.parameters(*axes.SHORTCUTS)
  def test_takes_every_shortcut_of_a_study(self, name):
    numbers = [f':{value}' for value in axes.SHORTCUTS[name].values()]
    *_, [prediction] = _of({'shortcut': ''.join([name, *numbers])})
    is_predicted = name in ('none', 'identity')
    self.assertEqual(bool(prediction.profiles), is_predicted)

  @parameterized.parameters(
    (0.0, 'no spread'), (np.nan, 'no spread'), (1.2, 'no Gaussian')
  )
  def test_starts_from_the_first_layer(self, first_std, reason):
    *_, [prediction] = _of({}, first_std=first_std)
    self.assertIn(reason, prediction.reason)

  def test_of_a_record_without_the_axes_there_is_none(self):
    record = synthetic_record.make([{'norm': 'none'}], ['healthy'])
    frame = tables.summary(diagnosis.diagnose(record))
    [prediction] = predictions.predictions(record, frame)
    self.assertIn('model, activation, shortcut', prediction.reason)

  def test_leaves_out_layers_whose_cotangent_underflows(self):
    record, _, frame, [whole] = _of({'activation': 'sigmoid'}, first_std=0.2)
    record['cotangent_max_abs'].values[:, :, :2] = 1e-44
    [part] = predictions.predictions(record, frame)
    profile = np.log10(whole.profiles['cotangent_rms'])
    self.assertAlmostEqual(part.rate, -np.polyfit(range(4), profile[2:], 1)[0])
    self.assertNotAlmostEqual(part.rate, whole.rate, delta=1e-6)
    record['cotangent_max_abs'].values[:] = 1e-44
    [none] = predictions.predictions(record, frame)
    self.assertTrue(np.isnan(none.rate))


class ComparisonTest(absltest.TestCase):
  def test_says_how_far_apart_they_are(self):
    record, _, frame, predicted = _of(
      {'norm': 'none'}, {'norm': 'batch'}, {'norm': 'layer'}
    )
    layer = np.arange(1, 7)
    for row, prediction in zip(frame.itertuples(), predicted, strict=True):
      if prediction.profiles:  # Off by 0.02 and 0.01 decades a layer.
        off = 10.0 ** ((0.02 if row.norm == 'batch' else 0.01) * (6 - layer))
        measured = prediction.profiles['cotangent_rms'] * off
        record['cotangent_rms'].values[row.cells, 0, :6] = measured
    judged = diagnosis.diagnose(record)
    frame = tables.summary(judged)
    predicted = predictions.predictions(record, frame)
    passage = predictions.comparison(judged, frame, predicted)
    self.assertIn('in 2 of 3 configurations', passage.text)
    self.assertIn('median difference is 0.015', passage.text)
    self.assertIn('largest 0.020 (norm=batch)', passage.text)
    self.assertEqual(
      passage.items, ['Not in 1: There is no prediction of norm=layer.']
    )

  def test_of_one(self):
    _, judged, frame, predicted = _of({})
    passage = predictions.comparison(judged, frame, predicted)
    self.assertRegex(
      passage.text, r'The difference, in decades a layer, is 0\.\d{3}: '
    )

  def test_is_silent_where_nothing_is_predicted(self):
    _, judged, frame, predicted = _of({'model': 'cnn'})
    passage = predictions.comparison(judged, frame, predicted)
    self.assertEqual((passage.text, list(passage.items)), ('', []))


if __name__ == '__main__':
  absltest.main()
