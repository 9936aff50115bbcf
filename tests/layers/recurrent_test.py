"""Tests for `recurrent.py`."""

import functools

from absl.testing import absltest
from absl.testing import parameterized
import chex
from flax import linen
import jax
import jax.numpy as jnp
from jaxdl import layers
from jaxdl import tracing
from jaxdl.layers import initializers
from jaxdl.layers import recurrent
import numpy as np

_BATCH, _TIME, _IN, _WIDTH = 3, 7, 2, 4
_CELLS = {
  'rnn': recurrent.rnn,
  'lstm': recurrent.lstm,
  'gru': recurrent.gru,
}
_BIASED = dict(bias_init=initializers.normal(0.5))


def _input(dtype=jnp.float32):
  return jax.random.normal(jax.random.key(0), (_BATCH, _TIME, _IN), dtype)


def _initialized(layer):
  return layer.init(jax.random.key(1), (_TIME, _IN))[1]


def _of_gate(params, index):
  """Params of one gate, float64."""
  own = slice(index * _WIDTH, (index + 1) * _WIDTH)
  return jax.tree.map(lambda p: np.asarray(p, np.float64)[..., own], params[:3])


def _sigmoid(z):
  return 1 / (1 + np.exp(-z))


def _affine(params, gate, x, h):
  w, u, b = _of_gate(params, gate)
  return x @ w + h @ u + b


def _rnn_step(params, x, state):
  (h,) = state
  return (np.tanh(_affine(params, 0, x, h)),)


def _lstm_step(params, x, state):
  """The equations of Gers et al., 2000, with tanh."""
  c, h = state
  i, f, g, o = (_affine(params, gate, x, h) for gate in range(4))
  c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
  return c, _sigmoid(o) * np.tanh(c)


def _gru_step(params, x, state):
  """Equations 5 to 8 of Cho et al., 2014."""
  (h,) = state
  r, z = (_sigmoid(_affine(params, gate, x, h)) for gate in range(2))
  return (z * h + (1 - z) * np.tanh(_affine(params, 2, x, r * h)),)


_BY_HAND = {
  'rnn': (_rnn_step, 1),
  'lstm': (_lstm_step, 2),
  'gru': (_gru_step, 1),
}


def _by_hand(name, params, x):
  """The states of all time steps, `[states, time, batch, width]`, float64."""
  step, num_states = _BY_HAND[name]
  state = (np.zeros((_BATCH, _WIDTH)),) * num_states
  states = []
  for t in range(_TIME):
    state = step(params, np.asarray(x[:, t], np.float64), state)
    states.append(state)
  return np.swapaxes(np.array(states), 0, 1)


class DefinitionTest(chex.TestCase):
  @chex.variants(with_jit=True, without_jit=True)
  @parameterized.parameters(*_CELLS)
  def test_is_the_recurrence_of_the_paper(self, name):
    layer = _CELLS[name](_WIDTH, **_BIASED)
    params, x = _initialized(layer), _input()
    y, _ = self.variant(layer.apply)(params, (), x)
    expected = np.swapaxes(_by_hand(name, params, x)[-1], 0, 1)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)

  def test_rnn_takes_any_activation(self):
    layer = recurrent.rnn(
      _WIDTH, activation=layers.activation('prelu', slope=0.5)
    )
    params, x = _initialized(layer), _input()
    y, _ = layer.apply(params, (), x)
    h = np.zeros((_BATCH, _WIDTH))
    for t in range(_TIME):
      z = _affine(params, 0, np.asarray(x[:, t], np.float64), h)
      h = np.where(z > 0, z, 0.5 * z)
      np.testing.assert_allclose(y[:, t], h, rtol=1e-4, atol=1e-6)

  def test_random_activation_draws_anew_at_each_step(self):
    layer = recurrent.rnn(
      _WIDTH,
      activation=layers.activation('rrelu'),
      weight_init=initializers.constant(-1.0),
      recurrent_init=initializers.zeros(),
    )
    params, x = _initialized(layer), jnp.ones((_BATCH, _TIME, _IN))
    y, _ = layer.apply(params, (), x, train=True, key=jax.random.key(2))
    self.assertLen(np.unique(y), y.size)
    with self.assertRaisesRegex(ValueError, 'rrelu is random'):
      layer.apply(params, (), x, train=True)


def _linen_dense(w, b=None):
  return {'kernel': w} if b is None else {'kernel': w, 'bias': b}


def _split(params, num_gates):
  return zip(
    *(jnp.split(p, num_gates, axis=-1) for p in params[:3]), strict=True
  )


def _linen_rnn(params):
  return {'i': _linen_dense(params.w, params.b), 'h': _linen_dense(params.u)}


