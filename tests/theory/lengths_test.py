"""Tests for `theory/lengths.py`."""

from absl.testing import absltest
from absl.testing import parameterized
from jaxdl.theory import elementwise
from jaxdl.theory import lengths
import numpy as np


class SurveyTest(parameterized.TestCase):
  def test_of_relu_with_bias(self):
    length_map = lengths.LengthMap(elementwise.elementwise('relu'), 1.0, 0.5)
    (point,) = lengths.survey(length_map).points
    np.testing.assert_allclose(point.q, 0.5, rtol=1e-12)
    np.testing.assert_allclose(point.slope, 0.5, rtol=1e-12)
    self.assertTrue(point.stable)


if __name__ == '__main__':
  absltest.main()
