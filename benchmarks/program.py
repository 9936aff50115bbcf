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
  mesh = program_lib.mesh(program.devices)
  by_cell = program_lib.over_cells(mesh)
  data = jax.device_put(traced.data, program_lib.replicated(mesh))
  seeds, dynamic = jax.device_put((program.seeds, program.dynamic), by_cell)
  batches = laboratory.batches(NUM_TRAIN)
  indices = jax.device_put(
    np.stack([batches(cell, 0, num_steps) for cell in program.cells]), by_cell
  )
  init, chunk = (
    function.lower().compile() for function in traced.functions[:2]
  )

  def run():
    states = init(seeds, dynamic)
    outputs = chunk(
      states, indices, seeds, dynamic, data, np.int32(0), np.int32(num_steps)
    )
    jax.block_until_ready(outputs)

  return run


def _data() -> sweep.Data:
  """Returns data of the study's shape; their values don't change the speed."""
  rng = np.random.default_rng(0)
  images = rng.normal(size=(NUM_TRAIN, *IN_SHAPE)).astype(np.float32)
  labels = rng.integers(NUM_CLASSES, size=NUM_TRAIN).astype(np.int32)
  return sweep.Data(images, labels, images[:100], labels[:100])
