"""What does a gradient that loses powers of ten cost in training?

Trains chains of dense layers at and below the critical gain on the same images,
and counts the steps until the loss is below a target, with the best of a few
learning rates of Adam and of gradient descent: what the three powers of ten
rest on at which `jaxdl.xray` says that a gradient vanishes.

  ./run.sh benchmark vanishing --steps=600
"""

from collections.abc import Iterator, Sequence
import math

from absl import flags
from benchmarks import reporting
from benchmarks import results
import jax
from jax import lax
import jax.numpy as jnp
import jaxdl
from jaxdl import models
from jaxdl.data import preprocessing
from jaxdl.data import sources
from jaxdl.layers import initializers
from jaxdl.training import loss
import numpy as np
import optax

_STEPS = flags.DEFINE_integer('steps', 600, 'Most steps of each network.')
_DEPTH = flags.DEFINE_integer('depth', 20, 'Layers before the readout.')
_WIDTH = flags.DEFINE_integer('width', 64, 'Units of each layer.')
_TARGET = flags.DEFINE_float('target', 1.0, 'Cross entropy to be reached.')

_EXAMPLES = 128
_IN_SHAPE = (28, 28, 1)
_CRITICAL = {'relu': math.sqrt(2), 'tanh': 1.0}
_ASKED = (0.0, 1.0, 2.0, 3.0, 4.0)  # Powers of ten, by the gain below critical.
_OPTIMIZERS = {
  'adam': [optax.adam(rate) for rate in (1e-3, 1e-2)],
  'gradient descent': [optax.sgd(rate) for rate in (0.01, 0.1, 1.0)],
}


def measurements() -> Iterator[results.Measurement]:
  """Counts the steps at each power of ten that is lost."""
  images = preprocessing.preprocess(
    sources.load('fashion_mnist_small'), 'channel_standard'
  )
  x = jnp.asarray(images.train_images[:_EXAMPLES])
  labels = jnp.asarray(images.train_labels[:_EXAMPLES])
  for activation in _CRITICAL:
    for powers in _ASKED:
      yield _measured(activation, powers, x, labels)


def _measured(
  activation: str, powers: float, x: jax.Array, labels: jax.Array
) -> results.Measurement:
  gain = _CRITICAL[activation] * 10 ** (-powers / _DEPTH.value)
  net = models.build(
    'mlp',
    num_classes=10,
    in_shape=_IN_SHAPE,
    depth=_DEPTH.value,
    width=_WIDTH.value,
    activation=activation,
    weight_init=initializers.normal_fan_in(gain),
  )
  _, params, state = net.init(jax.random.key(0), _IN_SHAPE)

  def loss_fn(params):
    return loss.cross_entropy(net.apply(params, state, x)[0], labels)

  profile = jax.jit(jaxdl.probe(loss_fn))(params)[2]
  rms = np.asarray(profile['hidden/layer'].backward.rms)
  lost = round(math.log10(rms[-1] / rms[0]), 1) + 0.0  # No negative zero.
  steps = {
    name: min(_steps_to_target(loss_fn, params, each) for each in several)
    for name, several in _OPTIMIZERS.items()
  }
  return results.Measurement(
    f'{activation}, {lost:.1f} powers of ten lost',
    'steps',
    tuple(
      results.Side(name, (count,), at_least=count == _STEPS.value)
      for name, count in steps.items()
    ),
  )


def _steps_to_target(loss_fn, params, optimizer) -> int:
  def step(carry, _):
    params, state = carry
    value, grads = jax.value_and_grad(loss_fn)(params)
    updates, state = optimizer.update(grads, state, params)
    return (optax.apply_updates(params, updates), state), value

  @jax.jit
  def train(params):
    first = params, optimizer.init(params)
    return lax.scan(step, first, None, length=_STEPS.value)[1]

  below = np.asarray(train(params)) < _TARGET.value
  return int(np.argmax(below)) if below.any() else _STEPS.value


def main(_: Sequence[str]) -> None:
  """Reports the powers of ten lost, as measured, and the steps."""
  reporting.report(measurements())


if __name__ == '__main__':
  reporting.run(main)
