"""Tests for `jacobian.py`, against dense Jacobians and closed forms."""

from absl.testing import absltest
from absl.testing import parameterized
import chex
import jax
import jax.numpy as jnp
from jaxdl import jacobian
from jaxdl import layers
from jaxdl.models import mlp
import numpy as np

_KEY = jax.random.key(0)


def setUpModule():
  jax.config.update('jax_enable_x64', True)


def tearDownModule():
  jax.config.update('jax_enable_x64', False)


def _matrix(m, n):
  return np.random.default_rng(m * n).standard_normal((m, n))


def _nonlinear(m, n):
  """A function from n to m numbers, its point, and its Jacobian there."""
  weights, x = _matrix(m, n) / np.sqrt(n), _matrix(1, n)[0]
  h = weights @ x
  return (
    lambda x: jnp.tanh(jnp.asarray(weights, x.dtype) @ x),
    jnp.asarray(x),
    (1 - np.tanh(h) ** 2)[:, None] * weights,
  )


def _compiled(fn, x, num=None, **given):
  run = lambda x: jacobian.singular_values(fn, x, num, **given)
  return jax.jit(run)(x)


def _svd(matrix):
  return np.linalg.svd(matrix, compute_uv=False)


@jax.custom_vjp
def _doubling_backward(x):
  return x


_doubling_backward.defvjp(lambda x: (x, None), lambda _, ct: (2 * ct,))


class ExactTest(parameterized.TestCase):
  @parameterized.parameters((7, 7), (3, 200), (200, 3), (1, 5), (5, 1))
  def test_agrees_with_numpy(self, m, n):
    fn, x, matrix = _nonlinear(m, n)
    found = _compiled(fn, x)
    np.testing.assert_allclose(found.values, _svd(matrix), rtol=1e-12)
    self.assertLess(found.error.max(), 1e-10)

  def test_ranks_and_copies(self):
    values = np.array([4.0, 4, 4, 1, 1, 0, 0])
    q = np.linalg.qr(_matrix(7, 7))[0]
    matrix = jnp.asarray(q * values)
    found = _compiled(lambda x: matrix @ x, jnp.ones(7), 6)
    np.testing.assert_allclose(found.values, values[:6], atol=1e-13)
    np.testing.assert_array_less(np.abs(found.values - values[:6]), found.error)

  def test_pytrees_of_several_types(self):
    a, b = _matrix(4, 3), _matrix(4, 2)
    x = {'a': jnp.ones(3), 'b': jnp.ones((2, 1), jnp.float32)}
    fn = lambda x: (a[:2] @ x['a'], a[2:] @ x['a'] + b[2:] @ x['b'][:, 0])
    matrix = np.concatenate([a, b * [[0], [0], [1], [1]]], axis=1)
    found = _compiled(fn, x)
    np.testing.assert_allclose(found.values, _svd(matrix), rtol=1e-6)

  @parameterized.parameters((jnp.bfloat16, 0.03), (jnp.float32, 1e-5))
  def test_narrow_types(self, dtype, tolerance):
    fn, x, matrix = _nonlinear(6, 5)
    for given in ({}, {'memory_limit': 0, 'key': _KEY, 'num': 5}):
      found = _compiled(fn, x.astype(dtype), **given)
      chex.assert_type(found.values, jnp.float32)
      atol = tolerance * _svd(matrix)[0]
      np.testing.assert_allclose(found.values, _svd(matrix), atol=atol)

  def test_constant_function_has_zeros(self):
    for given in ({}, {'memory_limit': 0, 'key': _KEY, 'num': 3}):
      fn = lambda x: jnp.ones(3)
      found = _compiled(fn, jnp.ones(4), **given)
      np.testing.assert_array_equal(found.values, np.zeros(3))
      np.testing.assert_array_equal(found.error, np.zeros(3))

  def test_tiny_values_survive_single_precision(self):
    matrix = jnp.asarray(1e-30 * _matrix(5, 5), jnp.float32)
    fn, x = (lambda x: matrix @ x), jnp.ones(5, jnp.float32)
    for given in ({}, {'memory_limit': 0, 'key': _KEY, 'num': 5}):
      found = _compiled(fn, x, **given)
      expected = 1e-30 * _svd(_matrix(5, 5))
      np.testing.assert_allclose(found.values, expected, rtol=1e-4)

  def test_takes_a_derivative_in_reverse_mode_alone(self):
    for given in ({}, {'memory_limit': 0, 'key': _KEY, 'num': 3}):
      found = _compiled(_doubling_backward, jnp.ones(3), **given)
      np.testing.assert_allclose(found.values, 2 * np.ones(3))

  def test_maps_over_inputs(self):
    fn, x, _ = _nonlinear(4, 3)
    xs = jnp.stack([x, 2 * x])
    each = jax.vmap(lambda x: jacobian.singular_values(fn, x).values)(xs)
    for x, values in zip(xs, each, strict=True):
      expected = _svd(np.asarray(jax.jacobian(fn)(x)))
      np.testing.assert_allclose(values, expected, rtol=1e-10)