def _linen_lstm(params):
  variables = {}
  for gate, (w, u, b) in zip('ifgo', _split(params, 4), strict=True):
    variables[f'i{gate}'] = _linen_dense(w)
    variables[f'h{gate}'] = _linen_dense(u, b)
  return variables


def _linen_gru(params):
  variables = {}
  for gate, (w, u, b) in zip('rzn', _split(params, 3), strict=True):
    variables[f'i{gate}'] = _linen_dense(w, b)
    zeros = jnp.zeros(_WIDTH) if gate == 'n' else None
    variables[f'h{gate}'] = _linen_dense(u, zeros)
  return variables


def _with_diagonal_candidate(params):
  """Behind a diagonal matrix a reset gate does what it does before it."""
  candidate = params.u[:, 2 * _WIDTH :]
  diagonal = jnp.diag(jnp.diag(candidate))
  return params._replace(u=params.u.at[:, 2 * _WIDTH :].set(diagonal))


class LinenTest(parameterized.TestCase):
  def _outputs(self, name, cell, convert, change=lambda params: params):
    layer = _CELLS[name](_WIDTH, **_BIASED)
    params, x = change(_initialized(layer)), _input()
    variables = {'params': {'cell': convert(params)}}
    expected = linen.RNN(cell(_WIDTH)).apply(variables, x)
    return layer.apply(params, (), x)[0], expected

  @parameterized.named_parameters(
    ('rnn', 'rnn', linen.SimpleCell, _linen_rnn),
    ('lstm', 'lstm', linen.OptimizedLSTMCell, _linen_lstm),
    ('gru', 'gru', linen.GRUCell, _linen_gru, _with_diagonal_candidate),
  )
  def test_agrees_with_the_cell_of_linen(self, *case):
    y, expected = self._outputs(*case)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)

  def test_linen_resets_behind_the_recurrent_weights(self):
    """So its GRU is another function than that of Cho et al."""
    y, expected = self._outputs('gru', linen.GRUCell, _linen_gru)
    np.testing.assert_allclose(y[:, 0], expected[:, 0], rtol=1e-5)  # h_0 = 0.
    self.assertGreater(np.abs(y - expected).max(), 0.01)


class InitTest(parameterized.TestCase):
  @parameterized.parameters(('rnn', 1), ('lstm', 4), ('gru', 3))
  def test_each_gate_is_drawn_on_its_own(self, name, num_gates):
    layer = _CELLS[name](
      _WIDTH,
      weight_init=initializers.constant(3.0),
      recurrent_init=initializers.orthogonal(0.5),
      bias_init=initializers.constant(2.0),
    )
    params = _initialized(layer)
    np.testing.assert_array_equal(params.w, np.full(params.w.shape, 3.0))
    blocks = [_of_gate(params, gate)[1] for gate in range(num_gates)]
    for u in blocks:
      np.testing.assert_allclose(u.T @ u, 0.25 * np.eye(_WIDTH), atol=1e-6)
    self.assertLen(np.unique(np.round(blocks, 5), axis=0), num_gates)
    biases = [_of_gate(params, gate)[2] for gate in range(num_gates)]
    expected = [2.0, 3.0, 2.0, 2.0] if name == 'lstm' else [2.0] * num_gates
    np.testing.assert_array_equal(np.array(biases)[:, 0], expected)

  def test_scales_may_be_traced(self):
    def norms(scale):
      layer = recurrent.lstm(
        _WIDTH,
        forget_bias=scale,
        recurrent_init=initializers.normal_fan_in(scale),
      )
      params = _initialized(layer)
      return jnp.linalg.norm(params.u), jnp.sum(params.b) / _WIDTH

    u_norm, forget_bias = jax.jit(jax.vmap(norms))(jnp.array([1.0, 3.0]))
    np.testing.assert_allclose(u_norm[1] / u_norm[0], 3, rtol=1e-5)
    np.testing.assert_allclose(forget_bias, [1, 3], rtol=1e-6)

  @parameterized.parameters(*_CELLS)
  def test_refuses_what_is_no_sequence(self, name):
    for in_shape in ((3,), (4, 4, 3), (0, 3)):
      with self.assertRaisesRegex(ValueError, rf'{name} takes sequences'):
        _CELLS[name](_WIDTH).init(jax.random.key(0), in_shape)
    with self.assertRaisesRegex(ValueError, 'width must be at least 1'):
      _CELLS[name](0)

  def test_refuses_an_activation_with_a_state(self):
    layer = recurrent.rnn(_WIDTH, activation=layers.batch_norm())
    with self.assertRaisesRegex(ValueError, 'has no state'):
      _initialized(layer)


def _loss(layer, params, x, target):
  h, _ = layer.apply(params, (), x)
  return jnp.mean((h - target) ** 2) + jnp.sum(jnp.sin(h[:, -1]))


