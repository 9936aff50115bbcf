"""Flax Linen models as they are written: the rows of their X-ray."""

from absl.testing import absltest
from absl.testing import parameterized
import flax.linen as nn
from flax.training import train_state
import jax
import jax.numpy as jnp
import optax

from tests.x_ray import outlines

_KEY = jax.random.key(0)
_X = jnp.ones((2, 3, 4))
_TOKENS = jnp.zeros((2, 3), int)
_IMAGES = jnp.ones((2, 5, 5, 3))


class _Mlp(nn.Module):
  @nn.compact
  def __call__(self, x):
    return nn.Dense(4, name='down')(nn.gelu(nn.Dense(6, name='up')(x)))


class _Block(nn.Module):
  @nn.compact
  def __call__(self, x, train=True):
    y = nn.LayerNorm()(x)
    x = x + nn.MultiHeadDotProductAttention(2, name='attention')(y, y)
    return x + nn.Dropout(0.1, deterministic=not train)(_Mlp(name='mlp')(x))


def _block(name, suffix='', train=True):
  drop = f'{name}/Dropout_0{suffix}' if train else ''
  return f"""
    {name}/LayerNorm_0{suffix} scale bias
    {name}/attention/query{suffix} kernel bias
    {name}/attention/key{suffix} kernel bias
    {name}/attention/value{suffix} kernel bias
    {name}/attention/einsum{suffix}
    {name}/attention/softmax{suffix}
    {name}/attention/einsum#2{suffix}
    {name}/attention/out{suffix} kernel bias
    {name}/mlp/up{suffix} kernel bias
    {name}/mlp/gelu{suffix}
    {name}/mlp/down{suffix} kernel bias
    {drop}
    {name}{suffix}
  """.strip()


class _Transformer(nn.Module):
  """In the style of `setup`; the embedding is tied to the readout."""

  def setup(self):
    self.embed = nn.Embed(5, 4)
    self.blocks = [_Block() for _ in range(2)]

  def __call__(self, tokens, train=True):
    x = self.embed(tokens)
    for block in self.blocks:
      x = block(x, train)
    return self.embed.attend(x)


def _transformer(train):
  return f"""
    embed embedding
    {_block('blocks_0', train=train)}
    {_block('blocks_1', train=train)}
    embed/attend embed/embedding
  """


class _Layer(nn.Module):
  @nn.compact
  def __call__(self, x, _):
    return _Block(name='block')(x, train=False), None


class _Scanned(nn.Module):
  @nn.compact
  def __call__(self, x):
    layers = nn.scan(
      _Layer,
      variable_axes={'params': 0},
      split_rngs={'params': True},
      length=3,
    )
    x, _ = layers(name='layers')(x, None)
    return nn.Dense(2, name='head')(x)


class _Rematerialized(nn.Module):
  @nn.compact
  def __call__(self, x):
    x = nn.remat(_Mlp)(name='first')(x)
    return nn.remat(_Mlp)()(x)


class _Ensemble(nn.Module):
  @nn.compact
  def __call__(self, x):
    members = nn.vmap(
      _Mlp,
      variable_axes={'params': 0},
      split_rngs={'params': True},
      in_axes=None,
      axis_size=3,
    )
    return jnp.mean(members(name='members')(x), axis=0)


class _Convolutional(nn.Module):
  @nn.compact
  def __call__(self, x, train):
    x = nn.Conv(4, (3, 3))(x)
    x = nn.relu(nn.BatchNorm(use_running_average=not train)(x))
    return nn.Dense(2)(jnp.mean(x, (1, 2)))


class _Recurrent(nn.Module):
  @nn.compact
  def __call__(self, x):
    return nn.Dense(1)(nn.RNN(nn.GRUCell(2))(x))


class _Autoencoder(nn.Module):
  def setup(self):
    self.inner = nn.Dense(2)
    self.outer = nn.Dense(4)
    self.scale = self.param('scale', nn.initializers.ones, (4,))

  def encode(self, x):
    return nn.tanh(self.inner(x * self.scale))

  def __call__(self, x):
    return self.outer(self.encode(x))


class _Twice(nn.Module):
  @nn.compact
  def __call__(self, x):
    dense = nn.Dense(4)
    return dense(nn.relu(dense(x)))


def _mlp(name):
  return f"""
    {name}/up kernel bias
    {name}/gelu
    {name}/down kernel bias
  """.strip()


def _init(model, *args, **kwargs):
  init = lambda key: model.init(key, *args, **kwargs)
  return outlines.zeros(jax.eval_shape(init, _KEY))


def _loss(model):
  return lambda variables, x: jnp.mean(model.apply(variables, x) ** 2)


_CONVOLUTIONAL = [
  'Conv_0 kernel bias',
  'BatchNorm_0 scale bias',
  'relu',
  'Dense_0 kernel bias',
]


