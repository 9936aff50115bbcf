"""One compiled program of the laboratory, to be timed by itself."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
from jaxdl import laboratory
from jaxdl import sweep
from jaxdl.sweep import program as program_lib
import numpy as np

IN_SHAPE, NUM_CLASSES, NUM_TRAIN = (28, 28, 1), 10, 2_000

Change = Callable[[sweep.Experiment], sweep.Experiment]


class Traced(NamedTuple):
  """A program of one plan, traced for its devices."""

  plan: sweep.Plan
  functions: program_lib.Functions
  data: sweep.Data


class Inputs(NamedTuple):
  """What a program's chunk takes between its states and the count of steps."""

  indices: Any
  seeds: Any
  dynamic: Any
  data: Any


def cells(count: int, **axes: Any) -> list[sweep.Cell]:
  """Returns cells of one program that differ by their seed."""
  return [{**laboratory.DEFAULTS, **axes, 'seed': i} for i in range(count)]


def trace(
  program_cells: Sequence[sweep.Cell],
  num_steps: int,
  change: Change = lambda experiment: experiment,
) -> Traced:
  """Traces the cells' program for all devices; `change` alters what it runs."""
  plan = sweep.plan(
    program_cells,
    laboratory.split,
    devices=jax.devices(),
    num_steps=num_steps,
    chunk_steps=num_steps,
  )
  (program,) = plan.programs
  build = laboratory.builder(IN_SHAPE, NUM_CLASSES)
  data = _data()
  functions, _ = program_lib.trace(
    change(build(program.static)),
    program,
    plan,
    data,
    int(program_cells[0]['batch_size']),
  )
  return Traced(plan, functions, data)


def runner(traced: Traced) -> Callable[[], None]:
  """Compiles a program; returns what trains its cells for all its steps."""
  (program,), num_steps = traced.plan.programs, traced.plan.num_steps
  batches = laboratory.batches(NUM_TRAIN)
  indices = np.stack([batches(cell, 0, num_steps) for cell in program.cells])
  init, chunk = (
    function.lower().compile() for function in traced.functions[:2]
  )
  inputs = placed(program, indices, traced.data, chunk)

  def run():
    states = init(inputs.seeds, inputs.dynamic)
    outputs = chunk(states, *inputs, np.int32(0), np.int32(num_steps))
    jax.block_until_ready(outputs)

  return run


def placed(
  program: sweep.Program,
  indices: np.ndarray,
  data: sweep.Data,
  chunk: jax.stages.Compiled,
) -> Inputs:
  """Puts a program's inputs where its compiled chunk takes them.

  Args:
    program: its seeds and dynamic values.
    indices: of batches, `[cells, chunk, batch]`.
    data: training data.
    chunk: the compiled function.
  """
  inputs = Inputs(indices, program.seeds, program.dynamic, data)
  (_, *shardings), _ = chunk.input_shardings
  return Inputs(
    *(
      jax.device_put(each, sharding)
      for each, sharding in zip(inputs, shardings[: len(inputs)], strict=True)
    )
  )


def _data() -> sweep.Data:
  """Returns data of the study's shape; their values don't change the speed."""
  rng = np.random.default_rng(0)
  images = rng.normal(size=(NUM_TRAIN, *IN_SHAPE)).astype(np.float32)
  labels = rng.integers(NUM_CLASSES, size=NUM_TRAIN).astype(np.int32)
  return sweep.Data(images, labels, images[:100], labels[:100])
