"""Tests for `summaries.py`, against counts made by hand and published ones."""

import csv
import io
import time

from absl.testing import absltest
from absl.testing import parameterized
import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxdl import layers
from jaxdl.geometry import summaries
from jaxdl.models import units

from tests.geometry import slim_networks

# Multiply-accumulates of the convolutions of TF-Slim's networks, in billions at
# 224 x 224; published as floating-point operations, two of which are one, by
# google-research/receptive_field. Those count biases and pooling too.
_PUBLISHED_GIGAFLOP = {
  'alexnet_v2': 1.380,
  'vgg_a': 14.984,
  'vgg_16': 30.713,
  'resnet_v1_50': 6.963,
}


def _net():
  block = layers.serial(
    layers.conv(4, 3), layers.batch_norm(), names=('conv', 'norm')
  )
  return units.chain(
    {
      'stem': layers.serial(
        layers.conv(4, 3, strides=2),
        layers.activation('relu'),
        names=('conv', 'activation'),
      ),
      'hidden': layers.repeat(block, 5),
      'readout': layers.serial(
        layers.global_avg_pool(), layers.dense(10), names=('pool', 'dense')
      ),
    }
  )


class SummaryTest(parameterized.TestCase):
  def test_rows_hold_what_can_be_counted_by_hand(self):
    summary = summaries.summary(_net(), (8, 6, 3))
    stem = summary.row('stem/conv')
    self.assertEqual(stem.shape, (4, 3, 4))
    self.assertEqual(stem.parameters, 3 * 3 * 3 * 4 + 4)
    self.assertEqual(stem.macs, 4 * 3 * 4 * 3 * 3 * 3)
    self.assertEqual(stem.activation_bytes, 4 * (4 * 3 * 4))
    hidden = summary.row('hidden/layer/conv')
    self.assertEqual(hidden.times, 5)
    self.assertEqual(hidden.parameters, 5 * (3 * 3 * 4 * 4 + 4))
    self.assertEqual(hidden.macs, 5 * 4 * 3 * 4 * 3 * 3 * 4)
    self.assertEqual(hidden.activation_bytes, 5 * 4 * (4 * 3 * 4))
    self.assertEqual(hidden.fields[0].size, 3 + 5 * 2 * 2)
    norm = summary.row('hidden/layer/norm')
    self.assertEqual(norm.parameters, 5 * 2 * 4)
    self.assertEqual(norm.macs, 0)
    dense = summary.row('readout/dense')
    self.assertEqual(dense.parameters, 4 * 10 + 10)
    self.assertEqual(dense.macs, 4 * 10)

  @parameterized.parameters(1, 2, 3, 10)
  def test_totals_do_not_depend_on_the_depth(self, depth):
    whole = summaries.summary(_net(), (8, 6, 3))
    joined = summaries.summary(_net(), (8, 6, 3), depth=depth)
    for name in ('parameters', 'macs', 'activation_bytes', 'out_shape'):
      self.assertEqual(getattr(joined, name), getattr(whole, name))

  def test_joins_scopes_to_units(self):
    summary = summaries.summary(_net(), (8, 6, 3), depth=1)
    names = [row.scope for row in summary.rows]
    self.assertEqual(names, ['stem', 'hidden', 'readout'])
    self.assertEqual(summary.row('readout').shape, (10,))
    self.assertEqual(summary.row('hidden').shape, (4, 3, 4))

  def test_counts_as_many_parameters_as_init_makes(self):
    net = _net()
    params = jax.eval_shape(lambda: net.init(jax.random.key(0), (8, 6, 3))[1])
    expected = sum(leaf.size for leaf in jax.tree.leaves(params))
    self.assertEqual(summaries.summary(net, (8, 6, 3)).parameters, expected)

  @parameterized.parameters(*_PUBLISHED_GIGAFLOP.items())
  def test_published_operations(self, name, expected):
    net = slim_networks.build(name)
    summary = summaries.summary(net, (224, 224, 3), depth=1)
    found = 2 * summary.macs / 1e9
    self.assertLess(found, expected)
    self.assertGreater(found, 0.98 * expected)

  def test_vgg_11_by_hand(self):
    net = units.chain(
      {
        'features': slim_networks.build('vgg_a'),
        'flatten': layers.flatten(),
        'dense6': layers.dense(4096),
        'dense7': layers.dense(4096),
        'readout': layers.dense(1000),
      }
    )
    started = time.perf_counter()
    summary = summaries.summary(net, (224, 224, 3))
    self.assertLess(time.perf_counter() - started, 10)
    # The documented numbers of torchvision's vgg11.
    self.assertEqual(summary.parameters, 132_863_336)
    self.assertEqual(summary.macs, 7_609_090_048)
    self.assertEqual(summary.out_shape, (1000,))

  def test_prints_totals_under_the_rows(self):
    lines = str(summaries.summary(_net(), (8, 6, 3), depth=1)).splitlines()
    self.assertLen(lines, 5)
    self.assertRegex(lines[0], 'scope +times +output +parameters +MACs')
    self.assertRegex(lines[2], 'hidden +5 +4 x 3 x 4 +780')
    self.assertRegex(lines[-1], r'total +10 +942')

  def test_comma_separated_values(self):
    summary = summaries.summary(_net(), (8, 6, 3))
    rows = list(csv.DictReader(io.StringIO(summary.to_csv())))
    self.assertLen(rows, len(summary.rows))
    self.assertEqual(int(rows[0]['parameters']), 112)
    self.assertEqual(sum(int(row['macs']) for row in rows), summary.macs)


class OtherModelsTest(parameterized.TestCase):
  def test_flax_counts_its_parameters_and_not_its_statistics(self):
    class Net(nn.Module):
      @nn.compact
      def __call__(self, x):
        x = nn.Conv(4, (3, 3), use_bias=False)(x)
        x = nn.BatchNorm(use_running_average=True)(x)
        return nn.Dense(10)(nn.relu(x).mean((1, 2)))

    net = Net()
    x = jax.ShapeDtypeStruct((1, 8, 8, 3), jnp.float32)
    variables = jax.eval_shape(net.init, jax.random.key(0), x)
    summary = summaries.summary(net.apply, (8, 8, 3), variables)
    self.assertEqual(summary.parameters, 108 + 8 + 50)
    self.assertEqual(summary.row('Net/Conv_0').parameters, 108)
    self.assertEqual(summary.row('Net/BatchNorm_0').parameters, 8)
    self.assertEqual(summary.row('Net/Dense_0').macs, 40)

  def test_params_that_are_never_read_are_told_of(self):
    params = {'w': jnp.ones((3, 5)), 'lost': jnp.ones(7)}
    summary = summaries.summary(lambda p, x: x @ p['w'], (3,), params)
    self.assertEqual(summary.parameters, 22)
    self.assertEqual(summary.unread_parameters, 7)
    self.assertRegex(str(summary), r'\(never read\) +7')
    self.assertRegex(str(summary), r'\(no scope\) +1 +- +15 +15')


class MistakesTest(parameterized.TestCase):
  def test_depth(self):
    with self.assertRaisesRegex(ValueError, 'depth must be at least 1, got 0'):
      summaries.summary(layers.dense(2), (3,), depth=0)

  def test_scope(self):
    with self.assertRaisesRegex(ValueError, "'stem'; choose one of: dense"):
      summaries.summary(layers.dense(2), (3,)).row('stem')

  def test_layer_that_cannot_take_the_input(self):
    with self.assertRaisesRegex(ValueError, 'stem/conv.*images'):
      summaries.summary(_net(), (8,))


if __name__ == '__main__':
  absltest.main()
