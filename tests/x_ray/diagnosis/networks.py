"""Small networks with known faults, and what a diagnosis says of them."""

import functools

import jax
import jax.numpy as jnp
from jaxdl.x_ray import adapters
from jaxdl.x_ray import diagnosis
from jaxdl.x_ray import examination as examination_lib
import numpy as np
import optax

CLASSES = 5

_programs = {}
_OPTIMIZER = optax.inject_hyperparams(optax.sgd)(learning_rate=1e-3)


def data(batch=16, features=8, seed=0):
  """A batch `[batch, features]` of standard numbers, and labels `[batch]`."""
  random = np.random.RandomState(seed)
  x = jnp.asarray(random.randn(batch, features), jnp.float32)
  return x, jnp.asarray(random.randint(0, CLASSES, batch))


def params(depth, gain=2**0.5, width=16, features=8, bias=0.0, seed=0):
  """Of a chain of dense layers: so many hidden ones, and a readout."""
  random = np.random.RandomState(seed)
  sizes = [features, *[width] * depth, CLASSES]
  return {
    f'dense_{l:02}': {
      'kernel': jnp.asarray(
        random.randn(m, n) * (gain if l < depth else 1) / np.sqrt(m),
        jnp.float32,
      ),
      'bias': jnp.full(n, bias if l < depth else 0.0),
    }
    for l, (m, n) in enumerate(zip(sizes, sizes[1:], strict=False))
  }


def logits(params, x, activation=jax.nn.relu):
  """Of a chain of dense layers, each in a scope of its own."""
  *hidden, _ = sorted(params)
  for name in sorted(params):
    with jax.named_scope(name):
      x = x @ params[name]['kernel'] + params[name]['bias']
    if name in hidden:
      x = activation(x)
  return x


def cross_entropy(logits, labels):
  """Mean over the batch."""
  return jnp.mean(
    optax.softmax_cross_entropy_with_integer_labels(logits, labels)
  )


@functools.cache
def loss(activation=jax.nn.relu, scale=1.0):
  """A loss of a chain of dense layers, times a scale."""

  def of(params, x, labels):
    return scale * cross_entropy(logits(params, x, activation), labels)

  return of


def examined(loss, params, *args, learning_rate=1e-3):
  """Examines by a program that is compiled quickly, and once for its shapes."""
  leaves, tree = jax.tree.flatten((params, args))
  shapes = tuple(
    (x.shape, x.dtype) if hasattr(x, 'dtype') else x for x in leaves
  )
  adapted = adapters.adapt(loss, params)
  state = _OPTIMIZER.init(adapted.params)
  state.hyperparams['learning_rate'] = jnp.float32(learning_rate)
  inputs = adapted.params, examination_lib.arrays(adapted, args), state
  key = (loss, tree, shapes)
  if key not in _programs:
    subject = examination_lib.subject(loss, params, args, False)
    program = jax.jit(examination_lib.measuring(subject, _OPTIMIZER))
    _programs[key] = (subject, program.lower(*inputs).compile())
  subject, compiled = _programs[key]
  return examination_lib.read(subject, jax.device_get(compiled(*inputs)))


def findings(loss, params, *args, learning_rate=1e-3):
  """What is said of a loss."""
  return diagnosis.diagnose(
    examined(loss, params, *args, learning_rate=learning_rate)
  )


@functools.cache
def healthy():
  """The examination of a chain of six layers of ReLU, as He initializes it."""
  return examined(loss(), params(6), *data())
