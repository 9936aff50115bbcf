"""How much memory does a layer of a very deep network take in training?

Compiles a training step of `experiments.very_deep`'s network at two depths,
with activations kept and with `--rematerialize`, and reads from XLA what the
program needs beside its arguments and results. The difference between the
depths, per layer, is what one more layer costs. Nothing is run.

  ./run.sh benchmark depth_memory --depths=1000,10000
"""

from collections.abc import Sequence
import itertools

from absl import flags
from benchmarks import timing
from experiments import command_line
import jax
import jax.numpy as jnp
from jaxdl import models
from jaxdl.layers import initializers
from jaxdl.training import loss

_DEPTHS = flags.DEFINE_list('depths', '1000,10000', 'Two depths.')
_WIDTH = flags.DEFINE_integer('width', 32, 'Units of each layer.')
_BATCH = flags.DEFINE_integer('batch', 64, 'Examples in a batch.')

_IN_SHAPE = (28, 28, 1)


def temporary_bytes(depth: int, rematerialize: bool) -> int:
  """Returns what a step of gradient descent needs, without its parameters."""
  net = models.build(
    'mlp',
    num_classes=10,
    in_shape=_IN_SHAPE,
    depth=depth,
    width=_WIDTH.value,
    activation='tanh',
    weight_init=initializers.orthogonal(1.0247),
    rematerialize=rematerialize,
  )

  def step(params, state, x, labels):
    def loss_fn(params):
      logits, _ = net.apply(params, state, x, train=True)
      return loss.cross_entropy(logits, labels)

    grads = jax.grad(loss_fn)(params)
    return jax.tree.map(lambda p, g: p - 4e-5 * g, params, grads)

  params, state = jax.eval_shape(
    lambda key: net.init(key, _IN_SHAPE)[1:], jax.random.key(0)
  )
  x = jax.ShapeDtypeStruct((_BATCH.value, *_IN_SHAPE), jnp.float32)
  labels = jax.ShapeDtypeStruct((_BATCH.value,), jnp.int32)
  lowered = jax.jit(step, donate_argnums=0).lower(params, state, x, labels)
  analysis = lowered.compile().memory_analysis()
  if analysis is None:
    raise ValueError('this backend does not tell how much memory it needs')
  return analysis.temp_size_in_bytes


def main(_: Sequence[str]) -> None:
  """Prints bytes of each depth, and of each further layer."""
  print(f'{timing.machine()}.')
  depths = [int(depth) for depth in _DEPTHS.value]
  parameters = 4 * (_WIDTH.value**2 + _WIDTH.value)
  signal = 4 * _BATCH.value * _WIDTH.value
  print(
    f'A layer has {parameters:,} bytes of parameters; a value that it passes '
    f'on has {signal:,}.'
  )
  for rematerialize in (False, True):
    needed = [temporary_bytes(depth, rematerialize) for depth in depths]
    print('rematerialized:' if rematerialize else 'activations kept:')
    for depth, size in zip(depths, needed, strict=True):
      print(f'  depth {depth:>7,}: {size / 2**20:,.1f} MiB')
    for (low, less), (high, more) in itertools.pairwise(
      zip(depths, needed, strict=True)
    ):
      print(
        f'  {(more - less) / (high - low):,.0f} bytes a layer more, from depth '
        f'{low:,} to {high:,}'
      )


if __name__ == '__main__':
  command_line.run(main, script='./run.sh benchmark')
