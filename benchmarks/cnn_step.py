"""How fast is a training step of a convolutional network?

Times a step (loss, gradient, update by momentum; batch norm in training) of one
network on four sides: jaxdl, jaxdl with every layer measured, Flax Linen and
PyTorch. `--arrangement=one` trains one network on all cores; `grid` trains one
network a core: the sweep engine's way against a sharded step that Python calls
(Flax) and a single-threaded process a core (PyTorch).

  ./run.sh benchmark cnn_step --model=vgg16_cifar --arrangement=grid
"""

from collections.abc import Callable, Iterator, Sequence
import contextlib
import math
import time
from typing import Any, NamedTuple

from absl import flags
from benchmarks import flax_cnn
from benchmarks import program as programs
from benchmarks import pytorch_cnn
from benchmarks import reporting
from benchmarks import results
from experiments import command_line
import jax
import jax.numpy as jnp
from jaxdl import models
from jaxdl import sweep
from jaxdl import timing
from jaxdl import tracing
from jaxdl import training
from jaxdl.sweep import program as program_lib
import numpy as np
import optax
import torch

_PARAMETERS = {'resnet20': 269_722, 'vgg16_cifar': 14_719_818}

_MODEL = flags.DEFINE_enum(
  'model', 'resnet20', list(_PARAMETERS), 'The network.'
)
_ARRANGEMENT = flags.DEFINE_enum(
  'arrangement',
  'one',
  ['one', 'grid'],
  'One network on all cores, or one network a core.',
)
_BATCH_SIZE = flags.DEFINE_integer('batch_size', 128, 'Examples in a batch.')
_STEPS = flags.DEFINE_integer('steps', 3, 'Steps of a round.')
_ROUNDS = flags.DEFINE_integer('rounds', 5, 'Rounds, each of all sides.')

_IN_SHAPE, _NUM_CLASSES = (32, 32, 3), 10
_OURS, _MEASURED, _FLAX, _PYTORCH = (
  'jaxdl',
  'jaxdl, measured',
  'Flax',
  'PyTorch',
)
_GOAL = 1.0
_BY_CELL, _WHOLE = (
  jax.sharding.PartitionSpec('cells'),
  jax.sharding.PartitionSpec(),
)


class Side(NamedTuple):
  """A network in training."""

  num_parameters: int
  # Trains it, or one a core, for some steps; returns seconds of all cores.
  run: Callable[[], float]


def experiments() -> dict[str, sweep.Experiment]:
  """Returns the network of `--model` on each side that JAX runs."""
  optimizer = training.optimizer.momentum(
    pytorch_cnn.LEARNING_RATE, pytorch_cnn.MOMENTUM
  )
  net = models.build(_MODEL.value, num_classes=_NUM_CLASSES, in_shape=_IN_SHAPE)
  measured = training.trainer(
    net,
    _IN_SHAPE,
    tracing.statistics.forward((0.0, None)),
    training.Update(training.clipping.get('norm'), math.inf, optimizer),
  )
  flax_init, flax_step = flax_cnn.training(
    flax_cnn.MODELS[_MODEL.value](_NUM_CLASSES), optimizer
  )
  blank = jnp.zeros((1, *_IN_SHAPE))
  return {
    _OURS: _experiment(measured.init, _unmeasured(net, optimizer)),
    _MEASURED: _experiment(measured.init, measured.step),
    _FLAX: _experiment(
      lambda key: flax_init(key, blank),
      lambda state, batch, key: flax_step(state, *batch),
    ),
  }


def _unmeasured(net, optimizer):
  """Returns the step of jaxdl's training, of which only the loss is known."""

  def step(state, batch, key):
    images, labels = batch

    def loss_fn(params):
      logits, model_state = net.apply(
        params, state.model_state, images, train=True, key=key
      )
      return training.loss.cross_entropy(logits, labels), model_state

    value_and_grad = jax.value_and_grad(loss_fn, has_aux=True)
    (loss, model_state), grads = value_and_grad(state.params)
    updates, opt_state = optimizer.update(grads, state.opt_state)
    params = optax.apply_updates(state.params, updates)
    return training.TrainState(params, model_state, opt_state), {'loss': loss}

  return step


