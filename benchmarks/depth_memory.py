"""How much memory does a layer of a very deep network take in training?

Compiles a training step of `experiments.very_deep`'s network at two depths,
with activations kept and with `--rematerialize`, and reads from XLA what the
program needs beside its arguments and results. The difference between the
depths, per layer, is what one more layer costs. Nothing is run.

  ./run.sh benchmark depth_memory --depths=1000,10000
"""

from collections.abc import Iterator, Sequence
import itertools

from absl import flags
from benchmarks import reporting
from benchmarks import results
import jax
import jax.numpy as jnp
from jaxdl import models
from jaxdl.layers import initializers
from jaxdl.training import loss

_DEPTHS = flags.DEFINE_list('depths', '1000,10000', 'Two depths.')
_WIDTH = flags.DEFINE_integer('width', 32, 'Units of each layer.')
_BATCH = flags.DEFINE_integer('batch', 64, 'Examples in a batch.')

_IN_SHAPE = (28, 28, 1)
_KEPT, _REMATERIALIZED = 'activations kept', 'rematerialized'


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


def measurements() -> Iterator[results.Measurement]:
  """Reads what each depth needs, and each further layer."""
  depths = [int(depth) for depth in _DEPTHS.value]
  needed = {
    name: [temporary_bytes(depth, rematerialize) for depth in depths]
    for name, rematerialize in ((_KEPT, False), (_REMATERIALIZED, True))
  }
  for i, depth in enumerate(depths):
    mebibytes = {name: [sizes[i] / 2**20] for name, sizes in needed.items()}
    ratio = results.Ratio(
      f'memory of a training step at depth {depth:,} with `rematerialize` over '
      'without',
      _REMATERIALIZED,
      _KEPT,
      results.Kind.COST,
    )
    is_deepest = depth == max(depths)
    yield results.Measurement(
      f'a step at depth {depth:,}, without its parameters',
      'MiB',
      results.sides(mebibytes),
      (ratio,) if is_deepest else (),
    )
  for (i, low), (j, high) in itertools.pairwise(enumerate(depths)):
    each = {
      name: [(sizes[j] - sizes[i]) / (high - low)]
      for name, sizes in needed.items()
    }
    yield results.Measurement(
      f'each further layer from depth {low:,} to {high:,}',
      'bytes',
      results.sides(each),
      note=_sizes_of_a_layer(),
    )


def _sizes_of_a_layer() -> str:
  parameters = 4 * (_WIDTH.value**2 + _WIDTH.value)
  signal = 4 * _BATCH.value * _WIDTH.value
  return (
    f'A layer has {parameters:,} bytes of parameters; a value that it passes '
    f'on has {signal:,}.'
  )


def main(_: Sequence[str]) -> None:
  """Reports bytes of each depth, and of each further layer."""
  reporting.report(measurements())


if __name__ == '__main__':
  reporting.run(main)
