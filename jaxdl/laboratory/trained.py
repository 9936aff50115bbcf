"""A grid trained on the spot: axes in, record out, nothing kept on disk."""

from collections.abc import Callable, Mapping, Sequence
import tempfile
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
  unknown = axes.keys() - axes_lib.DEFAULTS.keys() - {'weight_std'}
  if unknown:
    raise ValueError(
      f'no axis is called {", ".join(sorted(unknown))}; there are '
      f'{", ".join([*axes_lib.DEFAULTS, "weight_std"])}'
    )
  fixed = {name: [value] for name, value in axes_lib.DEFAULTS.items()}
  cells = completion.distinct(
    cell for cell in sweep.Grid({**fixed, **axes}).cells() if where(cell)
  )
  plan = sweep.plan(
    cells,
    axes_lib.split,
    devices=jax.devices(),
    num_steps=num_steps,
    chunk_steps=num_steps,
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
  with tempfile.TemporaryDirectory() as folder:
    sweep.run(
      plan,
      build,
      sweep.Data(*dataset[:4]),
      networks.batches(len(dataset.train_labels)),
      folder,
      attributes={'num_classes': dataset.num_classes},
    )
    return sweep.open_record(folder).load()
