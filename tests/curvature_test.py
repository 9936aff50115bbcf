"""Tests for `curvature.py`, against dense references of NumPy."""

from absl.testing import absltest
from absl.testing import parameterized
import chex
import jax
import jax.numpy as jnp
from jaxdl import curvature
import numpy as np

_KEY = jax.random.key(0)


def setUpModule():
  jax.config.update('jax_enable_x64', True)


def tearDownModule():
  jax.config.update('jax_enable_x64', False)


def _data(num=12):
  rng = np.random.default_rng(0)
  return rng.standard_normal((num, 3)), rng.standard_normal((num, 2))


def _params(dtype=jnp.float64):
  rng = np.random.default_rng(1)
  draw = lambda *shape: jnp.asarray(rng.standard_normal(shape), dtype)
  return {'first': (draw(3, 4), draw(4)), 'second': draw(4, 2)}


def _loss(params, x, y):
  w, b = params['first']
  prediction = jnp.tanh(x @ w + b) @ params['second']
  return jnp.mean(jnp.square(prediction - y))


def _flat(tree):
  return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


def _quadratic(eigenvalues):
  """A loss whose Hessian has these eigenvalues."""
  size = len(eigenvalues)
  q = np.linalg.qr(np.random.default_rng(2).standard_normal((size, size)))[0]
  matrix = jnp.asarray(q * np.asarray(eigenvalues) @ q.T)
  return lambda params: params @ matrix @ params / 2


def _compiled(loss, params, *batch, **given):
  run = lambda params, *batch: curvature.hessian_eigenvalues(
    loss, params, *batch, key=_KEY, **given
  )
  return jax.jit(run)(params, *batch)


@jax.jit
def _dense_hessian(params, *batch):
  leaves, tree = jax.tree.flatten(params)
  splits = np.cumsum([leaf.size for leaf in leaves])[:-1]

  def of_vector(vector):
    parts = jnp.split(vector, splits)
    shaped = [
      part.reshape(leaf.shape) for part, leaf in zip(parts, leaves, strict=True)
    ]
    return _loss(jax.tree.unflatten(tree, shaped), *batch)

  return jax.hessian(of_vector)(jnp.concatenate(list(map(jnp.ravel, leaves))))


class HessianTest(parameterized.TestCase):
  @parameterized.parameters('magnitude', 'largest', 'smallest')
  def test_agrees_with_the_dense_hessian(self, which):
    params, batch = _params(), _data()
    hessian = _dense_hessian(params, *batch)
    true = np.linalg.eigvalsh(hessian)
    rank = {'magnitude': -abs(true), 'largest': -true, 'smallest': true}[which]
    expected = true[np.argsort(rank)][:4]

    found = _compiled(_loss, params, *batch, num=4, which=which)

    np.testing.assert_allclose(found.values, expected, atol=1e-10)
    self.assertLess(found.error.max(), 1e-6)
    chex.assert_trees_all_equal_structs(found.vectors, params)
    for i, value in enumerate(found.values):
      vector = _flat(jax.tree.map(lambda leaf: leaf[i], found.vectors))
      self.assertAlmostEqual(np.linalg.norm(vector), 1)
      np.testing.assert_allclose(hessian @ vector, value * vector, atol=1e-6)

  def test_copies_and_zeros_are_found_by_as_many_steps_as_parameters(self):
    true = [5.0, 5, -3, -3, -3, 1, 0, 0]
    found = _compiled(_quadratic(true), jnp.ones(8), num=8, which='largest')
    expected = np.sort(true)[::-1]
    np.testing.assert_allclose(found.values, expected, atol=1e-12)
    self.assertLess(found.error.max(), 1e-12)

  def test_error_bounds_what_few_steps_find(self):
    true = np.linspace(-1, 2, 100)
    found = _compiled(_quadratic(true), jnp.ones(100), num=3, steps=12)
    nearest = np.abs(np.asarray(found.values)[:, None] - true).min(axis=1)
    np.testing.assert_array_less(nearest, found.error)
    self.assertGreater(found.error.max(), 1e-3)

  @parameterized.parameters((jnp.float32, 1e-5), (jnp.bfloat16, 0.05))
  def test_narrow_types(self, dtype, tolerance):
    params = _params(dtype)
    batch = tuple(jnp.asarray(array, dtype) for array in _data())
    wide = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), (params, batch))
    true = np.linalg.eigvalsh(_dense_hessian(wide[0], *wide[1]))
    found = _compiled(_loss, params, *batch, num=1, steps=12)
    chex.assert_type(found.values, jnp.float32)
    np.testing.assert_allclose(found.values[0], true[-1], rtol=tolerance)

  def test_spectrum_has_the_moments(self):
    params, batch = _params(), _data()
    true = np.linalg.eigvalsh(_dense_hessian(params, *batch))
    found = jax.jit(
      lambda params, *batch: curvature.hessian_spectrum(
        _loss, params, *batch, key=_KEY, num_probes=64
      )
    )(params, *batch)
    for estimate, expected in (
      (found.mean(), true.mean()),
      (found.variance(), true.var()),
    ):
      self.assertLess(abs(estimate.value - expected), 4 * estimate.error)
      self.assertLess(estimate.error, 0.3 * expected)

  def test_refuses_in_one_line(self):
    params, batch = _params(), _data()
    run = lambda params, loss=_loss, **given: curvature.hessian_eigenvalues(
      loss, params, *batch, **{'num': 1, 'key': _KEY, **given}
    )
    for message, call in (
      ('num must be between 1 and 24.*got 25', lambda: run(params, num=25)),
      ('steps must be between num=1 and 24', lambda: run(params, steps=25)),
      ("Unknown end of the spectrum 'top'", lambda: run(params, which='top')),
      (
        'params has a leaf of complex128',
        lambda: run(jax.tree.map(lambda leaf: leaf + 0j, params)),
      ),
      (
        r'loss_fn must return one scalar.*\[\(12,\)\]',
        lambda: run(params, loss=lambda params, x, y: x[:, 0]),
      ),
    ):
      with self.assertRaisesRegex(ValueError, f'^{message}[^\n]*$'):
        call()


