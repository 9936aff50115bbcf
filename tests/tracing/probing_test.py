"""Tests for `tracing/probing.py`, and through it `evaluation` and `jaxpr`."""

import functools
import gc

from absl.testing import absltest
from absl.testing import parameterized
import chex
import jax
from jax import lax
import jax.numpy as jnp
from jax.sharding import PartitionSpec
from jaxdl import tracing
from jaxdl.tracing import probing
from jaxdl.tracing import statistics
import numpy as np

from tests.tracing import networks


def setUpModule():
  # Without the fusions that would change a rounding.
  jax.config.update('jax_disable_most_optimizations', True)


def tearDownModule():
  jax.config.update('jax_disable_most_optimizations', False)


def _scalar_loss(params, x):
  return networks.loss(networks.scanned, params, x)[0]


@jax.jit
def _probed(params, x):
  return tracing.probe(_scalar_loss)(params, x)


class ProbeTest(parameterized.TestCase):
  @parameterized.named_parameters(networks.HIDDEN.items())
  def test_value_and_gradients_are_those_of_value_and_grad(self, hidden):
    loss = functools.partial(networks.loss, hidden)
    params, x = networks.params(), networks.inputs()
    expected = jax.jit(jax.value_and_grad(loss, has_aux=True))(params, x)
    value, grads, _ = jax.jit(tracing.probe(loss, has_aux=True))(params, x)
    chex.assert_trees_all_equal((value, grads), expected)

  @parameterized.named_parameters(
    (name, networks.HIDDEN[name])
    for name in ('remat', 'nested_scan', 'vmap', 'reverse', 'fori_loop')
  )
  def test_however_it_is_written_a_stack_has_the_statistics_of_a_scan(
    self, hidden
  ):
    params, x = networks.params(), networks.inputs()
    loss = functools.partial(networks.loss, hidden)
    _, _, profile = jax.jit(tracing.probe(loss, has_aux=True))(params, x)
    signal, scanned = profile['hidden/layer'], _probed(params, x)[2]
    if hidden is networks.reversed:
      signal = jax.tree.map(lambda s: s[::-1], signal)
    expected = scanned['hidden/layer']
    np.testing.assert_allclose(
      signal.backward.rms.reshape(-1), expected.backward.rms, rtol=1e-5
    )
    np.testing.assert_allclose(
      signal.forward.rms.reshape(-1), expected.forward.rms, rtol=1e-5
    )

  def test_a_scope_entered_again_is_numbered(self):
    params, x = networks.params(), networks.inputs()
    loss = functools.partial(networks.loss, networks.unrolled)
    _, _, profile = jax.jit(tracing.probe(loss, has_aux=True))(params, x)
    scanned = _probed(params, x)[2]['hidden/layer/dense']
    for i in range(len(params[1])):
      path = f'hidden/layer{f"#{i + 1}" if i else ""}/dense'
      np.testing.assert_allclose(
        profile[path].backward.rms, scanned.backward.rms[i], rtol=1e-5
      )

  def test_statistics_equal_those_of_vjps_at_each_boundary(self):
    params, x = networks.params(), networks.inputs()
    _, _, profile = _probed(params, x)
    path = 'hidden/layer'

    h = jnp.tanh(x @ params[0])
    outputs = []
    for w in params[1]:
      h = networks.layer(h, w)
      outputs.append(h)
    gradient = jax.jit(
      jax.grad(
        lambda h, ws: jnp.mean((networks.scanned(h, ws) @ params[2]) ** 2)
      )
    )
    for i, h in enumerate(outputs):
      ct = np.asarray(gradient(h, params[1][i + 1 :]), np.float64)
      signal = jax.tree.map(lambda s, i=i: s[i], profile[path])
      values = np.asarray(h, np.float64)
      np.testing.assert_allclose(
        signal.backward.rms, np.sqrt(np.mean(ct**2)), rtol=1e-5
      )
      np.testing.assert_allclose(
        signal.backward.max_abs, np.abs(ct).max(), rtol=1e-5
      )
      np.testing.assert_allclose(signal.forward.mean, values.mean(), rtol=1e-4)
      np.testing.assert_allclose(signal.forward.std, values.std(), rtol=1e-5)

  def test_names_every_scope_in_order_of_depth(self):
    _, _, profile = _probed(networks.params(), networks.inputs())
    self.assertEqual(
      list(profile),
      [
        'stem',
        'hidden/layer/dense',
        'hidden/layer/activation/relu',
        'hidden/layer/activation',
        'hidden/layer',
        'hidden',
        'readout',
      ],
    )
    chex.assert_shape(profile['hidden/layer'].forward, (networks.DEPTH,))
    chex.assert_shape(profile['stem'].backward, ())
    with self.assertRaisesRegex(KeyError, 'no scope of stem, hidden'):
      profile['hiden']

  def test_scopes_in_vmap_have_the_names_of_those_without(self):
    def loss(params, x):
      apply = jax.vmap(
        lambda x: networks.loss(networks.scanned, params, x[None])[0]
      )
      with jax.named_scope('examples'):
        return jnp.sum(jax.vmap(apply)(x[None]))

    shapes = jax.eval_shape(
      tracing.probe(loss), networks.params(), networks.inputs()
    )
    plain = jax.eval_shape(_probed, networks.params(), networks.inputs())
    inside = [f'examples/{path}' for path in plain[2]]
    self.assertEqual(set(shapes[2]), {*inside, 'examples'})

  def test_nested_scans_lead_their_axes(self):
    loss = functools.partial(networks.loss, networks.scanned_twice)
    probed = tracing.probe(loss, has_aux=True)
    _, _, nested = jax.eval_shape(probed, networks.params(), networks.inputs())
    chex.assert_shape(
      nested['hidden/layer'].backward.rms, (2, networks.DEPTH // 2)
    )

  def test_branch_not_taken_is_nan(self):
    loss = functools.partial(networks.loss, networks.with_cond)
    params = networks.params()
    _, _, profile = jax.jit(tracing.probe(loss, has_aux=True))(
      params, networks.inputs()
    )
    taken = np.asarray(params[1][:, 0, 0] > 0)
    signal = profile['hidden/layer']
    np.testing.assert_array_equal(np.isfinite(signal.forward.rms), taken)
    np.testing.assert_array_equal(np.isfinite(signal.backward.rms), taken)

  def test_traces_once(self):
    loss = functools.partial(networks.loss, networks.scanned)
    counted = chex.assert_max_traces(lambda p, x: loss(p, x), n=1)
    jax.jit(tracing.probe(counted, has_aux=True))(
      networks.params(), networks.inputs()
    )

  @parameterized.parameters(0, 1, -1, ((0, 1),))
  def test_argnums(self, argnums):
    expected = jax.jit(jax.value_and_grad(_scalar_loss, argnums))(
      networks.params(), networks.inputs()
    )
    actual = jax.jit(tracing.probe(_scalar_loss, argnums))(
      networks.params(), networks.inputs()
    )
    # XLA may order the sums of a product otherwise.
    chex.assert_trees_all_close(actual[:2], expected, rtol=1e-5, atol=1e-7)

  @parameterized.parameters(2, -3, ((0, 2),))
  def test_argnums_without_an_argument(self, argnums):
    with self.assertRaisesRegex(ValueError, 'between -2 and 1'):
      tracing.probe(_scalar_loss, argnums)(networks.params(), networks.inputs())

  def test_numbers_that_are_not_differentiated_stay_python(self):
    def loss(w, times, *, train=False, kind='sum'):
      for _ in range(times):
        w = 2 * w
      return getattr(jnp, kind)(w) if train else 0.0 * jnp.sum(w)

    value, grads, _ = tracing.probe(loss)(jnp.ones(3), 2, train=True)
    self.assertEqual(value, 12)
    np.testing.assert_array_equal(grads, [4, 4, 4])

  def test_numbers_that_are_differentiated(self):
    loss = lambda a, x: jnp.sum(a['gain'] * x)
    args = {'gain': 2.0}, jnp.ones(3, jnp.bfloat16)
    value, grads, _ = tracing.probe(loss)(*args)
    expected = jax.value_and_grad(loss)(*args)
    chex.assert_trees_all_equal((value, grads), expected)
    self.assertEqual(value.dtype, jnp.bfloat16)

  def test_keyword_arguments_and_static_leaves(self):
    def loss(params, model, *, x):
      return networks.loss(model['hidden'], params, x)[0]

    model = {'hidden': networks.scanned, 'name': 'stack', 'none': None}
    value, grads, _ = jax.jit(lambda p, x: tracing.probe(loss)(p, model, x=x))(
      networks.params(), networks.inputs()
    )
    expected = _probed(networks.params(), networks.inputs())[:2]
    chex.assert_trees_all_equal((value, grads), expected)

  def test_integers_and_keys_as_arguments(self):
    def loss(table, index, key):
      with jax.named_scope('embed'):
        x = table[index]
      return jnp.sum(x * jax.random.normal(key, x.shape))

    args = networks.inputs(), jnp.array([0, 2]), jax.random.key(3)
    value, grads, profile = jax.jit(tracing.probe(loss))(*args)
    expected = jax.jit(jax.value_and_grad(loss))(*args)
    chex.assert_trees_all_equal((value, grads), expected)
    self.assertEqual(list(profile), ['embed'])

  def test_vmap_measures_each_example(self):
    xs = jnp.stack([networks.inputs(), 3 * networks.inputs()])
    together = jax.jit(jax.vmap(tracing.probe(_scalar_loss), in_axes=(None, 0)))
    for i in range(2):
      chex.assert_trees_all_close(
        jax.tree.map(lambda a, i=i: a[i], together(networks.params(), xs)),
        _probed(networks.params(), xs[i]),
        rtol=1e-4,
        atol=1e-6,
      )

  def test_composes_with_scan(self):
    def step(params, _):
      value, grads, profile = tracing.probe(_scalar_loss)(
        params, networks.inputs()
      )
      params = jax.tree.map(lambda p, g: p - 0.1 * g, params, grads)
      return params, (value, profile)

    _, (values, profile) = jax.jit(lambda p: lax.scan(step, p, length=3))(
      networks.params()
    )
    self.assertLess(values[-1], values[0])
    chex.assert_shape(profile['hidden/layer'].backward.rms, (3, networks.DEPTH))

  def test_composes_with_shard_map(self):
    mesh = jax.make_mesh(
      (4,), ('cells',), axis_types=(jax.sharding.AxisType.Auto,)
    )
    spec = PartitionSpec('cells')
    xs = jnp.stack([i * networks.inputs() for i in range(1, 5)])
    sharded = jax.shard_map(
      jax.vmap(tracing.probe(_scalar_loss), in_axes=(None, 0)),
      mesh=mesh, in_specs=(PartitionSpec(), spec), out_specs=spec,
      check_vma=False,
    )  # fmt: skip
    together = jax.jit(sharded)(networks.params(), xs)
    for i, x in enumerate(xs):
      chex.assert_trees_all_close(
        jax.tree.map(lambda a, i=i: a[i], together),
        _probed(networks.params(), x),
        rtol=1e-4,
        atol=1e-6,
      )

  def test_gradients_may_be_accumulated_over_parts_of_a_batch(self):
    params, x = (
      networks.params(),
      jnp.concatenate([networks.inputs(), 2 * networks.inputs()]),
    )

    def accumulate(total, part):
      _, grads, profile = tracing.probe(_scalar_loss)(params, part)
      return jax.tree.map(jnp.add, total, grads), profile

    zeros = jax.tree.map(jnp.zeros_like, params)
    parts = x.reshape(2, networks.BATCH, networks.WIDTH)
    total, profile = jax.jit(lambda z: lax.scan(accumulate, z, parts))(zeros)
    chex.assert_trees_all_close(
      jax.tree.map(lambda g: g / 2, total),
      jax.jit(jax.grad(_scalar_loss))(params, x),
      rtol=1e-4,
      atol=1e-6,
    )
    chex.assert_shape(profile['hidden/layer'].backward.rms, (2, networks.DEPTH))

  def test_a_probed_loss_may_be_differentiated_again(self):
    def penalty(params, x):
      _, grads, _ = tracing.probe(_scalar_loss)(params, x)
      return sum(jnp.sum(g**2) for g in grads)

    def expected(params, x):
      return sum(jnp.sum(g**2) for g in jax.grad(_scalar_loss)(params, x))

    chex.assert_trees_all_close(
      jax.jit(jax.grad(penalty))(networks.params(), networks.inputs()),
      jax.jit(jax.grad(expected))(networks.params(), networks.inputs()),
      rtol=1e-4,
      atol=1e-6,
    )

  def test_empty_values_are_left_out(self):
    def loss(x):
      with jax.named_scope('empty'):
        empty = jnp.zeros((0, 3)) + x[0]
      with jax.named_scope('full'):
        y = 2 * x
      return jnp.sum(y) + jnp.sum(empty)

    _, grads, profile = jax.jit(tracing.probe(loss))(jnp.ones(3))
    self.assertEqual(list(profile), ['full'])
    np.testing.assert_array_equal(grads, [2, 2, 2])

  def test_taps_choose_what_is_measured(self):
    def taps(found):
      paths = [path for site in found for path in site.paths]
      self.assertIn('hidden/layer/dense', paths)
      return {
        'hidden/layer': tracing.Taps(backward=statistics.backward()),
        'hidden/layer/activation': tracing.Taps(
          forward=statistics.forward((0.0, None))
        ),
      }

    probed = tracing.probe(_scalar_loss, taps=taps)
    _, _, profile = jax.eval_shape(probed, networks.params(), networks.inputs())
    self.assertEqual(set(profile), {'hidden/layer', 'hidden/layer/activation'})
    self.assertIsNone(profile['hidden/layer'].forward)
    self.assertIsNone(profile['hidden/layer/activation'].backward)

  def test_gradients_far_below_their_squares_are_not_zero(self):
    params, x = networks.params(), networks.inputs()
    loss = lambda p, x: 1e-30 * _scalar_loss(p, x)
    _, _, tiny = jax.jit(tracing.probe(loss))(params, x)
    _, _, usual = _probed(params, x)
    np.testing.assert_allclose(
      tiny['hidden/layer'].backward.rms / 1e-30,
      usual['hidden/layer'].backward.rms,
      rtol=1e-4,
    )

  @parameterized.parameters(jnp.bfloat16, jnp.float16)
  def test_halves_are_measured_in_float32(self, dtype):
    args = networks.params(dtype), networks.inputs(dtype)
    value, grads, profile = _probed(*args)
    expected = jax.jit(jax.value_and_grad(_scalar_loss))(*args)
    chex.assert_trees_all_equal((value, grads), expected)
    self.assertEqual(grads[0].dtype, dtype)
    self.assertEqual(profile['stem'].forward.rms.dtype, jnp.float32)

  def test_doubles_are_measured_in_float64(self):
    jax.config.update('jax_enable_x64', True)
    try:
      args = networks.params(jnp.float64), 1e-100 * networks.inputs(jnp.float64)
      _, grads, profile = jax.jit(tracing.probe(_scalar_loss))(*args)
      rms = profile['stem'].forward.rms
      np.testing.assert_allclose(
        rms, np.sqrt(np.mean(np.tanh(args[1] @ args[0][0]) ** 2)), rtol=1e-12
      )
    finally:
      jax.config.update('jax_enable_x64', False)
    self.assertEqual((grads[0].dtype, rms.dtype), (np.float64, np.float64))

  def test_a_function_that_is_no_loss_is_refused(self):
    with self.assertRaisesRegex(TypeError, 'scalar'):
      tracing.probe(lambda x: x)(jnp.ones(3))


class ProfileTest(parameterized.TestCase):
  def test_keeps_its_order_through_transformations(self):
    profile = probing.Profile(('b', 'a'), (jnp.zeros(2), jnp.ones(2)))
    self.assertEqual(list(jax.jit(lambda p: p)(profile)), ['b', 'a'])
    self.assertEqual(list(jax.tree.map(jnp.sum, profile)), ['b', 'a'])
    self.assertLen(profile, 2)
    self.assertIn('b: ', repr(profile))


class MemoryTest(absltest.TestCase):
  def test_probes_of_new_functions_leave_nothing_behind(self):
    def count_after_a_probe():
      def loss_fn(w):
        with jax.named_scope('layer'):
          return jnp.sum(jnp.tanh(w))

      probing.probe(loss_fn)(jnp.ones(3))
      del loss_fn
      gc.collect()
      return len(gc.get_objects())

    counts = [count_after_a_probe() for _ in range(5)]
    # JAX leaves a weak reference; a trace that is kept is dozens of objects.
    self.assertLess(counts[-1] - counts[-2], 10)


if __name__ == '__main__':
  absltest.main()
