"""The numbers of an X-ray, against derivatives by hand in float64."""

from absl.testing import absltest
from absl.testing import parameterized
import equinox as eqx
from flax import nnx
import flax.linen as nn
import jax
from jax import lax
import jax.numpy as jnp
from jaxdl.tracing import probing
from jaxdl.x_ray import examination
from jaxdl.x_ray.inspection import structure
import numpy as np


def _truth(forward, x):
  """Values and cotangents at each boundary.

  Args:
    forward: maps a function `(name, value) -> value`, which it applies where a
      value leaves a module, and the data to the loss.
    x: the data.

  Returns:
    The loss; by name, the value and the derivative of the loss for it.
  """
  order = {}

  def values(by, x):
    found = {}

    def record(name, x):
      order[name] = None
      found[name] = x + by.get(name, 0)
      return found[name]

    loss = forward(record, x)
    return loss, found

  def truth(x):
    shapes = jax.eval_shape(lambda: values({}, x))[1]
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    loss, pullback, found = jax.vjp(
      lambda by: values(by, x), zeros, has_aux=True
    )
    return loss, found, pullback(jnp.ones_like(loss))[0]

  loss, found, cotangents = jax.jit(truth)(x)
  return loss, {
    name: (np.asarray(found[name]), np.asarray(cotangents[name]))
    for name in order
  }


def _statistics(x, cotangent, units):
  """Of the units along an axis."""
  x = np.moveaxis(np.abs(x) if np.iscomplexobj(x) else x, units, -1)
  rows, cotangent = x.reshape(-1, x.shape[-1]), np.abs(cotangent)
  return {
    'mean': rows.mean(),
    'std': rows.std(),
    'rms': np.sqrt(np.mean(rows**2)),
    'max_abs': np.abs(rows).max(),
    'zero': np.mean(rows == 0),
    'dead': np.mean(np.all(rows == 0, axis=0)),
    'cotangent_rms': np.sqrt(np.mean(cotangent**2)),
    'cotangent_max_abs': cotangent.max(),
  }


def _shown(row):
  found = row.forward._asdict()
  found.pop('saturated')
  backward = row.backward._asdict().items()
  return found | {f'cotangent_{name}': x for name, x in backward}


def _examined(subject):
  arrays = examination.arrays(subject.adapted, subject.args)
  measure = examination.measuring(subject)
  measured = jax.jit(measure)(subject.adapted.params, arrays)
  return examination.read(subject, jax.device_get(measured))


class _NnxNet(nnx.Module):
  def __init__(self, rngs):
    kinds = {'param_dtype': jnp.float64, 'rngs': rngs}
    self.conv = nnx.Conv(2, 4, (3, 3), **kinds)
    self.norm = nnx.BatchNorm(4, **kinds)
    self.norm.mean = nnx.BatchStat(jnp.zeros(4))  # Else in float32.
    self.norm.var = nnx.BatchStat(jnp.ones(4))
    self.dense = nnx.Linear(4, 4, **kinds)
    self.head = nnx.Linear(4, 3, **kinds)

  def __call__(self, x):
    x = nnx.relu(self.norm(self.conv(x)))
    x = jnp.mean(x, (1, 2))
    x = x + self.dense(jnp.tanh(self.dense(x)))
    return self.head(x)


def _nnx():
  model = _NnxNet(nnx.Rngs(0))
  x = jnp.asarray(np.random.RandomState(0).randn(4, 5, 5, 2))

  def by_hand(tap, x):
    conv, norm, dense, head = model.conv, model.norm, model.dense, model.head
    h = lax.conv_general_dilated(
      x,
      conv.kernel[...],
      (1, 1),
      'SAME',
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    )
    h = tap('conv', h + conv.bias[...])
    mean = jnp.mean(h, (0, 1, 2))
    variance = jnp.mean(h**2, (0, 1, 2)) - mean**2
    h = (h - mean) / jnp.sqrt(variance + 1e-5)
    h = tap('norm', h * norm.scale[...] + norm.bias[...])
    h = jnp.mean(tap('relu', jnp.maximum(h, 0)), (1, 2))
    linear = lambda layer, x: x @ layer.kernel[...] + layer.bias[...]
    y = tap('tanh', jnp.tanh(tap('dense', linear(dense, h))))
    y = tap('dense#2', linear(dense, y))
    y = tap('head', linear(head, h + y))
    return jnp.mean(y**2)

  return lambda m, x: jnp.mean(m(x) ** 2), model, x, by_hand, {}


