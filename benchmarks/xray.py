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

from collections.abc import Callable, Mapping, Sequence
import functools
import itertools
from typing import Any, NamedTuple
import warnings

from absl import flags
from benchmarks import timing
from experiments import command_line
from flax import linen
import jax
import jax.numpy as jnp
import jaxdl
from jaxdl import models
from jaxdl import x_ray
from jaxdl.training import loss
from jaxdl.x_ray import examination
import numpy as np

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


def _time_passes(case: Case) -> None:
  compiled = {name: jax.jit(fn) for name, fn in passes(case).items()}

  def run(fn):
    for _ in range(_STEPS.value):
      result = fn(case.params, *case.batch)
    jax.block_until_ready(result)

  sides = {name: functools.partial(run, fn) for name, fn in compiled.items()}
  _report('a pass', sides, _ROUNDS.value, _STEPS.value)


def _time_compilation(case: Case) -> None:
  def compile_anew(name):
    # A new function each time: else it would be found traced.
    fn = passes(case)[name]
    jax.jit(fn).lower(case.params, *case.batch).compile()

  sides = {name: functools.partial(compile_anew, name) for name in passes(case)}
  _report('compiling', sides, _COMPILATIONS.value, 1, warm=False)


def _report(
  title: str,
  sides: Mapping[str, Callable[[], object]],
  rounds: int,
  count: int,
  warm: bool = True,
) -> None:
  """Times the sides in turn and prints each over the first."""
  if warm:
    for run in sides.values():
      run()
  clocks = {
    name: np.array(values) for name, values in _clocks(sides, rounds).items()
  }
  base, *_ = sides
  print(f'  {title}:')
  for name, values in clocks.items():
    wall, cores = np.median(values / clocks[base], axis=0)
    each = timing.spread(list(values[:, 0]), 'ms', 1e3 / count)
    print(
      f'    {name:18} {wall:.3f} of the wall, {cores:.3f} of the cores; {each}',
      flush=True,
    )


def _clocks(
  sides: Mapping[str, Callable[[], object]], rounds: int
) -> dict[str, list[timing.Clock]]:
  """Times each side once a round."""
  clocks: dict[str, list[timing.Clock]] = {name: [] for name in sides}
  for _ in range(rounds):
    for name, run in sides.items():
      begin = timing.now()
      run()
      clocks[name].append(timing.now() - begin)
  return clocks


def main(_: Sequence[str]) -> None:
  """Prints the ratios, and the times of each side."""
  print(f'{timing.machine()}.')
  jax.config.update('jax_enable_compilation_cache', False)
  # What ails these models is not the question.
  warnings.simplefilter('ignore', x_ray.TrainingWarning)
  for name in _MODELS.value:
    if name not in _CASES:
      raise ValueError(f'--models has {name!r}; there are {", ".join(_CASES)}')
  for name in _MODELS.value:
    case = _CASES[name]()
    print(f'{name}:')
    _time_passes(case)
    _report(f'{_EVERY} steps', loops(case), _ROUNDS.value, _EVERY)
    _time_compilation(case)


if __name__ == '__main__':
  command_line.run(main, script='./run.sh benchmark')
