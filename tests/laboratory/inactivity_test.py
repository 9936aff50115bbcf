"""Tests for `laboratory/inactivity.py`."""

from absl.testing import absltest
import jax
from jaxdl import layers
from jaxdl import models
from jaxdl import training
from jaxdl.data import sources
from jaxdl.laboratory import inactivity
from jaxdl.laboratory import trained
from jaxdl.layers import initializers
import numpy as np


def _dataset():
  rng = np.random.default_rng(0)
  images = rng.normal(size=(40, 2, 2, 1)).astype(np.float32)
  labels = np.arange(40, dtype=np.int32) % 2
  return sources.Dataset(images, labels, images, labels, 2, 'noise')


class InactiveUnitsTest(absltest.TestCase):
  def test_agrees_with_numpy_where_biases_shut_units(self):
    model = models.build(
      'mlp',
      in_shape=(3,),
      num_classes=2,
      depth=3,
      width=8,
      activation='relu',
      bias_init=initializers.normal(4.0),
    )
    _, params, state = model.init(jax.random.key(0), (3,))
    x = jax.random.normal(jax.random.key(1), (50, 3))
    found = inactivity.inactive_units(
      model, training.TrainState(params, state, ()), x
    )
    is_dense = lambda node: isinstance(node, layers.DenseParams)
    stem, hidden, _ = jax.tree.leaves(params, is_leaf=is_dense)
    weights = [stem.w, *hidden.w]
    biases = [stem.b, *hidden.b]
    expected, x = [], np.asarray(x)
    for w, b in zip(weights, biases, strict=True):
      x = np.maximum(x @ w + b, 0)
      expected.append(~(x > 0).any(0))
    np.testing.assert_array_equal(found, expected)
    self.assertBetween(np.mean(expected), 0.1, 0.9)


class WatchingTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.dataset = _dataset()
    cls.record = trained.train(
      {
        'activation': ['relu'],
        'learning_rate': [0.1, 4.0],
        'seed': [0, 1],
        'depth': [3],
        'width': [8],
        'batch_size': [40],
      },
      cls.dataset,
      30,
      watched=cls.dataset.train_images,
    )

  def test_inactive_on_the_batch_is_dead(self):
    """The batch is all there is, so that both speak of the same inputs."""
    dead = self.record['activation_dead'].isel(layer=slice(0, 3)).values
    inactive = self.record['inactive'].isel(layer=slice(0, 3)).values
    np.testing.assert_allclose(inactive, dead, atol=1e-6)
    self.assertGreater(inactive[..., -1, :].max(), 0.2)

  def test_those_of_the_first_layer_never_return(self):
    first = self.record.isel(layer=0)
    self.assertEqual(first['returned'].max().item(), 0)
    self.assertTrue((first['ever_inactive'].diff('step') >= 0).all())

  def test_shares_are_of_units_that_were_inactive(self):
    record = self.record.isel(layer=slice(0, 3))
    self.assertTrue((record['returned'] <= record['ever_inactive']).all())
    self.assertTrue((record['inactive'] <= record['ever_inactive']).all())


if __name__ == '__main__':
  absltest.main()
