"""Tests for `tracing/statistics.py`, against float64."""

from absl.testing import absltest
from absl.testing import parameterized
import chex
import hypothesis
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
from jaxdl.tracing import statistics
import numpy as np

_FORWARD = statistics.forward((-1.0, 1.0))
_BACKWARD = statistics.backward()
_NORM = jax.jit(statistics.norm, static_argnames='axis')


def _measure(measure, x):
  return measure.finish(measure.reduce(x))


_forward = jax.jit(lambda x: _measure(_FORWARD, x))
_backward = jax.jit(lambda x: _measure(_BACKWARD, x))

_SHAPES = ((7, 5), (3, 4, 4, 2), (9,), ())


def _normal(shape, seed=0):
  return np.random.default_rng(seed).normal(size=shape)


class ForwardTest(parameterized.TestCase):
  @hypothesis.given(
    exponent=st.integers(-36, 36),
    shift=st.sampled_from([0.0, 1.0, 1e3]),
    shape=st.sampled_from(_SHAPES),
  )
  def test_agrees_with_float64_at_any_size(self, exponent, shift, shape):
    x = ((_normal(shape) + shift) * 10.0**exponent).astype(np.float32)
    hypothesis.assume(np.isfinite(x).all())
    measured, true = _forward(x), x.astype(np.float64)
    size = np.abs(true).max()
    np.testing.assert_allclose(measured.mean, true.mean(), atol=2e-6 * size)
    np.testing.assert_allclose(
      measured.std, true.std(), rtol=1e-3, atol=1e-6 * size
    )
    np.testing.assert_allclose(
      measured.rms, np.sqrt(np.mean(true**2)), rtol=1e-5
    )
    np.testing.assert_allclose(measured.max_abs, size)

  @parameterized.parameters(1e-3, 1e-5)
  def test_small_deviations_do_not_cancel(self, noise):
    x = (0.5 + noise * _normal((128, 32))).astype(np.float32)
    np.testing.assert_allclose(
      _forward(x).std, x.astype(np.float64).std(), rtol=1e-2
    )

  def test_counts_zeros_dead_units_and_saturation(self):
    x = np.array([[0, 0.5, 0, 0.995], [0, 0, 2, -1.0]], np.float32)
    measured = _forward(x)
    self.assertEqual(measured.zero, 4 / 8)
    self.assertEqual(measured.dead, 1 / 4)
    self.assertEqual(measured.saturated, 3 / 8)

  def test_units_lie_on_the_last_axis(self):
    x = np.ones((2, 3, 3, 4), np.float32)
    x[..., 1] = 0
    self.assertEqual(_forward(x).dead, 1 / 4)

  @parameterized.parameters(
    ((None, None), np.nan), ((0.0, None), 0.5), ((None, 3.0), 0.25)
  )
  def test_flat_ends(self, ends, expected):
    x = jnp.array([[0.0, 0.005, 1.0, 2.995]])
    measured = _measure(statistics.forward(ends), x)
    np.testing.assert_equal(
      np.float32(measured.saturated), np.float32(expected)
    )

  def test_all_zero(self):
    measured = _forward(np.zeros((4, 3), np.float32))
    for value in (measured.mean, measured.std, measured.rms, measured.max_abs):
      self.assertEqual(value, 0)

  @parameterized.parameters(np.nan, np.inf, -np.inf)
  def test_not_finite(self, bad):
    x = np.ones((4, 3), np.float32)
    x[1, 2] = bad
    measured = _forward(x)
    self.assertFalse(np.isfinite(measured.rms))
    self.assertFalse(np.isfinite(measured.max_abs))

  def test_vmap_agrees_with_one_by_one(self):
    xs = jnp.stack([_normal((5, 3)), 1e-30 * _normal((5, 3), 1)])
    together = jax.vmap(lambda x: _measure(_FORWARD, x))(xs)
    for i, x in enumerate(xs):
      chex.assert_trees_all_close(
        jax.tree.map(lambda a, i=i: a[i], together), _forward(x), rtol=1e-5
      )