def _experiment(init, step) -> sweep.Experiment:
  return sweep.Experiment(
    init=lambda dynamic, key: init(key),
    step=lambda state, batch, dynamic, key: step(state, batch, key),
    finish=lambda state, dynamic, data: {},
  )


def _num_parameters(state: Any, num_networks: int) -> int:
  return sum(x.size for x in jax.tree.leaves(state.params)) // num_networks


def on_all_cores(
  experiment: sweep.Experiment, data: sweep.Data, num_steps: int
) -> Side:
  """Compiles a step of one network, which Python calls."""
  batch = (jnp.asarray(data.train_images), jnp.asarray(data.train_labels))
  key = jax.random.key(0)
  state = jax.jit(experiment.init)({}, key)
  num_parameters = _num_parameters(state, 1)
  jitted = jax.jit(
    lambda state, batch, key: experiment.step(state, batch, {}, key),
    donate_argnums=0,
  )
  step = jitted.lower(state, batch, key).compile()

  def run():
    nonlocal state
    begin = time.process_time()
    for _ in range(num_steps):
      state, metrics = step(state, batch, key)
    jax.block_until_ready((state, metrics))
    return time.process_time() - begin

  return Side(num_parameters, run)


def one_a_core(
  experiment: sweep.Experiment, data: sweep.Data, num_steps: int
) -> Side:
  """Compiles a step of as many networks as devices, which Python calls.

  XLA's CPU backend runs the derivatives of `jax.lax` convolutions slowly within
  loops, so nobody would loop over the steps of such a network in the program.
  """
  num_networks, key = len(jax.devices()), jax.random.key(0)
  mesh = jax.sharding.Mesh(np.array(jax.devices()), ('cells',))
  by_cell, everywhere = (
    jax.sharding.NamedSharding(mesh, spec) for spec in (_BY_CELL, _WHOLE)
  )
  batch = jax.device_put((data.train_images, data.train_labels), everywhere)

  def sharded(fn, *in_specs):
    return jax.shard_map(
      fn, mesh=mesh, in_specs=in_specs, out_specs=_BY_CELL, check_vma=False
    )

  def init(seeds):
    return _stacked(experiment.init({}, jax.random.key(seeds[0])))

  def step(states, batch):
    state = jax.tree.map(lambda x: x[0], states)
    return _stacked(experiment.step(state, batch, {}, key))

  seeds = jax.device_put(np.arange(num_networks), by_cell)
  states = jax.jit(sharded(init, _BY_CELL))(seeds)
  num_parameters = _num_parameters(states, num_networks)
  jitted = jax.jit(sharded(step, _BY_CELL, _WHOLE), donate_argnums=0)
  compiled = jitted.lower(states, batch).compile()

  def run():
    nonlocal states
    begin = time.process_time()
    for _ in range(num_steps):
      states, metrics = compiled(states, batch)
    jax.block_until_ready((states, metrics))
    return time.process_time() - begin

  return Side(num_parameters, run)


def _stacked(tree: Any) -> Any:
  return jax.tree.map(lambda x: x[None], tree)


def by_the_engine(
  experiment: sweep.Experiment, data: sweep.Data, num_steps: int
) -> Side:
  """Compiles the sweep engine's program of as many networks as devices."""
  devices, batch_size = jax.devices(), len(data.train_images)
  plan = sweep.plan(
    [{'seed': seed} for seed in range(len(devices))],
    lambda cell: (_MODEL.value, {}),
    devices=devices,
    num_steps=num_steps,
    chunk_steps=num_steps,
  )
  (program,) = plan.programs
  traced, _ = program_lib.trace(experiment, program, plan, data, batch_size)
  init, chunk = (function.lower().compile() for function in traced[:2])
  examples = np.arange(batch_size, dtype=np.int32)
  indices = np.tile(examples, (len(devices), num_steps, 1))
  inputs = programs.placed(program, indices, data, chunk)
  states = init(inputs.seeds, {})
  num_parameters = _num_parameters(states, len(devices))

  def run():
    nonlocal states
    begin = time.process_time()
    states, metrics = chunk(states, *inputs, np.int32(0), np.int32(num_steps))
    jax.block_until_ready((states, metrics))
    return time.process_time() - begin

  return Side(num_parameters, run)


