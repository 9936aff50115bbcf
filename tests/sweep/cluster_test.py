"""Tests for `cluster.py`: finding a Ray cluster, and what a task takes."""

import sys
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
from jaxdl.sweep import cluster

_NODES = [
  {'Alive': True, 'Resources': {'CPU': 4.0}},
  {'Alive': True, 'Resources': {'CPU': 2.0, 'GPU': 1.0}},
  {'Alive': False, 'Resources': {'CPU': 64.0, 'GPU': 8.0}},
]


class ClusterTest(parameterized.TestCase):
  def test_without_ray_says_what_to_install(self):
    with mock.patch.dict(sys.modules, {'ray': None}):
      with self.assertRaisesRegex(ValueError, r"pip install 'jaxdl\[ray\]'"):
        self.enterContext(cluster.session())

  @parameterized.parameters('127.0.0.1:1', '127.0.0.1:99999')
  def test_address_of_nobody_is_refused_before_ray_tries(self, address):
    with mock.patch.dict(sys.modules, {'ray': mock.Mock()}) as modules:
      with self.assertRaisesRegex(ValueError, f'no Ray cluster at .{address}'):
        self.enterContext(cluster.session(address))
      modules['ray'].init.assert_not_called()

  @parameterized.parameters(
    (cluster.Needs(cpus=5), '5 CPU and 0 GPU, which no machine .* 2 CPU and 1'),
    (cluster.Needs(cpus=4, gpus=1), '4 CPU and 1 GPU, which no machine'),
    (cluster.Needs(gpus=2), '1 CPU and 2 GPU, which no machine'),
    (cluster.Needs(gpus=1.5), '1.5 GPU; give a whole number or, to share one,'),
    (cluster.Needs(gpus=1e-5), '1e-05 GPU; give a whole number'),
    (cluster.Needs(gpus=float('nan')), 'nan GPU; give a whole number'),
    (cluster.Needs(gpus=float('inf')), 'inf GPU, which no machine'),
  )
  def test_task_that_fits_on_no_machine_is_refused(self, needs, message):
    ray = mock.Mock()
    ray.nodes.return_value = _NODES
    with mock.patch.dict(sys.modules, {'ray': ray}):
      cluster.check(cluster.Needs(cpus=4))
      cluster.check(cluster.Needs(cpus=2, gpus=0.5))
      with self.assertRaisesRegex(ValueError, message):
        cluster.check(needs)

  def test_tasks_that_share_a_gpu_share_its_memory(self):
    name = 'XLA_PYTHON_CLIENT_MEM_FRACTION'
    shared = float(cluster.environment(cluster.Needs(gpus=0.25))[name])
    self.assertBetween(4 * shared, 0.5, 1)
    self.assertNotIn(name, cluster.environment(cluster.Needs(gpus=2)))

  @parameterized.parameters(
    (cluster.Needs(), 4),
    (cluster.Needs(gpus=1), 2),
    (cluster.Needs(cpus=3, gpus=1), 3),
  )
  def test_largest_machine_is_of_those_that_take_a_task(self, needs, cpus):
    ray = mock.Mock()
    ray.nodes.return_value = _NODES
    with mock.patch.dict(sys.modules, {'ray': ray}):
      self.assertEqual(cluster.most_cpus(needs), cpus)


if __name__ == '__main__':
  absltest.main()
