"""Recurrent networks trained on sequences, and what flows through time in them.

A cell of such a study has the axes of `DEFAULTS`. As in `laboratory.axes`,
seeds, rates, thresholds and scales enter a program as arrays.
"""

from collections.abc import Callable, Mapping, Sequence
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxdl import choice
from jaxdl import layers
from jaxdl import sweep
from jaxdl import tracing
from jaxdl import training
from jaxdl.data import sequences
from jaxdl.laboratory import axes as axes_lib
from jaxdl.laboratory import trained
from jaxdl.layers import initializers
from jaxdl.models import recurrent
from jaxdl.tracing import statistics
import numpy as np
import optax
import xarray as xr

Array = jax.Array

_MOMENTUM = 0.9
_NUM_TEST = 500
_NUM_PROBED = 100  # Sequences whose cotangents are measured.


class Problem(NamedTuple):
  """A problem over sequences.

  Attributes:
    draw: maps a key, a number of sequences and a length to a batch.
    num_outputs: of a network for it.
    loss: maps outputs and targets to the mean loss.
    chance: the loss of answering the same to every sequence.
  """

  draw: Callable[[Array, int, int], sequences.Sequences]
  num_outputs: int
  loss: Callable[[Array, Array], Array]
  chance: float


PROBLEMS: Mapping[str, Problem] = {
  'adding': Problem(
    sequences.adding,
    1,
    lambda outputs, targets: jnp.mean(jnp.square(outputs - targets)),
    sequences.ADDING_BASELINE,
  ),
  'temporal order': Problem(
    sequences.temporal_order,
    sequences.NUM_ORDERS,
    training.loss.cross_entropy,
    sequences.TEMPORAL_ORDER_BASELINE,
  ),
}

# Every axis, with the value it has where it is not given; `kind` is the cell of
# the network. `recurrent_std` is the scale of the weights from state to state,
# normal ones of variance recurrent_std^2 / width: about their spectral radius.
DEFAULTS: Mapping[str, sweep.grid.Value] = {
  'kind': 'rnn',
  'recurrent_std': 1.0,
  'clip': 'none',
  'learning_rate': 0.01,
  'width': 32,
  'batch_size': 20,
  'seed': 0,
}


class Static(NamedTuple):
  """What of a cell changes its program."""

  kind: str
  clip: str
  width: int
  batch_size: int


def train_recurrent(
  problem: str,
  axes: Mapping[str, Sequence[sweep.grid.Value]],
  *,
  length: int,
  num_steps: int,
  where: Callable[[sweep.Cell], bool] = lambda cell: True,
) -> xr.Dataset:
  """Trains every cell of a grid, by gradient descent with momentum 0.9.

  Each sequence is seen about once. The same ones are drawn for all cells, those
  of one seed in one order.

  Args:
    problem: one of `PROBLEMS`.
    axes: of the grid; `DEFAULTS` has those that are not given.
    length: of the sequences.
    num_steps: of each network.
    where: which cells of the product are trained.

  Returns:
    A record in memory, over `cell` and `step`: of each step `loss`, before the
    update, `global_gradient_norm`, before clipping, and `clip_bound`; at the
    end `test_loss` and `decades_lost`, how many powers of ten dz/dh_t loses
    from the last time step to the first.

  Raises:
    ValueError: an axis, a problem or a value that makes no sense.
  """
  chosen = choice.choose('problem', problem, PROBLEMS)
  cells = trained.cells_of(axes, DEFAULTS, where)
  plan = trained.plan_of(cells, split, num_steps)
  num_train = num_steps * max(
    program.static.batch_size for program in plan.programs
  )
  keys = jax.random.split(jax.random.key(0))
  counts = (num_train, _NUM_TEST)
  drawn = [chosen.draw(k, n, length) for k, n in zip(keys, counts, strict=True)]
  data = sweep.Data(*(np.asarray(array) for part in drawn for array in part))
  build = functools.partial(experiment, chosen, data.train_images.shape[1:])
  return trained.run(plan, build, data)


def split(cell: sweep.Cell) -> tuple[Static, dict[str, float]]:
  """Splits a cell into what is static and what is dynamic.

  Args:
    cell: a value for each axis of `DEFAULTS`.

  Raises:
    ValueError: a name that is unknown, or a number that is missing.
  """
  clip, threshold = axes_lib.clipping(cell)
  name = str(cell['kind'])
  choice.choose('cell', name, dict.fromkeys(recurrent.CELLS))
  static = Static(name, clip, int(cell['width']), int(cell['batch_size']))
  numbers = ('recurrent_std', 'learning_rate')
  return static, {
    'threshold': threshold,
    **{name: float(cell[name]) for name in numbers},
  }