class LinenTest(parameterized.TestCase):
  @parameterized.named_parameters(
    (
      'scan',
      _Scanned(),
      f'{_block("layers/block", "[0]", False)}\nhead kernel bias',
    ),
    (
      'remat',
      _Rematerialized(),
      f'{_mlp("first")}\n{_mlp("Checkpoint_Mlp_0")}\n(model)',
    ),
    ('vmap', _Ensemble(), f'{_mlp("members")}\n(model)'),
    (
      'recurrent',
      _Recurrent(),
      """
        GRUCell_0/ir[0] kernel bias
        GRUCell_0/hr[0] kernel
        GRUCell_0/sigmoid[0]
        GRUCell_0/iz[0] kernel bias
        GRUCell_0/hz[0] kernel
        GRUCell_0/sigmoid#2[0]
        GRUCell_0/in[0] kernel bias
        GRUCell_0/hn[0] kernel bias
        GRUCell_0/tanh[0]
        GRUCell_0[0]
        RNN_0
        Dense_0 kernel bias
      """,
    ),
    (
      'method_of_itself',
      _Autoencoder(),
      'inner kernel bias\n encode scale\n outer kernel bias',
    ),
    (
      'a_module_twice',
      _Twice(),
      'Dense_0 kernel bias\n relu\n Dense_0#2 kernel bias',
    ),
    (
      'sequential',
      nn.Sequential([nn.Dense(3), nn.relu, nn.Dense(1)]),
      'layers_0 kernel bias\n relu\n layers_2 kernel bias',
    ),
    ('one_layer', nn.Dense(3), '(model) kernel bias'),
  )
  def test_rows_and_their_parameters(self, model, expected):
    variables = _init(model, _X)
    found = outlines.outline(_loss(model), variables, _X)
    # A block in evaluation has no dropout.
    self.assertEqual(found, [line for line in outlines.lines(expected) if line])

  def test_dropout_keys(self):
    model = _Transformer()
    variables = _init(model, _TOKENS, train=False)

    def loss(variables, tokens, key):
      return jnp.mean(model.apply(variables, tokens, rngs={'dropout': key}))

    found = outlines.outline(loss, variables, _TOKENS, _KEY)
    self.assertEqual(found, outlines.lines(_transformer(train=True)))

  def test_apply_fn_of_a_train_state(self):
    model = _Transformer()
    params = _init(model, _TOKENS, train=False)['params']
    state = train_state.TrainState.create(
      apply_fn=model.apply, params=params, tx=optax.sgd(0.1)
    )

    def loss(params, tokens):
      return jnp.mean(state.apply_fn({'params': params}, tokens, train=False))

    found = outlines.outline(loss, state.params, _TOKENS)
    expected = outlines.lines(_transformer(train=False))
    self.assertEqual(found, [line for line in expected if line])

  @parameterized.named_parameters(('training', True), ('evaluation', False))
  def test_mutable_collections(self, train):
    model = _Convolutional()
    variables = _init(model, _IMAGES, True)

    def loss(variables, x):
      return model.apply(variables, x, train, mutable=['batch_stats'])

    def mean(variables, x):
      y, changed = loss(variables, x)
      return jnp.mean(y**2), changed

    found = outlines.outline(mean, variables, _IMAGES, has_aux=True)
    self.assertEqual(found, _CONVOLUTIONAL)

  def test_collections_beside_the_parameters(self):
    model = _Convolutional()
    variables = _init(model, _IMAGES, True)

    def loss(params, others, x):
      y, changed = model.apply(
        {'params': params, **others}, x, True, mutable=['batch_stats']
      )
      return jnp.mean(y**2), changed

    others = {'batch_stats': variables['batch_stats']}
    found = outlines.outline(
      loss, variables['params'], others, _IMAGES, has_aux=True
    )
    self.assertEqual(found, _CONVOLUTIONAL)

  def test_a_method_leaves_the_rest_without_a_row(self):
    model = _Autoencoder()
    found = outlines.examined(
      lambda v, x: jnp.mean(model.apply(v, x, method='encode')),
      _init(model, _X),
      _X,
    )
    self.assertEqual([row.name for row in found.rows], ['inner', '(model)'])
    self.assertEqual(outlines.unattached(found), ['outer/bias', 'outer/kernel'])

  def test_two_models_in_one_loss(self):
    generator, critic = _Mlp(), _Twice()
    params = {
      'generator': _init(generator, _X)['params'],
      'critic': _init(critic, _X)['params'],
    }

    def loss(params, x):
      x = generator.apply({'params': params['generator']}, x)
      return jnp.mean(critic.apply({'params': params['critic']}, x))

    self.assertEqual(
      outlines.outline(loss, params, _X),
      outlines.lines("""
        generator/up kernel bias
        generator/gelu
        generator/down kernel bias
        critic/Dense_0 kernel bias
        critic/relu
        critic/Dense_0#2 kernel bias
      """),
    )


if __name__ == '__main__':
  absltest.main()
