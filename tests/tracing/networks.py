"""Small networks, deep in every way that a probe has to look into."""

import jax
from jax import lax
import jax.numpy as jnp
from jaxdl import activations

DEPTH, WIDTH, BATCH = 4, 6, 5


def params(dtype=jnp.float32):
  keys = jax.random.split(jax.random.key(0), 3)
  shapes = ((WIDTH, WIDTH), (DEPTH, WIDTH, WIDTH), (WIDTH, 3))
  return tuple(
    jax.random.normal(key, shape, dtype) / 2
    for key, shape in zip(keys, shapes, strict=True)
  )


def inputs(dtype=jnp.float32):
  return jax.random.normal(jax.random.key(1), (BATCH, WIDTH), dtype)


def layer(h, w):
  with jax.named_scope('layer'):
    with jax.named_scope('dense'):
      z = h @ w
    with jax.named_scope('activation'):
      return jax.nn.relu(z) + 0.1 * z


def loss(hidden, params, x):
  """A stem, a hidden part that is given, and a readout."""
  with jax.named_scope('stem'):
    h = jnp.tanh(x @ params[0])
  with jax.named_scope('hidden'):
    h = hidden(h, params[1])
  with jax.named_scope('readout'):
    logits = h @ params[2]
  return jnp.mean(logits**2), logits


def scanned(h, ws):
  return lax.scan(lambda h, w: (layer(h, w), None), h, ws)[0]


def scanned_twice(h, ws):
  pairs = ws.reshape(2, DEPTH // 2, WIDTH, WIDTH)
  return lax.scan(lambda h, ws: (scanned(h, ws), None), h, pairs)[0]


def unrolled(h, ws):
  for w in ws:
    h = jax.jit(layer)(h, w)
  return h


def rematerialized(h, ws):
  rematerialized_layer = jax.checkpoint(layer)
  return lax.scan(lambda h, w: (rematerialized_layer(h, w), None), h, ws)[0]


def with_cond(h, ws):
  def step(h, w):
    return lax.cond(w[0, 0] > 0, layer, lambda h, w: h, h, w), None

  return lax.scan(step, h, ws)[0]


def vmapped(h, ws):
  return jax.vmap(scanned, in_axes=(0, None))(h, ws)


def reversed(h, ws):
  step = lambda h, w: (layer(h, w), None)
  return lax.scan(step, h, ws[::-1], reverse=True)[0]


def counted(h, ws):
  return lax.fori_loop(0, DEPTH, lambda i, h: layer(h, ws[i]), h)


def with_custom_rules(h, ws):
  @jax.custom_vjp
  def scaled(h):
    return 2 * h

  scaled.defvjp(lambda h: (2 * h, None), lambda _, ct: (3 * ct,))
  return scaled(activations.elu(scanned(h, ws)))


HIDDEN = {
  'scan': scanned,
  'nested_scan': scanned_twice,
  'unrolled': unrolled,
  'remat': rematerialized,
  'cond': with_cond,
  'vmap': vmapped,
  'reverse': reversed,
  'fori_loop': counted,
  'custom_rules': with_custom_rules,
}
