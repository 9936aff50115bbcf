"""A grid trained on the spot: axes in, record out, nothing kept on disk."""

from collections.abc import Callable, Mapping, Sequence
import tempfile
import types
from typing import Any

import jax
from jaxdl import sweep
from jaxdl.data import sources
from jaxdl.laboratory import axes as axes_lib
from jaxdl.laboratory import completion
from jaxdl.laboratory import inactivity
from jaxdl.laboratory import networks
import numpy as np
import xarray as xr


def train(
  axes: Mapping[str, Sequence[sweep.grid.Value]],
  dataset: sources.Dataset,
  num_steps: int,
  *,
  make_model: Callable[..., Any] | None = None,
  layerwise: bool = True,
  evaluate: networks.Evaluate = networks.on_test_split,
  watched: np.ndarray | None = None,
  where: Callable[[sweep.Cell], bool] = lambda cell: True,
) -> xr.Dataset:
  """Trains every cell of a grid on all devices.

  Args:
    axes: of the grid; `laboratory.DEFAULTS` has those that are not given.
    dataset: preprocessed, float32.
    num_steps: of each network.
    make_model: as `laboratory.builder` takes it.
    layerwise: whether layers are measured, or only the network as a whole.
    evaluate: what is recorded of a trained network.
    watched: inputs on which `inactivity.watching` follows each unit.
    where: which cells of the product are trained.

  Returns:
    The record (see `docs/architecture.md`), in memory.

  Raises:
    ValueError: an axis or a value that makes no sense.
  """
  cells = completion.distinct(
    cells_of(axes, axes_lib.DEFAULTS, where, optional=('weight_std',))
  )
  build = networks.builder(
    dataset.train_images.shape[1:],
    dataset.num_classes,
    make_model,
    layerwise=layerwise,
    evaluate=evaluate,
  )
  if watched is not None:
    build = inactivity.watching(build, watched, dataset.num_classes, make_model)
  return run(
    plan_of(cells, axes_lib.split, num_steps),
    build,
    sweep.Data(*dataset[:4]),
    attributes={'num_classes': dataset.num_classes},
  )


def cells_of(
  axes: Mapping[str, Sequence[sweep.grid.Value]],
  defaults: Mapping[str, sweep.grid.Value],
  where: Callable[[sweep.Cell], bool],
  optional: Sequence[str] = (),
) -> list[sweep.Cell]:
  """Returns the cells of a grid, of whose axes some are not given.

  Args:
    axes: those that are given.
    defaults: every axis, with the value it has otherwise.
    where: which cells of the product are kept.
    optional: further axes that a cell need not have.

  Raises:
    ValueError: an axis that there is not.
  """
  names = [*defaults, *optional]
  unknown = [name for name in axes if name not in names]
  if unknown:
    raise ValueError(
      f'no axis is called {", ".join(sorted(unknown))}; there are '
      f'{", ".join(names)}'
    )
  fixed = {name: [value] for name, value in defaults.items()}
  return [cell for cell in sweep.Grid({**fixed, **axes}).cells() if where(cell)]


def plan_of(
  cells: Sequence[sweep.Cell], split: Callable[..., Any], num_steps: int
) -> sweep.Plan:
  """Plans cells on all devices, in one chunk: there is nothing to resume.

  Args:
    cells: the cells.
    split: maps a cell to its static and its dynamic part.
    num_steps: of each network.
  """
  return sweep.plan(
    cells,
    split,
    devices=jax.devices(),
    num_steps=num_steps,
    chunk_steps=num_steps,
  )


def run(
  plan: sweep.Plan,
  build: Callable[[Any], sweep.Experiment],
  data: sweep.Data,
  attributes: Mapping[str, Any] = types.MappingProxyType({}),
) -> xr.Dataset:
  """Runs a plan in a folder that is gone afterwards; returns its record.

  Args:
    plan: the plan.
    build: maps a static part to its experiment.
    data: what is trained and tested on.
    attributes: of the record.
  """
  with tempfile.TemporaryDirectory() as folder:
    sweep.run(
      plan,
      build,
      data,
      networks.batches(len(data.train_labels)),
      folder,
      attributes=attributes,
    )
    return sweep.open_record(folder).load()
