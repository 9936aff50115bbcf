"""What a program records, as few arrays: one for all metrics of a shape.

Each array that a loop writes is a kernel to compile and to start.
"""

from collections.abc import Mapping
import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

_Metrics = Mapping[str, Any]  # Each [] or [layer].


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Recording:
  """The metrics of some steps.

  Attributes:
    names: of the metrics in each array; all of them have one shape.
    arrays: each `[steps, names, ...]`, or `[cells, steps, names, ...]`.
  """

  names: tuple[tuple[str, ...], ...] = dataclasses.field(
    metadata={'static': True}
  )
  arrays: list[Any]

  def with_step(self, step: jax.Array, metrics: _Metrics) -> 'Recording':
    """Returns the recording of a cell with the metrics of a step written."""
    arrays = [
      jax.lax.dynamic_update_index_in_dim(
        array, jnp.stack([metrics[name] for name in names]), step, axis=0
      )
      for array, names in zip(self.arrays, self.names, strict=True)
    ]
    return Recording(self.names, arrays)

  def by_name(self) -> dict[str, Any]:
    """Returns the metrics of many cells, each `[cells, steps, ...]`."""
    return {
      name: array[:, :, k]
      for names, array in zip(self.names, self.arrays, strict=True)
      for k, name in enumerate(names)
    }


def blank(metrics: Mapping[str, jax.ShapeDtypeStruct], steps: int) -> Recording:
  """Returns a recording of NaN.

  Args:
    metrics: the shape of each, `[...]`.
    steps: how many it has room for.
  """
  by_shape: dict[tuple[int, ...], list[str]] = {}
  for name, metric in metrics.items():
    by_shape.setdefault(metric.shape, []).append(name)
  return Recording(
    tuple(map(tuple, by_shape.values())),
    [
      jnp.full((steps, len(names), *shape), jnp.nan)
      for shape, names in by_shape.items()
    ],
  )