class BackwardTest(parameterized.TestCase):
  @hypothesis.given(
    exponent=st.integers(-36, 36), shape=st.sampled_from(_SHAPES)
  )
  def test_agrees_with_float64_at_any_size(self, exponent, shape):
    ct = (_normal(shape) * 10.0**exponent).astype(np.float32)
    measured, true = _backward(ct), ct.astype(np.float64)
    np.testing.assert_allclose(
      measured.rms, np.sqrt(np.mean(true**2)), rtol=1e-5
    )
    np.testing.assert_allclose(measured.max_abs, np.abs(true).max())
    self.assertFalse(measured.nonfinite)

  @hypothesis.given(
    bad=st.lists(st.sampled_from([np.nan, np.inf, -np.inf]), max_size=6)
  )
  def test_tells_what_is_not_finite(self, bad):
    ct = _normal((8, 5)).astype(np.float32)
    ct.reshape(-1)[3 : 3 + len(bad)] = bad
    measured = _backward(ct)
    self.assertEqual(measured.nonfinite, bool(bad))
    self.assertEqual(np.isfinite(measured.rms), not bad)

  @parameterized.parameters((1.0, False), (1e-28, False), (1e-33, True))
  def test_says_where_entries_may_have_underflowed(self, size, expected):
    ct = size * np.ones((4, 4), np.float32)
    self.assertEqual(_backward(ct).underflowed, expected)


class NormTest(parameterized.TestCase):
  @hypothesis.given(
    exponent=st.integers(-36, 35),
    axis=st.sampled_from([None, 0, (0, 1), (1, 2)]),
  )
  def test_agrees_with_float64(self, exponent, axis):
    x = (_normal((3, 4, 2)) * 10.0**exponent).astype(np.float32)
    expected = np.sqrt(np.sum(x.astype(np.float64) ** 2, axis=axis))
    np.testing.assert_allclose(_NORM(x, axis=axis), expected, rtol=1e-5)

  def test_zero(self):
    self.assertEqual(_NORM(np.zeros((3, 2), np.float32)), 0)

  def test_sizes_far_apart(self):
    x = np.array([[1e-30, 0], [1e30, 0], [0, 0]], np.float32)
    np.testing.assert_allclose(_NORM(x, axis=1), [1e-30, 1e30, 0], rtol=1e-6)


class PowerOfTwoTest(parameterized.TestCase):
  @parameterized.product(
    exponent=(-126, -60, -1, 0, 1, 64, 125), fraction=(1.0, 1.3, 1.999)
  )
  def test_brings_a_normal_number_to_between_a_half_and_one(
    self, exponent, fraction
  ):
    magnitude = np.float32(np.ldexp(fraction, exponent))
    scale = np.float64(statistics.power_of_two_below_inverse(magnitude))
    self.assertEqual(np.frexp(scale)[0], 0.5)  # A power of two.
    self.assertGreaterEqual(scale * magnitude, 0.5)
    self.assertLess(scale * magnitude, 1)

  @parameterized.parameters(2.0**126, 2.0**127, np.finfo(np.float32).max)
  def test_the_largest_stay_below_four(self, magnitude):
    scale = statistics.power_of_two_below_inverse(jnp.float32(magnitude))
    self.assertGreaterEqual(float(scale), np.finfo(np.float32).tiny)
    self.assertBetween(float(scale) * magnitude, 0.5, 4)

  @parameterized.parameters(0.0, np.inf, np.nan)
  def test_one_where_there_is_none(self, magnitude):
    scale = statistics.power_of_two_below_inverse(jnp.float32(magnitude))
    self.assertEqual(float(scale), 1)

  def test_in_float64(self):
    self.addCleanup(jax.config.update, 'jax_enable_x64', False)
    jax.config.update('jax_enable_x64', True)
    for magnitude in (1e-300, 3.0, 1e300):
      scale = statistics.power_of_two_below_inverse(jnp.float64(magnitude))
      self.assertBetween(float(scale) * magnitude, 0.5, 1)


if __name__ == '__main__':
  absltest.main()
