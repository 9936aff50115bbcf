"""What do the probe, the X-ray and the watch cost?

Each beside the `jax.value_and_grad` of the same loss, on the laboratory's deep
stack and on a transformer's block, in the same rounds:

- a pass: what `jax.value_and_grad` takes, what `jaxdl.probe` takes with the
  statistics of every module, and what `jaxdl.xray` takes, which measures more;
- a hundred steps of training, alone, with a `jaxdl.watch` that measures one of
  them by a pass of its own, and with one step that is compiled with a probe in
  it;
- tracing and compiling.

Ratios are of the wall's time and of the cores'; the second is less disturbed by
other work on the machine.

  ./run.sh benchmark xray --rounds=15
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
import functools
import itertools
from typing import Any, NamedTuple
import warnings

from absl import flags
from benchmarks import clocks
from benchmarks import reporting
from benchmarks import results
from flax import linen
import jax
import jax.numpy as jnp
import jaxdl
from jaxdl import models
from jaxdl import timing
from jaxdl import x_ray
from jaxdl.training import loss
from jaxdl.x_ray import examination

_ROUNDS = flags.DEFINE_integer('rounds', 9, 'Rounds, each of all sides.')
_STEPS = flags.DEFINE_integer('steps', 20, 'Passes of a round.')
_COMPILATIONS = flags.DEFINE_integer(
  'compilations', 3, 'Rounds of compiling, each of all sides.'
)
_MODELS = flags.DEFINE_list('models', ['stack', 'transformer'], 'Which.')

_EVERY = 100
_BASE, _PROBE, _XRAY = 'value_and_grad', 'jaxdl.probe', 'jaxdl.xray'
_ALONE, _WATCH, _WITHIN = 'alone', 'jaxdl.watch', 'one step probed'


class Case(NamedTuple):
  """A loss with its arguments."""

  loss_fn: Callable[..., jax.Array]
  params: Any
  batch: tuple[jax.Array, ...]


def stack(depth: int = 30, width: int = 128, batch: int = 128) -> Case:
  """The laboratory's deep stack: a ReLU network on images of 28 x 28."""
  net = models.build(
    'mlp', in_shape=(28, 28, 1), num_classes=10, depth=depth, width=width
  )
  keys = jax.random.split(jax.random.key(0), 3)
  _, params, state = net.init(keys[0], (28, 28, 1))

  def loss_fn(params, x, labels):
    logits, _ = net.apply(params, state, x, train=True, key=keys[2])
    return loss.cross_entropy(logits, labels)

  x = jax.random.normal(keys[1], (batch, 28, 28, 1))
  return Case(loss_fn, params, (x, jnp.arange(batch) % 10))


class _Block(linen.Module):
  """A block of a transformer, as Vaswani et al., 2017, with the norms first."""

  width: int

  @linen.compact
  def __call__(self, x):
    y = linen.LayerNorm()(x)
    x += linen.MultiHeadDotProductAttention(num_heads=8, name='attention')(y)
    y = linen.Dense(4 * self.width, name='expand')(linen.LayerNorm()(x))
    return x + linen.Dense(self.width, name='contract')(jax.nn.gelu(y))


def transformer(width: int = 512, batch: int = 8, length: int = 64) -> Case:
  """One block of a transformer, with a quadratic loss."""
  block = _Block(width)
  keys = jax.random.split(jax.random.key(0), 3)
  x, y = (jax.random.normal(key, (batch, length, width)) for key in keys[:2])
  params = block.init(keys[2], x)

  def loss_fn(params, x, y):
    return jnp.mean((block.apply(params, x) - y) ** 2)

  return Case(loss_fn, params, (x, y))


_CASES = {'stack': stack, 'transformer': transformer}
# Of a pass of the probe, and of what else has the same one for all models.
_GOALS = {'stack': 1.07, 'transformer': 1.15}
_LOOP_GOAL, _COMPILATION_GOAL = 1.01, 2.0


def passes(case: Case) -> dict[str, Callable[..., Any]]:
  """The sides of a pass, as functions of parameters and batch to be compiled.

  All return the loss and the gradients.
  """
  probed = jaxdl.probe(case.loss_fn)
  return {
    _BASE: lambda params, *batch: jax.value_and_grad(case.loss_fn)(
      params, *batch
    ),
    _PROBE: lambda params, *batch: probed(params, *batch),
    _XRAY: functools.partial(_examined, case),
  }


def _examined(case: Case, params: Any, *batch: jax.Array) -> Any:
  """What the X-ray measures; its gradients stay in the program."""
  subject = examination.subject(case.loss_fn, params, batch, False)
  measure = examination.measuring(subject)
  arrays = examination.arrays(subject.adapted, batch)
  return measure(subject.adapted.params, arrays)


