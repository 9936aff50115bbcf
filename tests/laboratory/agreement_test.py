"""Tests for `laboratory/agreement.py`: made profiles, and small networks."""

from absl.testing import absltest
from absl.testing import parameterized
from jaxdl.laboratory import agreement
from jaxdl.laboratory import initialization
from jaxdl.laboratory import mean_field
import numpy as np


def _noisy(profile, seeds=400, size=0.05):
  """Profiles whose steps are off by independent factors of mean 1."""
  draws = np.random.default_rng(0).normal(1, size, (seeds, len(profile)))
  return profile * np.cumprod(draws, axis=1)


class EstimatesTest(parameterized.TestCase):
  def test_ratio_of_a_noisy_profile_is_unbiased(self):
    profile = 0.8 ** np.arange(20)
    found = agreement.mean_ratio(_noisy(profile), profile)
    self.assertAlmostEqual(found.predicted, 0.8)
    # 19 independent ratios a seed, each of a relative deviation of 0.05.
    expected = 0.8 * 0.05 / np.sqrt(19 * 400)
    np.testing.assert_allclose(found.standard_error, expected, rtol=0.15)
    self.assertLess(abs(found.z), 3)
    # The slope of the mean logarithm is too low, by half the variance.
    slope = np.log(_noisy(profile)).mean(0)[-1] / 19
    self.assertLess(np.exp(slope), 0.8 - 2 * expected)

  def test_a_factor_that_is_off_by_two_percent_is_told(self):
    profile = 0.8 ** np.arange(20)
    found = agreement.mean_ratio(
      _noisy(1.02 ** np.arange(20) * profile, seeds=40), profile
    )
    np.testing.assert_allclose(found.relative, 0.02, atol=0.006)
    self.assertGreater(found.z, 6)

  def test_layers_count_while_the_prediction_is_resolved(self):
    profile = 0.1 ** np.arange(8)
    measured = np.tile(profile, (2, 1))
    measured[:, 5:] = 7.0
    found = agreement.mean_ratio(measured, profile, least=1e-4)
    self.assertAlmostEqual(found.measured, 0.1)
    self.assertEqual(found.z, 0)

  def test_layers_at_rest_count_from_the_second_on(self):
    measured = np.array([[9.0, 1.0, 2.0], [9.0, 3.0, 4.0]])
    found = agreement.at_rest(measured, np.array([2.0, 2.0, 2.0]))
    self.assertEqual(found, agreement.Estimate(2.0, 2.5, 1.0))
    self.assertEqual((found.z, found.relative), (0.5, 0.25))

  def test_sums_over_deviations_of_either_sign(self):
    profile = -0.3 * 0.9 ** np.arange(15)
    draws = np.random.default_rng(1).normal(0, 0.3, (900, 15))
    found = agreement.ratio_of_sums(profile + draws, profile)
    self.assertAlmostEqual(found.predicted, 0.9)
    self.assertLess(abs(found.z), 3)
    # The spread that many such estimates have.
    estimates = [
      agreement.ratio_of_sums(
        profile + np.random.default_rng(i).normal(0, 0.3, (900, 15)), profile
      ).measured
      for i in range(200)
    ]
    np.testing.assert_allclose(
      found.standard_error, np.std(estimates), rtol=0.2
    )

  def test_sums_end_where_little_is_left(self):
    profile = 0.5 ** np.arange(9)
    measured = np.tile(profile, (2, 1))
    measured[:, 5:] = 100.0  # 0.5^5 is the first below a twentieth.
    found = agreement.ratio_of_sums(measured, profile)
    self.assertAlmostEqual(found.measured, 0.5)


class CompareTest(parameterized.TestCase):
  def test_networks_agree_with_theory(self):
    phases = ('ordered', 'critical', 'chaotic')
    cases = [
      mean_field.case('erf', mean_field.weight_std('erf', phase, 0.2), 0.2)
      for phase in phases
    ]
    cases.append(mean_field.case('erf', 0.9, 0.0))
    sizes = {'width': 100, 'depth': 12, 'num_seeds': 40}
    measured = initialization.measure(
      'erf',
      [one.field.weight_std for one in cases],
      [one.field.bias_std for one in cases],
      np.stack([mean_field.inputs(one) for one in cases]),
      **sizes,
    )
    frame = agreement.compare(measured, mean_field.predict(cases, 12))
    self.assertEqual(list(frame['phase'][::3]), [*phases, 'chaotic'])
    self.assertEqual(list(frame['quantity'][:3]), list(agreement.QUANTITIES))
    self.assertEqual(list(frame['growth'][:3]), [False, True, True])
    self.assertLess(frame['z'].abs().max(), 4)
    self.assertLess(frame['relative'].abs().max(), 0.05)
    # The same networks, held against a theory that is off.
    off = [mean_field.case('erf', 1.1 * c.field.weight_std, 0.2) for c in cases]
    frame = agreement.compare(measured, mean_field.predict(off, 12))
    gradients = frame[frame['quantity'] == 'gradient']
    self.assertGreater(gradients['z'].abs().min(), 4)

  def test_refuses_one_seed(self):
    cases = [mean_field.case('relu', 1.4, 0.0)]
    predicted = mean_field.predict(cases, 2)
    measured = predicted.expand_dims(seed=1)
    with self.assertRaisesRegex(ValueError, 'measure at least two'):
      agreement.compare(measured, predicted)


if __name__ == '__main__':
  absltest.main()