def require_equal_networks(sides: dict[str, Side]) -> None:
  """Demands that every side trains as many parameters as were published.

  Raises:
    RuntimeError: if one does not.
  """
  for name, side in sides.items():
    if side.num_parameters != _PARAMETERS[_MODEL.value]:
      raise RuntimeError(
        f'{name} trains {side.num_parameters} parameters in {_MODEL.value}, '
        f'which has {_PARAMETERS[_MODEL.value]}'
      )


def measurements() -> Iterator[results.Measurement]:
  """Times a step of all sides."""
  command_line.configure_jax()
  is_grid, num_steps = _ARRANGEMENT.value == 'grid', _STEPS.value
  cores = command_line.usable_cores()
  jax.config.update('jax_num_cpu_devices', cores if is_grid else 1)
  data = _data(_BATCH_SIZE.value)
  compile_ours, compile_flax = (
    (by_the_engine, one_a_core) if is_grid else (on_all_cores, on_all_cores)
  )
  sides = {
    name: (compile_flax if name == _FLAX else compile_ours)(
      experiment, data, num_steps
    )
    for name, experiment in experiments().items()
  }
  arguments = (
    _MODEL.value,
    torch.from_numpy(data.train_images),
    torch.from_numpy(data.train_labels).long(),
    _NUM_CLASSES,
  )
  with contextlib.ExitStack() as stack:
    torch_side: pytorch_cnn.Workers | pytorch_cnn.Training
    if is_grid:
      torch_side = stack.enter_context(pytorch_cnn.Workers(cores, *arguments))
    else:
      torch.set_num_threads(cores)
      torch_side = pytorch_cnn.Training(*arguments)
    sides[_PYTORCH] = Side(
      torch_side.num_parameters, lambda: torch_side.run(num_steps)
    )
    require_equal_networks(sides)
    for side in sides.values():
      side.run()
    yield _measured(sides, num_steps)


def _measured(sides: dict[str, Side], num_steps: int) -> results.Measurement:
  """Times the sides; cores' time also tells on a machine that is shared."""
  cores: dict[str, list[float]] = {name: [] for name in sides}

  def recorder(name):
    return lambda: cores[name].append(sides[name].run())

  walls = timing.interleaved(
    {name: recorder(name) for name in sides}, _ROUNDS.value
  )
  where = 'one on all cores' if _ARRANGEMENT.value == 'one' else 'one a core'
  step = (
    f'a training step of {_MODEL.value}, batch {_BATCH_SIZE.value}, {where}'
  )
  ratios = tuple(
    results.Ratio(
      f'{step}: {ours} beside {theirs}',
      theirs,
      ours,
      results.Kind.SPEED,
      _GOAL if ours == _OURS else None,
    )
    for ours, theirs in (
      (_OURS, _PYTORCH),
      (_OURS, _FLAX),
      (_MEASURED, _PYTORCH),
    )
  )
  return results.Measurement(
    step,
    'ms',
    results.sides(walls, 1e3 / num_steps, cores),
    ratios,
    note=f'The network has {_PARAMETERS[_MODEL.value]:,} parameters.',
  )


def _data(batch_size: int) -> sweep.Data:
  """Returns a batch; its values don't change the speed."""
  rng = np.random.default_rng(0)
  images = rng.normal(size=(batch_size, *_IN_SHAPE)).astype(np.float32)
  labels = rng.integers(_NUM_CLASSES, size=batch_size).astype(np.int32)
  return sweep.Data(images, labels, images, labels)


def main(_: Sequence[str]) -> None:
  """Reports the ratios to PyTorch and Flax, and a step's time of each side."""
  reporting.report(measurements())


if __name__ == '__main__':
  reporting.run(main)