class _EquinoxNet(eqx.Module):
  conv: eqx.nn.Conv2d
  blocks: eqx.nn.Linear
  head: eqx.nn.Linear

  def __init__(self, key):
    self.conv = eqx.nn.Conv2d(2, 4, 3, key=key)
    make = lambda key: eqx.nn.Linear(4, 4, key=key)
    self.blocks = eqx.filter_vmap(make)(jax.random.split(key, 3))
    self.head = eqx.nn.Linear(4, 3, use_bias=False, key=key)

  def __call__(self, x):
    x = jnp.mean(jax.nn.relu(self.conv(x)), (1, 2))
    arrays, others = eqx.partition(self.blocks, eqx.is_array)
    step = lambda x, block: (jnp.tanh(eqx.combine(block, others)(x)), None)
    x, _ = lax.scan(step, x, arrays)
    return self.head(x)


def _equinox():
  """Channels are first, and of the readout the examples are last."""
  model = eqx.filter_jit(_EquinoxNet)(jax.random.key(0))
  dead = jnp.asarray([-9.0, 0, 0, 0]).reshape(4, 1, 1)
  model = eqx.tree_at(lambda m: m.conv.bias, model, dead)
  x = jnp.asarray(np.random.RandomState(0).randn(5, 2, 5, 5))

  def by_hand(tap, x):
    h = lax.conv_general_dilated(x, model.conv.weight, (1, 1), 'VALID')
    h = tap('conv', h + model.conv.bias)
    h = jnp.mean(tap('relu', jnp.maximum(h, 0)), (2, 3))
    for i in range(3):
      h = h @ model.blocks.weight[i].T + model.blocks.bias[i]
      h = tap(f'tanh[{i}]', jnp.tanh(tap(f'blocks[{i}]', h)))
    y = tap('head', h @ model.head.weight.T)
    return jnp.mean(y**2)

  def loss(model, x):
    return jnp.mean(jax.vmap(model)(x) ** 2)

  return loss, model, x, by_hand, {'conv': 1, 'relu': 1}


class _LinenNet(nn.Module):
  @nn.compact
  def __call__(self, tokens):
    kinds = {'dtype': jnp.float64, 'param_dtype': jnp.float64}
    x = nn.Embed(5, 4, name='embed', **kinds)(tokens)
    y = nn.LayerNorm(name='norm', **kinds)(x)
    attention = nn.MultiHeadDotProductAttention(2, name='attention', **kinds)
    return nn.Dense(3, name='head', **kinds)(x + attention(y, y))


def _linen():
  model = _LinenNet()
  tokens = jnp.asarray(np.random.RandomState(0).randint(5, size=(3, 6)))
  variables = jax.jit(model.init)(jax.random.key(0), tokens)

  def by_hand(tap, tokens):
    params = variables['params']
    x = tap('embed', params['embed']['embedding'][tokens])
    mean = jnp.mean(x, -1, keepdims=True)
    variance = jnp.mean((x - mean) ** 2, -1, keepdims=True)
    y = (x - mean) / jnp.sqrt(variance + 1e-6)
    y = tap('norm', y * params['norm']['scale'] + params['norm']['bias'])
    attention = params['attention']
    project = lambda name: tap(
      f'attention/{name}',
      jnp.tensordot(y, attention[name]['kernel'], 1) + attention[name]['bias'],
    )
    query, key, value = map(project, ('query', 'key', 'value'))
    logits = jnp.einsum('bqhd,bkhd->bhqk', query / jnp.sqrt(2.0), key)
    logits = tap('attention/einsum', logits)
    weights = jnp.exp(logits) / jnp.sum(jnp.exp(logits), -1, keepdims=True)
    weights = tap('attention/softmax', weights)
    y = tap('attention/einsum#2', jnp.einsum('bhqk,bkhd->bqhd', weights, value))
    y = jnp.tensordot(y, attention['out']['kernel'], 2)
    y = tap('attention/out', y + attention['out']['bias'])
    y = (x + y) @ params['head']['kernel'] + params['head']['bias']
    return jnp.mean(tap('head', y) ** 2)

  def loss(variables, tokens):
    return jnp.mean(model.apply(variables, tokens) ** 2)

  return loss, variables, tokens, by_hand, {}


def _complex():
  random = np.random.RandomState(0)
  params = {
    'w': jnp.asarray(random.randn(4, 3) + 1j * random.randn(4, 3)),
    'v': jnp.asarray(random.randn(3, 2)),
  }
  x = jnp.asarray(random.randn(5, 4))

  def loss(params, x):
    with jax.named_scope('spectral'):
      h = x @ params['w']
    with jax.named_scope('head'):
      y = jnp.abs(h) @ params['v']
    return jnp.mean(y**2)

  def by_hand(tap, x):
    h = tap('spectral', x @ params['w'])
    y = tap('head', jnp.sqrt(h.real**2 + h.imag**2) @ params['v'])
    return jnp.mean(y**2)

  return loss, params, x, by_hand, {}


