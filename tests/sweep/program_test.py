"""Tests for `program.py`."""

import re

from absl.testing import absltest
from absl.testing import parameterized
import chex
import jax
from jax.extend import core
import jax.numpy as jnp
from jaxdl.sweep import experiment as experiment_lib
from jaxdl.sweep import program as program_lib
import numpy as np

from tests.sweep import linear_study


def _trace(plan, experiment=None):
  (program,) = plan.programs
  experiment = experiment or linear_study.build(program.static)
  return program_lib.trace(
    experiment, program, plan, linear_study.data(), linear_study.BATCH
  )


def _plan(**options):
  return linear_study.plan({'activation': ['relu']}, **options)


def _reference(cell, num_steps):
  """Trains one cell by a Python loop."""
  static, dynamic = linear_study.split(cell)
  experiment = linear_study.build(static)
  data = linear_study.data()
  init_key, step_key = jax.random.split(jax.random.key(cell['seed']))
  state, losses = experiment.init(dynamic, init_key), []
  step_fn = jax.jit(experiment.step)
  for step in range(num_steps):
    (indices,) = linear_study.indices(cell, step, 1)
    batch = (data.train_images[indices], data.train_labels[indices])
    key = jax.random.fold_in(step_key, step)
    state, metrics = step_fn(state, batch, dynamic, key)
    losses.append(metrics['loss'])
  return state, jnp.stack(losses)


class ProgramTest(parameterized.TestCase):
  def test_batch_that_cannot_be_shared_evenly_is_refused(self):
    plan = _plan(num_devices=3, group_size=3)
    with self.assertRaisesRegex(
      ValueError, 'batch of 8 .* over 3 devices; give .* a multiple of 3'
    ):
      _trace(plan)

  def test_devices_of_a_group_share_the_work_of_a_batch(self):
    def products(**options):
      chunk = _trace(_plan(**options))[0].chunk.lower().compile()
      return re.findall(r'= f32\[(\d+),20\]\S* dot\(', chunk.as_text())

    whole, shared = products(), products(num_devices=2, group_size=2)
    self.assertIn(str(linear_study.BATCH), whole)
    self.assertIn(str(linear_study.BATCH // 2), shared)
    self.assertNotIn(str(linear_study.BATCH), shared)

  @parameterized.named_parameters(
    ('map', 'map', 1), ('vmap', 'vmap', 2), ('loop', 'loop', 2)
  )
  def test_agrees_with_python_loop(self, arrangement, num_devices):
    plan = _plan(num_devices=num_devices, arrangement=arrangement)
    (program,) = plan.programs
    init, chunk, finish = (f.lower().compile() for f in _trace(plan)[0])
    data = jax.device_put(
      linear_study.data(),
      program_lib.replicated(program_lib.mesh(program)),
    )
    inputs = jax.device_put(
      (program.seeds, program.dynamic),
      program_lib.over_cells(program_lib.mesh(program)),
    )

    states, losses = init(*inputs), []
    for start, count in ((0, 4), (4, 3)):
      indices = np.stack(
        [linear_study.indices(cell, start, 4) for cell in program.cells]
      ).astype(np.int32)
      states, recording = chunk(
        states, indices, *inputs, data, np.int32(start), np.int32(count)
      )
      losses.append(np.array(recording.by_name()['loss']))
    scores = finish(states, inputs[1], data)

    self.assertTrue(np.isnan(losses[1][:, 3]).all())
    losses = np.concatenate(losses, axis=1)[:, :7]
    for i, cell in enumerate(program.cells):
      state, expected = _reference(cell, 7)
      chex.assert_trees_all_close(losses[i], expected, rtol=1e-4)
      chex.assert_trees_all_close(
        jax.tree.map(lambda x: np.array(x)[i], states), state, rtol=1e-4
      )
    chex.assert_shape(scores['test_loss'], (4,))

  def test_what_cannot_be_mapped_runs_in_turn(self):
    unmappable = core.Primitive('unmappable')
    unmappable.def_abstract_eval(lambda x: x)
    plan = _plan(arrangement='vmap')
    (program,) = plan.programs
    experiment = linear_study.build(program.static)

    def step(*args):
      state, metrics = experiment.step(*args)
      return jax.tree.map(unmappable.bind, state), metrics

    functions, shapes = _trace(plan, experiment._replace(step=step))
    self.assertRegex(str(functions.chunk.jaxpr), r'f32\[2,20,20\] = unmappable')
    chex.assert_trees_all_equal_shapes_and_dtypes(shapes, _trace(plan)[1])

  def test_shapes(self):
    _, shapes = _trace(_plan())
    chex.assert_shape(shapes.states, [(4, 2, 20, 20), (4, 20, 3)])
    chex.assert_shape(shapes.metrics['loss'], (4, 4))
    chex.assert_shape(shapes.metrics['gradient_norm'], (4, 4, 3))
    chex.assert_shape(shapes.scores['test_loss'], (4,))

  @parameterized.named_parameters(
    ('nothing', lambda x: {}, 'step returns no metrics'),
    ('matrix', lambda x: {'loss': x}, r"'loss' has shape \(8, 20\)"),
  )
  def test_metrics_that_no_record_holds(self, metrics, message):
    experiment = experiment_lib.Experiment(
      init=lambda dynamic, key: jnp.zeros(()),
      step=lambda state, batch, dynamic, key: (state, metrics(batch[0])),
      finish=lambda state, dynamic, data: {},
    )
    with self.assertRaisesRegex(ValueError, message):
      _trace(_plan(), experiment)

  def test_scores_that_no_record_holds(self):
    experiment = linear_study.build({'activation': 'relu', 'depth': 2})
    experiment = experiment._replace(
      finish=lambda state, dynamic, data: {'logits': state[0]}
    )
    with self.assertRaisesRegex(
      ValueError, r"'logits' has shape \(2, 20, 20\)"
    ):
      _trace(_plan(), experiment)


if __name__ == '__main__':
  absltest.main()
