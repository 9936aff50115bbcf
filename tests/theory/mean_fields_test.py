"""Tests for `theory/mean_fields.py`."""

from absl.testing import absltest
from absl.testing import parameterized
from jaxdl import theory
from jaxdl.theory import mean_fields
import numpy as np


class MeanFieldTest(parameterized.TestCase):
  def test_is_reached_by_the_package(self):
    self.assertIs(theory.mean_field, mean_fields.mean_field)

  def test_of_tanh(self):
    actual = mean_fields.mean_field('tanh', np.sqrt(1.5), np.sqrt(0.05))
    np.testing.assert_allclose(actual.q_star, 0.41803720, atol=5e-9)
    self.assertEqual(actual.phase, 'ordered')


if __name__ == '__main__':
  absltest.main()
