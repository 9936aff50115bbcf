"""Tests for `theory/residual.py`."""

import math

from absl.testing import absltest
from absl.testing import parameterized
from jaxdl.theory import residual
import numpy as np


class BlockTest(parameterized.TestCase):
  @parameterized.parameters(
    (math.sqrt(2), 1.0, 1.0, 2.0),  # Yang & Schoenholz, 2017.
    (math.sqrt(2), 1.0, 0.5, 1.25),
    (1.0, 0.7, 1.0, 1.245),
  )
  def test_growth_forward_and_backward(self, inner, outer, scale, expected):
    growth = residual.relu_block_growth(inner, outer, scale)
    self.assertAlmostEqual(growth, expected, delta=1e-12)
    generator = np.random.default_rng(0)
    width = 500
    forward, backward = [], []
    for _ in range(24):
      w, v = generator.normal(size=(2, width, width)) / math.sqrt(width)
      x, ct = generator.normal(size=(2, width))
      hidden = inner * w @ x
      y = x + scale * outer * v @ np.maximum(hidden, 0)
      back = ct + scale * inner * w.T @ ((hidden > 0) * (outer * v.T @ ct))
      forward.append(np.sum(y**2) / np.sum(x**2))
      backward.append(np.sum(back**2) / np.sum(ct**2))
    for found in (forward, backward):
      error = np.std(found) / math.sqrt(len(found))
      self.assertAlmostEqual(np.mean(found), growth, delta=4 * error)


class StreamTest(parameterized.TestCase):
  @parameterized.parameters(
    # The factor of squared cotangents is shortcut^2 + 0.7 branch^2.
    (0.5, 1.0, 1.175),
    (1.0, 0.5, 0.95),
    (-0.8, 1.2, 1.888),
    (0.5, 0.0, 0.175),
  )
  def test_means_build_up(self, branch_scale, shortcut_scale, factor):
    """Of units with numbers at hand: a branch is independent of the stream."""
    generator = np.random.default_rng(0)
    count = 1_000_000
    x = 0.3 + generator.normal(size=(2, count)) + generator.normal(size=count)
    f = np.abs(generator.normal(size=(2, count)))
    stream, branch = (
      kind(z.mean(), (z**2).mean(), ((z[0] - z[1]) ** 2).mean() / 2, *rest)
      for kind, z, rest in (
        (residual.Stream, x, ()),
        (residual.Branch, f, (0.7,)),
      )
    )
    y = shortcut_scale * x + branch_scale * f
    scales = residual.Scales(branch_scale, shortcut_scale)
    actual = residual.after(stream, branch, scales)
    np.testing.assert_allclose(actual.mean, y.mean(), rtol=1e-12)
    np.testing.assert_allclose(actual.mean_square, (y**2).mean(), rtol=5e-3)
    spread = ((y[0] - y[1]) ** 2).mean() / 2
    np.testing.assert_allclose(actual.spread, spread, rtol=5e-3)
    found = residual.backward(branch, scales)
    self.assertAlmostEqual(found, factor, delta=1e-12)

  def test_without_a_shortcut_the_branch_is_all(self):
    stream = residual.Stream(1.0, 3.0, 0.5)
    branch = residual.Branch(0.1, 0.2, 0.05, 0.9)
    self.assertEqual(
      residual.after(stream, branch, residual.Scales()), branch[:3]
    )
    self.assertEqual(residual.backward(branch, residual.Scales()), 0.9)


if __name__ == '__main__':
  absltest.main()
