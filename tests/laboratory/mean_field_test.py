"""Tests for `laboratory/mean_field.py`: what is predicted, and put in."""

import math

from absl.testing import absltest
from absl.testing import parameterized
from jaxdl import theory
from jaxdl.laboratory import mean_field
import numpy as np


def _moments(one):
  """Variances and correlations that the first layer gives to the inputs."""
  x, field = mean_field.inputs(one), one.field
  covariance = field.weight_std**2 * x @ x.T / 2 + field.bias_std**2
  variance = np.diag(covariance)
  return variance, covariance[0, 1:] / np.sqrt(variance[0] * variance[1:])


class CaseTest(parameterized.TestCase):
  @parameterized.parameters(
    ('tanh', 1.0, 0.2),
    ('tanh', 1.6, 0.2),
    ('tanh', 2.0, 0.0),
    ('erf', 2.5, 1.0),
    ('relu', 1.2, 0.0),
    ('gelu', 1.8, 1.0),
  )
  def test_inputs_start_at_rest(self, activation, weight_std, bias_std):
    one = mean_field.case(activation, weight_std, bias_std)
    variance, correlation = _moments(one)
    q = one.field.q_star or one.field.q_start
    np.testing.assert_allclose(variance, q, rtol=1e-12)
    np.testing.assert_allclose(correlation[0], one.field.c_star, atol=1e-12)
    np.testing.assert_allclose(1 - correlation[1], one.gaps[1], rtol=1e-9)
    self.assertNotAlmostEqual(correlation[0], correlation[1], places=4)

  def test_biases_alone_have_more(self):
    one = mean_field.case('tanh', 1.0, 2.0)
    with self.assertRaisesRegex(ValueError, 'biases alone have more'):
      mean_field.inputs(one._replace(q=3.9))

  @parameterized.parameters(
    # Schoenholz et al. at (1.5, 0.05): xi_q is 1.68 layers.
    ('tanh', math.sqrt(1.5), math.sqrt(0.05), 20, True),
    ('tanh', math.sqrt(1.5), math.sqrt(0.05), 5, False),
    # Every variance is a fixed point; none is left; it is left slowly.
    ('relu', math.sqrt(2), 0.0, 100, False),
    ('relu', 1.6, 0.0, 100, False),
    ('gelu', 1.4059445268384738, 1.0, 100, False),
  )
  def test_forgets_the_variance(self, name, weight_std, bias_std, depth, does):
    one = mean_field.case(name, weight_std, bias_std)
    self.assertEqual(one.forgets(depth), does)


class PhasesTest(parameterized.TestCase):
  @parameterized.parameters(('tanh', 0.2), ('relu', 0.0), ('gelu', 1.0))
  def test_own_bias_has_all_phases(self, name, bias_std):
    self.assertEqual(mean_field.own_bias_std(name), bias_std)
    for phase in mean_field.PHASES:
      weight_std = mean_field.weight_std(name, phase, bias_std)
      found = theory.mean_field(name, weight_std, bias_std)
      self.assertEqual(found.phase, phase)

  def test_own_bias_where_none_will_do(self):
    self.assertEqual(mean_field.own_bias_std('softplus'), 0.2)

  @parameterized.parameters(
    ('gelu', 'critical', 0.1, 'gelu has no critical weight_std at .* Give'),
    ('relu', 'ordered', 0.2, 'relu has no critical weight_std.*another bias'),
    ('tanh', 'chaos', 0.2, "'chaos'.* ordered, critical, chaotic"),
  )
  def test_refuses(self, name, phase, bias_std, message):
    with self.assertRaisesRegex(ValueError, message):
      mean_field.weight_std(name, phase, bias_std)

  def test_own_bias_of_an_unknown_activation(self):
    with self.assertRaisesRegex(ValueError, "'tanhh'"):
      mean_field.own_bias_std('tanhh')


class PredictTest(parameterized.TestCase):
  def test_relu_has_closed_forms(self):
    one = mean_field.case('relu', 1.8, 0.0)
    found = mean_field.predict([one], 6).isel(configuration=0)
    layer, factor = np.arange(6), 1.8**2 / 2
    np.testing.assert_allclose(
      found['variance'], one.q * factor**layer, rtol=1e-9
    )
    np.testing.assert_allclose(
      found['squared_gradient'], factor ** layer[::-1], rtol=1e-9
    )
    # The arc-cosine kernel of degree 1 (Cho & Saul, 2009).
    c, expected = 1 - one.gaps[1], []
    for _ in range(6):
      expected.append(1 - c)
      c = (math.sqrt(1 - c * c) + c * (math.pi - math.acos(c))) / math.pi
    np.testing.assert_allclose(found['gap'][:, 1], expected, rtol=1e-9)
    np.testing.assert_array_equal(found['gap'][:, 0], 0)

  def test_published_point_is_at_rest(self):
    # tanh at (2.5, 0.05): q_star, chi_1, c_star and the slope there.
    one = mean_field.case('tanh', math.sqrt(2.5), math.sqrt(0.05))
    found = mean_field.predict([one], 4).isel(configuration=0)
    np.testing.assert_allclose(found['variance'], 1.06395838, rtol=1e-7)
    chi = found['squared_gradient'].values
    np.testing.assert_allclose(chi[:-1] / chi[1:], 1.13351570, rtol=1e-7)
    gap = found['gap'].values
    np.testing.assert_allclose(gap[:, 0], 1 - 0.446804, atol=1e-6)
    near = one._replace(gaps=(one.gaps[0], one.gaps[0] - 1e-5))
    gap = mean_field.predict([near], 4)['gap'].values[0]
    deviation = gap[:, 0] - gap[:, 1]
    np.testing.assert_allclose(
      deviation[1:] / deviation[:-1], 0.918717, rtol=1e-4
    )
    self.assertEqual(found['phase'], 'chaotic')
    self.assertFalse(found['tends_to_one'])


if __name__ == '__main__':
  absltest.main()
