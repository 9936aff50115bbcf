"""Tests for `theory/gaussian.py`."""

import math

from absl.testing import absltest
from absl.testing import parameterized
from jaxdl.theory import gaussian
import numpy as np


class MomentsTest(parameterized.TestCase):
  @parameterized.parameters(1e-12, 0.3, 1.0, 1e12)
  def test_of_relu(self, q):
    moments = gaussian.moments('relu', q)
    np.testing.assert_allclose(
      moments[:5],
      [math.sqrt(q / (2 * math.pi)), q / 2, 0.5, 0.5, 0.5],
      rtol=1e-13,
    )


if __name__ == '__main__':
  absltest.main()
