"""Tests for `backpropagation.py`, by the definition: sums of local slopes."""

from absl.testing import absltest
from absl.testing import parameterized
import jax
from jaxdl import backpropagation
from jaxdl.double_precision import double_precision
import numpy as np

_NETWORKS = {
  'dense': (backpropagation.dense(3), (4,)),
  'conv': (backpropagation.conv(3, 3), (4, 5, 2)),
  'conv_of_one_pixel': (backpropagation.conv(2, 1), (3, 3, 2)),
  'conv_larger_than_the_image': (backpropagation.conv(2, 5), (2, 3, 2)),
  'batch_norm': (backpropagation.batch_norm(1e-2), (2, 2, 3)),
  'batch_norm_of_vectors': (backpropagation.batch_norm(), (3,)),
  'tanh': (backpropagation.tanh(), (3,)),
  'max_pool': (backpropagation.max_pool(), (4, 6, 2)),
  'average_pool': (backpropagation.average_pool(), (3, 2, 2)),
  'residual': (backpropagation.residual(backpropagation.dense(4)), (4,)),
}
_STEP = 1e-6


def _central_differences(fn, x):
  """The slope of a scalar function by each entry of an array."""
  slopes = np.zeros_like(x)
  for index in np.ndindex(x.shape):
    moved = [x.copy(), x.copy()]
    moved[0][index] += _STEP
    moved[1][index] -= _STEP
    slopes[index] = (fn(moved[0]) - fn(moved[1])) / (2 * _STEP)
  return slopes


class BackwardTest(parameterized.TestCase):
  @parameterized.named_parameters(
    (name, *network) for name, network in _NETWORKS.items()
  )
  def test_is_the_slope_by_central_differences(self, local, in_shape):
    rng = np.random.default_rng(0)
    with double_precision():
      _, params, state = local.layer.init(jax.random.key(0), in_shape)
      draw = lambda w: np.asarray(w) + 0.5 * rng.normal(size=w.shape)
      params = jax.tree.map(draw, params)
      x = rng.normal(size=(3, *in_shape))
      apply = jax.jit(
        lambda params, x: local.layer.apply(params, state, x, train=True)[0]
      )
      ct = rng.normal(size=apply(params, x).shape)
      grads, back = local.backward(x, params, ct)
      np.testing.assert_allclose(
        back,
        _central_differences(lambda x: np.sum(ct * apply(params, x)), x),
        atol=1e-7,
      )
      leaves, tree = jax.tree.flatten(params)
      for i, (leaf, grad) in enumerate(
        zip(leaves, jax.tree.leaves(grads), strict=True)
      ):
        of_leaf = lambda w, i=i: np.sum(
          ct * apply(tree.unflatten([*leaves[:i], w, *leaves[i + 1 :]]), x)
        )
        np.testing.assert_allclose(
          grad, _central_differences(of_leaf, leaf), atol=1e-7
        )

  def test_refuses_a_kernel_without_a_middle(self):
    with self.assertRaisesRegex(ValueError, 'kernel_size is 2; it must be odd'):
      backpropagation.conv(3, 2)


class RecursionTest(absltest.TestCase):
  def test_two_layers_multiply(self):
    """By hand, of z = w2 w1 x: dz/dw1 = w2 x, dz/dw2 = w1 x, dz/dx = w2 w1."""
    network = {
      'first': backpropagation.dense(1),
      'second': backpropagation.dense(1),
    }
    _, first, _ = network['first'].layer.init(jax.random.key(0), (1,))
    params = {
      'first': first._replace(w=np.array([[2.0]]), b=np.zeros(1)),
      'second': first._replace(w=np.array([[5.0]]), b=np.zeros(1)),
    }
    inputs = backpropagation.forward(network, params, np.array([[3.0]]))
    self.assertEqual(inputs['output'].item(), 30.0)
    grads, cotangents = backpropagation.backward(
      network, params, inputs, np.ones((1, 1))
    )
    self.assertEqual(grads['first'].w.item(), 15.0)
    self.assertEqual(grads['second'].w.item(), 6.0)
    self.assertEqual(cotangents['second'].item(), 5.0)
    self.assertEqual(cotangents['first'].item(), 10.0)

  def test_cross_entropy_is_softmax_less_the_label(self):
    found = backpropagation.cross_entropy_cotangent(
      np.log(np.array([[1.0, 3.0], [1.0, 1.0]])), np.array([1, 0])
    )
    np.testing.assert_allclose(found, [[0.125, -0.125], [-0.25, 0.25]])


if __name__ == '__main__':
  absltest.main()
