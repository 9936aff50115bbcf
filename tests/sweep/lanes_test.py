"""Tests for `lanes.py`."""

from unittest import mock

from absl.testing import absltest
import jax
import jax.numpy as jnp
from jaxdl.sweep import lanes
from jaxdl.sweep import program as program_lib
from jaxdl.sweep import writing
import numpy as np

from tests.sweep import linear_study


class KeeperTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    axes = {'activation': ['relu'], 'learning_rate': [0.1], 'seed': [0, 1, 2]}
    (self.program,) = linear_study.plan(axes, num_devices=2).programs
    self.writer = mock.create_autospec(writing.Writer, instance=True)
    self.writer.checkpoint_seconds = 0.0
    by_cell = program_lib.over_cells(program_lib.mesh(self.program))
    # Computed: what `device_put` makes may be numpy's memory, never donated.
    states = lambda: {'w': jnp.arange(8.0).reshape(4, 2)}
    self.states = jax.jit(states, out_shardings=by_cell)()
    clock = mock.patch('time.monotonic', return_value=100.0)
    self.clock = clock.start()
    self.addCleanup(clock.stop)

  def test_checkpoints_cost_a_fiftieth_of_the_time(self):
    keeper = lanes._Keeper(self.program, self.writer, 0)
    self.clock.return_value = 100.1
    self.assertTrue(keeper.is_due())  # The first costs nothing known.
    keeper.save(4, self.states)
    self.writer.checkpoint_seconds = 3.0
    for now, due in ((101.0, False), (249.0, False), (251.0, True)):
      self.clock.return_value = now
      self.assertEqual(keeper.is_due(), due)

  def test_copies_of_the_last_cell_are_left_out(self):
    self.assertEqual(self.program.padded_cells, 4)
    lanes._Keeper(self.program, self.writer, 0).save(4, self.states)
    (item,) = self.writer.put.call_args.args
    self.assertEqual(item.checkpoint.step, 4)
    (leaf,) = item.checkpoint.leaves
    np.testing.assert_array_equal(leaf, np.arange(6.0).reshape(3, 2))

  def test_nothing_new_is_not_saved(self):
    keeper = lanes._Keeper(self.program, self.writer, 4)
    keeper.save(4, self.states)
    self.writer.put.assert_not_called()

  def test_saved_states_outlive_their_donation(self):
    keeper = lanes._Keeper(self.program, self.writer, 0)
    keeper.save(4, self.states)
    (item,) = self.writer.put.call_args.args
    pointers = [
      shard.data.unsafe_buffer_pointer()
      for shard in self.states['w'].addressable_shards
    ]

    doubled = jax.jit(lambda x: 2 * x, donate_argnums=0)(self.states['w'])

    self.assertTrue(self.states['w'].is_deleted())
    self.assertEqual(
      [s.data.unsafe_buffer_pointer() for s in doubled.addressable_shards],
      pointers,
    )
    np.testing.assert_array_equal(item.checkpoint.leaves[0][-1], [4, 5])
    self.assertEqual(float(jnp.max(doubled)), 14)


class LanesTest(absltest.TestCase):
  def test_stopped_at_once_it_runs_nothing(self):
    stop = mock.Mock(return_value=True)
    plan = linear_study.plan({'activation': ['relu']})
    out = self.create_tempdir().full_path
    outcome = linear_study.run(plan, out, stop=stop)
    self.assertEqual((outcome.finished, outcome.steps), (False, 0))
    stop.assert_called_once()


if __name__ == '__main__':
  absltest.main()
