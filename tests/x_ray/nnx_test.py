"""Flax NNX models as they are written: the rows of their X-ray."""

from absl.testing import absltest
from absl.testing import parameterized
from flax import nnx
import jax
import jax.numpy as jnp

from tests.x_ray import outlines

_X = jnp.ones((2, 3, 4))
_TOKENS = jnp.zeros((2, 3), int)
_IMAGES = jnp.ones((2, 5, 5, 3))

# Before flax 0.12, modules hold lists as they are.
_List = getattr(nnx, 'List', list)


def _loss(model, *args):
  return jnp.mean(model(*args) ** 2)


class _Mlp(nnx.Module):
  def __init__(self, rngs):
    self.up = nnx.Linear(4, 6, rngs=rngs)
    self.down = nnx.Linear(6, 4, rngs=rngs)

  def __call__(self, x):
    return self.down(nnx.gelu(self.up(x)))


class _Block(nnx.Module):
  def __init__(self, rngs):
    self.norm = nnx.LayerNorm(4, rngs=rngs)
    self.attention = nnx.MultiHeadAttention(2, 4, decode=False, rngs=rngs)
    self.drop = nnx.Dropout(0.1, rngs=rngs)
    self.mlp = _Mlp(rngs)

  def __call__(self, x):
    x = x + self.attention(self.norm(x))
    return x + self.drop(self.mlp(x))


class _Transformer(nnx.Module):
  """The embedding is tied to the readout."""

  def __init__(self, rngs):
    self.embed = nnx.Embed(5, 4, rngs=rngs)
    self.blocks = _List([_Block(rngs) for _ in range(2)])

  def __call__(self, tokens):
    x = self.embed(tokens)
    for block in self.blocks:
      x = block(x)
    return self.embed.attend(x)


def _block(name):
  return f"""
    {name}/norm scale bias
    {name}/attention/query kernel bias
    {name}/attention/key kernel bias
    {name}/attention/value kernel bias
    {name}/attention/einsum
    {name}/attention/softmax
    {name}/attention/einsum#2
    {name}/attention/out kernel bias
    {name}/mlp/up kernel bias
    {name}/mlp/gelu
    {name}/mlp/down kernel bias
    {name}/drop
    {name}
  """.strip()


_TRANSFORMER = f"""
    embed embedding
    {_block('blocks/0')}
    {_block('blocks/1')}
    embed/attend embed/embedding
"""


class _Scanned(nnx.Module):
  def __init__(self, rngs):
    @nnx.split_rngs(splits=3)
    @nnx.vmap(axis_size=3)
    def blocks(rngs):
      return _Mlp(rngs)

    self.blocks = blocks(rngs)
    self.head = nnx.Linear(4, 2, rngs=rngs)

  def __call__(self, x):
    @nnx.scan(in_axes=(0, nnx.Carry), out_axes=nnx.Carry)
    def through(block, x):
      return block(x)

    return self.head(through(self.blocks, x))


class _Rematerialized(nnx.Module):
  def __init__(self, rngs):
    self.blocks = _List([_Mlp(rngs) for _ in range(2)])

  def __call__(self, x):
    for block in self.blocks:
      x = nnx.remat(lambda block, x: block(x))(block, x)
    return x


class _Decorated(nnx.Module):
  def __init__(self, rngs):
    self.inner = nnx.Linear(4, 4, rngs=rngs)

  @nnx.remat
  def __call__(self, x):
    return nnx.relu(self.inner(x))


class _DecoratedTwice(nnx.Module):
  def __init__(self, rngs):
    self.first = _Decorated(rngs)
    self.second = _Decorated(rngs)

  def __call__(self, x):
    return self.second(self.first(x))


class _Ensemble(nnx.Module):
  def __init__(self, rngs):
    split = nnx.split_rngs(splits=3)
    self.members = split(nnx.vmap(_Mlp, axis_size=3))(rngs)

  def __call__(self, x):
    each = nnx.vmap(lambda member, x: member(x), in_axes=(0, None))
    return jnp.mean(each(self.members, x), 0)


class _Convolutional(nnx.Module):
  def __init__(self, rngs):
    self.conv = nnx.Conv(3, 4, (3, 3), rngs=rngs)
    self.norm = nnx.BatchNorm(4, rngs=rngs)
    self.drop = nnx.Dropout(0.5, rngs=rngs)
    self.head = nnx.Linear(4, 2, rngs=rngs)

  def __call__(self, x):
    x = nnx.relu(self.norm(self.conv(x)))
    return self.head(self.drop(jnp.mean(x, (1, 2))))


class _Recurrent(nnx.Module):
  def __init__(self, rngs):
    self.rnn = nnx.RNN(nnx.LSTMCell(4, 2, rngs=rngs))
    self.head = nnx.Linear(2, 1, rngs=rngs)

  def __call__(self, x):
    return self.head(self.rnn(x))


class _Twice(nnx.Module):
  def __init__(self, rngs):
    self.dense = nnx.Linear(4, 4, rngs=rngs)

  def __call__(self, x):
    return self.dense(nnx.relu(self.dense(x)))


class _Autoencoder(nnx.Module):
  def __init__(self, rngs):
    self.inner = nnx.Linear(4, 2, rngs=rngs)
    self.outer = nnx.Linear(2, 4, rngs=rngs)

  def encode(self, x):
    return nnx.tanh(self.inner(x)) * 2

  def decode(self, code):
    return self.outer(code)


class _Trained(nnx.Module):
  def __init__(self, rngs):
    self.autoencoder = _Autoencoder(rngs)
    self.scale = nnx.Param(jnp.ones(4))

  def loss(self, x):
    code = self.autoencoder.encode(x * self.scale)
    return jnp.mean((self.autoencoder.decode(code) - x) ** 2)


