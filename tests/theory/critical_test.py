"""Tests for `theory/critical.py`."""

from absl.testing import absltest
from absl.testing import parameterized
from jaxdl.theory import critical
import numpy as np


class CriticalTest(parameterized.TestCase):
  @parameterized.parameters((1e-4, 1.0860262925), (0.05, 1.7609546396))
  def test_of_tanh(self, bias_variance, weight_variance):
    actual = critical.critical_weight_std('tanh', np.sqrt(bias_variance)) ** 2
    np.testing.assert_allclose(actual, weight_variance, rtol=1e-10)


if __name__ == '__main__':
  absltest.main()
