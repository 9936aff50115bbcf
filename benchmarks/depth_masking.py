"""Networks of many depths: one program with masks, or a program a depth?

Trains the same plain tanh networks both ways, compiling included, on one
device, networks one after the other:

- programs: each depth is a program, as in `experiments.trainability`;
- masked: one program of the largest depth, in which a layer beyond a network's
  depth is skipped by `lax.cond`, which is not computed, forward or backward;
- masked_where: the same by `jnp.where`, which a vectorized program would need.

  ./run.sh benchmark depth_masking --depths=10,30,100,300
"""

from collections.abc import Callable, Iterator, Sequence
import functools

from absl import flags
from benchmarks import reporting
from benchmarks import results
import jax
from jax import lax
import jax.numpy as jnp
from jaxdl.timing import interleaved
import numpy as np

_DEPTHS = flags.DEFINE_list('depths', '10,30,100,300', 'Depths.')
_CELLS = flags.DEFINE_integer('cells', 8, 'Networks of each depth.')
_STEPS = flags.DEFINE_integer('steps', 50, 'Training steps.')
_WIDTH = flags.DEFINE_integer('width', 64, 'Units of each layer.')
_BATCH = flags.DEFINE_integer('batch', 64, 'Examples in a batch.')
_ROUNDS = flags.DEFINE_integer('rounds', 3, 'Rounds, each of all sides.')

_CLASSES = 10
_PROGRAMS, _MASKED, _SELECTED = 'programs', 'masked', 'masked_where'
Layer = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]


def _plain(x: jax.Array, weights: jax.Array, active: jax.Array) -> jax.Array:
  del active
  return jnp.tanh(x @ weights)


def _skipped(x: jax.Array, weights: jax.Array, active: jax.Array) -> jax.Array:
  return lax.cond(
    active, lambda x, w: jnp.tanh(x @ w), lambda x, w: x, x, weights
  )


def _selected(x: jax.Array, weights: jax.Array, active: jax.Array) -> jax.Array:
  return jnp.where(active, jnp.tanh(x @ weights), x)


def _train(
  layer: Layer,
  num_layers: int,
  std: jax.Array,
  depth: jax.Array,
  inputs: jax.Array,
  labels: jax.Array,
) -> jax.Array:
  """Trains one network by gradient descent; returns its losses, [step]."""
  width = inputs.shape[-1]
  keys = jax.random.split(jax.random.key(0), num_layers)
  normal = jax.vmap(lambda key: jax.random.normal(key, (width, width)))(keys)
  active = jnp.arange(num_layers) < depth

  def loss_fn(weights):
    body = lambda x, each: (layer(x, *each), None)
    x, _ = lax.scan(body, inputs, (weights, active))
    log_p = jax.nn.log_softmax(x[:, :_CLASSES])
    return -jnp.mean(log_p[jnp.arange(len(labels)), labels])

  def step(weights, _):
    value, grads = jax.value_and_grad(loss_fn)(weights)
    return weights - 0.003 * grads, value

  first = normal * std / np.sqrt(width)
  return lax.scan(step, first, None, length=_STEPS.value)[1]


def _many(
  layer: Layer,
  num_layers: int,
  depths: Sequence[int],
  data: tuple[jax.Array, jax.Array],
) -> np.ndarray:
  """Compiles and trains networks of these depths; returns [network, step]."""
  stds = np.linspace(1, 2, _CELLS.value)
  cells = [(std, depth) for depth in depths for std in stds]
  std, depth = (jnp.asarray(each) for each in zip(*cells, strict=True))
  train = functools.partial(_train, layer, num_layers)
  # A new function each time: else it would be found compiled.
  run = jax.jit(lambda cells, data: lax.map(lambda c: train(*c, *data), cells))
  return np.asarray(run((std.astype(jnp.float32), depth), data))


def measurements() -> Iterator[results.Measurement]:
  """Times all ways, and asks how they compare to a program a depth.

  Raises:
    AssertionError: they don't train the same networks.
  """
  jax.config.update('jax_enable_compilation_cache', False)
  depths = [int(depth) for depth in _DEPTHS.value]
  rng = np.random.default_rng(0)
  data = (
    jnp.asarray(rng.normal(size=(_BATCH.value, _WIDTH.value)), jnp.float32),
    jnp.asarray(rng.integers(_CLASSES, size=_BATCH.value)),
  )

  def programs():
    return np.concatenate([_many(_plain, d, [d], data) for d in depths])

  sides = {
    _PROGRAMS: programs,
    _MASKED: lambda: _many(_skipped, max(depths), depths, data),
    _SELECTED: lambda: _many(_selected, max(depths), depths, data),
  }
  first_losses = {}

  def timed(name):
    first_losses[name] = sides[name]()[:, 0]

  times = interleaved(
    {name: functools.partial(timed, name) for name in sides}, _ROUNDS.value
  )
  for losses in first_losses.values():  # They train the same networks.
    np.testing.assert_allclose(losses, first_losses[_PROGRAMS], rtol=1e-3)
  ratios = tuple(
    results.Ratio(
      f'one program with masks, by `{how}`, over a program a depth, '
      'compilation included',
      name,
      _PROGRAMS,
      results.Kind.COST,
    )
    for name, how in ((_MASKED, 'lax.cond'), (_SELECTED, 'jnp.where'))
  )
  yield results.Measurement(
    f'networks of {len(depths)} depths', 's', results.sides(times), ratios
  )


def main(_: Sequence[str]) -> None:
  """Reports the ratios to a program a depth, and each time."""
  reporting.report(measurements())


if __name__ == '__main__':
  reporting.run(main)
