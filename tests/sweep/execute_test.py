"""Tests for `execute.py`: whole sweeps, and what may disturb them."""

import functools
import itertools
import pathlib
import tempfile
import threading
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import chex
from jaxdl.sweep import compilation
from jaxdl.sweep import execute
from jaxdl.sweep import memory
from jaxdl.sweep import record
import numpy as np

from tests.sweep import linear_study

_ONE = {'activation': ['relu']}


def _sweep(out, axes=None, run_options=None, **options):
  """Runs a sweep; returns its record."""
  plan = linear_study.plan(axes, **options)
  outcome = linear_study.run(plan, out, **(run_options or {}))
  return outcome, record.open_record(out).load()


@functools.cache
def _undisturbed():
  """Returns the record of the study on one device."""
  with tempfile.TemporaryDirectory() as out:
    return _sweep(out)[1]


def _assert_bitwise_equal(actual, expected):
  chex.assert_trees_all_equal(
    {name: actual[name].values for name in expected.data_vars},
    {name: expected[name].values for name in expected.data_vars},
  )


def _threads_of_a_sweep():
  names = [thread.name for thread in threading.enumerate()]
  return [n for n in names if n.startswith(('compile', 'lane', 'write'))]


class _SweepTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.out = pathlib.Path(self.create_tempdir().full_path) / 'out'
    self.addCleanup(lambda: self.assertEmpty(_threads_of_a_sweep()))


class RunTest(_SweepTest):
  def test_record_is_whole(self):
    dataset = _undisturbed()
    self.assertEqual(dict(dataset.sizes), {'cell': 8, 'step': 10, 'layer': 3})
    self.assertTrue((dataset.steps_done == 10).all())
    for name in ('loss', 'gradient_norm', 'test_loss'):
      self.assertTrue(np.isfinite(dataset[name]).all(), name)
    second = dataset.isel(step=1).loss
    self.assertLen(np.unique(second), 8)

  @parameterized.named_parameters(('two', 2), ('four', 4))
  def test_devices_change_no_bit(self, num_devices):
    _, dataset = _sweep(self.out, num_devices=num_devices)
    _assert_bitwise_equal(dataset, _undisturbed())

  def test_lanes_and_padding_change_no_bit(self):
    axes = {'learning_rate': [0.1], 'seed': [1]}
    _, dataset = _sweep(self.out / 'lanes', axes, num_devices=4)
    expected = _undisturbed().sel(learning_rate=0.1, seed=1)
    _assert_bitwise_equal(dataset, expected)

  @parameterized.parameters('vmap', 'loop')
  def test_arrangement_changes_rounding_alone(self, arrangement):
    axes = {**_ONE, 'learning_rate': [0.1]}
    _, dataset = _sweep(self.out, axes, arrangement=arrangement)
    expected = _undisturbed().isel(cell=slice(0, 2))
    for name in expected.data_vars:
      np.testing.assert_allclose(
        dataset[name], expected[name], rtol=1e-4, err_msg=name
      )

  @parameterized.parameters(3, 10)
  def test_chunks_change_no_bit(self, chunk_steps):
    _, dataset = _sweep(self.out, _ONE, chunk_steps=chunk_steps)
    _assert_bitwise_equal(dataset, _undisturbed().isel(cell=slice(0, 4)))

  def test_diverged_cell_disturbs_no_other(self):
    axes = {**_ONE, 'learning_rate': [0.1, 1e30]}
    _, dataset = _sweep(self.out, axes)
    wild = dataset.sel(learning_rate=1e30)
    self.assertTrue(np.isfinite(wild.loss.isel(step=0)).all())
    self.assertTrue(np.isnan(wild.loss.isel(step=-1)).all())
    _assert_bitwise_equal(
      dataset.isel(cell=slice(0, 2)), _undisturbed().isel(cell=slice(0, 2))
    )

  def test_layers_past_the_depth_of_a_cell_are_nan(self):
    axes = {**_ONE, 'depth': [2, 3], 'learning_rate': [0.1], 'seed': [0]}
    _, dataset = _sweep(self.out, axes)
    norm = dataset.gradient_norm
    self.assertTrue(np.isnan(norm.sel(depth=2).sel(layer=4)).all())
    self.assertTrue(np.isfinite(norm.sel(depth=3)).all())
    np.testing.assert_array_equal(
      norm.sel(depth=2).squeeze().sel(layer=[1, 2, 3]),
      _undisturbed()
      .sel(activation='relu', learning_rate=0.1, seed=0)
      .gradient_norm.squeeze(),
    )

  def test_progress_tells_all_that_is_recorded(self):
    events = []
    outcome, dataset = _sweep(self.out, run_options={'progress': events.append})
    self.assertEqual([e.steps_done for e in events], [4, 8, 10] * 2)
    self.assertEqual([e.program.number for e in events], [0] * 3 + [1] * 3)
    losses = [e.metrics['loss'] for e in events[3:]]
    np.testing.assert_array_equal(
      np.concatenate(losses, axis=1), dataset.loss[4:]
    )
    self.assertTrue(outcome.finished)
    self.assertEqual(outcome.steps, 20)

  def test_each_program_is_compiled_once(self):
    compile_fn = mock.Mock(side_effect=compilation._compile)
    with mock.patch.object(compilation, '_compile', compile_fn):
      _sweep(self.out, num_devices=2)
    self.assertEqual(compile_fn.call_count, 2 * 3)

  def test_attributes_are_kept(self):
    options = {'attributes': {'data': 'random'}}
    _, dataset = _sweep(self.out, _ONE, options)
    self.assertEqual(dataset.attrs['data'], 'random')
    self.assertEqual(dataset.attrs['devices'], '1 cpu')