def _written_out(name, params, x, target):
  """The loss as a function of what is added to the states of each time."""

  def loss(perturbations):
    state = tuple(jnp.zeros((_BATCH, _WIDTH)) for _ in perturbations)
    hs = []
    for t in range(_TIME):
      added = [perturbation[t] for perturbation in perturbations]
      state = _perturbed_step(name, params, x[:, t], state, added)
      hs.append(state[-1])
    h = jnp.stack(hs, axis=1)
    return jnp.mean((h - target) ** 2) + jnp.sum(jnp.sin(h[:, -1]))

  return loss


def _perturbed_step(name, params, x, state, added):
  split = functools.partial(jnp.split, axis=-1)
  z = x @ params.w + params.b
  if name == 'rnn':
    return (jnp.tanh(z + state[0] @ params.u) + added[0],)
  if name == 'lstm':
    c, h = state
    i, f, g, o = split(z + h @ params.u, 4)
    sigmoid = jax.nn.sigmoid
    c = sigmoid(f) * c + sigmoid(i) * jnp.tanh(g) + added[0]
    return c, sigmoid(o) * jnp.tanh(c) + added[1]
  (h,) = state
  u_r, u_z, u_g = split(params.u, 3)
  z_r, z_z, z_g = split(z, 3)
  r, update = jax.nn.sigmoid(z_r + h @ u_r), jax.nn.sigmoid(z_z + h @ u_z)
  g = jnp.tanh(z_g + (r * h) @ u_g)
  return (update * h + (1 - update) * g + added[0],)


class ProbeTest(parameterized.TestCase):
  @parameterized.parameters(*_CELLS)
  def test_cotangent_of_each_time_is_that_of_a_vjp(self, name):
    """In float64: of zeros that are added to the states, by hand."""
    self.addCleanup(jax.config.update, 'jax_enable_x64', False)
    jax.config.update('jax_enable_x64', True)
    layer = _CELLS[name](_WIDTH, **_BIASED)
    params = _initialized(layer)
    x = _input(jnp.float64)
    target = jax.random.normal(
      jax.random.key(3), (_BATCH, _TIME, _WIDTH), jnp.float64
    )
    probed = tracing.probe(functools.partial(_loss, layer))
    value, _, profile = jax.jit(probed)(params, x, target)
    num_states = _BY_HAND[name][1]
    zeros = [jnp.zeros((_TIME, _BATCH, _WIDTH))] * num_states
    by_hand, vjp = jax.vjp(_written_out(name, params, x, target), zeros)
    (cotangents,) = vjp(jnp.ones_like(by_hand))
    states = _by_hand(name, params, x)
    np.testing.assert_allclose(value, by_hand, rtol=1e-12)
    scopes = ['cell', 'hidden'][-num_states:]
    for scope, ct, h in zip(scopes, cotangents, states, strict=True):
      signal = profile[f'{name}/step/{scope}']
      rms = lambda a: np.sqrt(np.mean(np.square(a), axis=(1, 2)))
      chex.assert_shape(signal.backward.rms, (_TIME,))
      np.testing.assert_allclose(signal.backward.rms, rms(ct), rtol=1e-10)
      np.testing.assert_allclose(
        signal.backward.max_abs, np.abs(ct).max((1, 2)), rtol=1e-10
      )
      np.testing.assert_allclose(signal.forward.rms, rms(h), rtol=1e-10)
    step = profile[f'{name}/step'].backward.rms
    np.testing.assert_array_equal(step, signal.backward.rms)

  @parameterized.parameters(
    ('rnn', ()),
    ('lstm', ('input_gate', 'forget_gate', 'candidate', 'output_gate')),
    ('gru', ('reset_gate', 'update_gate', 'candidate')),
  )
  def test_each_gate_is_a_scope(self, name, gates):
    layer = _CELLS[name](_WIDTH)
    probed = tracing.probe(functools.partial(_loss, layer))
    _, _, profile = jax.eval_shape(probed, _initialized(layer), _input(), 0.0)
    for gate in gates:
      chex.assert_shape(profile[f'{name}/step/{gate}'].forward, (_TIME,))


class LastStepTest(parameterized.TestCase):
  def test_is_the_last(self):
    x = _input()
    y, _ = recurrent.last_step().apply((), (), x)
    np.testing.assert_array_equal(y, x[:, -1])

  @parameterized.parameters(((),), ((0, 3),))
  def test_refuses_what_has_no_step(self, in_shape):
    with self.assertRaisesRegex(ValueError, 'last_step takes sequences'):
      recurrent.last_step().init(jax.random.key(0), in_shape)


if __name__ == '__main__':
  absltest.main()