class IterationTest(parameterized.TestCase):
  @parameterized.parameters((60, 50), (50, 60))
  def test_largest_by_products_alone(self, m, n):
    fn, x, matrix = _nonlinear(m, n)
    found = _compiled(fn, x, 5, key=_KEY, steps=35, memory_limit=0)
    expected = _svd(matrix)[:5]
    np.testing.assert_allclose(found.values, expected, rtol=1e-3)
    np.testing.assert_array_less(
      np.abs(found.values - expected), found.error + 1e-12
    )

  def test_of_images(self):
    net = layers.serial(
      layers.conv(3), layers.activation('relu'), layers.max_pool(2)
    )
    _, params, state = net.init(_KEY, (6, 6, 2))
    fn = lambda x: net.apply(params, state, x[None])[0][0]
    x = jax.random.normal(_KEY, (6, 6, 2))
    matrix = np.asarray(jax.jit(jax.jacobian(fn))(x)).reshape(27, 72)
    found = _compiled(fn, x, 4, key=_KEY, steps=27, memory_limit=0)
    np.testing.assert_allclose(found.values, _svd(matrix)[:4], rtol=1e-10)

  def test_loops_are_not_unrolled(self):
    fn, x, _ = _nonlinear(60, 50)

    def size(steps):
      run = lambda x: jacobian.singular_values(
        fn, x, 2, key=_KEY, steps=steps, memory_limit=0
      )
      return len(str(jax.make_jaxpr(run)(x)).splitlines())

    self.assertEqual(size(10), size(40))

  def test_refuses_what_does_not_fit(self):
    fn, x, _ = _nonlinear(6, 5)
    refuse = lambda message: self.assertRaisesRegex(
      ValueError, f'^{message}[^\n]*$'
    )
    with refuse('num must be between 1 and 5.*got 6'):
      jacobian.singular_values(fn, x, 6)
    with refuse('The Jacobian is 6 x 5 and takes 240 bytes.*memory_limit=100'):
      jacobian.singular_values(fn, x, memory_limit=100)
    with refuse('The Jacobian is .*pass num and key'):
      jacobian.singular_values(fn, x, 2, memory_limit=0)
    with refuse('steps must be between num=3 and 5.*got 2'):
      jacobian.singular_values(fn, x, 3, key=_KEY, steps=2, memory_limit=0)
    with refuse('x has a leaf of complex128'):
      jacobian.singular_values(fn, x + 1j)
    with refuse('The output of fn has a leaf of complex128'):
      jacobian.singular_values(lambda x: x * 1j, x)
    with refuse('x has a leaf of int64'):
      jacobian.singular_values(fn, jnp.arange(5))


class SpectrumTest(parameterized.TestCase):
  @parameterized.parameters((30, 20), (20, 30))
  def test_moments_are_those_of_the_smaller_side(self, m, n):
    fn, x, matrix = _nonlinear(m, n)
    squares = np.square(_svd(matrix))
    found = jax.jit(
      lambda x: jacobian.spectrum(fn, x, _KEY, num_probes=64, steps=8)
    )(x)
    for estimate, expected in (
      (found.mean(), squares.mean()),
      (found.variance(), squares.var()),
    ):
      self.assertLess(abs(estimate.value - expected), 4 * estimate.error)
      self.assertLess(estimate.error, 0.2 * expected)
    self.assertGreaterEqual(found.nodes.min(), 0)


class OfLayersTest(parameterized.TestCase):
  def test_is_a_slice(self):
    fns = [
      lambda h, k=k: jnp.tanh(jnp.asarray(_matrix(k + 2, k + 1)) @ h)
      for k in range(1, 5)
    ]
    x = jnp.array([0.3, -0.2])
    for start, stop in ((0, None), (1, 3), (3, 4)):
      part = jacobian.of_layers(fns, x, start, stop)
      h = x
      for fn in fns[:start]:
        h = fn(h)
      np.testing.assert_array_equal(part.x, h)
      for fn in fns[start:stop]:
        h = fn(h)
      np.testing.assert_array_equal(part.fn(part.x), h)

  @parameterized.parameters((0, 0), (2, 1), (0, 4), (-1, 2))
  def test_refuses_what_is_no_part(self, start, stop):
    with self.assertRaisesRegex(
      ValueError, '0 <= start < stop <= 3.*must hold'
    ):
      jacobian.of_layers([jnp.sin] * 3, jnp.ones(2), start, stop)


class BetweenTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    net = mlp.mlp(
      depth=5, width=6, num_classes=3, activation=layers.activation('tanh')
    )
    _, self._params, state = net.init(_KEY, (4,))
    params = self._params
    self._fn = lambda x: net.apply(params, state, x[None])[0][0]
    self._x = jnp.array([0.5, -1, 0.2, 1])

  def _by_hand(self):
    """The outputs of the layers, and the Jacobian of each to the next."""
    params = jax.tree.map(np.asarray, self._params)
    hidden = params['hidden'].layer[0]
    stem, readout = params['stem'][0], params['readout']
    kernels = [stem.w, *hidden.w, readout.w]
    hs, jacobians = [np.asarray(self._x)], []
    for l, w in enumerate(kernels):
      h = hs[-1] @ w
      slope = np.ones_like(h)
      if l < 5:
        h, slope = np.tanh(h), 1 - np.tanh(h) ** 2
      hs.append(h)
      jacobians.append(slope[:, None] * w.T)
    return hs, jacobians

  @parameterized.parameters(
    (None, None, 0, 6),
    (None, 'stem', 0, 1),
    ('stem', None, 1, 6),
    ('stem/activation', ('hidden/layer', 0), 1, 2),
    (('hidden/layer', 0), ('hidden/layer', 2), 2, 4),
    (('hidden/layer', 1), ('hidden/layer/activation', -1), 3, 5),
    ('stem', 'readout', 1, 6),
    (('hidden/layer/activation', 3), 'readout', 5, 6),
  )
  def test_is_the_product_of_the_layers_jacobians(
    self, start, stop, first, last
  ):
    hs, jacobians = self._by_hand()

    @jax.jit
    def run(x):
      part = jacobian.between(self._fn, x, start, stop)
      return part.x, part.fn(part.x), jacobian.singular_values(*part)

    at_start, at_stop, found = run(self._x)
    np.testing.assert_allclose(at_start.squeeze(), hs[first], rtol=1e-6)
    np.testing.assert_allclose(at_stop.squeeze(), hs[last], rtol=1e-6)
    expected = np.eye(len(hs[first]))
    for matrix in jacobians[first:last]:
      expected = matrix @ expected
    atol = 1e-6 * _svd(expected)[0]
    np.testing.assert_allclose(found.values, _svd(expected), atol=atol)

  def test_a_shortcut_around_the_start_is_held(self):
    def fn(x):
      with jax.named_scope('branch'):
        h = 3 * x
      with jax.named_scope('end'):
        return jnp.sin(h) + x

    x = jnp.array([0.1, 0.2])
    part = jacobian.between(fn, x, 'branch', 'end')
    found = jacobian.singular_values(*part)
    np.testing.assert_allclose(found.values, np.cos([0.3, 0.6]), rtol=1e-12)

  def test_a_reversed_scan_runs_backward(self):
    def fn(x):
      def step(h, scale):
        with jax.named_scope('step'):
          return scale * h, None

      return jax.lax.scan(step, x, jnp.array([2.0, 3, 5]), reverse=True)[0]

    part = jacobian.between(fn, jnp.ones(1), ('step', 2), ('step', 0))
    gain = jax.jit(jax.grad(lambda x: part.fn(x)[0]))(part.x)
    np.testing.assert_allclose(gain, [6])
    with self.assertRaisesRegex(ValueError, 'must come after'):
      jacobian.between(fn, jnp.ones(1), ('step', 0), ('step', 2))

  @parameterized.parameters(
    ('stm', None, "Unknown scope 'stm'.*Did you mean 'stem'"),
    ('hidden/layer', None, r"write \('hidden/layer', 0..3\)"),
    (('hidden/layer', 4), None, r"write \('hidden/layer', 0..3\)"),
    (('stem', 0), None, "lies in 0 scans; write 'stem'"),
    ('readout', 'stem', "stop='stem' must come after start='readout'"),
    ('stem', 'stem', 'must come after'),
    (('hidden/layer', 2), ('hidden/layer', 1), 'must come after'),
  )
  def test_refuses_places_that_are_none(self, start, stop, message):
    with self.assertRaisesRegex(ValueError, f'^[^\n]*{message}[^\n]*$'):
      jacobian.between(self._fn, self._x, start, stop)


if __name__ == '__main__':
  absltest.main()
