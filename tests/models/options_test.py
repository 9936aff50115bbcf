"""Tests for `options.py`: what each argument of an architecture may be."""

import functools
import math

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies
import jax
import jax.numpy as jnp
from jaxdl import layers
from jaxdl import models
from jaxdl.layers import initializers
from jaxdl.models import options
import numpy as np

_SIZES = ('num_classes', 'depth', 'width', 'stem_width')
_WINDOWS = ('kernel_size', 'wide_kernel_size', 'stem_strides')
_SCALES = ('residual_scale', 'gate_bias')
_RATES = ('dropout_rate', 'auxiliary_dropout_rate')
_BOOLEANS = (
  'use_bias',
  'local_response',
  'auxiliary',
  'preactivation',
  'stride_in_1x1',
)

_read = functools.partial(options.read, 'net')


class TableTest(parameterized.TestCase):
  @parameterized.parameters(*models.names())
  def test_knows_every_option_and_takes_its_own_value(self, name):
    row = models.architecture(name)
    for option, value in row.options.items():
      self.assertIn(option, options.names())
      read = options.read(name, option, value, optional=value is None)
      self.assertEqual(read, value)


class ReadTest(parameterized.TestCase):
  @parameterized.parameters(*_SIZES, *_WINDOWS)
  def test_integers_become_those_of_python(self, name):
    for value in (3, np.int64(3), np.uint8(3), np.array(3), jnp.array(3)):
      read = _read(name, value)
      self.assertIs(type(read), int)
      self.assertEqual(read, 3)

  @parameterized.parameters(*_WINDOWS)
  def test_pairs_become_tuples(self, name):
    for value in ([3, np.int32(5)], (3, 5), np.array([3, 5])):
      self.assertEqual(_read(name, value), (3, 5))

  def test_shapes_become_tuples(self):
    for value in ([4, np.int64(5)], (4, 5), np.array([4, 5])):
      shape = _read('in_shape', value)
      self.assertEqual(shape, (4, 5))
      self.assertEqual({type(size) for size in shape}, {int})

  @parameterized.parameters(*_BOOLEANS)
  def test_booleans_become_those_of_python(self, name):
    self.assertIs(_read(name, np.bool_(True)), True)
    self.assertIs(_read(name, False), False)

  @parameterized.parameters(*_SCALES, *_RATES)
  def test_numbers_may_be_traced(self, name):
    def read(value):
      found = _read(name, value)
      self.assertIs(found, value)
      return found

    self.assertEqual(jax.jit(read)(0.5), 0.5)
    self.assertEqual(
      jax.vmap(read)(jnp.array([0.25, 0.5])).tolist(), [0.25, 0.5]
    )
    for value in (0.5, 0, np.float32(0.5), jnp.array(0.5, jnp.bfloat16)):
      self.assertIs(_read(name, value), value)

  def test_none_is_possible_where_it_is_optional(self):
    self.assertIsNone(_read('dropout_rate', None, optional=True))
    with self.assertRaisesRegex(ValueError, 'is None; possible: a number from'):
      _read('dropout_rate', None)
    with self.assertRaisesRegex(ValueError, 'possible: None for its own, inte'):
      _read('stem_padding', 'SAME', optional=True)

  @parameterized.parameters(*initializers.names())
  def test_initializers_by_name(self, name):
    drawn = _read('weight_init', name)(jax.random.key(0), (3, 4))
    expected = initializers.get(name)()(jax.random.key(0), (3, 4))
    np.testing.assert_array_equal(drawn, expected)

  def test_initializers_by_function(self):
    def anything(*args):
      return jnp.ones(args[1])

    for value in (
      initializers.normal(0.1),
      jax.nn.initializers.zeros,
      jax.nn.initializers.he_normal(),
      functools.partial(jax.random.normal),
      anything,
    ):
      self.assertIs(_read('weight_init', value), value)
      self.assertIs(_read('bias_init', value), value)

  def test_activations(self):
    for value in ('relu', jnp.tanh, layers.activation('relu')):
      self.assertIs(_read('activation', value), value)


class RefusalsTest(parameterized.TestCase):
  @parameterized.parameters(
    *((name, value) for name in _SIZES for value in ('3', 0, 2.0, True, [3])),
    *((name, value) for name in _WINDOWS for value in ('3', 0, True, (3, 0))),
    *((name, value) for name in _WINDOWS for value in ((3,), (3, 3, 3), 'ab')),
    ('kernel_size', [[3], [3, 3]]),
    ('kernel_size', {3, 5}),
    ('depth', jnp.array([1, 2])),
    ('stem_padding', -1),
    *(('in_shape', value) for value in (32, (), '33', (4, 4.0), {4}, None)),
    ('in_shape', np.array(3)),
    ('in_shape', ((4, 4), 3)),
    *((name, value) for name in _BOOLEANS for value in ('False', 0, None)),
    *((name, value) for name in _SCALES for value in ('1', None, 1j, True)),
    ('residual_scale', jnp.ones(3)),
    ('residual_scale', jnp.array(True)),
    ('gate_bias', jax.random.key(0)),
    *((name, value) for name in _RATES for value in ('0', 1.5, 1, -0.1, None)),
    ('dropout_rate', math.nan),
    ('dropout_rate', np.float32(1.5)),
    ('dropout_rate', jnp.array(1.5)),
    *(('weight_init', value) for value in ('hee', 'zeros', 1.0, ['he'])),
    ('weight_init', initializers.he),
    ('weight_init', initializers.orthogonal),
    ('weight_init', jax.nn.initializers.he_normal),
    *(('bias_init', value) for value in ('he', 0.0, initializers.zeros)),
    ('activation', None),
    ('activation', 5),
    ('activation', ('init', 'apply')),
  )
  def test_says_in_a_line_what_is_possible(self, name, value):
    with self.assertRaisesRegex(
      ValueError, f'^{name} of net is .*; possible: '
    ) as caught:
      _read(name, value)
    self.assertLen(str(caught.exception).splitlines(), 1)

  @parameterized.parameters(*_SIZES, *_WINDOWS, *_BOOLEANS)
  def test_what_shapes_a_program_is_not_traced(self, name):
    with self.assertRaisesRegex(ValueError, f'{name} of net is .*; possible'):
      jax.eval_shape(functools.partial(_read, name), jnp.array(3))

  @hypothesis.given(
    strategies.sampled_from(options.names()),
    strategies.recursive(
      strategies.none()
      | strategies.booleans()
      | strategies.integers()
      | strategies.floats()
      | strategies.text(max_size=5)
      | strategies.complex_numbers(),
      lambda inner: (
        strategies.lists(inner, max_size=4)
        | strategies.tuples(inner, inner)
        | strategies.dictionaries(
          strategies.text(max_size=2), inner, max_size=2
        )
      ),
      max_leaves=6,
    ),
  )
  def test_whatever_is_given_is_read_or_refused_in_a_line(self, name, value):
    try:
      _read(name, value)
    except ValueError as error:
      self.assertStartsWith(str(error), f'{name} of net is ')
      self.assertLen(str(error).splitlines(), 1)

  def test_long_values_are_cut_and_functions_named(self):
    with self.assertRaisesRegex(
      ValueError, r'is \[0, 1, .{50}\.\.\.; possible'
    ):
      _read('depth', list(range(1000)))
    with self.assertRaisesRegex(ValueError, 'is normal_fan_in; possible: '):
      _read('weight_init', initializers.normal_fan_in)


if __name__ == '__main__':
  absltest.main()
