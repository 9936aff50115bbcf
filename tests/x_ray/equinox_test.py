"""Equinox models as they are written: the rows of their X-ray."""

from collections.abc import Callable

from absl.testing import absltest
from absl.testing import parameterized
import equinox as eqx
import jax
from jax import lax
import jax.numpy as jnp

from tests.x_ray import outlines

_KEY = jax.random.key(0)
_KEYS = jax.random.split(_KEY, 2)
_X = jnp.ones((2, 4))
_SEQUENCES = jnp.ones((2, 3, 4))
_IMAGES = jnp.ones((2, 3, 5, 5))


def _loss(model, x, *args):
  return jnp.mean(jax.vmap(model)(x, *args) ** 2)


def _mapped(model, x):
  return jax.vmap(model)(x)


def _jitted(model, x):
  return jnp.mean(eqx.filter_jit(_mapped)(model, x) ** 2)


class _Block(eqx.Module):
  norm: eqx.nn.LayerNorm
  attention: eqx.nn.MultiheadAttention
  mlp: eqx.nn.MLP
  drop: eqx.nn.Dropout
  activation: Callable

  def __init__(self, key):
    self.norm = eqx.nn.LayerNorm(4)
    self.attention = eqx.nn.MultiheadAttention(2, 4, key=key)
    self.mlp = eqx.nn.MLP(4, 4, 6, 1, key=key)
    self.drop = eqx.nn.Dropout(0.1)
    self.activation = jax.nn.gelu

  def __call__(self, x, key):
    y = jax.vmap(self.norm)(x)
    x = x + self.attention(y, y, y)
    y = self.drop(jax.vmap(self.mlp)(x), key=key)
    return x + self.activation(y)


def _block(name, suffix=''):
  return f"""
    {name}/norm{suffix} weight bias
    {name}/attention/query_proj{suffix} weight
    {name}/attention/key_proj{suffix} weight
    {name}/attention/value_proj{suffix} weight
    {name}/attention/einsum{suffix}
    {name}/attention/softmax{suffix}
    {name}/attention/einsum#2{suffix}
    {name}/attention/output_proj{suffix} weight
    {name}/attention{suffix}
    {name}/mlp/layers/0{suffix} weight bias
    {name}/mlp/relu{suffix}
    {name}/mlp/layers/1{suffix} weight bias
    {name}/drop{suffix}
    {name}/gelu{suffix}
    {name}{suffix}
  """.strip()


class _Transformer(eqx.Module):
  blocks: list[_Block]
  head: eqx.nn.Linear
  scale: jax.Array

  def __init__(self, key):
    self.blocks = [_Block(key), _Block(key)]
    self.head = eqx.nn.Linear(4, 2, key=key)
    self.scale = jnp.ones(4)

  def __call__(self, x, key):
    for block in self.blocks:
      x = block(x, key)
    return self.head(jnp.mean(x, axis=0) * self.scale)


class _Scanned(eqx.Module):
  blocks: _Block
  head: eqx.nn.Linear

  def __init__(self, key):
    self.blocks = eqx.filter_vmap(_Block)(jax.random.split(key, 3))
    self.head = eqx.nn.Linear(4, 2, key=key)

  def __call__(self, x, key):
    arrays, others = eqx.partition(self.blocks, eqx.is_array)

    def through(x, arrays):
      return eqx.combine(arrays, others)(x, key), None

    x, _ = lax.scan(through, x, arrays)
    return jax.vmap(self.head)(x)


class _Checkpointed(eqx.Module):
  first: eqx.nn.Linear
  second: eqx.nn.Linear

  def __init__(self, key):
    self.first = eqx.nn.Linear(4, 4, key=key)
    self.second = eqx.nn.Linear(4, 4, key=key)

  def __call__(self, x):
    x = eqx.filter_checkpoint(self.first)(x)
    return eqx.filter_checkpoint(lambda f, x: jnp.tanh(f(x)))(self.second, x)


class _Convolutional(eqx.Module):
  layers: list[Callable]

  def __init__(self, key):
    self.layers = [
      eqx.nn.Conv2d(3, 4, 2, key=key),
      jax.nn.relu,
      eqx.nn.MaxPool2d(2, 2),
      jnp.ravel,
      eqx.nn.Linear(16, 3, key=key),
      jax.nn.log_softmax,
    ]

  def __call__(self, x):
    for layer in self.layers:
      x = layer(x)
    return x


class _Normalized(eqx.Module):
  conv: eqx.nn.Conv2d
  norm: eqx.nn.BatchNorm

  def __init__(self, key):
    self.conv = eqx.nn.Conv2d(3, 4, 2, key=key)
    self.norm = eqx.nn.BatchNorm(4, 'batch', mode='batch')

  def __call__(self, x, state):
    x, state = self.norm(self.conv(x), state)
    return jnp.tanh(x) * 2, state


def _normalized_loss(model, x, state):
  y, state = jax.vmap(
    model, axis_name='batch', in_axes=(0, None), out_axes=(0, None)
  )(x, state)
  return jnp.mean(y**2), state


