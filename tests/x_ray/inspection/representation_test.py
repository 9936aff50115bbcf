"""Tests for `inspection/representation.py`."""

from absl.testing import absltest
from absl.testing import parameterized
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
from jaxdl.tracing import sites
from jaxdl.x_ray.inspection import representation
import numpy as np


def _measured(x, activation=''):
  x = jnp.asarray(x)
  site = sites.Site(0, ('a',), x.shape, x.dtype, (), True, activation, '')
  measure = representation.measure(site)
  with jax.disable_jit():
    return measure.finish(measure.reduce(x))


def _spread(vectors):
  """In float64, pair by pair."""
  values = []
  for i, a in enumerate(vectors):
    for b in vectors[:i]:
      cosine = a @ b / np.sqrt((a @ a) * (b @ b))
      values.append(1 - cosine**2)
  return np.mean(values)


class MeasureTest(parameterized.TestCase):
  @given(
    seed=st.integers(0, 99),
    batch=st.integers(2, 9),
    scale=st.sampled_from([1e-20, 1.0, 1e20]),
    offset=st.sampled_from([0.0, 1.0, 30.0]),
  )
  @settings(deadline=None, max_examples=15)
  def test_spread_is_over_pairs_of_examples(self, seed, batch, scale, offset):
    x = np.random.RandomState(seed).randn(batch, 3, 5) + offset
    found = _measured((scale * x).astype(np.float32))
    flat = x.reshape(batch, -1)
    np.testing.assert_allclose(found.spread, _spread(flat), atol=2e-6)
    of_each = np.mean([_spread(positions) for positions in x[:4]])
    if batch <= 4:
      np.testing.assert_allclose(found.position_spread, of_each, atol=2e-6)

  def test_examples_that_are_zero_count_for_nothing(self):
    x = np.random.RandomState(0).randn(4, 6).astype(np.float32)
    with_zeros = np.concatenate([x, np.zeros((3, 6), np.float32)])
    np.testing.assert_allclose(
      _measured(with_zeros).spread, _measured(x).spread, rtol=1e-5
    )
    self.assertTrue(np.isnan(_measured(np.zeros((3, 6))).spread))

  def test_collinear_examples_of_either_sign(self):
    x = np.outer([1.0, -2.0, 1e-9], np.arange(1.0, 6.0))
    self.assertLess(_measured(x.astype(np.float32)).spread, 1e-6)

  def test_units(self):
    x = np.repeat(np.random.RandomState(0).randn(4, 1), 3, axis=1)
    self.assertEqual(_measured(x).unit_spread, 0)
    x[2, 1] += 0.5 * np.abs(x).max()
    self.assertBetween(float(_measured(x).unit_spread), 0.3, 0.6)
    self.assertTrue(np.isnan(_measured(np.ones((4, 1))).unit_spread))

  def test_attention(self):
    sharp = np.eye(4)[None]
    even = np.full((1, 4, 4), 0.25)
    half = np.where(np.arange(4)[:, None] < 2, sharp, even)
    for x, share in ((sharp, 1), (even, 0), (half, 0.5)):
      self.assertEqual(_measured(x, 'softmax').concentrated, share)
    self.assertTrue(np.isnan(_measured(sharp).concentrated))
    self.assertTrue(np.isnan(_measured(np.eye(4), 'softmax').concentrated))

  def test_complex_and_half(self):
    x = jnp.asarray([[1 + 1j, 2j], [3.0, 4j]])
    expected = _spread(np.abs(np.asarray(x)))
    np.testing.assert_allclose(_measured(x).spread, expected, atol=1e-6)
    ones = jnp.ones((2, 3), jnp.bfloat16)
    self.assertLess(_measured(ones).spread, 1e-6)


class ParallelTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('columns', 1, 1, True),
    ('rows', 0, 0, True),
    ('other_axes', 1, 0, False),
    ('weights_alone', 1, None, False),
    ('gradient_alone', None, 1, False),
  )
  def test_weights_and_gradient_alike(self, axis, gradient_axis, is_parallel):
    random = np.random.RandomState(0)

    def make(axis):
      x = random.randn(4, 5)
      return (
        x if axis is None else np.take(x, np.zeros(x.shape[axis], int), axis)
      )

    found = representation.parallel(
      jnp.asarray(make(axis)), jnp.asarray(make(gradient_axis))
    )
    self.assertEqual(bool(found < 1e-6), is_parallel)

  def test_needs_two_axes(self):
    x = jnp.ones((5, 1))
    self.assertTrue(np.isnan(representation.parallel(x, x)))


if __name__ == '__main__':
  absltest.main()
