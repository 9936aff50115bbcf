"""Tests for `experiments/very_deep.py`, as its users run it."""

from absl.testing import absltest
from jaxdl import sweep
import numpy as np

from tests.experiments import study


class VeryDeepTest(study.Study):
  experiment = 'very_deep'
  small = '--depth=13 --width=4 --num_steps=2 --chunk_steps=1'.split()

  def test_networks_on_and_off_criticality(self):
    printed = ' '.join(self.succeed(lowered=True).split())
    self.assertIn('3 networks in 1 program', printed)
    self.assertIn('Theory of infinitely wide layers', printed)
    record = sweep.open_record(self.out).load()
    self.assertEqual(set(record['init'].values), {'orthogonal'})
    norms = record['parameter_norm'].isel(step=0, layer=slice(1, 13)).values
    # Orthogonal matrices times weight_std; biases are as good as nothing.
    expected = 2 * record['weight_std'].values[:, None]
    np.testing.assert_allclose(norms, expected + 0 * norms, rtol=1e-3)

  def test_what_keeps_its_activations_is_refused_by_name(self):
    done = self.run_study('--model=highway', '--shortcut=own', '--out=out')
    self.assert_mistake(
      done, 'highway takes no --rematerialize; mlp and cnn do'
    )


if __name__ == '__main__':
  absltest.main()
