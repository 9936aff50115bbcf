"""Tests for `receptive_fields.py`: against published and hand-made fields.

`published_receptive_fields.csv` is the table that google-research/
receptive_field publishes with Araujo, Norris & Sim, "Computing Receptive Fields
of Convolutional Neural Networks", Distill 2019, for networks of TF-Slim. Its
rows of resolution None hold at every resolution; where their padding is None,
it depends on the resolution.
"""

import csv
import functools
import pathlib

from absl.testing import absltest
from absl.testing import parameterized
import flax.linen as nn
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
from jaxdl import layers
from jaxdl.geometry import receptive_fields
from jaxdl.models import units

from tests.geometry import slim_networks

_FOLDER = pathlib.Path(__file__).parent
_SIZES = (224, 321)

_layers = st.lists(
  st.tuples(st.integers(1, 7), st.integers(1, 4), st.integers(1, 3)),
  max_size=8,
)


@functools.cache
def _published():
  """The rows by network and resolution: (end point, size, stride, padding)."""
  tables = {}
  with open(_FOLDER / 'published_receptive_fields.csv') as file:
    for row in csv.DictReader(file):
      key = (row['network'], row['resolution'])
      scope = row['end_point'].partition('/')[2]
      numbers = [
        None if row[name] == 'None' else int(row[name])
        for name in (
          'receptive_field',
          'effective_stride',
          'effective_padding',
        )
      ]
      tables.setdefault(key, []).append((scope, *numbers))
  return tables


@functools.cache
def _fields(name, size):
  net = slim_networks.build(name)
  return receptive_fields.receptive_field(net, (size, size, 3))


def _numbers(field):
  return field.size, field.stride, field.padding


class PublishedTest(parameterized.TestCase):
  def test_all_tables_are_there(self):
    self.assertLen(_published(), 9)
    self.assertEqual(sum(map(len, _published().values())), 78)

  @parameterized.parameters(*_published())
  def test_is_reproduced(self, name, resolution):
    sizes = _SIZES if resolution == 'None' else (int(resolution),)
    for scope, *expected in _published()[name, resolution]:
      paddings = set()
      for size in sizes:
        for field in _fields(name, size).row(scope).fields:
          found = _numbers(field)
          paddings.add(found[-1])
          kept = 2 if expected[-1] is None else 3
          self.assertEqual(found[:kept], tuple(expected[:kept]), (scope, size))
          self.assertTrue(field.aligned)
          self.assertEmpty(field.note)
      if expected[-1] is None:
        self.assertGreater(len(paddings), 1, scope)

  def test_first_feature_of_the_published_network_starts_in_the_padding(self):
    (field, _) = _fields('vgg_16', 224).row('pool5').fields
    self.assertEqual(field.pixels(0), (-90, 121))
    self.assertEqual(field.pixels(2), (-26, 185))


class AraujoTest(parameterized.TestCase):
  """The networks of receptive_field_computation_test.py of the same project."""

  def _short(self, pool=False):
    first = layers.max_pool(1, 4) if pool else layers.conv(1, 1, strides=4)
    return units.chain({'pointwise': first})

  def _long(self, padding):
    return layers.serial(
      layers.conv(1, 3, strides=2, padding=padding),
      layers.conv(1, 1, strides=2, padding='VALID'),
    )

  @parameterized.parameters(False, True)
  def test_aligned_branches(self, pool):
    net = layers.residual(self._long([(1, 0)] * 2), self._short(pool))
    output = receptive_fields.receptive_field(net, (8, 8, 1)).row('output')
    for field in output.fields:
      self.assertEqual(_numbers(field), (3, 4, 1))
      self.assertTrue(field.aligned)

  @parameterized.parameters((9, True), (8, False))
  def test_whether_branches_align_may_depend_on_the_size(self, size, aligned):
    net = layers.residual(self._long('SAME'), self._short())
    fields = receptive_fields.receptive_field(net, (size, size, 1))
    for field in fields.row('output').fields:
      self.assertEqual(field.aligned, aligned)
    self.assertEqual('not aligned' in str(fields), not aligned)

  def test_branches_of_unlike_padding_are_not_aligned(self):
    wide = layers.conv(1, 5, padding=[(2, 2)] * 2)
    shifted = layers.conv(1, 3, padding=[(2, 0)] * 2)
    net = layers.serial(layers.parallel(wide, shifted), layers.conv(1, 3))
    fields = receptive_fields.receptive_field(net, (12, 12, 1))
    self.assertFalse(fields.row('output').fields[0].aligned)
    self.assertTrue(fields.row('0/0').fields[0].aligned)

  def test_kernels_that_are_not_square(self):
    net = layers.serial(
      layers.conv(1, (3, 5), strides=2, padding='VALID'),
      layers.conv(1, (3, 1), strides=2, padding='VALID'),
    )
    height, width = (
      receptive_fields.receptive_field(net, (33, 33, 1)).row('output').fields
    )
    self.assertEqual(_numbers(height), (7, 4, 0))
    self.assertEqual(_numbers(width), (5, 4, 0))


