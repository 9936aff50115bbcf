"""Tests for `x_ray/report.py`."""

from absl.testing import absltest
import jax
import jax.numpy as jnp
import jaxdl
from jaxdl.x_ray import finding
from jaxdl.x_ray import report as report_lib


class XrayTest(absltest.TestCase):
  def test_examines_a_loss_with_auxiliary_data(self):
    def loss(params, x):
      with jax.named_scope('dense'):
        y = x @ params['w']
      return jnp.mean(y), y

    report = jaxdl.xray(
      loss, {'w': jnp.ones((3, 2))}, jnp.ones((4, 3)), has_aux=True
    )
    self.assertEqual(report.examination.loss, 3)
    self.assertEqual([row.name for row in report.examination.rows], ['dense'])

    self.assertIsInstance(report, report_lib.Report)

  def test_a_finding_is_in_words(self):
    found = finding.Finding('dead', 'mlp/relu', '99% of units', ('init he',))
    self.assertEqual(found.verdict, 'dead')


if __name__ == '__main__':
  absltest.main()
