"""Tests for `traced.py`."""

from absl.testing import absltest
from absl.testing import parameterized
import jax
import jax.numpy as jnp
from jaxdl import layers
from jaxdl.geometry import traced


class TraceTest(parameterized.TestCase):
  def test_a_layer_allocates_nothing(self):
    """Its weights would take four terabytes."""
    model = traced.trace(layers.dense(1_000_000), (1_000_000,))
    sizes = [parameter.size for parameter in model.parameters]
    self.assertEqual(sum(sizes), 10**12 + 10**6)
    self.assertEqual(model.out_shape, (1, 1_000_000))

  def test_the_state_of_a_layer_is_no_parameter(self):
    model = traced.trace(layers.batch_norm(), (8, 8, 3))
    self.assertEqual([p.size for p in model.parameters], [3, 3])
    self.assertLen(model.graph.inputs, 5)

  def test_leaves_that_are_no_arrays_are_handed_on(self):
    """A module of Equinox holds functions beside its arrays."""
    params = {'w': jnp.ones((3, 2)), 'activation': jnp.tanh, 'name': 'dense'}
    fn = lambda params, x: params['activation'](x @ params['w'])
    model = traced.trace(fn, (3,), params)
    self.assertEqual([p.size for p in model.parameters], [6])
    self.assertEqual(model.out_shape, (1, 2))

  def test_the_collection_of_parameters_alone_counts(self):
    variables = {'batch_stats': jnp.ones(7), 'params': {'w': jnp.ones(3)}}
    fn = lambda v, x: x * v['params']['w'] + jnp.sum(v['batch_stats'])
    model = traced.trace(fn, (3,), variables)
    self.assertEqual([p.size for p in model.parameters], [3])

  def test_a_function_of_x(self):
    model = traced.trace(jnp.tanh, (3,))
    self.assertEmpty(model.parameters)
    self.assertEqual(model.graph.inputs, (model.x,))

  def test_sites(self):
    model = traced.trace(layers.conv(3), (8, 8, 2))
    self.assertEqual([site.paths for site in model.sites], [('conv',)])

  def test_array_leaves(self):
    x = jnp.ones(3)
    struct = jax.ShapeDtypeStruct((2,), jnp.float32)
    found = traced.array_leaves({'a': x, 'b': 'name', 'c': [struct, 1.0]})
    self.assertLen(found, 2)


class MistakesTest(parameterized.TestCase):
  def test_nothing_returned(self):
    with self.assertRaisesRegex(ValueError, 'returns no array'):
      traced.trace(lambda x: None, (3,))

  @parameterized.parameters(3, 'abc', ((1.5,),))
  def test_shape(self, in_shape):
    with self.assertRaisesRegex(ValueError, 'such as .224, 224, 3.; got'):
      traced.require_shape(in_shape)

  def test_params_of_a_layer(self):
    traced.require_own_params(None)
    with self.assertRaisesRegex(ValueError, 'lambda params, x'):
      traced.require_own_params({'w': 1.0})


if __name__ == '__main__':
  absltest.main()