class DisturbanceTest(_SweepTest):
  def test_stopped_sweep_goes_on(self):
    events = []
    options = {'progress': events.append, 'stop': lambda: len(events) >= 1}
    outcome, dataset = _sweep(self.out, run_options=options)
    self.assertFalse(outcome.finished)
    self.assertLess(int(dataset.steps_done.sum()), 80)

    outcome, dataset = _sweep(
      self.out, num_devices=2, run_options={'resume': True}
    )
    self.assertTrue(outcome.finished)
    self.assertLess(outcome.steps, 20)
    _assert_bitwise_equal(dataset, _undisturbed())

  @parameterized.parameters(1, 3, 4)
  def test_interrupted_sweep_goes_on(self, num_events):
    events = []

    def interrupt(event):
      events.append(event)
      self.assertNotEmpty(_threads_of_a_sweep())
      if len(events) == num_events:
        raise KeyboardInterrupt

    with self.assertRaises(KeyboardInterrupt):
      _sweep(self.out, run_options={'progress': interrupt})
    partial = record.open_record(self.out)
    self.assertGreaterEqual(int(partial.steps_done[0]), 4)

    _, dataset = _sweep(self.out, run_options={'resume': True})
    _assert_bitwise_equal(dataset, _undisturbed())

  def test_finished_sweep_is_not_run_again(self):
    _sweep(self.out, _ONE)
    with mock.patch.object(linear_study, 'build', side_effect=AssertionError):
      outcome, dataset = _sweep(self.out, _ONE, {'resume': True})
    self.assertEqual((outcome.finished, outcome.steps), (True, 0))
    self.assertTrue((dataset.steps_done == 10).all())

  def test_overwriting_begins_anew(self):
    _sweep(self.out, _ONE, num_steps=3)
    with self.assertRaisesRegex(ValueError, 'holds a sweep already'):
      _sweep(self.out)
    _, dataset = _sweep(self.out, run_options={'overwrite': True})
    _assert_bitwise_equal(dataset, _undisturbed())

  def test_error_in_a_lane_ends_the_sweep(self):
    def indices(cell, start, count):
      if start == 8:
        raise RuntimeError('no more examples')
      return linear_study.indices(cell, start, count)

    plan = linear_study.plan(_ONE)
    with self.assertRaisesRegex(RuntimeError, 'no more examples'):
      execute.run(
        plan, linear_study.build, linear_study.data(), indices, self.out
      )
    self.assertEqual(int(record.open_record(self.out).steps_done[0]), 4)

  def test_too_little_memory_is_said_before_anything_is_written(self):
    with mock.patch.object(memory, 'available_memory', return_value=1000):
      with self.assertRaisesRegex(ValueError, 'lower depth, width or batch'):
        _sweep(self.out, _ONE)
    self.assertFalse(self.out.exists())

  def test_damaged_checkpoint_is_said(self):
    answers = itertools.chain([False] * 2, itertools.repeat(True))
    _sweep(self.out, _ONE, {'stop': lambda: next(answers)})
    (file,) = (self.out / 'checkpoints').iterdir()
    file.write_bytes(file.read_bytes()[:-1])
    with self.assertRaisesRegex(ValueError, 'is damaged; delete it'):
      _sweep(self.out, _ONE, {'resume': True})
    file.unlink()
    _, dataset = _sweep(self.out, _ONE, {'resume': True})
    _assert_bitwise_equal(dataset, _undisturbed().isel(cell=slice(0, 4)))


if __name__ == '__main__':
  absltest.main()