class ChainTest(parameterized.TestCase):
  def test_3_5_7_9(self):
    net = units.chain({f'conv{i}': layers.conv(2, 3) for i in range(4)})
    fields = receptive_fields.receptive_field(net, (32, 32, 3)).at_depth(1)
    sizes = [row.fields[0].size for row in fields]
    self.assertEqual(sizes, [3, 5, 7, 9, 9])

  @given(_layers)
  def test_forward_and_backward_agree(self, chain):
    size, stride = receptive_fields.forward_field(chain)
    self.assertEqual(receptive_fields.backward_field(chain), size)
    product = 1
    for _, s, _ in chain:
      product *= s
    self.assertEqual(stride, product)

  @settings(max_examples=20, deadline=None)
  @given(_layers.filter(lambda chain: len(chain) <= 4))
  def test_formula_agrees_with_the_graph(self, chain):
    size, stride = receptive_fields.forward_field(chain)
    net = layers.serial(
      *(
        layers.conv(1, k, strides=s, dilation=d, padding='VALID')
        for k, s, d in chain
      )
    )
    shape = (size + stride, size + 2 * stride, 1)
    output = receptive_fields.receptive_field(net, shape).row('output')
    self.assertEqual(output.shape, (2, 3, 1))
    for field in output.fields:
      self.assertEqual(_numbers(field), (size, stride, 0))


class RowsTest(parameterized.TestCase):
  def _repeated(self, n=5):
    block = layers.serial(layers.conv(2, 3), layers.activation('relu'))
    return units.chain(
      {'stem': layers.conv(2, 3, strides=2), 'hidden': layers.repeat(block, n)}
    )

  def test_each_iteration_of_a_scan_has_its_field(self):
    fields = receptive_fields.receptive_field(self._repeated(), (32, 32, 3))
    for i in range(5):
      row = fields.row('hidden/layer/1', (i,))
      self.assertEqual(row.fields[0].size, 3 + 4 * (i + 1))
    self.assertEqual(fields.row('hidden').fields[0].size, 23)
    self.assertEqual(fields.row('hidden/layer/0/conv').iteration, (4,))

  def test_repeat_agrees_with_its_copies_in_a_row(self):
    block = layers.residual(layers.conv(2, 3, dilation=2))
    repeated = layers.repeat(block, 7)
    serial = layers.serial(*[block] * 7)
    one, other = (
      receptive_fields.receptive_field(net, (40, 40, 2)).row('output')
      for net in (repeated, serial)
    )
    self.assertEqual(one, other)

  def test_table_shows_the_ends_of_a_scan(self):
    net = self._repeated(100)
    text = str(receptive_fields.receptive_field(net, (32, 32, 3)))
    self.assertIn('hidden/layer/0[0]', text)
    self.assertIn('\n...\n', text)
    self.assertIn('hidden/layer/0[99]', text)
    self.assertNotIn('[50]', text)
    self.assertLess(len(text.splitlines()), 14)

  def test_shows_oblong_fields(self):
    net = layers.conv(1, (3, 5), padding='VALID')
    text = str(receptive_fields.receptive_field(net, (8, 9, 1)))
    self.assertRegex(text, r'conv +6 x 5 x 1 +3 x 5 +1 +0')

  def test_global_pooling_sees_all(self):
    net = layers.serial(layers.conv(2, 3), layers.global_avg_pool())
    field, _ = (
      receptive_fields.receptive_field(net, (8, 8, 1)).row('output').fields
    )
    self.assertEqual((field.size, field.stride, field.start), (8, 0, 0))

  def test_what_is_not_understood_is_named(self):
    def fn(x):
      with jax.named_scope('spectrum'):
        return jnp.fft.fft(x, axis=1).real

    fields = receptive_fields.receptive_field(fn, (8, 8, 1))
    self.assertEqual(fields.row('spectrum').fields[0].size, 8)
    self.assertIn('fft is not understood', str(fields))

  def test_values_independent_of_the_input_have_no_row(self):
    def fn(x):
      with jax.named_scope('mask'):
        mask = jnp.sin(jnp.arange(8.0))
      with jax.named_scope('masked'):
        return x * mask[:, None, None]

    fields = receptive_fields.receptive_field(fn, (8, 8, 1))
    self.assertEqual([row.scope for row in fields], ['masked', 'output'])

  def test_vectors_have_no_axis_of_space(self):
    net = units.chain({'a': layers.dense(3), 'b': layers.dense(2)})
    fields = receptive_fields.receptive_field(net, (4,))
    self.assertEqual([row.scope for row in fields], ['a', 'b', 'output'])
    self.assertEqual(fields.row('b').fields, ())
    self.assertIn('b', str(fields))


