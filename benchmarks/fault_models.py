"""Small models of several libraries, healthy as they are, to put faults into.

Each comes in two sizes: a diagnosis is tuned on the first, judged on the other.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
from flax import linen as nn
from flax import nnx
import jax
from jax import lax
import jax.numpy as jnp
import numpy as np
import optax

CLASSES = 6
# Before flax 0.12, modules hold lists as they are.
_List = getattr(nnx, 'List', list)
Array = jax.Array


class Model(NamedTuple):
  """A model with its loss and a batch.

  Attributes:
    loss: maps `(model, *batch)` to a scalar.
    model: its parameters, or a module.
    batch: random arrays, of order 1; integers are tokens or labels.
  """

  loss: Callable[..., Array]
  model: Any
  batch: tuple[Array, ...]


def cross_entropy(logits: Array, labels: Array) -> Array:
  """Mean over the batch, in float32.

  Args:
    logits: `[..., class]`.
    labels: `[...]`.
  """
  return jnp.mean(
    optax.softmax_cross_entropy_with_integer_labels(
      logits.astype(jnp.float32), labels
    )
  )


def _labelled(*shape: int) -> tuple[Array, Array]:
  random = np.random.RandomState(1)
  x = jnp.asarray(random.randn(*shape), jnp.float32)
  return x, jnp.asarray(random.randint(0, CLASSES, shape[0]))


def _normal(random: np.random.RandomState, *shape: int, gain=1.0) -> Array:
  deviation = gain / np.sqrt(shape[-2])
  return jnp.asarray(random.randn(*shape) * deviation, jnp.float32)


def mlp(
  size: int,
  activation: Callable[[Array], Array] = jax.nn.relu,
  gain: float = 2**0.5,
  dtype: Any = jnp.float32,
  loss: Callable[[Array, Array], Array] = cross_entropy,
  between: Callable[[Array], Array] = lambda x: x,
  batch: int | None = None,
) -> Model:
  """A chain of dense layers as plain functions, in named scopes.

  Args:
    size: 0 or 1.
    activation: between the layers.
    gain: of the hidden layers' weights.
    dtype: that is computed in.
    loss: maps logits and labels to a scalar.
    between: what is done in the middle of the chain.
    batch: its size.
  """
  depth, width = ((9, 24), (12, 40))[size]
  random = np.random.RandomState(0)
  sizes = [10, *[width] * depth]
  params = {
    f'dense_{l:02}': {
      'kernel': _normal(random, m, n, gain=gain),
      'bias': jnp.zeros(n),
    }
    for l, (m, n) in enumerate(zip(sizes, sizes[1:], strict=False))
  }
  params['readout'] = {
    'kernel': _normal(random, width, CLASSES),
    'bias': jnp.zeros(CLASSES),
  }

  def apply(params, x, labels):
    x = x.astype(dtype)
    for l, name in enumerate(sorted(params)):
      layer = jax.tree.map(lambda p: p.astype(dtype), params[name])
      with jax.named_scope(name):
        x = x @ layer['kernel'] + layer['bias']
        x = x if name == 'readout' else activation(x)
      x = between(x) if l == depth // 2 else x
    return loss(x, labels)

  return Model(apply, params, _labelled(batch or 16 + 8 * size, 10))


def regression(
  size: int,
  error: Callable[[Array, Array], Array] = lambda p, y: p[:, 0] - y,
  has_column: bool = False,
) -> Model:
  """Two dense layers that predict one number, without scopes.

  Args:
    size: 0 or 1.
    error: of predictions `[batch, 1]` and targets.
    has_column: whether targets are `[batch, 1]`, else `[batch]`.
  """
  width, batch = (16, 24)[size], (12, 20)[size]
  random = np.random.RandomState(0)
  params = {
    'hidden': _normal(random, 5, width, gain=2**0.5),
    'readout': _normal(random, width, 1),
  }

  def loss(params, x, y):
    h = jax.nn.relu(x @ params['hidden'])
    return jnp.mean(error(h @ params['readout'], y) ** 2)

  x = jnp.asarray(random.randn(batch, 5), jnp.float32)
  y = jnp.asarray(random.randn(batch, *[1] * has_column), jnp.float32)
  return Model(loss, params, (x, y))


def equinox_mlp(size: int) -> Model:
  """`eqx.nn.MLP`, mapped over the batch.

  Args:
    size: 0 or 1.
  """
  depth, width = ((4, 24), (6, 32))[size]
  model = eqx.nn.MLP(10, CLASSES, width, depth, key=jax.random.key(0))

  def loss(model, x, labels):
    return cross_entropy(jax.vmap(model)(x), labels)

  return Model(loss, model, _labelled(24, 10))


class _NormedMlp(nn.Module):
  widths: tuple[int, ...]

  @nn.compact
  def __call__(self, x):
    for i, width in enumerate(self.widths):
      x = nn.Dense(width, name=f'dense_{i}')(x)
      x = nn.BatchNorm(use_running_average=False, name=f'norm_{i}')(x)
      x = nn.relu(x)
    return nn.Dense(CLASSES, name='readout')(x)


class _Cnn(nn.Module):
  widths: tuple[int, ...]
  has_norm: bool

  @nn.compact
  def __call__(self, x):
    for i, width in enumerate(self.widths):
      x = nn.Conv(
        width,
        (3, 3),
        name=f'conv_{i}',
        kernel_init=nn.initializers.he_normal(),
      )(x)
      if self.has_norm:
        x = nn.BatchNorm(use_running_average=False, name=f'norm_{i}')(x)
      x = nn.relu(x)
    return nn.Dense(CLASSES, name='readout')(x.mean((1, 2)))


def _linen(module: nn.Module, *batch: Array) -> Model:
  def loss(variables, x, labels):
    y, _ = module.apply(variables, x, mutable=['batch_stats'])
    return cross_entropy(y, labels)

  variables = jax.jit(module.init)(jax.random.key(0), batch[0])
  return Model(loss, variables, batch)


def normed_mlp(size: int, batch: int | None = None) -> Model:
  """Dense layers with batch normalization, in Linen.

  Args:
    size: 0 or 1.
    batch: its size.
  """
  widths = ((16, 16), (24, 24, 24))[size]
  return _linen(_NormedMlp(widths), *_labelled(batch or 16 + 8 * size, 10))


def cnn(
  size: int, has_norm: bool = True, batch: int = 8, image: int = 8
) -> Model:
  """Convolutions, in Linen: some with batch normalization, more without.

  Args:
    size: 0 or 1.
    has_norm: whether each is followed by a batch normalization.
    batch: its size.
    image: height and width of an image.
  """
  depth = (2, 3)[size] if has_norm else (6, 8)[size]
  widths = ((8, 12)[size],) * depth
  data = _labelled(batch, image, image, 3)
  return _linen(_Cnn(widths, has_norm), *data)


class _NnxCnn(nnx.Module):
  def __init__(self, width, rngs):
    self.first = nnx.Conv(3, width, (3, 3), rngs=rngs)
    self.norm = nnx.BatchNorm(width, rngs=rngs)
    self.second = nnx.Conv(width, width, (3, 3), rngs=rngs)
    self.readout = nnx.Linear(width, CLASSES, rngs=rngs)

  def __call__(self, x):
    x = nnx.max_pool(nnx.relu(self.norm(self.first(x))), (2, 2), (2, 2))
    return self.readout(nnx.relu(self.second(x)).mean((1, 2)))


def nnx_cnn(size: int) -> Model:
  """Two convolutions and a pooling, in NNX.

  Args:
    size: 0 or 1.
  """
  loss = lambda model, x, labels: cross_entropy(model(x), labels)
  model = _NnxCnn((8, 12)[size], nnx.Rngs(0))
  return Model(loss, model, _labelled(8, 8, 8, 3))


class _Block(nnx.Module):
  def __init__(self, width, activation, has_skip, rngs):
    self.norm1 = nnx.LayerNorm(width, rngs=rngs)
    self.attention = nnx.MultiHeadAttention(
      2, width, width, decode=False, rngs=rngs
    )
    self.norm2 = nnx.LayerNorm(width, rngs=rngs)
    self.up = nnx.Linear(width, 2 * width, rngs=rngs)
    self.down = nnx.Linear(2 * width, width, rngs=rngs)
    self.activation = activation
    self.has_skip = has_skip

  def __call__(self, x):
    mask = nnx.make_causal_mask(x[..., 0]) if self.has_skip else None
    y = self.attention(self.norm1(x), mask=mask)
    x = x + y if self.has_skip else y
    y = self.down(self.activation(self.up(self.norm2(x))))
    return x + y if self.has_skip else y


class _Transformer(nnx.Module):
  def __init__(self, depth, width, activation, has_skip, rngs):
    self.embed = nnx.Embed(CLASSES, width, rngs=rngs)
    self.position = nnx.Param(
      0.02 * jax.random.normal(rngs.params(), (8, width))
    )
    self.blocks = _List(
      [_Block(width, activation, has_skip, rngs) for _ in range(depth)]
    )
    self.norm = nnx.LayerNorm(width, rngs=rngs)
    self.readout = nnx.Linear(width, CLASSES, rngs=rngs)

  def __call__(self, tokens, between):
    x = between(self.embed(tokens) + self.position[...])
    for block in self.blocks:
      x = block(x)
    return self.readout(self.norm(x))


def transformer(
  size: int,
  activation: Callable[[Array], Array] = jax.nn.gelu,
  has_skip: bool = True,
  between: Callable[[Array], Array] = lambda x: x,
) -> Model:
  """A language model in NNX; without shortcuts, it has no causal mask either.

  Args:
    size: 0 or 1.
    activation: in its dense layers.
    has_skip: whether it has shortcuts.
    between: what is done to the embeddings.
  """
  depth, width = (1 + size if has_skip else 4 + size), (16, 24)[size]
  model = _Transformer(depth, width, activation, has_skip, nnx.Rngs(0))
  random = np.random.RandomState(1)
  tokens = jnp.asarray(random.randint(0, CLASSES, (4 + 2 * size, 8)))

  def loss(model, tokens):
    return cross_entropy(model(tokens, between)[:, :-1], tokens[:, 1:])

  return Model(loss, model, (tokens,))


class _LinenBlock(nn.Module):
  @nn.compact
  def __call__(self, x):
    y = nn.LayerNorm(name='norm1')(x)
    x = x + nn.SelfAttention(2, name='attention')(y)
    y = nn.Dense(2 * x.shape[-1], name='up')(nn.LayerNorm(name='norm2')(x))
    return x + nn.Dense(x.shape[-1], name='down')(nn.relu(y))


class _LinenTransformer(nn.Module):
  depth: int

  @nn.compact
  def __call__(self, x):
    for l in range(self.depth):
      x = _LinenBlock(name=f'block_{l}')(x)
    x = nn.LayerNorm(name='norm')(x).mean(1)
    return nn.Dense(CLASSES, name='readout')(x)


def linen_transformer(size: int) -> Model:
  """An encoder of vectors in Linen, whose positions are averaged.

  Args:
    size: 0 or 1.
  """
  return _linen(_LinenTransformer(1 + size), *_labelled(6, 8, (16, 24)[size]))


def residual(size: int) -> Model:
  """Blocks x + f(x) without normalization, whose branches start small.

  Args:
    size: 0 or 1.
  """
  depth, width = ((6, 16), (10, 24))[size]
  random = np.random.RandomState(0)
  params = {
    'stem': _normal(random, 10, width),
    'blocks': [
      {
        'in': _normal(random, width, width, gain=2**0.5),
        'out': _normal(random, width, width, gain=depth**-0.5),
      }
      for _ in range(depth)
    ],
    'readout': _normal(random, width, CLASSES),
  }

  def loss(params, x, labels):
    with jax.named_scope('stem'):
      x = x @ params['stem']
    for l, block in enumerate(params['blocks']):
      with jax.named_scope(f'block_{l}'):
        x = x + jax.nn.relu(x @ block['in']) @ block['out']
    with jax.named_scope('readout'):
      x = x @ params['readout']
    return cross_entropy(x, labels)

  return Model(loss, params, _labelled(16 + 8 * size, 10))


def recurrent(size: int) -> Model:
  """A recurrent network over time, in a scan, with an orthogonal kernel.

  Args:
    size: 0 or 1.
  """
  steps, width = ((14, 16), (20, 24))[size]
  random = np.random.RandomState(0)
  params = {
    'recurrent': jnp.asarray(
      np.linalg.qr(random.randn(width, width))[0], jnp.float32
    ),
    'input': _normal(random, 4, width, gain=0.5),
    'readout': _normal(random, width, CLASSES),
  }

  def loss(params, x, labels):
    def step(h, x):
      with jax.named_scope('cell'):
        return jnp.tanh(h @ params['recurrent'] + x @ params['input']), None

    h = jnp.zeros((x.shape[0], width))
    h, _ = lax.scan(step, h, jnp.swapaxes(x, 0, 1))
    with jax.named_scope('readout'):
      h = h @ params['readout']
    return cross_entropy(h, labels)

  return Model(loss, params, _labelled(12, steps, 4))
