"""Tests for `diagnosis/judgement.py`: what is said of whole models."""

from absl.testing import absltest
from absl.testing import parameterized
import equinox as eqx
from flax import nnx
import flax.linen as nn
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import jax
from jax import lax
import jax.numpy as jnp
from jaxdl.x_ray import diagnosis
from jaxdl.x_ray import finding
from jaxdl.x_ray.diagnosis import judgement
from jaxdl.x_ray.diagnosis import suspicion
from jaxdl.x_ray.diagnosis import thresholds
from jaxdl.x_ray.diagnosis import words
import numpy as np

from tests.x_ray.diagnosis import networks

# Before flax 0.12, modules hold lists as they are.
_List = getattr(nnx, 'List', list)


class _Block(nnx.Module):
  def __init__(self, rngs):
    self.norm1 = nnx.LayerNorm(16, rngs=rngs)
    self.attention = nnx.MultiHeadAttention(2, 16, 16, decode=False, rngs=rngs)
    self.norm2 = nnx.LayerNorm(16, rngs=rngs)
    self.up = nnx.Linear(16, 32, rngs=rngs)
    self.down = nnx.Linear(32, 16, rngs=rngs)

  def __call__(self, x):
    x = x + self.attention(self.norm1(x))
    return x + self.down(nnx.gelu(self.up(self.norm2(x))))


class _Transformer(nnx.Module):
  def __init__(self, rngs):
    self.embed = nnx.Embed(11, 16, rngs=rngs)
    self.blocks = _List([_Block(rngs) for _ in range(1)])
    self.norm = nnx.LayerNorm(16, rngs=rngs)
    self.head = nnx.Linear(16, 11, rngs=rngs)

  def __call__(self, tokens):
    x = self.embed(tokens)
    for block in self.blocks:
      x = block(x)
    return self.head(self.norm(x))


class _Cnn(nn.Module):
  @nn.compact
  def __call__(self, x):
    for i, width in enumerate((8, 16)):
      x = nn.Conv(width, (3, 3), name=f'conv_{i}')(x)
      x = nn.BatchNorm(use_running_average=False, name=f'norm_{i}')(x)
      x = nn.avg_pool(nn.relu(x), (2, 2), (2, 2))
    return nn.Dense(5, name='head')(x.mean((1, 2)))


def _transformer():
  tokens = jnp.asarray(np.random.RandomState(0).randint(0, 11, (4, 8)))

  def loss(model, tokens):
    return networks.cross_entropy(model(tokens)[:, :-1], tokens[:, 1:])

  model = nnx.jit(lambda: _Transformer(nnx.Rngs(0)))()
  return loss, model, tokens


def _cnn():
  random = np.random.RandomState(0)
  x = jnp.asarray(random.randn(8, 8, 8, 3), jnp.float32)
  model = _Cnn()

  def loss(variables, x, labels):
    y, _ = model.apply(variables, x, mutable=['batch_stats'])
    return networks.cross_entropy(y, labels)

  labels = jnp.asarray(random.randint(0, 5, 8))
  return loss, jax.jit(model.init)(jax.random.key(0), x), x, labels


def _equinox():
  x, labels = networks.data()
  model = eqx.nn.MLP(8, 5, 16, 3, key=jax.random.key(0))
  loss = lambda m, x, y: networks.cross_entropy(jax.vmap(m)(x), y)
  return loss, model, x, labels


def _residual():
  def loss(params, x, labels):
    with jax.named_scope('stem'):
      x = x @ params['stem']
    for l in range(8):
      with jax.named_scope(f'block_{l}'):
        x = x + jax.nn.relu(x @ params['blocks'][l]) @ params['out'][l]
    with jax.named_scope('head'):
      x = x @ params['head']
    return networks.cross_entropy(x, labels)

  random = np.random.RandomState(0)
  make = lambda *s: jnp.asarray(random.randn(*s) / np.sqrt(s[-2]), jnp.float32)
  params = {
    'stem': make(8, 16),
    'blocks': list(make(8, 16, 16)),
    'out': list(make(8, 16, 16)),
    'head': make(16, 5),
  }
  return loss, params, *networks.data()


def _recurrent():
  def loss(params, x, labels):
    def step(h, x):
      with jax.named_scope('cell'):
        return jnp.tanh(h @ params['recurrent'] + x @ params['input']), None

    h, _ = lax.scan(step, jnp.zeros((16, 16)), x)
    with jax.named_scope('head'):
      return networks.cross_entropy(h @ params['head'], labels)

  random = np.random.RandomState(0)
  params = {
    'recurrent': jnp.asarray(np.linalg.qr(random.randn(16, 16))[0]),
    'input': jnp.asarray(random.randn(4, 16) / 4),
    'head': jnp.asarray(random.randn(16, 5) / 4),
  }
  params = jax.tree.map(lambda p: p.astype(jnp.float32), params)
  x = jnp.asarray(random.randn(12, 16, 4), jnp.float32)
  return loss, params, x, networks.data()[1]


class HealthyTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('transformer', _transformer),
    ('cnn', _cnn),
    ('equinox', _equinox),
    ('residual', _residual),
    ('recurrent', _recurrent),
  )
  def test_nothing_is_found(self, make):
    loss, model, *args = make()
    self.assertEqual(networks.findings(loss, model, *args), ())

  def test_chain_of_relu(self):
    self.assertEqual(diagnosis.diagnose(networks.healthy()), ())


def _suspicion(verdict, at=0, **kwargs):
  return suspicion.Suspicion(
    verdict, f'row_{at}', 'so', ('this',), at, **kwargs
  )


def _with_scaled_loss(examined, scale):
  """As if the loss had been multiplied, in numbers of any range."""

  def of_row(row):
    backward = type(row.backward)(*(float(x) * scale for x in row.backward))
    return row._replace(backward=backward)

  def of_parameter(parameter):
    return parameter._replace(
      gradient_norm=parameter.gradient_norm * scale,
      gradient_max_abs=parameter.gradient_max_abs * scale,
    )

  return examined._replace(
    loss=examined.loss * scale,
    rows=tuple(map(of_row, examined.rows)),
    parameters=tuple(map(of_parameter, examined.parameters)),
  )


class DiagnoseTest(parameterized.TestCase):
  def test_data_that_saturate_are_the_cause(self):
    x, labels = networks.data()
    args = networks.params(6, 1.0), x * 1000, labels
    (found,) = networks.findings(networks.loss(jnp.tanh), *args)
    self.assertEqual(found.verdict, 'input_scale')
    self.assertIn('It explains: saturated at `tanh`', found.evidence)

  def test_two_faults_are_two_findings_causes_first(self):
    x, labels = networks.data()
    params = networks.params(6, 0.3) | {'spare': {'kernel': jnp.ones(3)}}

    def loss(params, x, labels):
      params = {k: v for k, v in params.items() if k != 'spare'}
      return networks.loss()(params, x, labels)

    found = networks.findings(loss, params, x * 1000, labels)
    verdicts = [f.verdict for f in found]
    self.assertEqual(verdicts, ['input_scale', 'disconnected', 'vanishing'])
    self.assertSequenceEqual(
      verdicts, sorted(verdicts, key=diagnosis.VERDICTS.index)
    )

  @given(scale=st.floats(1e-12, 1e12))
  @settings(deadline=None, max_examples=20)
  def test_no_verdict_depends_on_the_scale_of_the_loss(self, scale):
    shifted = networks.params(6)
    shifted['dense_02']['bias'] -= 50.0
    for params in (networks.params(6), networks.params(6, 0.3), shifted):
      examined = networks.examined(networks.loss(), params, *networks.data())
      plain = diagnosis.diagnose(examined)
      scaled = diagnosis.diagnose(_with_scaled_loss(examined, scale))
      self.assertEqual(
        [(f.verdict, f.where) for f in plain],
        [(f.verdict, f.where) for f in scaled],
      )

  def test_limits_can_be_moved(self):
    limits = thresholds.Thresholds(input_large=0.1)
    found = diagnosis.diagnose(networks.healthy(), limits)
    self.assertEqual([f.verdict for f in found], ['input_scale'])

  @parameterized.named_parameters(
    ('behind', ('dead', 1), ('symmetric', 2), ['dead']),
    ('before', ('dead', 2), ('symmetric', 1), ['symmetric']),
    ('in_the_same_row', ('dead', 1), ('symmetric', 1), ['symmetric']),
    ('alike', ('dead', 1), ('dead', 2), ['dead']),
    ('apart', ('dead', 1), ('input_scale', -1), ['input_scale', 'dead']),
    ('through_another', ('saturated', 1), ('vanishing', 3), ['saturated']),
  )
  def test_causes(self, first, second, expected):
    found = judgement.fold([_suspicion(*first), _suspicion(*second)])
    self.assertEqual([f.verdict for f in found], expected)

  def test_what_is_read_in_the_graph_stands_alone(self):
    found = judgement.fold(
      [_suspicion('dead'), _suspicion('disconnected', stands_alone=True)]
    )
    self.assertLen(found, 2)


class WordsTest(parameterized.TestCase):
  @parameterized.parameters(
    (0.5, '50%'), (1, '100%'), (0.9999, '100.0%'), (0, '0%')
  )
  def test_percent(self, share, expected):
    self.assertEqual(words.percent(share), expected)

  def test_numbers_and_names(self):
    self.assertEqual(words.number(0.4567), '0.457')
    self.assertEqual(words.listed(['a']), '`a`')
    self.assertEqual(words.listed(list('abcde')), '`a`, `b`, `c` and 2 more')

  def test_symptoms_are_told(self):
    told = _suspicion('dead', 1).finding(
      [_suspicion('dead', 2), _suspicion('vanishing', 3)]
    )
    self.assertEqual(
      told,
      finding.Finding(
        'dead',
        'row_1',
        'so; so it is at `row_2`. It explains: vanishing at `row_3`: so',
        ('this',),
      ),
    )


if __name__ == '__main__':
  absltest.main()
