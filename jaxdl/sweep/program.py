"""One program: its cells on a mesh of devices, as three compiled functions.

The mesh has two axes, `cells` and `data`. `jax.shard_map` gives each group of
devices its share of the cells; inside a group the arrangement of the plan runs
them; inside a cell a loop runs the steps of a chunk. The number of steps is an
argument, so that a last, shorter chunk needs no second compilation.

Only `cells` is mapped by hand. Along `data` the examples of each batch are
spread, and XLA partitions the step: it means what it means on one device, so
that batch norm, statistics of layers and random numbers are those of the whole
batch, whatever the experiment computes.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxdl.sweep import experiment as experiment_lib
from jaxdl.sweep import planning
from jaxdl.sweep import recording
import numpy as np

CELLS, DATA = 'cells', 'data'


class Functions(NamedTuple):
  """The three functions of a program, at one stage: traced, or compiled.

  Attributes:
    init: maps seeds and dynamic values to the first states.
    chunk: maps states (donated), batch indices `[cells, chunk, batch]`, seeds,
      dynamic values, data, the first step and the number of steps to the next
      states and a `Recording` of the chunk, NaN past the number of steps.
    finish: maps states, dynamic values and data to scores `[cells]`.
  """

  init: Any
  chunk: Any
  finish: Any


class Shapes(NamedTuple):
  """What a traced program returns, as nests of `jax.ShapeDtypeStruct`."""

  states: Any  # Each [cells, ...].
  metrics: dict[str, jax.ShapeDtypeStruct]  # Each [cells, chunk, ...].
  scores: dict[str, jax.ShapeDtypeStruct]  # Each [cells].


def mesh(program: planning.Program) -> jax.sharding.Mesh:
  """Returns the mesh of the devices of a program."""
  return jax.sharding.Mesh(
    np.array(program.devices).reshape(program.width, program.group_size),
    (CELLS, DATA),
    axis_types=(jax.sharding.AxisType.Auto,) * 2,
  )


def over_cells(mesh: jax.sharding.Mesh) -> jax.sharding.NamedSharding:
  """Returns the sharding of arrays `[cells, ...]`."""
  return _sharding(mesh, CELLS)


def over_batches(mesh: jax.sharding.Mesh) -> jax.sharding.NamedSharding:
  """Returns the sharding of batches `[cells, chunk, batch]`."""
  return _sharding(mesh, CELLS, None, DATA)


def replicated(mesh: jax.sharding.Mesh) -> jax.sharding.NamedSharding:
  """Returns the sharding of arrays that every device holds whole."""
  return _sharding(mesh)


def _sharding(mesh: Any, *axes: str | None) -> jax.sharding.NamedSharding:
  return jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*axes))


def trace(
  experiment: experiment_lib.Experiment,
  program: planning.Program,
  plan: planning.Plan,
  data: experiment_lib.Data,
  batch_size: int,
) -> tuple[Functions, Shapes]:
  """Traces the functions of a program; nothing is compiled or allocated.

  Args:
    experiment: the experiment of the program.
    program: the program.
    plan: the plan that it belongs to.
    data: arrays, or their shapes.
    batch_size: examples in a batch.

  Returns:
    The functions as `jax.stages.Traced`, and the shapes of what they return.

  Raises:
    ValueError: a metric is neither `[]` nor `[layer]`, or a score is not `[]`,
      or a batch cannot be spread evenly over the devices that share it.
  """
  if batch_size % program.group_size:
    raise ValueError(
      f'a batch of {batch_size} cannot be spread evenly over '
      f'{program.group_size} devices; give a batch size that is a multiple of '
      f'{program.group_size}'
    )
  cells, lane_mesh = program.padded_cells, mesh(program)
  by_cell, whole = over_cells(lane_mesh), replicated(lane_mesh)
  init, chunk, finish = _functions(experiment, plan.arrangement, lane_mesh)

  seeds, dynamic = _shapes((program.seeds, program.dynamic), by_cell)
  data_shapes = _shapes(data, whole)
  indices = jax.ShapeDtypeStruct(
    (cells, plan.chunk_steps, batch_size),
    jnp.int32,
    sharding=over_batches(lane_mesh),
  )
  scalar = jax.ShapeDtypeStruct((), jnp.int32, sharding=whole)

  traced_init = init.trace(seeds, dynamic)
  states = _shapes(traced_init.out_info, by_cell)
  traced_chunk = chunk.trace(
    states, indices, seeds, dynamic, data_shapes, scalar, scalar
  )
  traced_finish = finish.trace(states, dynamic, data_shapes)
  metrics = jax.eval_shape(lambda x: x.by_name(), traced_chunk.out_info[1])
  shapes = Shapes(states, metrics, _shapes(traced_finish.out_info))
  _check(shapes)
  return Functions(traced_init, traced_chunk, traced_finish), shapes


def _check(shapes: Shapes) -> None:
  """Raises a ValueError if the record cannot hold what is returned."""
  if not shapes.metrics:
    raise ValueError('step returns no metrics; a step records at least one')
  for name, metric in shapes.metrics.items():
    if metric.ndim > 3:
      raise ValueError(
        f'metric {name!r} has shape {metric.shape[2:]}; '
        'a step may record scalars, [], and vectors, [layer]'
      )
  for name, score in shapes.scores.items():
    if score.ndim != 1:
      raise ValueError(
        f'score {name!r} has shape {score.shape[1:]}; '
        'finish may return scalars, []'
      )


def _shapes(tree: Any, sharding: jax.sharding.Sharding | None = None) -> Any:
  """Replaces arrays by their shapes and dtypes."""
  return jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(
      x.shape, jax.dtypes.canonicalize_dtype(x.dtype), sharding=sharding
    ),
    tree,
  )


def _functions(experiment, arrangement, lane_mesh) -> Functions:
  """Returns the jitted functions of a program."""
  cells, whole = over_cells(lane_mesh).spec, replicated(lane_mesh).spec
  by_cell = over_cells(lane_mesh)

  def sharded(function, in_specs, donate=()):
    mapped = jax.shard_map(
      function,
      mesh=lane_mesh,
      in_specs=in_specs,
      out_specs=cells,
      axis_names={CELLS},
      check_vma=False,
    )
    return jax.jit(mapped, donate_argnums=donate, out_shardings=by_cell)

  def init(seeds, dynamic):
    def init_cell(seed, dynamic):
      return experiment.init(dynamic, _keys(seed)[0])

    return _arrange(init_cell, arrangement)(seeds, dynamic)

  def chunk(states, indices, seeds, dynamic, data, start, count):
    def chunk_cell(state, indices, seed, dynamic):
      return _train_chunk(
        experiment.step, state, indices, seed, dynamic, data, start, count
      )

    return _arrange(chunk_cell, arrangement)(states, indices, seeds, dynamic)

  def finish(states, dynamic, data):
    def finish_cell(state, dynamic):
      return _as_float32(experiment.finish(state, dynamic, data))

    return _arrange(finish_cell, arrangement)(states, dynamic)

  return Functions(
    init=sharded(init, (cells, cells)),
    chunk=sharded(
      chunk, (cells, cells, cells, cells, whole, whole, whole), donate=0
    ),
    finish=sharded(finish, (cells, cells, whole)),
  )


def _keys(seed: jax.Array) -> jax.Array:
  """Returns the keys of a cell: one for `init`, one for the steps."""
  return jax.random.split(jax.random.key(seed))


def _as_float32(metrics: experiment_lib.Metrics) -> experiment_lib.Metrics:
  return {
    name: jnp.asarray(value, jnp.float32) for name, value in metrics.items()
  }


def _train_chunk(step_fn, state, indices, seed, dynamic, data, start, count):
  """Trains one cell for `count` steps, at most those of `indices`."""
  step_key = _keys(seed)[1]

  def train(state, i):
    # The indices are spread over `data`, and so is what they gather.
    batch = (data.train_images[indices[i]], data.train_labels[indices[i]])
    key = jax.random.fold_in(step_key, start + i)
    state, metrics = step_fn(state, batch, dynamic, key)
    return state, _as_float32(metrics)

  def body(i, carry):
    state, recorded = carry
    state, metrics = train(state, i)
    return state, recorded.with_step(i, metrics)

  _, shapes = jax.eval_shape(train, state, jnp.int32(0))
  blank = recording.blank(shapes, len(indices))
  return jax.lax.fori_loop(0, count, body, (state, blank))


def _arrange(function: Callable, arrangement: str) -> Callable:
  """Lifts a function of one cell to the cells of one device."""

  def loop(*args):
    count = len(jax.tree.leaves(args)[0])
    rows = [function(*jax.tree.map(lambda x: x[i], args)) for i in range(count)]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *rows)

  def in_turn(*args):
    return jax.lax.map(lambda cell: function(*cell), args)

  def at_once(*args):
    try:
      return jax.vmap(function)(*args)
    except NotImplementedError:
      # Some operations have no rule for it; a convolution's derivative has
      # none, under shard_map, before JAX 0.8.
      return in_turn(*args)

  arrangements = {'map': in_turn, 'vmap': at_once, 'loop': loop}
  return arrangements[arrangement]