def _accumulated():
  """Gradients are accumulated over microbatches: iterations of the loss."""
  random = np.random.RandomState(0)
  params = {'w': jnp.asarray(random.randn(4, 3))}
  x = jnp.asarray(random.randn(6, 4))

  def loss(params, x):
    def microbatch(total, x):
      with jax.named_scope('dense'):
        y = x @ params['w']
      return total + jnp.mean(jax.nn.relu(y) ** 2), None

    return lax.scan(microbatch, 0.0, x.reshape(3, 2, 4))[0] / 3

  def by_hand(tap, x):
    total = 0
    for i, part in enumerate(x.reshape(3, 2, 4)):
      y = tap(
        f'relu[{i}]', jnp.maximum(tap(f'dense[{i}]', part @ params['w']), 0)
      )
      total += jnp.mean(y**2) / 3
    return total

  return loss, params, x, by_hand, {}


_CASES = (
  ('nnx', _nnx),
  ('equinox', _equinox),
  ('linen', _linen),
  ('complex', _complex),
  ('gradient_accumulation', _accumulated),
)


class TruthTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.addCleanup(jax.config.update, 'jax_enable_x64', False)
    jax.config.update('jax_enable_x64', True)

  @parameterized.named_parameters(*_CASES)
  def test_statistics_are_those_by_hand(self, make):
    loss, model, x, by_hand, units = make()
    subject = examination.subject(loss, model, (x,), False)
    found = _examined(subject)
    value, truth = _truth(by_hand, x)
    np.testing.assert_allclose(found.loss, value, rtol=1e-12)
    self.assertEqual([row.name for row in found.rows], list(truth))
    for row in found.rows:
      expected = _statistics(*truth[row.name], units.get(row.name, -1))
      np.testing.assert_allclose(
        list(_shown(row).values()),
        [expected[name] for name in _shown(row)],
        rtol=1e-9,
        atol=1e-15,
        err_msg=row.name,
      )
    if 'conv' in units:
      self.assertEqual(found.rows[1].forward.dead, 1 / 4)
    adapted = subject.adapted
    gradient = jax.grad(lambda params: adapted.loss(params, adapted.rest, x))
    for parameter, ct in zip(
      found.parameters, jax.jit(gradient)(adapted.params), strict=True
    ):
      np.testing.assert_allclose(
        [parameter.gradient_norm, parameter.gradient_max_abs],
        [np.linalg.norm(ct), np.abs(ct).max()],
        rtol=1e-9,
        atol=1e-15,
      )

  @parameterized.named_parameters(
    ('nnx', _nnx), ('gradient_accumulation', _accumulated)
  )
  def test_value_and_gradients_are_those_without(self, make):
    loss, model, x, _, _ = make()
    subject = examination.subject(loss, model, (x,), False)
    adapted = subject.adapted
    arrays = examination.arrays(adapted, (x,))
    taps = lambda found: structure.taps(found, subject.structure)

    def measured(params):
      traced = subject.traced._replace(sites=subject.sites)
      value, (grads,), _ = probing.measure(traced, taps, (params, arrays), {})
      return value, grads

    plain = jax.value_and_grad(
      lambda params: adapted.loss(params, adapted.rest, x)
    )
    for a, b in zip(
      jax.tree.leaves(jax.jit(measured)(adapted.params)),
      jax.tree.leaves(jax.jit(plain)(adapted.params)),
      strict=True,
    ):
      np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-16)

  def test_many_batches_at_once(self):
    loss, model, x, _, _ = _accumulated()
    subject = examination.subject(loss, model, (x,), False)
    measure = examination.measuring(subject)
    params = subject.adapted.params
    batches = jnp.stack([x, 2 * x])
    mapped = jax.jit(jax.vmap(lambda x: measure(params, [x])))(batches)
    for i, batch in enumerate(batches):
      for a, b in zip(
        jax.tree.leaves(mapped),
        jax.tree.leaves(jax.jit(measure)(params, [batch])),
        strict=True,
      ):
        np.testing.assert_allclose(a[i], b, rtol=1e-9, atol=1e-14)

  def test_of_a_branch_not_taken_there_are_no_numbers(self):
    def loss(params, x):
      def taken(x):
        with jax.named_scope('taken'):
          return x @ params['w']

      def other(x):
        with jax.named_scope('other'):
          return x @ params['v']

      return jnp.mean(lax.cond(jnp.sum(x) > 0, taken, other, x) ** 2)

    params = {'w': jnp.ones((3, 2)), 'v': jnp.ones((3, 2))}
    subject = examination.subject(loss, params, (jnp.ones((4, 3)),), False)
    rows = {row.name: row for row in _examined(subject).rows}
    self.assertEqual(rows['taken'].forward.mean, 3)
    self.assertTrue(np.isnan(rows['other'].forward.mean))
    self.assertTrue(np.isnan(rows['other'].backward.rms))


if __name__ == '__main__':
  absltest.main()
