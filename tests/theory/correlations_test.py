"""Tests for `theory/correlations.py`."""

from absl.testing import absltest
from absl.testing import parameterized
from jaxdl.theory import correlations
from jaxdl.theory import elementwise
from jaxdl.theory import lengths
import numpy as np


class GapMapTest(parameterized.TestCase):
  def test_of_relu(self):
    """Cho & Saul, 2009: sqrt(1 - c^2) + c (pi - arccos c), over pi."""
    length_map = lengths.LengthMap(
      elementwise.elementwise('relu'), np.sqrt(2), 0.0
    )
    for c in (-1.0, -0.5, 0.0, 0.5, 0.9):
      expected = (np.sqrt(1 - c**2) + c * (np.pi - np.arccos(c))) / np.pi
      actual = 1 - correlations.gap_map(length_map, 1 - c, 1.0)
      np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-12)


if __name__ == '__main__':
  absltest.main()
