"""Which cells a grid has: each as it is trained, and each once.

What a cell leaves to its model, a depth of its own or the norm that it was
published with, is filled in, so that a record says what was trained.
"""

from collections.abc import Iterable
import functools

import jax
from jaxdl import sweep
from jaxdl import training
from jaxdl.laboratory import axes
from jaxdl.models import zoo

OWN = 'own'  # The norm or the shortcut that a model was published with.


def distinct(cells: Iterable[sweep.Cell]) -> list[sweep.Cell]:
  """Completes cells, and keeps of those that are then equal the first.

  A model with a depth of its own is the same at every depth of a grid, and so
  is a model whose own norm is batch under `own` and under `batch`.

  Args:
    cells: as `complete` takes them.

  Returns:
    The cells in their order.

  Raises:
    ValueError: as `complete`.
  """
  found = {tuple(cell.items()): cell for cell in map(complete, cells)}
  return list(found.values())


def complete(cell: sweep.Cell) -> sweep.Cell:
  """Fills in what a cell leaves to its model.

  Args:
    cell: a value for each axis of `DEFAULTS`; the norm and the shortcut may be
      `own`.

  Returns:
    The cell. `own` has become what it stands for; where the model has a depth
    of its own, `depth` is the number of its units before the readout, and
    `width`, of which there are several, is 0.

  Raises:
    ValueError: the model is unknown, or the norm or shortcut is, or has no
      meaning in it.
  """
  name = str(cell['model'])
  filled: sweep.Cell = {
    toggle: _chosen(name, toggle, str(cell[toggle]))
    for toggle in ('norm', 'shortcut')
  }
  if not axes.takes_sizes(name):
    # Auxiliary classifiers come after the readout.
    filled['depth'] = layer_names(name).index('readout')
    filled['width'] = 0
  return {**cell, **filled}


def _chosen(model: str, toggle: str, text: str) -> str:
  """The norm or shortcut of a model, numbers and all, its own one by name."""
  value, colon, numbers = text.partition(':')
  try:
    chosen = zoo.chosen(model, toggle, None if value == OWN else value)
  except ValueError as error:
    raise ValueError(f'{error}; or {OWN}, as published') from None
  return f'{chosen}{colon}{numbers}'


def sized_models() -> tuple[str, ...]:
  """Names the models that take a depth and a width."""
  return tuple(name for name in zoo.names() if axes.takes_sizes(name))


@functools.cache
def layer_names(model: str) -> tuple[str, ...]:
  """What the layers of a model are called that has a depth of its own.

  Args:
    model: its name.
  """
  row = zoo.architecture(model)
  net = zoo.assemble(model, num_classes=row.num_classes)
  params = jax.eval_shape(
    lambda key: net.init(key, row.in_shape)[1], jax.random.key(0)
  )
  return training.layerwise.names(params)