def _noise_by_hand(params, batch):
  """McCandlish et al., 2018, appendix A.1: batches of 1 and of all."""
  gradient = jax.jit(jax.grad(_loss))
  examples = zip(*batch, strict=True)
  rows = np.stack(
    [_flat(gradient(params, x[None], y[None])) for x, y in examples]
  )
  big, small = len(rows), 1
  norm_big = np.sum(rows.mean(axis=0) ** 2)
  norm_small = np.mean(np.sum(rows**2, axis=1))
  squared_norm = (big * norm_big - small * norm_small) / (big - small)
  trace = (norm_small - norm_big) / (1 / small - 1 / big)
  return squared_norm, trace, trace / squared_norm, np.cov(rows.T)


class NoiseScaleTest(parameterized.TestCase):
  @parameterized.parameters(1, 5, 12, 100)
  def test_agrees_with_the_paper_in_chunks_of_any_size(self, chunk):
    params, batch = _params(), _data()
    found = jax.jit(
      lambda params, *batch: curvature.gradient_noise_scale(
        _loss, params, *batch, memory_limit=chunk * 24 * 8
      )
    )(params, *batch)
    squared_norm, trace, scale, covariance = _noise_by_hand(params, batch)
    np.testing.assert_allclose(found.trace, np.trace(covariance), rtol=1e-11)
    np.testing.assert_allclose(found.trace, trace, rtol=1e-11)
    np.testing.assert_allclose(found.squared_norm, squared_norm, rtol=1e-10)
    np.testing.assert_allclose(found.scale, scale, rtol=1e-10)

  def test_memory_is_that_of_a_chunk(self):
    """No array holds the gradients of more examples than the limit allows."""
    params, batch = _params(), _data(500)
    run = lambda *args: curvature.gradient_noise_scale(
      _loss, *args, memory_limit=4 * 24 * 8
    )
    text = str(jax.make_jaxpr(run)(params, *batch))
    self.assertIn('f64[4,24]', text)
    self.assertNotIn('[500,24]', text)

  def test_scale_is_right_where_squares_underflow(self):
    params, batch = _params(jnp.float32), _data()
    expected = _noise_by_hand(_params(), batch)[2]
    batch = tuple(jnp.asarray(array, jnp.float32) for array in batch)
    tiny = lambda *args: 1e-30 * _loss(*args)
    found = curvature.gradient_noise_scale(tiny, params, *batch)
    np.testing.assert_allclose(found.scale, expected, rtol=1e-4)

  def test_no_noise_and_no_gradient(self):
    params, (x, y) = _params(), _data()
    same = np.tile(x[:1], (6, 1)), np.tile(y[:1], (6, 1))
    found = curvature.gradient_noise_scale(_loss, params, *same)
    self.assertLess(found.scale, 1e-25)
    self.assertGreater(found.squared_norm, 0.1)

    opposite = jnp.array([1.0, -1.0])
    linear = lambda w, x: jnp.sum(w * x)
    found = curvature.gradient_noise_scale(linear, jnp.ones(()), opposite)
    np.testing.assert_allclose(found, (np.inf, 2, -1))

  @parameterized.parameters(
    (((1, 3), (1, 2)), r'at least 2 examples; .*\[\(1,\)\]'),
    (((4, 3), (5, 2)), r'leading axes are \[\(4,\), \(5,\)\]'),
    (((4, 3), ()), r'leading axes are \[\(\), \(4,\)\]'),
    ((), r'leading axes are \[\]'),
  )
  def test_refuses_what_is_no_batch(self, shapes, message):
    batch = [np.ones(shape) for shape in shapes]
    with self.assertRaisesRegex(ValueError, f'^[^\n]*{message}[^\n]*$'):
      curvature.gradient_noise_scale(_loss, _params(), *batch)


if __name__ == '__main__':
  absltest.main()
