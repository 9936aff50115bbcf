"""Tests for `tracing/units.py`."""

from absl.testing import absltest
from absl.testing import parameterized
import equinox as eqx
import jax
from jax import lax
import jax.numpy as jnp
from jaxdl.tracing import evaluation
from jaxdl.tracing import probing
from jaxdl.tracing import statistics
from jaxdl.tracing import units
import numpy as np

_W = jnp.ones((5, 4))
_X = jnp.ones((2, 3, 4))


def _axes(fn, params, *args):
  """Of the values in the scope 'here', and their shapes."""

  def loss(params, *args):
    with jax.named_scope('here'):
      y = fn(params, *args)
    return jnp.sum(y)

  num_parameters = len(jax.tree.leaves(params))
  traced = probing.trace(loss, (params, *args), {}, num_parameters)
  (site,) = (s for s in traced.sites if 'here' in s.paths)
  return site.units, site.shape


def _mapped(w, x):
  return jax.vmap(jax.vmap(lambda x: w @ x))(x)


def _images(channels, w, x):
  numbers = lax.conv_dimension_numbers(x.shape, w.shape, channels)
  return lax.conv_general_dilated(
    x, w, (1, 1), 'SAME', dimension_numbers=numbers
  )


def _scanned(w, x):
  def step(h, x):
    h = jnp.tanh(w @ (x + h[:4, :].T).T)
    return h, h

  return lax.scan(step, jnp.zeros((5, 3)), x)[1]


class AxesTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('matrix_on_the_right', lambda w, x: x @ w.T, _X, -1),
    ('matrix_on_the_left', lambda w, x: jnp.matmul(w, x.mT), _X, 1),
    ('mapped', _mapped, _X, -1),
    ('not_yet_transposed', lambda w, x: jnp.einsum('oi,bti->obt', w, x), _X, 0),
    (
      'elementwise',
      lambda w, x: jax.nn.relu(jnp.einsum('oi,bti->obt', w, x) + 1) * 2,
      _X,
      0,
    ),
    (
      'transposed',
      lambda w, x: jnp.einsum('oi,bti->obt', w, x).transpose(1, 0, 2),
      _X,
      1,
    ),
    (
      'reshaped',
      lambda w, x: jnp.einsum('oi,bti->obt', w, x).reshape(1, 5, 6),
      _X,
      1,
    ),
    (
      'broadcast',
      lambda w, x: jnp.broadcast_to((w @ x[0, 0])[:, None], (7, 5, 3)),
      _X,
      1,
    ),
    (
      'summed_over_the_first',
      lambda w, x: jnp.einsum('oi,bti->bot', w, x).sum(0),
      _X,
      0,
    ),
    (
      'summed_over_the_units',
      lambda w, x: jnp.einsum('oi,bti->bot', w, x).sum(1),
      _X,
      -1,
    ),
    ('scanned', _scanned, _X, 1),
    (
      'in_a_branch',
      lambda w, x: lax.cond(
        x[0, 0, 0] > 0,
        lambda x: jnp.einsum('oi,bti->obt', w, x),
        lambda x: jnp.zeros((5, 2, 3)),
        x,
      ),
      _X,
      0,
    ),
    (
      'rematerialized',
      lambda w, x: jax.checkpoint(
        lambda w, x: jnp.einsum('oi,bti->obt', w, jnp.sin(x))
      )(w, x),
      _X,
      0,
    ),
    (
      'from_a_number',
      lambda w, x: lax.fori_loop(
        0, 2, lambda i, y: y + i, jnp.einsum('oi,bti->obt', w, x)
      ),
      _X,
      0,
    ),
    ('attention', lambda w, x: jnp.einsum('bti,bsi->bts', x, x), _X, -1),
  )
  def test_axis(self, fn, x, expected):
    axis, shape = _axes(fn, _W, x)
    self.assertEqual(axis % len(shape), expected % len(shape))

  @parameterized.named_parameters(
    ('last', ('NHWC', 'HWIO', 'NHWC'), (2, 6, 6, 3), (3, 3, 3, 7), 3),
    ('first', ('NCHW', 'OIHW', 'NCHW'), (2, 3, 6, 6), (7, 3, 3, 3), 1),
  )
  def test_channels(self, channels, x, w, expected):
    x, w = jnp.ones(x), jnp.ones(w)
    fn = lambda w, x: _images(channels, w, x)
    self.assertEqual(_axes(fn, w, x)[0], expected)
    if expected == 1:  # And through a pooling.
      pooled = lambda w, x: lax.reduce_window(
        fn(w, x), 0.0, lax.add, (1, 1, 2, 2), (1, 1, 2, 2), 'VALID'
      )
      self.assertEqual(_axes(pooled, w, x), (1, (2, 7, 3, 3)))

  def test_what_is_made_of_parameters_alone_has_none(self):
    graph, _ = evaluation.trace(
      lambda w, x: jnp.sum((w * 2) @ x), (_W, jnp.ones(4)), {}
    )
    product = next(
      o for o in graph.operations if o.primitive.name == 'dot_general'
    )
    self.assertEqual(units.axes(graph, [0])[product.outputs[0]], 0)
    self.assertNotIn(graph.operations[0].outputs[0], units.axes(graph, [0]))


class DeadTest(absltest.TestCase):
  def test_channels_first_are_the_units(self):
    """Of seven channels of an Equinox convolution, three are dead."""
    conv = eqx.nn.Conv2d(3, 7, 3, key=jax.random.key(0))
    bias = jnp.where(jnp.arange(7) < 3, -100.0, 100.0)[:, None, None]
    conv = eqx.tree_at(lambda conv: conv.bias, conv, bias)
    params, static = eqx.partition(conv, eqx.is_array)

    def loss(params, x):
      with jax.named_scope('relu'):
        y = jax.nn.relu(jax.vmap(eqx.combine(params, static))(x))
      return jnp.sum(y)

    x = jax.random.normal(jax.random.key(1), (4, 3, 8, 8))
    traced = probing.trace(loss, (params, x), {}, num_parameters=2)
    _, _, profile = probing.measure(traced, probing.everything, (params, x), {})
    forward = profile['relu'].forward
    self.assertIsInstance(forward, statistics.Forward)
    np.testing.assert_allclose(forward.dead, 3 / 7, rtol=1e-6)
    np.testing.assert_allclose(forward.zero, 3 / 7, rtol=1e-6)


if __name__ == '__main__':
  absltest.main()