def experiment(
  problem: Problem, in_shape: tuple[int, ...], static: Static
) -> sweep.Experiment:
  """Builds the training of a static part.

  Args:
    problem: what is learned.
    in_shape: `[time, features]`.
    static: the static part.
  """
  clip = training.clipping.get(static.clip)

  def model(dynamic):
    return recurrent.recurrent(
      cell=static.kind,
      width=static.width,
      num_outputs=problem.num_outputs,
      recurrent_init=initializers.normal_fan_in(dynamic['recurrent_std']),
    )

  def optimizer(dynamic):
    return training.optimizer.momentum(dynamic['learning_rate'], _MOMENTUM)

  def init(dynamic, key):
    _, params, model_state = model(dynamic).init(key, in_shape)
    opt_state = optimizer(dynamic).init(params)
    return training.TrainState(params, model_state, opt_state)

  def step(state, batch, dynamic, key):
    del key
    params, model_state, opt_state = state
    loss_fn = _loss(problem, model(dynamic), model_state, *batch)
    loss, grads = jax.value_and_grad(loss_fn)(params)
    norms = training.layerwise.norms(grads)
    clipped = clip(grads, params, norms, dynamic['threshold'])
    updates, opt_state = optimizer(dynamic).update(
      clipped.grads, opt_state, params
    )
    metrics = {
      'loss': loss,
      'global_gradient_norm': statistics.norm(norms),
      'clip_bound': clipped.bound,
    }
    params = optax.apply_updates(params, updates)
    return training.TrainState(params, model_state, opt_state), metrics

  def finish(state, dynamic, data):
    loss_fn = _loss(problem, model(dynamic), state.model_state, *data[2:])
    part = _loss(
      problem,
      model(dynamic),
      state.model_state,
      *(array[:_NUM_PROBED] for array in data[2:]),
    )
    logs = _log_cotangents(part, static.kind, state.params)
    return {
      'test_loss': loss_fn(state.params),
      'decades_lost': logs[-1] - logs[0],
    }

  return sweep.Experiment(init, step, finish)


def log_cotangents_in_time(
  problem: str,
  cell: str,
  make_model: Callable[[Array, int], layers.Layer],
  scales: Sequence[float],
  *,
  length: int,
  num_seeds: int,
) -> np.ndarray:
  """Measures how large dz/dh_t is at each time step, before training.

  Of an LSTM it is dz/dc_t, in which that of the hidden state is contained.

  Args:
    problem: one of `PROBLEMS`, whose loss is differentiated.
    cell: of the models.
    make_model: maps a scale, traced, and a number of outputs to a
      `models.recurrent`.
    scales: each is measured.
    length: of the sequences.
    num_seeds: networks, of seeds 0, 1, ...

  Returns:
    log10 of the root mean square over 100 sequences, `[scale, seed, time]`;
    minus infinity where it is exactly zero.

  Raises:
    ValueError: the problem is unknown, or the sequences too short for it.
  """
  chosen = choice.choose('problem', problem, PROBLEMS)

  batch = chosen.draw(jax.random.key(0), _NUM_PROBED, length)

  def measure(scale, key):
    model = make_model(scale, chosen.num_outputs)
    _, params, state = model.init(key, batch.inputs.shape[1:])
    return _log_cotangents(_loss(chosen, model, state, *batch), cell, params)

  keys = jax.vmap(jax.random.key)(jnp.arange(num_seeds))
  over_seeds = lambda scale: jax.lax.map(lambda key: measure(scale, key), keys)
  over_scales = jax.jit(lambda scales: jax.lax.map(over_seeds, scales))
  return np.asarray(over_scales(jnp.asarray(scales, float)))


def _log_cotangents(
  loss_fn: Callable[[Any], Array], cell: str, params: Any
) -> Array:
  scope = f'recurrent/{cell}/step/{"cell" if cell == "lstm" else "hidden"}'
  tap = tracing.Taps(backward=statistics.backward())
  probed = tracing.probe(loss_fn, taps=lambda sites: {scope: tap})
  _, _, profile = probed(params)
  return jnp.log10(profile[scope].backward.rms)


def _loss(
  problem: Problem,
  model: layers.Layer,
  model_state: Any,
  inputs: Array,
  targets: Array,
) -> Callable[[Any], Array]:
  """The loss of a batch, as a function of the params."""

  def loss_fn(params):
    outputs, _ = model.apply(params, model_state, inputs)
    return problem.loss(outputs, targets)

  return loss_fn
