"""Tests for `product.py`."""

from absl.testing import absltest
from absl.testing import parameterized
import chex
import jax
import jax.numpy as jnp
from jaxdl import layers
from jaxdl.double_precision import double_precision
from jaxdl.layers import product
from jaxdl.tracing import nonfinite
import numpy as np


def _draw(*shapes, dtype=np.float32):
  rng = np.random.default_rng(0)
  return [jnp.asarray(rng.normal(size=shape), dtype) for shape in shapes]


def _loss(matmul):
  """A function of a product that all derivatives of it enter."""
  return lambda x, w: jnp.sum(jnp.tanh(matmul(x, w)) ** 2)


class MatmulTest(chex.TestCase):
  @chex.variants(with_jit=True, without_jit=True)
  @parameterized.parameters((3,), (5, 3), (5, 4, 3), (2, 4, 5, 3))
  def test_agrees_with_the_operator(self, *shape):
    with double_precision():
      x, w = _draw(shape, (3, 6), dtype=np.float64)
      np.testing.assert_allclose(
        self.variant(product.matmul)(x, w), x @ w, rtol=1e-10
      )
      gradients = jax.grad(_loss(product.matmul), (0, 1))
      chex.assert_trees_all_close(
        self.variant(gradients)(x, w),
        jax.grad(_loss(jnp.matmul), (0, 1))(x, w),
        rtol=1e-10,
      )

  def test_derivatives_of_all_orders_agree(self):
    """Forward, reverse, and each over the other, in float64."""
    with double_precision():
      x, w = _draw((5, 3), (3, 2), dtype=np.float64)
      for derivative in (
        lambda f: jax.jacfwd(f, (0, 1)),
        lambda f: jax.jacrev(f, (0, 1)),
        lambda f: jax.hessian(f, (0, 1)),
        lambda f: jax.jacrev(jax.jacfwd(f, (0, 1)), (0, 1)),
        lambda f: jax.jacrev(jax.jacrev(f, (0, 1)), (0, 1)),
      ):
        chex.assert_trees_all_close(
          derivative(_loss(product.matmul))(x, w),
          derivative(_loss(jnp.matmul))(x, w),
          rtol=1e-10,
          atol=1e-12,
        )

  @parameterized.parameters(('bfloat16', 'float32'), ('float32', 'bfloat16'))
  def test_each_factor_keeps_the_dtype_of_its_gradient(self, of_x, of_w):
    x, w = _draw((5, 3), (3, 6))
    x, w = x.astype(of_x), w.astype(of_w)
    self.assertEqual(product.matmul(x, w).dtype, jnp.float32)
    by_x, by_w = jax.grad(_loss(product.matmul), (0, 1))(x, w)
    self.assertEqual((by_x.dtype, by_w.dtype), (x.dtype, w.dtype))
    expected = jax.grad(_loss(jnp.matmul), (0, 1))(x, w)
    chex.assert_trees_all_close((by_x, by_w), expected, rtol=1e-2)

  def test_maps_over_networks(self):
    x, w = _draw((4, 5, 3), (4, 3, 6))
    actual = jax.jit(jax.vmap(jax.grad(_loss(product.matmul), 1)))(x, w)
    for i in range(4):
      expected = jax.grad(_loss(jnp.matmul), 1)(x[i], w[i])
      np.testing.assert_allclose(actual[i], expected, rtol=1e-4, atol=1e-6)

  @parameterized.parameters(
    ((0, 3), (3, 2)), ((5, 0), (0, 2)), ((5, 3), (3, 0))
  )
  def test_takes_what_is_empty(self, of_x, of_w):
    x, w = _draw(of_x, of_w)
    chex.assert_trees_all_equal(
      jax.grad(_loss(product.matmul), (0, 1))(x, w),
      jax.grad(_loss(jnp.matmul), (0, 1))(x, w),
    )

  @parameterized.parameters((3,), (2, 3, 6))
  def test_refuses_what_is_no_matrix(self, *shape):
    with self.assertRaisesRegex(ValueError, r'w is a matrix \[in, out\], got'):
      product.matmul(*_draw((5, 3), shape))

  @parameterized.parameters(True, False)
  def test_is_differentiated_where_rows_are_sharded(self, check_vma):
    x, w = _draw((4, 3), (3, 6))
    mesh = jax.sharding.Mesh(jax.devices()[:2], ('data',))
    rows = jax.sharding.PartitionSpec('data')

    def gradient(x, w):
      return jax.grad(_loss(product.matmul), 0)(x, w)

    sharded = jax.shard_map(
      gradient,
      mesh=mesh,
      in_specs=(rows, jax.sharding.PartitionSpec()),
      out_specs=rows,
      check_vma=check_vma,
    )
    # Compiled or not, a tanh differs in its last bits, and terms cancel.
    np.testing.assert_allclose(
      jax.jit(sharded)(x, w), gradient(x, w), rtol=1e-5, atol=1e-5
    )

  def test_scopes_of_its_derivative_are_those_of_the_layer(self):
    net = layers.serial(layers.dense(4), layers.dense(3))
    _, params, state = net.init(jax.random.key(0), (5,))

    def loss(params, x):
      return jnp.mean(jnp.square(net.apply(params, state, x)[0]))

    found = str(nonfinite.first_nonfinite(loss)(params, jnp.full((2, 5), 1e30)))
    self.assertRegex(found, r'backward pass at 1/dense .*: derivative of dot')

  def test_no_product_is_of_a_transposed_first_factor(self):
    """XLA's CPU library doesn't take one: this is what the module is for."""

    def is_left(matmul):
      def last_of_many(x, w):
        step = lambda x, w: (jnp.tanh(matmul(x, w)), None)
        return jnp.sum(jax.lax.scan(step, x, w)[0])

      shapes = [
        jax.ShapeDtypeStruct(shape, np.float32)
        for shape in ((16, 8), (3, 8, 8))
      ]
      gradient = jax.jit(jax.grad(last_of_many, (0, 1)))
      return 'lhs_contracting_dims={0}' in (
        gradient.lower(*shapes).compile().as_text()
      )

    self.assertTrue(is_left(jnp.matmul))
    self.assertFalse(is_left(product.matmul))


if __name__ == '__main__':
  absltest.main()