class _Recurrent(eqx.Module):
  cell: eqx.nn.LSTMCell
  head: eqx.nn.Linear

  def __init__(self, key):
    self.cell = eqx.nn.LSTMCell(4, 2, key=key)
    self.head = eqx.nn.Linear(2, 1, key=key)

  def __call__(self, x):
    zeros = jnp.zeros(2)
    step = lambda state, x: (self.cell(x, state), None)
    (h, _), _ = lax.scan(step, (zeros, zeros), x)
    return self.head(h)


class _Tied(eqx.Module):
  shared: eqx.nn.Shared

  def __init__(self, key):
    layers = (
      eqx.nn.Embedding(5, 4, key=key),
      eqx.nn.Linear(4, 5, key=key),
    )
    self.shared = eqx.nn.Shared(
      layers, lambda both: both[1].weight, lambda both: both[0].weight
    )

  def __call__(self, tokens):
    embed, readout = self.shared()
    return jax.vmap(readout)(jax.vmap(embed)(tokens))


class _Encoder(eqx.Module):
  dense: eqx.nn.Linear
  activation: eqx.nn.Lambda

  def __init__(self, key):
    self.dense = eqx.nn.Linear(4, 4, key=key)
    self.activation = eqx.nn.Lambda(jax.nn.relu)

  def encode(self, x):
    return self.activation(self.dense(x)) * 2


class _Ensemble(eqx.Module):
  encoder: _Encoder
  members: eqx.nn.MLP

  def __init__(self, key):
    self.encoder = _Encoder(key)
    make = lambda key: eqx.nn.MLP(4, 2, 3, 1, key=key)
    self.members = eqx.filter_vmap(make)(jax.random.split(key, 3))

  def __call__(self, x):
    x = self.encoder.encode(x)
    each = eqx.filter_vmap(
      lambda member, x: member(x), in_axes=(eqx.if_array(0), None)
    )
    return jnp.mean(each(self.members, x), axis=0)


_MLP = """
  layers/0 weight bias
  relu
  layers/1 weight bias
  relu#2
  layers/2 weight bias
"""


def _mlp(key):
  return eqx.nn.MLP(4, 2, 3, 2, key=key)


class EquinoxTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('mlp', _mlp, _loss, (_X,), _MLP),
    ('filter_jit', _mlp, _jitted, (_X,), _MLP),
    (
      'transformer',
      _Transformer,
      _loss,
      (_SEQUENCES, _KEYS),
      f'{_block("blocks/0")}\n{_block("blocks/1")}\nhead weight bias scale',
    ),
    (
      'scan',
      _Scanned,
      _loss,
      (_SEQUENCES, _KEYS),
      f'{_block("blocks", "[0]")}\nhead weight bias',
    ),
    (
      'filter_checkpoint',
      _Checkpointed,
      _loss,
      (_X,),
      'first weight bias\n second weight bias\n tanh\n (model)',
    ),
    (
      'convolutional',
      _Convolutional,
      _loss,
      (_IMAGES,),
      """
        layers/0 weight bias
        relu
        layers/2
        layers/4 weight bias
        (model)
      """,
    ),
    (
      'recurrent',
      _Recurrent,
      _loss,
      (_SEQUENCES,),
      """
        cell/sigmoid[0]
        cell/sigmoid#2[0]
        cell/tanh[0]
        cell/sigmoid#3[0]
        cell/tanh#2[0]
        cell[0] weight_ih weight_hh bias
        head weight bias
      """,
    ),
    (
      'tied',
      _Tied,
      _loss,
      (jnp.zeros((2, 3), int),),
      """
        shared/pytree/0 weight
        shared/pytree/1 shared/pytree/0/weight bias
      """,
    ),
    (
      'ensemble_and_method',
      _Ensemble,
      _loss,
      (_X,),
      """
        encoder/dense weight bias
        encoder/activation
        encoder/encode
        members/layers/0 weight bias
        members/relu
        members/layers/1 weight bias
        (model)
      """,
    ),
    (
      'sequential',
      lambda key: eqx.nn.Sequential(
        [
          eqx.nn.Linear(4, 3, key=key),
          eqx.nn.Lambda(jnp.tanh),
          eqx.nn.Linear(3, 2, key=key),
        ]
      ),
      _loss,
      (_X,),
      'layers/0 weight bias\n layers/1\n layers/2 weight bias',
    ),
  )
  def test_rows_and_their_parameters(self, make, loss, args, expected):
    model = outlines.zeros(eqx.filter_eval_shape(make, _KEY))
    found = outlines.outline(loss, model, *args)
    self.assertEqual(found, outlines.lines(expected))

  @parameterized.named_parameters(
    ('training', lambda model: model),
    ('inference', eqx.nn.inference_mode),
  )
  def test_batch_norm_with_its_state(self, mode):
    model, state = eqx.nn.make_with_state(_Normalized)(_KEY)
    found = outlines.outline(
      _normalized_loss, mode(model), _IMAGES, state, has_aux=True
    )
    self.assertEqual(
      found, ['conv weight bias', 'norm weight bias', 'tanh', '(model)']
    )


if __name__ == '__main__':
  absltest.main()
