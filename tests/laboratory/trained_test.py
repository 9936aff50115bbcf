"""Tests for `laboratory/trained.py` and what reads its records."""

from absl.testing import absltest
import chex
from jaxdl.data import sources
from jaxdl.laboratory import backward
from jaxdl.laboratory import best_rate
from jaxdl.laboratory import networks
from jaxdl.laboratory import trained
import numpy as np


def _dataset():
  """Two classes that differ in their mean."""
  rng = np.random.default_rng(0)
  labels = np.arange(64, dtype=np.int32) % 2
  images = (
    rng.normal(size=(64, 2, 2, 1)) + (2 * labels - 1)[:, None, None, None]
  )
  images = images.astype(np.float32)
  return sources.Dataset(images, labels, images, labels, 2, 'two means')


_SIZES = {'depth': [2], 'width': [4], 'batch_size': [16]}


class TrainTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.record = trained.train(
      {
        'activation': ['tanh'],
        'learning_rate': [0.5, 1e-9],
        'seed': [0, 1, 2],
        **_SIZES,
      },
      _dataset(),
      30,
      layerwise=False,
    )

  def test_record_is_over_the_axes_that_vary(self):
    wide = best_rate.over_axes(self.record, ['learning_rate'])
    chex.assert_shape(wide['loss'].values, (2, 3, 30))
    self.assertEqual(wide['loss'].dims, ('learning_rate', 'seed', 'step'))
    self.assertEqual(wide['learning_rate'].values.tolist(), [0.5, 1e-9])

  def test_best_rate_is_that_which_learns(self):
    best = best_rate.at_best_rate(self.record, ())
    self.assertEqual(best['learning_rate'].item(), 0.5)
    chex.assert_shape(best['test_accuracy'].values, (3,))
    self.assertGreater(best['test_accuracy'].min().item(), 0.9)
    np.testing.assert_allclose(
      best['end_loss'],
      best_rate.over_axes(self.record, ['learning_rate'])['loss']
      .values[0, :, -10:]
      .mean(-1),
      rtol=1e-6,
    )

  def test_a_rate_that_diverged_is_not_the_best(self):
    bad = self.record['learning_rate'].values > 0.1
    loss = self.record['loss'].transpose('cell', 'step').values
    spoiled = np.where(bad[:, None], np.nan, loss)
    record = self.record.assign(loss=(('cell', 'step'), spoiled))
    best = best_rate.at_best_rate(record, ())
    self.assertAlmostEqual(best['learning_rate'].item(), 1e-9)

  def test_both_splits_are_evaluated_alike(self):
    """The splits of this dataset are one."""
    record = trained.train(
      {'activation': ['rrelu'], 'seed': [0, 1], **_SIZES},
      _dataset(),
      3,
      layerwise=False,
      evaluate=networks.on_both_splits,
    )
    for name in ('loss', 'accuracy'):
      np.testing.assert_allclose(
        record[f'train_{name}'], record[f'test_{name}'], rtol=1e-6
      )

  def test_refuses_to_lose_an_axis(self):
    with self.assertRaisesRegex(ValueError, 'varies in learning_rate'):
      best_rate.over_axes(self.record, ())

  def test_refuses_an_axis_that_no_network_has(self):
    with self.assertRaisesRegex(ValueError, 'no axis is called hight; there'):
      trained.train({'hight': [3]}, _dataset(), 1)


class LogCotangentsTest(absltest.TestCase):
  def test_linear_network_multiplies_by_its_weights(self):
    """Orthogonal layers of scale 1e-3 take 3 decades each, at any depth."""
    found = backward.log_cotangents(
      {
        'activation': 'identity',
        'init': 'orthogonal',
        'weight_std': 1e-3,
        'depth': 40,
        'width': 4,
        'batch_size': 8,
      },
      _dataset(),
      num_seeds=2,
    )
    chex.assert_shape(found, (2, 41))
    lost = found[:, -2] - found[:, 0]  # The readout is the last.
    np.testing.assert_allclose(lost, 117.0, rtol=1e-4)


if __name__ == '__main__':
  absltest.main()