class OtherModelsTest(parameterized.TestCase):
  def test_flax(self):
    class Net(nn.Module):
      @nn.compact
      def __call__(self, x):
        x = nn.relu(nn.Conv(4, (3, 3), strides=2, name='first')(x))
        x = nn.BatchNorm(use_running_average=True)(x)
        x = nn.max_pool(x, (2, 2), (2, 2))
        return nn.Conv(4, (3, 3), name='second')(x)

    net = Net()
    x = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    variables = jax.eval_shape(net.init, jax.random.key(0), x)
    fields = receptive_fields.receptive_field(net.apply, (32, 32, 3), variables)
    first = fields.row('Net/first').fields[0]
    self.assertEqual((first.size, first.stride), (3, 2))
    second = fields.row('Net/second').fields[0]
    self.assertEqual((second.size, second.stride), (13, 4))

  def test_channels_first_without_a_batch(self):
    """As Equinox has it: one example, [channels, height, width]."""

    def fn(w, x):
      one = lambda x: jax.lax.conv(x[None], w, (2, 2), 'VALID')[0]
      return jax.vmap(one)(x)

    w = jax.ShapeDtypeStruct((4, 3, 5, 5), jnp.float32)
    fields = receptive_fields.receptive_field(fn, (3, 16, 18), w, axes=(1, 2))
    for field in fields.row('output').fields:
      self.assertEqual(_numbers(field), (5, 2, 0))


class MistakesTest(parameterized.TestCase):
  @parameterized.parameters((224,), ((0, 3),), ((2.0, 2, 3),), ('ab',))
  def test_shape(self, in_shape):
    with self.assertRaisesRegex(ValueError, 'shape of one input without'):
      receptive_fields.receptive_field(lambda x: x, in_shape)

  def test_axis(self):
    with self.assertRaisesRegex(ValueError, 'Axis 3 is none.* 0 to 2'):
      receptive_fields.receptive_field(lambda x: x, (8, 8, 3), axes=(0, 3))

  def test_layer_with_params(self):
    with self.assertRaisesRegex(ValueError, 'brings its own params'):
      receptive_fields.receptive_field(layers.conv(1, 3), (8, 8, 3), params=())

  def test_scope(self):
    fields = receptive_fields.receptive_field(layers.conv(1, 3), (8, 8, 3))
    with self.assertRaisesRegex(ValueError, "'stem'; choose one of: conv, out"):
      fields.row('stem')


if __name__ == '__main__':
  absltest.main()
