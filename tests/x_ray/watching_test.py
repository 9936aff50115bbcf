"""Tests for `x_ray/watching.py`, in training loops as users write them."""

import errno
import gc
import os
import pathlib
from unittest import mock
import warnings

from absl.testing import absltest
from absl.testing import parameterized
import equinox
from flax import nnx
import jax
import jax.numpy as jnp
import jaxdl
from jaxdl.x_ray import diagnosis
from jaxdl.x_ray import finding
from jaxdl.x_ray import recording
from jaxdl.x_ray import watching
import numpy as np
import optax
import xarray as xr

from tests import lowering

_RNG = np.random.RandomState(0)
_X = jnp.asarray(_RNG.randn(8, 3), jnp.float32)
_Y = jnp.asarray(_RNG.randn(8, 2), jnp.float32)


def _params(width=4):
  keys = jax.random.split(jax.random.key(0), 2)
  return {
    'hidden': jax.random.normal(keys[0], (3, width)),
    'readout': jax.random.normal(keys[1], (width, 2)),
  }


def _loss(params, x, y):
  with jax.named_scope('hidden'):
    x = jax.nn.relu(x @ params['hidden'])
  with jax.named_scope('readout'):
    return jnp.mean((x @ params['readout'] - y) ** 2)


def _finding(verdict='dead', evidence='all of it'):
  return finding.Finding(verdict, 'hidden', evidence, ('more', 'less'))


class WatchTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.create_tempdir().full_path)
    self._diagnose(())

  def _diagnose(self, *findings):
    """Lets the diagnosis find this, in turn and then the last again."""
    found = [*findings, *[findings[-1]] * 20]
    patch = mock.patch.object(diagnosis, 'diagnose', side_effect=found)
    self.enter_context(patch)

  def test_of_a_plain_loop(self):
    """It measures every third step, and is compiled once."""
    watch = jaxdl.watch(_loss, _params(), _X, _Y, every=3)
    value_and_grad = jax.jit(jax.value_and_grad(_loss))
    params, measured = _params(), {}
    for step in range(8):
      loss, grads = value_and_grad(params, _X, _Y)
      found = watch(step, params, _X, _Y)
      if found is not None:
        measured[step] = found
        self.assertAlmostEqual(found.loss, float(loss), places=5)
        norms = {p.name: p.gradient_norm for p in found.parameters}
        np.testing.assert_allclose(
          norms['hidden'], np.linalg.norm(grads['hidden']), rtol=1e-5
        )
      params = jax.tree.map(lambda p, g: p - 0.1 * g, params, grads)
    self.assertEqual(list(measured), [0, 3, 6])
    self.assertLess(measured[6].loss, measured[0].loss)
    self.assertEqual(watch._program._cache_size(), 1)

  def test_its_program_lowers_for_a_tpu(self):
    with lowering.too() as checked:
      watch = jaxdl.watch(_loss, _params(), _X, _Y)
      watch(0, _params(), _X, _Y)
    self.assertEqual(checked, ['measure'])

  def test_of_flax(self):
    model = nnx.Sequential(
      nnx.Linear(3, 4, rngs=nnx.Rngs(0)), nnx.Linear(4, 2, rngs=nnx.Rngs(1))
    )
    optimizer = nnx.Optimizer(model, optax.adam(0.1), wrt=nnx.Param)
    loss_fn = lambda model, x, y: jnp.mean((model(x) - y) ** 2)
    watch = jaxdl.watch(
      loss_fn, model, _X, _Y, every=2, optimizer=optax.adam(0.1)
    )

    @nnx.jit
    def train(model, optimizer):
      optimizer.update(model, nnx.grad(loss_fn)(model, _X, _Y))

    ratios = {}
    for step in range(3):
      found = watch(step, model, _X, _Y, opt_state=optimizer.opt_state)
      before = np.array(model.layers[0].kernel[...])
      train(model, optimizer)
      if found:
        after = np.array(model.layers[0].kernel[...])
        moved = np.linalg.norm(after - before) / np.linalg.norm(before)
        ratios[step] = moved
        (kernel,) = (p for p in found.parameters if p.name == 'layers/0/kernel')
        np.testing.assert_allclose(kernel.update_ratio, moved, rtol=1e-3)
    self.assertEqual(list(ratios), [0, 2])
    self.assertIsInstance(model, nnx.Sequential)

  def test_of_equinox(self):
    model = equinox.nn.MLP(3, 2, 4, 1, key=jax.random.key(0))
    loss_fn = lambda model, x, y: jnp.mean((jax.vmap(model)(x) - y) ** 2)
    optimizer = optax.adam(0.1)
    watch = jaxdl.watch(loss_fn, model, _X, _Y, every=1, optimizer=optimizer)
    trained = equinox.filter(model, equinox.is_inexact_array)
    state = optimizer.init(trained)
    found = watch(0, model, _X, _Y, opt_state=state)
    self.assertIn('layers/1', [row.name for row in found.rows])
    loss, _ = equinox.filter_value_and_grad(loss_fn)(model, _X, _Y)
    self.assertAlmostEqual(found.loss, float(loss), places=5)

  def test_warns_once_of_each_verdict(self):
    self._diagnose((), (_finding(),), (_finding(), _finding('saturated')))
    watch = jaxdl.watch(_loss, _params(), _X, _Y, every=1)
    said = []
    for step in range(4):
      with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        watch(step, _params(), _X, _Y)
      said += [(step, str(w.message), w.category) for w in caught]
      self.assertTrue(all(w.filename == __file__ for w in caught))
    self.assertEqual(
      said,
      [
        (
          step,
          f'step {step}: {verdict} at `hidden`: all of it; try: more',
          watching.TrainingWarning,
        )
        for step, verdict in ((1, 'dead'), (2, 'saturated'))
      ],
    )

  def test_lets_the_first_model_go(self):
    params = _params()
    held = [jnp.copy(x) for x in jax.tree.leaves(params)]
    watch = jaxdl.watch(_loss, params, _X, _Y)
    addresses = {id(x) for x in jax.tree.leaves(params)}
    del params
    gc.collect()
    alive = {id(x) for x in jax.live_arrays()}
    self.assertFalse(addresses & alive)
    found = watch(0, {'hidden': held[0], 'readout': held[1]}, _X, _Y)
    self.assertGreater(found.loss, 0)

  def test_waits_for_a_batch_like_the_first(self):
    watch = jaxdl.watch(_loss, _params(), _X, _Y, every=5)
    rest = (_params(), _X[:3], _Y[:3])
    self.assertIsNotNone(watch(0, _params(), _X, _Y))
    self.assertIsNone(watch(4, *rest))
    self.assertIsNone(watch(5, *rest))
    self.assertIsNotNone(watch(6, _params(), _X, _Y))
    self.assertIsNone(watch(7, _params(), _X, _Y))

  def test_ends_where_batches_stay_unlike_the_first(self):
    watch = jaxdl.watch(_loss, _params(), _X, _Y, every=1)
    with self.assertWarnsRegex(
      watching.WatchWarning, r'ended: the batch has float32\[3, 3\] where'
    ):
      for step in range(20):
        watch(step, _params(), _X[:3], _Y[:3])
    self.assertFalse(watch.is_active)

  @parameterized.parameters(
    (lambda: (_params(width=5), _X, _Y), 'the model has float32'),
    (lambda: (_params(), _X), 'the batch is PyTreeDef'),
    (lambda: (_params(), _X, True), 'the batch has True where it had float32'),
  )
  def test_says_how_models_and_batches_differ(self, given, message):
    watch = jaxdl.watch(_loss, _params(), _X, _Y, every=1)
    with self.assertWarnsRegex(watching.WatchWarning, message):
      for step in range(10):
        watch(step, *given())

  def test_goes_on_without_a_disk(self):
    watch = jaxdl.watch(
      _loss, _params(), _X, _Y, every=1, record=self.folder / 'record'
    )
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with mock.patch.object(recording.Record, 'append', side_effect=full):
      with self.assertWarnsRegex(watching.WatchWarning, 'No space left'):
        watch(0, _params(), _X, _Y)
      self.assertIsNotNone(watch(1, _params(), _X, _Y))
    watch.close()

  def test_does_not_let_the_training_fail(self):
    watch = jaxdl.watch(_loss, _params(), _X, _Y, every=1)
    broken = mock.Mock(side_effect=RuntimeError('out of memory'))
    with mock.patch.object(watch, '_program', broken):
      with self.assertWarnsRegex(
        watching.WatchWarning, 'has ended: RuntimeError: out of memory'
      ):
        self.assertIsNone(watch(0, _params(), _X, _Y))
    self.assertIsNone(watch(1, _params(), _X, _Y))

  def test_says_when_steps_are_not_those_of_the_training(self):
    watch = jaxdl.watch(_loss, _params(), _X, _Y, every=2)
    watch(2, _params(), _X, _Y)
    with self.assertWarnsRegex(watching.WatchWarning, 'step 0 comes after'):
      watch(0, _params(), _X, _Y)

  def test_writes_to_all_and_closes_with_its_block(self):
    record, logs = self.folder / 'record', self.folder / 'logs'
    with jaxdl.watch(
      _loss, _params(), _X, _Y, every=1, record=record, log_dir=logs
    ) as watch:
      found = watch(0, _params(), _X, _Y)
    self.assertFalse(watch.is_active)
    self.assertLen(list(logs.iterdir()), 1)
    with xr.open_zarr(record) as written:
      np.testing.assert_allclose(written.loss, [found.loss], rtol=1e-6)

  def test_closes_when_it_is_let_go(self):
    record = self.folder / 'record'
    watch = jaxdl.watch(_loss, _params(), _X, _Y, every=1, record=record)
    for step in range(3):
      watch(step, _params(), _X, _Y)
    del watch
    gc.collect()
    with xr.open_zarr(record) as written:
      self.assertEqual(written.step.values.tolist(), [0, 1, 2])

  def test_another_process_than_the_first_writes_nothing(self):
    with mock.patch.object(jax, 'process_index', return_value=1):
      watch = jaxdl.watch(
        _loss, _params(), _X, _Y, record=self.folder / 'record'
      )
    self.assertIsNotNone(watch(0, _params(), _X, _Y))
    self.assertFalse((self.folder / 'record').exists())

  def test_refuses(self):
    with self.assertRaisesRegex(ValueError, 'every is 0; give 1 step or more'):
      jaxdl.watch(_loss, _params(), _X, _Y, every=0)
    with self.assertRaisesRegex(TypeError, 'one real number'):
      jaxdl.watch(lambda p, x: x @ p['hidden'], _params(), _X)


if __name__ == '__main__':
  absltest.main()
