"""Tests for `x_ray/examination.py`."""

from absl.testing import absltest
from absl.testing import parameterized
import jax
from jax import lax
import jax.numpy as jnp
from jaxdl.x_ray import examination
import numpy as np
import optax

_X = jnp.asarray(np.random.RandomState(0).randn(5, 3), jnp.float32)


def _params():
  keys = jax.random.split(jax.random.key(0), 3)
  return {
    'stem': jax.random.normal(keys[0], (3, 4)),
    'hidden': jax.random.normal(keys[1], (2, 4, 4)),
    'unused': jax.random.normal(keys[2], (4,)),
  }


def _loss(params, x):
  with jax.named_scope('stem'):
    x = x @ params['stem']

  def layer(x, w):
    with jax.named_scope('dense'):
      x = x @ w
    return jnp.tanh(x), None

  with jax.named_scope('hidden'):
    x, _ = lax.scan(layer, x, params['hidden'])
  return jnp.mean(x**2)


def _examined(loss=_loss, params=None, *args, **optimizer):
  subject = examination.subject(loss, params or _params(), args or (_X,), False)
  return examination.examine(subject, **optimizer)


class ExamineTest(parameterized.TestCase):
  def test_rows_come_in_order_one_for_each_iteration(self):
    names = [row.name for row in _examined().rows]
    self.assertEqual(
      names,
      [
        'stem',
        'hidden/dense[0]',
        'hidden/tanh[0]',
        'hidden/dense[1]',
        'hidden/tanh[1]',
        'hidden',
      ],
    )

  def test_statistics_are_those_of_the_values(self):
    params = _params()
    rows = {row.name: row for row in _examined().rows}
    h = _X @ params['stem']
    z = h @ params['hidden'][0]

    def rest(z):
      return jnp.mean(jnp.tanh(jnp.tanh(z) @ params['hidden'][1]) ** 2)

    row = rows['hidden/dense[0]']
    ct = jax.grad(rest)(z)
    np.testing.assert_allclose(row.forward.std, np.std(z), rtol=1e-5)
    np.testing.assert_allclose(
      row.backward.rms, np.sqrt(np.mean(ct**2)), rtol=1e-5
    )
    self.assertEqual(row.shape, (5, 4))
    self.assertEqual(rows['hidden/tanh[0]'].activation, 'tanh')
    near = np.mean(np.abs(np.tanh(z)) > 1 - 0.02)
    np.testing.assert_allclose(
      rows['hidden/tanh[0]'].forward.saturated, near, atol=1e-6
    )

  def test_parameters_are_measured_with_their_gradients(self):
    params = _params()
    found = {p.name: p for p in _examined(optimizer=optax.sgd(0.5)).parameters}
    value, grads = jax.value_and_grad(_loss)(params, _X)
    self.assertAlmostEqual(_examined().loss, float(value), places=6)
    for name in ('stem', 'hidden'):
      norm = np.linalg.norm(grads[name])
      np.testing.assert_allclose(found[name].gradient_norm, norm, rtol=1e-5)
      np.testing.assert_allclose(
        found[name].update_ratio,
        0.5 * norm / np.linalg.norm(params[name]),
        rtol=1e-5,
      )
    self.assertEqual(found['unused'].gradient_zero, 1)
    self.assertTrue(np.isnan(_examined().parameters[0].update_ratio))

  def test_updates_by_the_state_of_the_users_model(self):
    optimizer = optax.sgd(0.5, momentum=1.0)
    params = _params()
    grads = jax.grad(_loss)(params, _X)
    _, state = optimizer.update(grads, optimizer.init(params), params)
    first, second = (
      _examined(optimizer=optimizer, opt_state=s).parameters
      for s in (None, state)
    )
    for before, after in zip(first, second, strict=True):
      np.testing.assert_allclose(
        after.update_ratio, 2 * before.update_ratio, rtol=1e-5
      )

  def test_a_module_knows_its_parameters(self):
    examined = _examined()
    names = {
      row.name: [examined.parameters[i].name for i in row.parameters]
      for row in examined.rows
    }
    self.assertEqual(names['stem'], ['stem'])
    self.assertEqual(names['hidden/dense[1]'], ['hidden'])
    self.assertEqual(names['hidden/tanh[1]'], [])

  def test_a_reversed_scan_is_read_from_its_end(self):
    def loss(params, x):
      def layer(x, w):
        with jax.named_scope('dense'):
          return x @ w, None

      x, _ = lax.scan(layer, x, params['w'], reverse=True)
      return jnp.sum(x)

    rows = _examined(loss, {'w': jnp.ones((3, 3, 3))}).rows
    self.assertEqual([r.name for r in rows], [f'dense[{i}]' for i in (2, 1, 0)])

  def test_what_cannot_be_measured_is_named(self):
    def loss(params, x):
      def body(carry):
        with jax.named_scope('newton'):
          return carry[0] + 1, jnp.sqrt(carry[1])

      with jax.named_scope('solver'):
        _, scale = lax.while_loop(lambda c: c[0] < 3, body, (0, jnp.sum(x**2)))
      with jax.named_scope('dense'):
        return jnp.sum(x @ params['w']) * scale

    examined = _examined(loss, {'w': jnp.ones((3, 2))})
    self.assertIn('while loop', examined.hidden['solver/newton'])
    self.assertIn('dense', [row.name for row in examined.rows])

  def test_arguments_that_are_no_arrays_are_taken_as_they_are(self):
    def loss(params, x, train):
      return jnp.sum(x * params['w']) if train else jnp.zeros([])

    examined = _examined(loss, {'w': jnp.ones(3)}, _X, True)
    self.assertAlmostEqual(examined.loss, float(jnp.sum(_X)), places=5)

  @parameterized.named_parameters(
    (
      'vector',
      lambda p, x: x @ p['w'],
      False,
      'one real number; it is float32',
    ),
    ('integer', lambda p, x: jnp.argmax(x @ p['w']), False, 'one real number'),
    ('pair', lambda p, x: (jnp.sum(p['w']), x), False, 'has_aux=True'),
    (
      'no_pair',
      lambda p, x: jnp.sum(p['w']),
      True,
      r'must return \(loss, aux\)',
    ),
  )
  def test_refuses(self, loss, has_aux, message):
    with self.assertRaisesRegex(TypeError, message):
      examination.subject(loss, {'w': jnp.ones((3, 2))}, (_X,), has_aux)


if __name__ == '__main__':
  absltest.main()