def loops(case: Case) -> dict[str, Callable[[], Any]]:
  """The sides of a hundred steps of gradient descent, of which one is measured.

  What the watch and the probe find is fetched.
  """

  def descended(params, grads):
    return jax.tree.map(lambda p, g: p - 1e-4 * g, params, grads)

  @jax.jit
  def train(params, *batch):
    value, grads = jax.value_and_grad(case.loss_fn)(params, *batch)
    return descended(params, grads), value

  @jax.jit
  def train_probed(params, *batch):
    value, grads, profile = jaxdl.probe(case.loss_fn)(params, *batch)
    return descended(params, grads), value, profile

  watch = jaxdl.watch(case.loss_fn, case.params, *case.batch, every=_EVERY)

  def alone():
    params = case.params
    for _ in range(_EVERY):
      params, _ = train(params, *case.batch)
    jax.block_until_ready(params)

  numbers = itertools.count(step=_EVERY)

  def watched():
    params, first = case.params, next(numbers)
    for step in range(first, first + _EVERY):
      watch(step, params, *case.batch)
      params, _ = train(params, *case.batch)
    jax.block_until_ready(params)

  def within():
    params, _, profile = train_probed(case.params, *case.batch)
    jax.device_get(profile)
    for _ in range(1, _EVERY):
      params, _ = train(params, *case.batch)
    jax.block_until_ready(params)

  return {_ALONE: alone, _WATCH: watched, _WITHIN: within}


def measurements() -> Iterator[results.Measurement]:
  """Times passes, loops and compiling of each model.

  Raises:
    ValueError: `--models` has one that is not here.
  """
  jax.config.update('jax_enable_compilation_cache', False)
  # What ails these models is not the question.
  warnings.simplefilter('ignore', x_ray.TrainingWarning)
  for name in _MODELS.value:
    if name not in _CASES:
      raise ValueError(f'--models has {name!r}; there are {", ".join(_CASES)}')
  for name in _MODELS.value:
    case = _CASES[name]()
    yield _passes(name, case)
    yield _loops(name, case)
    yield _compilation(name, case)


def _passes(name: str, case: Case) -> results.Measurement:
  compiled = {side: jax.jit(fn) for side, fn in passes(case).items()}

  def run(fn):
    for _ in range(_STEPS.value):
      result = fn(case.params, *case.batch)
    jax.block_until_ready(result)

  sides = {side: functools.partial(run, fn) for side, fn in compiled.items()}
  goals = {_PROBE: _GOALS[name]}
  return _timed(f'{name}: a pass', sides, _STEPS.value, goals)


def _loops(name: str, case: Case) -> results.Measurement:
  goals = {_WATCH: _LOOP_GOAL, _WITHIN: _LOOP_GOAL}
  title = f'{name}: a step, the mean of {_EVERY}'
  return _timed(title, loops(case), _EVERY, goals)


def _compilation(name: str, case: Case) -> results.Measurement:
  def compile_anew(side):
    # A new function each time: else it would be found traced.
    fn = passes(case)[side]
    jax.jit(fn).lower(case.params, *case.batch).compile()

  sides = {side: functools.partial(compile_anew, side) for side in passes(case)}
  goals = {_PROBE: _COMPILATION_GOAL, _XRAY: _COMPILATION_GOAL}
  readings = timing.interleaved(sides, _COMPILATIONS.value, clocks.now)
  return _compared(f'{name}: compiling', readings, 1, goals)


def _timed(
  title: str,
  sides: Mapping[str, Callable[[], object]],
  count: int,
  goals: Mapping[str, float],
) -> results.Measurement:
  """Times sides that are compiled before."""
  for run in sides.values():
    run()
  readings = timing.interleaved(sides, _ROUNDS.value, clocks.now)
  return _compared(title, readings, count, goals)


def _compared(
  title: str,
  readings: dict[str, list[clocks.Clock]],
  count: int,
  goals: Mapping[str, float],
) -> results.Measurement:
  """Compares each side to the first, in milliseconds for each of a count."""
  base, *others = readings
  ratios = tuple(
    results.Ratio(
      f'{title}: `{side}` over `{base}`',
      side,
      base,
      results.Kind.COST,
      goals.get(side),
    )
    for side in others
  )
  return results.Measurement(
    title, 'ms', clocks.sides(readings, 1e3 / count), ratios
  )


def main(_: Sequence[str]) -> None:
  """Reports the ratios, and the times of each side."""
  reporting.report(measurements())


if __name__ == '__main__':
  reporting.run(main)