_MLP_SCANNED = """
    blocks/up[0] blocks/up/kernel blocks/up/bias
"""
_CONVOLUTIONAL = """
    conv kernel bias
    norm scale bias
    relu
    drop
    head kernel bias
"""


def _mlp(name, suffix=''):
  return f"""
    {name}/up{suffix} kernel bias
    {name}/gelu{suffix}
    {name}/down{suffix} kernel bias
  """.strip()


def _jitted(model, *args):
  return jnp.mean(nnx.jit(lambda model, *args: model(*args))(model, *args) ** 2)


def _evaluated(make):
  def made(rngs):
    model = make(rngs)
    model.eval()
    return model

  return made


class NnxTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('transformer', _Transformer, _TOKENS, _loss, _TRANSFORMER),
    ('jit', _Transformer, _TOKENS, _jitted, _TRANSFORMER),
    (
      'scan',
      _Scanned,
      _X,
      _loss,
      f'{_mlp("blocks", "[0]")}\n head kernel bias',
    ),
    (
      'remat',
      _Rematerialized,
      _X,
      _loss,
      f'{_mlp("blocks/0")}\n{_mlp("blocks/1")}\n(model)',
    ),
    (
      'remat_as_a_decorator',
      _DecoratedTwice,
      _X,
      _loss,
      """
        first/inner kernel bias
        first/relu
        first
        second/inner kernel bias
        second/relu
        second
      """,
    ),
    ('ensemble', _Ensemble, _X, _loss, f'{_mlp("members")}\n(model)'),
    ('convolutional', _Convolutional, _IMAGES, _loss, _CONVOLUTIONAL),
    (
      'convolutional_in_evaluation',
      _evaluated(_Convolutional),
      _IMAGES,
      _loss,
      _CONVOLUTIONAL.replace('drop\n', ''),
    ),
    (
      'recurrent',
      _Recurrent,
      _X,
      _loss,
      """
        rnn/cell/ii[0] kernel
        rnn/cell/hi[0] kernel bias
        rnn/cell/sigmoid[0]
        rnn/cell/if_[0] kernel
        rnn/cell/hf[0] kernel bias
        rnn/cell/sigmoid#2[0]
        rnn/cell/ig[0] kernel
        rnn/cell/hg[0] kernel bias
        rnn/cell/tanh[0]
        rnn/cell/io[0] kernel
        rnn/cell/ho[0] kernel bias
        rnn/cell/sigmoid#3[0]
        rnn/cell/tanh#2[0]
        rnn/cell[0]
        rnn
        head kernel bias
      """,
    ),
    (
      'a_module_twice',
      _Twice,
      _X,
      _loss,
      'dense kernel bias\n relu\n dense#2 kernel bias',
    ),
    (
      'methods',
      _Trained,
      _X,
      lambda model, x: model.loss(x),
      """
        autoencoder/inner kernel bias
        autoencoder/tanh
        autoencoder/encode
        autoencoder/outer kernel bias
        loss scale
      """,
    ),
    (
      'methods_that_the_loss_calls',
      _Autoencoder,
      _X,
      lambda model, x: jnp.mean(model.decode(model.encode(x))),
      'inner kernel bias\n tanh\n encode\n outer kernel bias',
    ),
    (
      'sequential',
      lambda rngs: nnx.Sequential(
        nnx.Linear(4, 3, rngs=rngs), nnx.relu, nnx.Linear(3, 2, rngs=rngs)
      ),
      _X,
      _loss,
      'layers/0 kernel bias\n relu\n layers/2 kernel bias',
    ),
    (
      'low_rank',
      lambda rngs: nnx.Sequential(nnx.LoRALinear(4, 3, lora_rank=2, rngs=rngs)),
      _X,
      _loss,
      'layers/0/lora lora_a lora_b\n layers/0 kernel bias',
    ),
    (
      'one_layer',
      lambda rngs: nnx.Linear(4, 2, rngs=rngs),
      _X,
      _loss,
      '(model) kernel bias',
    ),
  )
  def test_rows_and_their_parameters(self, make, x, loss, expected):
    model = make(nnx.Rngs(0))
    self.assertEqual(outlines.outline(loss, model, x), outlines.lines(expected))

  def test_a_method_of_the_loss_uses_all_parameters(self):
    found = outlines.examined(
      lambda model, x: model.loss(x), _Trained(nnx.Rngs(0)), _X
    )
    self.assertEmpty(outlines.unattached(found))

  def test_iterations_come_in_order(self):
    found = outlines.examined(_loss, _Scanned(nnx.Rngs(0)), _X)
    names = [row.name for row in found.rows if 'down' in row.name]
    self.assertEqual(names, [f'blocks/down[{i}]' for i in range(3)])

  def test_the_source_is_the_users_line(self):
    found = outlines.examined(_loss, _Mlp(nnx.Rngs(0)), _X)
    line = _Mlp.__call__.__code__.co_firstlineno + 1
    self.assertEqual(
      {row.source.split()[0] for row in found.rows}, {f'nnx_test.py:{line}'}
    )

  def test_the_model_is_left_as_it_was(self):
    model = _Convolutional(nnx.Rngs(0))
    before = jax.tree.map(
      jnp.copy, nnx.to_pure_dict(nnx.state(model, nnx.Param))
    )
    outlines.examined(_loss, model, _IMAGES)
    after = nnx.to_pure_dict(nnx.state(model, nnx.Param))
    jax.tree.map(self.assertTrue, jax.tree.map(jnp.array_equal, before, after))
    self.assertEqual(float(model.norm.mean[...].sum()), 0)


if __name__ == '__main__':
  absltest.main()
